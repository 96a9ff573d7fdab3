"""The verdict on a claim: cases made by hand for every kind and every comparison, and what follows from the rule."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.claims.kinds import COMPARISONS, KINDS, VERDICTS
from analysis.claims.system import Quantity
from analysis.claims.table import Claim
from analysis.claims.verdicts import by_verdict, judge, met
from simulator.foundation.errors import ResultsError

CLAIM = Claim("X-1", "x", "speed-up", "2.0", "x", "about", "", "a paper", "prediction")


def claim(written="2.0", comparison="about", kind="prediction", given=None):
    return replace(CLAIM, written=written, comparison=comparison, kind=kind, given=given)


def computed(value, **more):
    return Quantity(value, "x", value, value, ("measured",), **more)


@pytest.mark.parametrize(
    ("kind", "inside", "outside"),
    [
        ("count", "reproduced", "not reproduced"),
        ("prediction", "reproduced", "not reproduced"),
        ("identity", "consistent", "not reproduced"),
        ("replay", "consistent", "not reproduced"),
        ("own-measurement", "measured, not comparable", "measured, not comparable"),
        ("quality", "outside the model", "outside the model"),
    ],
)
def test_each_kind_earns_its_verdict_and_no_better(kind, inside, outside):
    assert judge(claim(kind=kind), computed(2.0)).verdict == inside
    assert judge(claim(kind=kind), computed(9.0)).verdict == outside


def test_every_kind_and_comparison_of_the_table_is_tried_here():
    assert set(KINDS) == {"count", "prediction", "identity", "replay", "own-measurement", "quality", "conditional"}
    assert set(COMPARISONS) == {"eq", "about", "le", "ge", "up-to", "ordering"}
    assert {best for _, best in KINDS.values()} <= set(VERDICTS)


@pytest.mark.parametrize(
    ("written", "comparison", "kind", "yes", "no"),
    [
        ("2.0", "about", "prediction", (1.8, 2.0, 2.2), (1.79, 2.21)),  # 10 % of the claim
        ("0.0", "about", "prediction", (-0.05, 0.0, 0.05), (-0.06, 0.06)),  # nothing is asked nearer than it is written
        ("0.1", "about", "replay", (0.05, 0.15), (0.04, 0.16)),  # the same: 10 % would be less than its digits say
        ("2.0", "eq", "prediction", (1.95, 2.05), (1.94, 2.06)),  # the digits given
        ("582346", "eq", "count", (582346.0,), (582345.0, 582347.0, 582346.4)),
        ("1.28", "eq", "count", (1.275, 1.285), (1.274, 1.286)),
        ("8E+6", "about", "count", (7.5e6, 8.5e6), (7.4e6, 8.6e6)),  # one digit was given
        ("2.0", "le", "prediction", (-5.0, 2.0, 2.2), (2.21, 50.0)),
        ("2.0", "ge", "prediction", (1.8, 50.0), (1.79, -5.0)),
        ("2.0", "up-to", "prediction", (1.8, 2.2), (1.7, 2.3)),  # the greatest value reaches it, and goes no further
        ("1", "ordering", "replay", (1.001, 7.0), (1.0, 0.62)),
    ],
)
def test_a_claim_is_met_inside_its_tolerance_only(written, comparison, kind, yes, no):
    asked = claim(written, comparison, kind)
    assert all(met(asked, value) for value in yes)
    assert not any(met(asked, value) for value in no)


def test_a_band_that_the_source_gives_comes_before_any_rule():
    narrow = claim("2.0", given=(1.87, 2.02))
    assert met(narrow, 1.87)
    assert not met(narrow, 2.1)  # inside 10 %
    missed = judge(narrow, computed(2.1))
    assert "1.87 to 2.02 (the band that the source gives)" in missed.reason


@given(st.floats(0.01, 1e9), st.floats(0.01, 1e9))
def test_a_claim_on_a_number_is_met_by_that_number_and_bounds_are_one_sided(value, other):
    for comparison in ("about", "up-to", "le", "ge"):
        assert met(claim(repr(value), comparison), value)
    low, high = min(value, other), max(value, other)
    assert met(claim(repr(high), "le"), low)
    assert met(claim(repr(low), "ge"), high)


def test_not_reproduced_comes_with_what_was_expected_and_how_far_off_it_is():
    missed = judge(claim(), computed(3.0, reason="without the framing"))
    assert missed.verdict == "not reproduced"
    assert missed.reason == "expected 1.8 to 2.2 (± 10%), +50.0%; without the framing"
    assert judge(claim("1", "ordering", "replay"), computed(0.62)).reason == "expected more than 1"
    assert judge(claim("2.0", "le"), computed(3.0)).reason.startswith("expected at most 2.2 (± 10%)")
    assert judge(claim("2.0", "ge"), computed(1.0)).reason.startswith("expected at least 1.8 (± 10%)")
    assert "expected 582346 (a whole number, so exactly)" in judge(claim("582346", "eq", "count"), computed(1.0)).reason


def test_a_greatest_value_tells_the_whole_distribution():
    grid = {"5 Mbit/s": 0.5, "25 Mbit/s": 1.25, "75 Mbit/s": 2.1}
    found = judge(claim(comparison="up-to"), Quantity.over(grid, "x", ["measured"]))
    assert (found.quantity.simulated, found.verdict) == (2.1, "reproduced")
    assert found.reason == "over 3 points: 0.5 (5 Mbit/s), median 1.25, 2.1 (75 Mbit/s)"


def test_a_conditional_claim_names_where_it_holds():
    asked = claim(comparison="ge", kind="conditional")
    grid = {"5 Mbit/s": 2.5, "25 Mbit/s": 1.9, "75 Mbit/s": 1.2}
    found = judge(asked, Quantity.over(grid, "x", ["guessed"]))
    assert found.verdict == "holds for 2 of 3 points: 5 Mbit/s, 25 Mbit/s"
    nowhere = judge(asked, Quantity.over({"a": 1.0, "b": 0.5}, "x", ["guessed"]))
    assert nowhere.verdict == "holds nowhere"
    assert nowhere.reason.startswith("at none of 2 points inside 1.8 to 2.2")
    many = judge(asked, Quantity.over({str(i): 3.0 for i in range(9)}, "x", ["guessed"]))
    assert many.verdict == "holds for 9 of 9 points: 0, ..., 8"
    with pytest.raises(ResultsError, match="X-1: a conditional claim needs the grid of inputs"):
        judge(asked, computed(2.0))


def test_what_could_not_be_computed_was_not_run():
    assert judge(claim(), None).verdict == "not run"
    assert judge(claim(), None).reason == "its technique is not built yet"
    absent = judge(claim(), Quantity.absent("set OFFING_DATA to the folder of recordings"))
    assert (absent.verdict, absent.reason) == ("not run", "set OFFING_DATA to the folder of recordings")
    assert judge(claim(kind="quality"), None).verdict == "outside the model"


def test_two_units_are_refused():
    with pytest.raises(ResultsError, match="X-1: computed in 's' and claimed in 'x'"):
        judge(claim(), Quantity.exact(2.0, "s", ["measured"]))


def test_an_interval_over_seeds_that_reaches_beyond_the_band_is_said():
    near = Quantity.sampled([2.1, 2.3, 2.1, 2.2], "x", ["measured"])
    assert near.low < near.simulated < near.high
    assert judge(claim(), near).reason == "its interval reaches beyond the band"
    sure = Quantity.sampled([2.0, 2.01, 1.99], "x", ["measured"])
    assert judge(claim(), sure).reason == ""


def test_outcomes_are_counted_by_verdict_whatever_the_region():
    asked = claim(comparison="ge", kind="conditional")
    grids = ({"a": 3.0}, {"b": 3.0, "c": 0.0}, {"d": 0.0})
    outcomes = [judge(asked, Quantity.over(grid, "x", ["guessed"])) for grid in grids]
    assert by_verdict(outcomes) == {"holds for": 2, "holds nowhere": 1}


def test_a_row_has_the_keys_of_the_answer_in_order():
    row = judge(claim(), computed(2.1)).row()
    assert list(row) == [
        "id", "quantity", "claimed", "simulated", "low", "high", "unit", "kind", "verdict", "reason", "grades",
    ]  # fmt: skip
    assert (row["claimed"], row["simulated"], row["grades"]) == (2.0, 2.1, ["measured"])
