"""Units: what is written comes back, and every refusal says what came and what was expected."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from simulator.foundation import units
from simulator.foundation.errors import UnitError
from simulator.foundation.units import BANDWIDTH, COMPUTE, DURATION, PERIOD, POWER, RATE, SHARE, SIZE, Dimension

DIMENSIONS = [value for value in vars(units).values() if isinstance(value, Dimension)]
WRITTEN = {"units": "written"}


class Times(BaseModel):
    wait: units.Seconds = 0.0
    every: units.Period = 1.0
    uplink: units.BytesPerSecond = 1.0


@given(st.sampled_from(DIMENSIONS), st.floats(min_value=0, exclude_min=True, allow_infinity=False))
def test_what_is_formatted_parses_to_the_same_number(dimension, value):
    assert dimension.parse(dimension.format(value)) == value


@given(st.sampled_from(DIMENSIONS), st.integers(1, 10**6), st.data())
def test_every_unit_is_its_factor_however_it_is_spaced(dimension, number, data):
    unit = data.draw(st.sampled_from(sorted(dimension.units)))
    spaces = data.draw(st.sampled_from(["", " ", "  "]))
    assert dimension.parse(f" {number}{spaces}{unit} ") == number * dimension.units[unit]


@pytest.mark.parametrize(
    ("dimension", "text", "si"),
    [
        (DURATION, "90 min", 5400), (DURATION, "2 d", 172_800), (DURATION, "250 µs", 250e-6), (DURATION, ".5 h", 1800),
        (SIZE, "1 kB", 1000), (SIZE, "1 KiB", 1024), (SIZE, "2 GiB", 2_147_483_648), (SIZE, "8 bit", 1),
        (BANDWIDTH, "8 Mbit/s", 1e6), (BANDWIDTH, "1 MB/s", 1e6), (BANDWIDTH, "1e3 kbit/s", 125e3),
        (RATE, "30 /min", 0.5), (RATE, "4 Hz", 4), (POWER, "5 mW", 0.005), (COMPUTE, "2 GFLOP/s", 2e9),
        (SHARE, "25 %", 0.25), (SHARE, "0.25", 0.25), (units.PER_BYTE, "1.5 ms/MB", 1.5e-9),
    ],
)  # fmt: skip
def test_known_quantities(dimension, text, si):
    assert dimension.parse(text) == pytest.approx(si, rel=1e-15)


@pytest.mark.parametrize(
    ("dimension", "value", "sentence"),
    [
        (DURATION, "5", '5 has no unit; write e.g. "5 ms" (known: ns, us, ms, s, min, h, d)'),
        (DURATION, 5, '5 has no unit; write e.g. "5 ms" (known: ns, us, ms, s, min, h, d)'),
        (DURATION, "soon", "'soon' is not a duration; write e.g. \"5 ms\""),
        (DURATION, True, 'True is not a duration; write e.g. "5 ms"'),
        (DURATION, None, 'None is not a duration; write e.g. "5 ms"'),
        (DURATION, ["5 ms"], "['5 ms'] is not a duration; write e.g. \"5 ms\""),
        (DURATION, "-1 s", "-1 s is out of range: a duration is zero or more"),
        (PERIOD, "0 s", "0 s is out of range: a period is above zero"),
        (BANDWIDTH, "0 MB/s", "0 MB/s is out of range: a bandwidth is above zero"),
        (DURATION, "1e400 s", "1e400 s is not a finite duration"),
        (
            RATE,
            "4 /sec",
            '"/sec" is not a unit of rate in \'4 /sec\'. Did you mean "/s"? Known: /s, /min, /h, Hz',
        ),
        (SHARE, "5 per cent", "\"per cent\" is not a unit of share in '5 per cent'. Known: %"),
    ],
)
def test_a_refusal_says_what_came_and_what_was_expected(dimension, value, sentence):
    with pytest.raises(UnitError) as caught:
        dimension.parse(value)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(("written", "meant"), [("50 Mbits/s", "Mbit/s"), ("50 MB", "MB/s"), ("50 mbit/s", "Mbit/s")])
def test_bits_and_bytes_are_never_guessed(written, meant):
    with pytest.raises(UnitError, match=f'is not a unit of bandwidth in .* Did you mean "{meant}"'):
        BANDWIDTH.parse(written)


def test_a_file_must_write_units_and_python_may_pass_si():
    assert Times(wait=0.25, every=2, uplink=1e6).wait == 0.25
    assert Times.model_validate({"wait": "250 ms"}, context=WRITTEN).wait == 0.25
    with pytest.raises(ValidationError, match=r"0\.25 has no unit"):
        Times.model_validate({"wait": 0.25}, context=WRITTEN)


@pytest.mark.parametrize(("field", "value"), [("wait", -1.0), ("every", 0.0), ("uplink", float("inf")), ("wait", True)])
def test_python_may_not_pass_just_anything(field, value):
    with pytest.raises(ValidationError):
        Times(**{field: value})


@given(st.floats(0, 1e12), st.floats(1e-12, 1e12))
def test_a_model_written_as_json_reads_as_the_same_model(wait, uplink):
    before = Times(wait=wait, uplink=uplink)
    assert Times.model_validate(before.model_dump(mode="json"), context=WRITTEN) == before
