"""PORTEND: costs of calls and blocks come back from made-up ranges; the simulator adds them up; the paper's answers.

The times here are made up (:func:`table`); what is recorded is read from ``../shared/data`` where that is.
"""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest
from support import DATA, recordings

from calibration.fidelity.datasets import portend as dataset
from calibration.fidelity.report import errors
from calibration.measured import portend
from calibration.measured.portend import Range
from simulator.foundation.errors import ProfileError
from simulator.profiles.exits import ExitTable

BLOCKS, CALL = (0.004, 0.001, 0.0002, 0.0031), 0.0005
HEADER = "instance,file_tag,model,dataset,block_start,block_end,lat_ms_samples\n"


def ranges(model="Made", instance="m4.large", blocks=BLOCKS, call=CALL, noise=(1.0, 1.0, 1.0)) -> list[Range]:
    return [
        Range(model, instance, a + 1, b, tuple((call + sum(blocks[a:b])) * factor for factor in noise))
        for a in range(len(blocks))
        for b in range(a + 1, len(blocks) + 1)
    ]


def table(path, rows):
    lines = (
        f"{one.instance},,{one.model},None,{one.first},{one.last},{';'.join(repr(1e3 * s) for s in one.samples)}\n"
        for one in rows
    )
    path.write_text(HEADER + "".join(lines))
    return path


# -- calls and blocks ----------------------------------------------------------------------------------------------


def test_call_and_blocks_come_back_from_their_ranges():
    found = portend.fit_blocks(ranges())
    assert found.call == pytest.approx(CALL, rel=1e-6)
    assert found.seconds == pytest.approx(BLOCKS, rel=1e-6)
    assert portend.call_cost(ranges()) == pytest.approx(CALL)


def test_the_cost_of_a_call_is_an_instances_not_a_networks():
    others = ranges("Other", blocks=(0.02, 0.03, 0.01))
    singles = [one for one in ranges() if one.first == one.last]
    found = portend.fit_blocks(singles, portend.call_cost(others))
    assert found.call == pytest.approx(CALL)
    assert found.seconds == pytest.approx(BLOCKS)
    assert portend.fit_blocks(singles, 1.0).call == min(one.seconds for one in singles)  # a block takes no less than 0


def test_short_blocks_tell_the_cost_of_a_call_best():
    """Forty-five ranges of long blocks, measured to 1 %, do not outvote six of short ones."""
    rng = np.random.default_rng(1)
    longer = [
        Range(one.model, one.instance, one.first, one.last, (one.seconds * factor,))
        for one, factor in zip(ranges("Long", blocks=(1.0,) * 10), rng.normal(1.0, 0.01, 55).tolist(), strict=True)
    ]
    assert abs(portend.call_cost(longer) - CALL) > CALL
    assert portend.call_cost([*longer, *ranges()]) == pytest.approx(CALL, rel=0.01)


def test_repeats_vary_as_the_samples_of_the_single_blocks():
    found = portend.fit_blocks(ranges(noise=(0.9, 1.0, 1.2)))
    assert [sum(run) / sum(found.seconds) for run in found.repeats] == pytest.approx([0.9, 1.0, 1.2])


def test_the_simulator_plays_a_range_as_one_call_and_its_blocks():
    profile = portend.profile("Made", {"m4.large": portend.fit_blocks(ranges())}, (4e5, 3e5, 2e5, 1e5, 40))
    asked = [(one.first, one.last) for one in ranges()]
    played = dataset.play(profile, portend.machine("m4.large", CALL), asked)
    assert played == pytest.approx([one.seconds for one in ranges()], rel=1e-6)
    free = dataset.play(profile, portend.machine("m4.large", 0.0), asked)
    assert np.subtract(played, free) == pytest.approx([CALL] * len(asked), rel=1e-6)


def test_what_nobody_measured_is_not_zero():
    hardware = portend.machine("m4.large")
    assert all(math.isnan(fact.value) for name, fact in hardware.facts().items() if name in ("idle", "busy"))
    assert hardware.memory.value == 8 * 2**30


# -- data set ------------------------------------------------------------------------------------------------------


