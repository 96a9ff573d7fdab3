"""``compare``: pairs that meet the same world, intervals that hold what they say, and wrong questions answered."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis import Comparison, compare
from analysis.contestants import contestants
from simulator import Placement, Results, Scenario, ScenarioError, Technique, run
from simulator.foundation.errors import OffingError
from simulator.profiles.library import Library
from simulator.results.replications import FIGURES
from simulator.techniques.adaptive import Adaptive
from simulator.techniques.device_only import DeviceOnly
from simulator.techniques.fixed_split import FixedSplit
from simulator.techniques.min_latency import MinLatency
from simulator.techniques.server_only import ServerOnly
from simulator.testing import chain, machine, tiny

FADING = "quick/adaptive_4g"
SHORT = {"until": "30 s"}


@pytest.fixture(scope="module")
def short():
    return Scenario.load(FADING).with_(SHORT)


@pytest.fixture(scope="module")
def found(short):
    return compare(short, FixedSplit(split_point=32), "min-latency", "oracle", seeds=6, jobs=1)


# -- what is compared ----------------------------------------------------------------------------------------------


def test_a_technique_against_itself_is_exactly_zero(short):
    found = compare(short, "adaptive:every=5 s,threshold=10 %,switch=cold-standby", Adaptive(), seeds=5, jobs=1)
    assert found.labels == ("adaptive", "adaptive (2)", "adaptive (3)")
    assert found.differences[["difference", "low", "high"]].to_numpy().ravel().tolist() == [0.0] * 9
    assert found.differences["p_adjusted"].tolist() == [1.0] * 3
    assert set(found.differences["verdict"]) == {"the same"}
    assert found.regret["regret"].tolist() == [0.0] * 3
    assert "adaptive (2) is the same in every world" in found.sentence


def test_runs_are_those_of_run_and_all_meet_the_same_arrivals(short, found):
    assert found.seeds == (1, 2, 3, 4, 5, 6)
    for seed in (1, 4):
        alone = run(short, MinLatency(), seed).summary()
        row = found.runs.set_index(["label", "seed"]).loc[("min-latency", seed)]
        for figure in ("latency_mean_s", "latency_p95_s", "goodput_per_s", "energy_j", "requests"):
            assert row[figure] == alone[figure]
    assert found.runs.groupby("seed")["requests"].nunique().eq(1).all()
    bins = found.over_time.pivot_table(index=["seed", "from_s"], columns="label", values="requests")
    assert bins.eq(bins.iloc[:, 0], axis=0).all().all()
    sums = found.over_time.groupby(["label", "seed"])[["latency_sum_s", "requests"]].sum()
    means = (sums["latency_sum_s"] / sums["requests"]).rename("mean").reset_index()
    both = means.merge(found.runs, on=["label", "seed"])
    assert both["mean"].tolist() == pytest.approx(both["latency_mean_s"].tolist())


def test_the_number_of_processes_changes_nothing(short, found):
    again = compare(short, FixedSplit(split_point=32), "min-latency", "oracle", seeds=6, jobs=2)
    for name in ("runs", "over_time", "means", "differences", "regret"):
        pd.testing.assert_frame_equal(getattr(found, name), getattr(again, name), check_exact=True)
    assert found.sentence == again.sentence


def test_intervals_against_scipy_s(found):
    values = {label: np.array(found.values(label)) for label in found.labels}
    assert sorted(values, key=lambda label: values[label].mean()) == list(found.labels)
    assert found.labels[0] == "oracle"
    pairs = len(found.differences)
    assert pairs == 6
    raw = []
    for row in found.differences.itertuples():
        gap = values[row.a] - values[row.b]
        low, high = stats.t.interval(1 - 0.05 / pairs, 5, gap.mean(), stats.sem(gap))
        assert (row.difference, row.low, row.high) == pytest.approx((gap.mean(), low, high))
        assert (row.verdict == "clear") == (low > 0 or high < 0)
        raw.append(stats.ttest_rel(values[row.a], values[row.b]).pvalue)
    assert found.differences["p_adjusted"].tolist() == pytest.approx([min(1.0, pairs * p) for p in raw])
    assert (found.differences["verdict"] == "clear").tolist() == [p < 0.05 for p in found.differences["p_adjusted"]]
    for row in found.means.itertuples():
        low, high = stats.t.interval(0.95, 5, values[row.label].mean(), stats.sem(values[row.label]))
        assert (row.latency_mean_s_low, row.latency_mean_s_high) == pytest.approx((low, high))
    assert found.means["best_in"].sum() == 6


def test_more_is_better_where_it_is(short):
    found = compare(short, "device-only", "oracle", seeds=4, jobs=1, metric="goodput_per_s")
    goodput = found.means.set_index("label")["goodput_per_s"]
    assert goodput.loc[found.labels[0]] == goodput.max()
    assert (found.regret["regret"] >= 0).all()


def test_the_coverage_of_an_interval_whose_answer_is_known():
    """Without queues a mean latency is that of the measured repeats: 0.16 s at home, 0.1 + 0.075 + 0.021 away.

    Of 160 comparisons over 4 worlds each, 95 % intervals hold the truth as often as chance (99.9 %) lets them.
    """
    home, away = [(0.1,), (0.12,), (0.26,)], [(0.05,), (0.055,), (0.12,)]
    times = {"board": (0.12,), "rack": (0.055,)}
    model = chain((1e5, 1e3), times, repeats={"board": home, "rack": away})
    library = Library(models=[model], machines=[machine("board"), machine("rack")])
    changes = {"until": "8 s", "workload.arrivals": {"kind": "periodic", "every": "1 s"}, "record": "requests"}
    scenario = Scenario.of(tiny(changes).document, library)
    truth = np.mean([0.1, 0.12, 0.26]) - (0.1 + np.mean([0.05, 0.055, 0.12]) + 0.021)
    held = 0
    values = {
        technique: [run(scenario, technique, seed).summary()["latency_mean_s"] for seed in range(640)]
        for technique in (DeviceOnly(), ServerOnly())
    }
    for first in range(0, 640, 4):
        a, b = (values[technique][first : first + 4] for technique in values)
        low, high = comparison_of(a, b)
        held += low <= truth <= high
    least, most = stats.binom.ppf([0.0005, 0.9995], 160, 0.95)
    assert least <= held <= min(most, 159)


def comparison_of(a, b):
    """Return the interval that a comparison gives for runs with these latencies."""
    others = dict.fromkeys(FIGURES, 1.0)
    rows = [{"label": label, "seed": seed, **others, "latency_mean_s": value}
            for label, values in (("a", a), ("b", b)) for seed, value in enumerate(values)]  # fmt: skip
    found = Comparison(pd.DataFrame(rows), pd.DataFrame(), "made up")
    gap = found.difference("a", "b")
    return gap.low, gap.high


def test_a_class_of_one_s_own_takes_part():
    class Half(Technique):
        def place(self, view, request=None):
            return Placement.split(view.source, "edge", 1, len(view.model))

    found = compare(tiny(), Half(), seeds=[3, 5, 7], jobs=2)
    assert set(found.labels) == {"min-latency", "Half"}
    assert found.seeds == (3, 5, 7)


# -- saved runs ----------------------------------------------------------------------------------------------------


def test_saved_runs_compare_as_fresh_ones(short, found, tmp_path):
    saved = [run(short, MinLatency(), seed) for seed in (2, 3, 4)]
    again = compare(saved, short, jobs=1)
    assert again.seeds == (2, 3, 4)  # those there are
    assert again.values("min-latency") == found.values("min-latency")[1:4]
    with pytest.raises(OffingError, match="saved runs bring their seeds; leave --seeds out"):
        compare(saved, short, seeds=20)
    folder = saved[0].save(tmp_path / "one")
    with pytest.raises(OffingError, match="the saved runs have 1 seeds in common, an interval needs two or more"):
        compare(folder, short)


def test_requests_without_an_answer_are_told():
    down = {"kind": "failure", "node": "edge", "at": {"time": "5 s"}}
    found = compare(tiny({"dynamics": [down]}), "server-only", "device-only", seeds=3, jobs=1)
    assert any(w.startswith("server-only left ") and "they are in no latency" in w for w in found.warnings)


def test_all_leave_out_what_the_longest_warm_up_does(short):
    """Warm-ups differ by technique where each is found alone; pairs need the same requests."""
    found = compare(short.with_({"warmup": "mser-5", "until": "120 s"}), "oracle", "device-only", seeds=6, jobs=1)
    assert found.runs.groupby("seed")["requests"].nunique().eq(1).all()
    assert found.runs.groupby("seed")["warmup_s"].nunique().eq(1).all()
    alone = [
        run(short.with_({"warmup": "mser-5", "until": "120 s"}), technique, seed).meta["warmup_s"]
        for seed in found.seeds for technique in ("adaptive:every=5 s", "oracle", "device-only")
    ]  # fmt: skip
    longest = np.array(alone).reshape(-1, 3).max(axis=1)
    assert found.runs.groupby("seed")["warmup_s"].max().tolist() == longest.tolist()
    assert len(set(alone)) > len(set(longest))


def test_who_does_not_know_the_same_is_told():
    found = compare(tiny(), Adaptive(), "server-only", "oracle", seeds=2, jobs=1)
    assert [w for w in found.warnings if w.startswith("they do not know the same: ")] == [
        "they do not know the same: min-latency: bandwidth oracle, load oracle, profile measured, queues none; "
        "adaptive: bandwidth last-transfer, load oracle, profile measured, queues none "
        "(knowledge: in the scenario holds for all)"
    ]
    same = compare(tiny({"knowledge.bandwidth": "last-transfer"}), Adaptive(), "server-only", seeds=2, jobs=1)
    assert not same.warnings


def test_against_one_makes_fewer_pairs_and_narrower_intervals(short, found):
    one = compare(short, FixedSplit(split_point=32), "min-latency", "oracle", seeds=6, jobs=1, against="adaptive")
    assert len(one.pairs) == 3
    assert all("adaptive" in pair for pair in one.pairs)
    assert one.difference("oracle", "adaptive").half < found.difference("oracle", "adaptive").half
    with pytest.raises(OffingError, match=r'none is called "adaptve"\. Did you mean "adaptive"'):
        compare(short, "oracle", seeds=2, against="adaptve")


def test_changes_are_counted_and_the_first_choice_is_none(found):
    changes = found.means.set_index("label")["changes"]
    assert changes["fixed-split:split_point=32"] == 0
    assert changes["min-latency"] > changes["adaptive"] > 0


def test_a_bound_that_is_not_ahead_is_not_said_to_be(found):
    for shift, said in ((-0.2, "would gain"), (1.0, "has no clear advantage")):
        runs = found.runs.copy()
        runs.loc[runs["label"] == "oracle", "latency_mean_s"] += shift
        assert said in dataclasses.replace(found, runs=runs).sentence


def test_overload_is_told():
    found = compare(tiny({"workload.arrivals.rate": "5 /s", "until": "60 s"}), "device-only", seeds=3, jobs=1)
    assert any(w.startswith("device-only overloads a station in 3 of 3 worlds") for w in found.warnings)


# -- wrong questions -----------------------------------------------------------------------------------------------

WRONG = {
    "one alone": ((FADING,), {}, "a comparison needs at least two"),
    "one seed": ((FADING, "oracle"), {"seeds": 1}, "1 seed came; an interval needs at least two worlds"),
    "the same seed twice": ((FADING, "oracle"), {"seeds": [4, 4]}, "1 seed came"),
    "different scenarios": (
        (FADING, "quick/split_inference"), {},
        "belong to different scenarios, so they cannot be paired: until is 300 s in one and 60 s in the other (and",
    ),
    "no scenario": (("oracle", "min-latency"), {}, '"oracle" is a technique, to be applied to one scenario, but none'),
    "two scenarios": ((FADING, FADING, "oracle"), {}, "but 2 came; name exactly one"),
    "no such thing": (
        (FADING, "min-latancy"), {},
        '"min-latancy" is no technique, scenario or saved run. Did you mean "min-latency"? Techniques: adaptive',
    ),
    "no such scenario": (("quick/adaptiv_4g", "oracle"), {}, 'Did you mean "quick/adaptive_4g"?'),
    "no such parameter": ((FADING, "fixed-split:split=3"), {}, 'has no parameter "split". Did you mean "split_point"?'),
    "no parameter": ((FADING, "fixed-split:3"), {}, "'3' is no parameter; write e.g. fixed-split:split_point=32"),
    "missing parameter": ((FADING, "fixed-split"), {}, "fixed-split: split_point: is missing"),
    "no unit": ((FADING, "adaptive:every=3"), {}, 'every: 3 has no unit; write e.g. "100 ms"'),
    "no metric": ((FADING, "oracle"), {"metric": "latency"}, 'no metric "latency". Did you mean'),
    "no level": ((FADING, "oracle"), {"level": 95, "seeds": 2}, "level 95 came; expected a probability"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_question_gets_a_sentence(name):
    given, options, sentence = WRONG[name]
    with pytest.raises(OffingError) as caught:
        _ = compare(*given, **{"jobs": 1, **options}).means
    assert sentence in str(caught.value)


def test_what_makes_no_world_may_differ(short):
    """Another knowledge, seed, name or technique is still the same world."""
    other = short.with_({"knowledge.bandwidth": "oracle", "seed": 9, "name": "other"})
    blind = short.with_({"knowledge.load": "none"})
    sides = contestants([short, other, short.with_technique(MinLatency()), blind, blind])
    assert [side.label for side in sides] == [
        "adaptive (bandwidth probed every 5 s, 100 kB, load oracle)", "adaptive (bandwidth oracle, load oracle)",
        "min-latency", "adaptive (bandwidth probed every 5 s, 100 kB, load none)",
        "adaptive (bandwidth probed every 5 s, 100 kB, load none) (2)",
    ]  # fmt: skip
    with pytest.raises(ScenarioError, match=r"workload\.deadline is 500 ms in one and 600 ms in the other"):
        contestants([short, short.with_({"workload.deadline": "600 ms"})])


# -- the command ---------------------------------------------------------------------------------------------------

SEEDS = ("--seeds", "3", "--set", "until=20 s", "--jobs", "1")


def test_the_command_prints_tables_and_a_sentence(offing):
    code, out, err = offing("compare", FADING, "oracle", *SEEDS)
    assert code == 0, err
    for text in (
        "adaptive partitioning over fading 4G", "oracle (a bound)", "regret to the best",
        "adaptive has the best mean latency (leaving the bound oracle aside): ", "Knowing everything (oracle)",
    ):  # fmt: skip
        assert text in " ".join(out.split())


def test_the_command_s_json_and_folder(offing, tmp_path):
    out = tmp_path / "answer"
    _, printed, _ = offing("compare", FADING, "min-latency", *SEEDS, "--out", str(out), "--json")
    told = json.loads(printed)
    assert told == json.loads((out / "comparison.json").read_text())
    assert {row["label"] for row in told["means"]} == {"adaptive", "min-latency"}
    assert math.isfinite(told["differences"][0]["difference"])
    runs = pd.read_csv(out / "runs.csv")
    assert len(runs) == 6
    assert sorted(path.name for path in (out / "figures").iterdir()) == [
        "differences.csv", "differences.png", "regret.csv", "regret.png",
    ]  # fmt: skip
    assert not list(tmp_path.glob(".*"))
    again = offing("compare", FADING, "min-latency", *SEEDS, "--out", str(out))
    assert (again[0], again[2]) == (2, f"Error: {out} exists already; choose another --out\n")


def test_the_command_refuses_one_seed(offing):
    code, _, err = offing("compare", FADING, "oracle", "--seeds", "1")
    assert code == 2
    assert err == "Error: 1 seed came; an interval needs at least two worlds, e.g. --seeds 20\n"


def test_loading_all_of_a_folder_is_what_compare_does(short, tmp_path):
    folder = run(short, MinLatency(), 2).save(tmp_path / "seed-2")
    assert [found.meta["seed"] for found in Results.load_all(folder)] == [2]


def test_brackets_in_a_name_are_shown_as_they_are(offing):
    code, out, err = offing("compare", FADING, "device-only", "--set", "name=a [/b] [red]c", *SEEDS[:4], "--jobs", "1")
    assert code == 0, err
    assert out.startswith("a [/b] [red]c  ·")