@pytest.mark.data
def test_a_network_never_seen_is_predicted_from_its_single_blocks(tmp_path):
    recordings("portend")
    rng = np.random.default_rng(3)
    seen = ranges("Other", blocks=(0.02, 0.03, 0.01))
    new = ranges("Made", blocks=tuple(rng.uniform(0.001, 0.01, 12).tolist()))
    path = table(tmp_path / "check.csv", new)
    found = dataset.compare(table(tmp_path / "fit.csv", seen), path)
    assert set(found.rows["model"]) == {"Made"}
    assert len(found.rows.query("segment == 'total'")) == 12 * 11 // 2
    assert errors(found.judged)["max_ape_pct"].max() < 1e-6
    assert any("Made on m4.large" in note and "single blocks" in note for note in found.notes)
    assert any("tensors of Made" in note for note in found.notes)
    alone = dataset.compare(table(tmp_path / "elsewhere.csv", ranges("Other", "g5.xlarge")), path)
    assert errors(alone.judged).loc[("Made", "total"), "bias_pct"] > 5  # a call for each block
    assert any("no other network" in note for note in alone.notes)


@pytest.mark.data
def test_half_of_the_longer_ranges_is_held_back_and_the_rest_fitted(tmp_path):
    recordings("portend")
    rows = ranges()
    odd = [one if (one.first, one.last) != (1, 4) else Range("Made", "m4.large", 1, 4, (1.0,) * 3) for one in rows]
    found = dataset.compare(table(tmp_path / "fit.csv", odd)).rows
    total = found[found["segment"] == "total"]
    assert len(total) == 3  # of 6
    again = dataset.compare(table(tmp_path / "fit.csv", odd)).rows
    assert again.equals(found)
    whole = dataset.compare(table(tmp_path / "good.csv", rows), table(tmp_path / "one.csv", odd)).rows
    late = whole[(whole["condition"] == "m4.large, blocks 1 to 4") & (whole["segment"] == "total")]
    assert late["measured_s"].tolist() == [1.0]
    assert late["predicted_s"].tolist() == pytest.approx(
        [sum(BLOCKS) + 4 * CALL]
    )  # all it asks for is left out of the fit


@pytest.mark.data
def test_recorded_ranges_add_up():
    recordings("portend")
    found = dataset.compare()
    figures = errors(found.judged)
    for model in ("ResNet20", "EfficientNetB0"):
        assert figures.loc[(model, "total"), "mape_pct"] < 1.5
    assert figures.loc[("VGGish", "total"), "median_ape_pct"] < 6
    assert all(goal.met for goal in found.goals)
    added = found.tables["single blocks added up (n calls instead of one)"]
    assert added.loc[("ResNet20", "m4.large"), "bias_pct"] == pytest.approx(14.9, abs=0.1)


@pytest.mark.data
def test_the_papers_split_is_the_simulators():
    """PORTEND's optimum of EfficientNet-B0 over 10 Mbit/s: blocks 1 to 4 on the first machine, the rest on the next."""
    recordings("portend")
    made = dataset.compare().tables["split chosen between two instances, network by the link law"]
    row = made[(made["model"] == "EfficientNetB0") & (made["condition"] == "a1.large to m4.large, 10 Mbit/s, 20 ms")]
    assert row["chosen"].tolist() == [4]


@pytest.mark.data
def test_recorded_rows_that_stand_twice_count_once():
    path = recordings("portend/partition_latency_ms.csv")
    with path.open(encoding="utf-8") as stream:
        written = list(csv.DictReader(stream))
    twice = [row for row in written if (row["instance"], row["file_tag"]) == ("a1.large_multicore", "1core")]
    found = portend.read_ranges(path)
    assert len(found) == len(written) - len(twice)
    tagged = {one.instance for one in found if "multicore" in one.instance}
    assert tagged == {"a1.large_multicore 2core"}


def test_the_tag_of_one_core_is_another_name_of_a1_large(tmp_path):
    path = table(tmp_path / "tagged.csv", ranges(instance="a1.large_multicore"))
    path.write_text(path.read_text().replace(",,", ",1core,"))
    assert {one.instance for one in portend.read_ranges(path)} == {"a1.large"}
    path.write_text(path.read_text().replace(",1core,", ",2core,"))
    assert {one.instance for one in portend.read_ranges(path)} == {"a1.large_multicore 2core"}


# -- pickling, shapes and exits ------------------------------------------------------------------------------------


@pytest.mark.data
def test_pickling_is_a_line_in_bytes():
    with recordings("portend/pickle_ms.csv").open(encoding="utf-8") as stream:
        rows = [row for row in csv.DictReader(stream) if row["instance"] == "m4.large"]
    law = portend.read_pickling("m4.large")
    size = np.array([float(row["pickled_size"]) for row in rows])
    for column, software in (("dump_latency", law.dump), ("load_latency", law.load)):
        seconds = np.array([float(row[column]) for row in rows]) / 1e3
        slope, start = np.polyfit(size, seconds, 1, w=1 / seconds)
        assert (software.message, software.byte) == pytest.approx((start, slope), rel=1e-6)
        small = np.abs([software.seconds(n) for n in size] / seconds - 1)[size < 2e6]
        assert np.mean(small) < 0.06
    assert law.end.message == pytest.approx((law.dump.message + law.load.message) / 2)


@pytest.mark.data
def test_shapes_hold_the_networks_kept_aside():
    recordings("portend")
    sizes = portend.read_shapes()
    assert {model: len(row) - 1 for model, row in sizes.items()} == {
        "ResNet20": 10, "ResNet110": 55, "EfficientNetB0": 8, "EfficientNetB7": 8, "VGGish": 4,
    }  # fmt: skip
    assert sizes["ResNet20"][0] == 3 * 32 * 32 * 4
    assert sizes["EfficientNetB0"][-1] == 4000


@pytest.mark.data
def test_exits_are_what_the_table_of_claims_says():
    """Accuracy of each exit by itself, from a table made independently of this reader; skipped where that is not."""
    recordings("portend")
    path = DATA.parent / "papers" / "claims-inference.csv"
    if not path.is_file():
        pytest.skip(f"{path} is not here")
    with path.open(encoding="utf-8") as stream:
        claims = [row for row in csv.DictReader(stream) if row["quantity"] == "stand-alone exit accuracy"]
    checked = 0
    for model in ("ResNet20", "EfficientNetB0"):
        found = portend.read_exits(model)
        for block, share in zip(found.after, found.alone, strict=True):
            claim = next(r for r in claims if r["conditions"] == f"{model} exit after block {block}, test")
            assert 100 * share == pytest.approx(float(claim["value"]), abs=0.006)
            checked += 1
    assert checked == 18


@pytest.mark.data
def test_exits_leave_as_the_paper_computes():
    """Recomputed from the raw data elsewhere: 6.3 % leave at EfficientNet-B0's exit 4, accuracy 0.710 to 0.711."""
    recordings("portend")
    found = portend.read_exits("EfficientNetB0")
    assert found.leaving(0.3, (4, 8)) == pytest.approx((0.063, 0.937), abs=5e-4)
    assert found.accuracy(0.3, (4, 8)) == pytest.approx(0.710, abs=0.0015)
    assert found.accuracy(0.0, (4, 8)) == found.alone[-1]
    assert portend.read_exits("VGGish", "validation").samples == 5000


EXITS = ExitTable(
    "tiny", "made", (1, 2, 3), (0.5, 1.0), ((0.2, 0.5, 1.0), (1.0, 1.0, 1.0)), ((0.9, 0.9, 0.8), (0.4, 0.6, 0.8)),
    (0.4, 0.6, 0.8), 10,
)  # fmt: skip


def test_who_leaves_where_by_hand():
    assert EXITS.leaving(0.5, (1, 2, 3)) == pytest.approx((0.2, 0.3, 0.5))
    assert EXITS.leaving(0.5, (2, 3)) == pytest.approx((0.5, 0.5))
    assert EXITS.leaving(0.5, (1,)) == (1.0,)
    assert EXITS.accuracy(0.5, (1, 2, 3)) == pytest.approx(0.2 * 0.4 + 0.3 * 0.6 + 0.5 * 0.8)
    assert EXITS.leaving(1.0, (1, 3)) == (1.0, 0.0)


def test_bad_exit_tables_and_questions():
    with pytest.raises(ProfileError, match=r"no threshold 0.7; recorded: 0.5, 1"):
        EXITS.leaving(0.7, (1,))
    with pytest.raises(ProfileError, match=r"no exit 4; recorded: 1, 2, 3"):
        EXITS.accuracy(0.5, (1, 4))
    with pytest.raises(ProfileError, match="rising"):
        EXITS.leaving(0.5, (2, 1))
    for changes, words in (
        ({"after": (2, 1, 3)}, "after must rise"),
        ({"shares": ((0.2, 0.5, 1.0),)}, r"shape \(2, 3\)"),
        ({"alone": (0.4, 0.6, 1.8)}, "between 0 and 1"),
    ):
        fields = {name: getattr(EXITS, name) for name in EXITS.__dataclass_fields__} | changes
        with pytest.raises(ProfileError, match=words):
            ExitTable(**fields)


# -- bad input -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("m4.large,,Made,None,1,2,", "lat_ms_samples is empty"),
        ("m4.large,,Made,None,1,2,3.5;", "lat_ms_samples is '3.5;'; expected times above zero"),
        ("m4.large,,Made,None,1,2,3.5;-1", "above zero"),
        ("m4.large,,Made,None,2,1,3.5", "blocks 2 to 1"),
        ("m4.large,,Made,None,0,1,3.5", "blocks 0 to 1"),
        ("m4.large,,Made,None,1", "block_end is empty"),
    ],
)
def test_a_table_cut_short_says_its_line(tmp_path, row, words):
    path = table(tmp_path / "cut.csv", ranges())
    path.write_text(path.read_text() + row + "\n")
    with pytest.raises(ProfileError) as caught:
        portend.read_ranges(path)
    assert words in str(caught.value)
    assert f"{path}:12: " in str(caught.value)


def test_names_that_are_not_there():
    rows = ranges("ResNet20")
    with pytest.raises(ProfileError, match=r'no model "ResNet2"\. Did you mean "ResNet20"'):
        portend.chosen(rows, "ResNet2", "m4.large")
    with pytest.raises(ProfileError, match=r'no instance "m5.large"\. Did you mean "m4.large"'):
        portend.chosen(rows, "ResNet20", "m5.large")


@pytest.mark.data
def test_recorded_names_that_are_not_there():
    recordings("portend")
    with pytest.raises(ProfileError, match=r'no instance "m5.large"\. Did you mean "m4.large"'):
        portend.read_pickling("m5.large")
    with pytest.raises(ProfileError, match=r'no model "ResNet2"\. Did you mean "ResNet20"'):
        portend.read_exits("ResNet2")
    with pytest.raises(ProfileError, match='no split "test"'):
        portend.read_exits("VGGish")


def test_a_range_that_begins_where_no_block_is_known(tmp_path):
    fit = table(tmp_path / "fit.csv", ranges("Other"))
    late = [one for one in ranges() if (one.first, one.last) not in ((3, 3),)]
    with pytest.raises(
        ProfileError, match=r"Made on m4\.large: a range to be checked holds block 3, whose time is not"
    ):
        dataset.compare(fit, table(tmp_path / "check.csv", late))
    with pytest.raises(ProfileError, match="block 2 is in none of the ranges"):
        portend.fit_blocks([one for one in ranges() if 2 not in one.blocks])
    with pytest.raises(ProfileError, match="no range of several blocks is left"):
        dataset.compare(fit, table(tmp_path / "single.csv", [one for one in ranges() if one.first == one.last]))


def test_sizes_must_go_with_blocks():
    with pytest.raises(ProfileError, match=r"tensors of 2 blocks, but times of \[4\]"):
        portend.profile("Made", {"m4.large": portend.fit_blocks(ranges())}, (1, 2, 3))


def test_nothing_measured_in_a_check_file_reaches_a_prediction(tmp_path):
    """The same ranges, checked with other times: the blocks of the fit file stay the profile."""
    rows = [*ranges(), *ranges("Other", blocks=(0.002, 0.003))]
    fit = table(tmp_path / "fit.csv", rows)
    slower = [Range(one.model, one.instance, one.first, one.last, tuple(3 * s for s in one.samples)) for one in rows]
    keys = ["model", "condition", "segment", "predicted_s"]
    plain, odd = (dataset.compare(fit, table(tmp_path / "check.csv", made)).rows for made in (rows, slower))
    assert plain[keys].equals(odd[keys])
    assert odd["measured_s"].to_numpy() == pytest.approx(3 * plain["measured_s"].to_numpy())
