"""Outages as recorded and as drawn, and devices that come and go: who is down when, and who asks meanwhile."""

from __future__ import annotations

import math

import numpy as np
import pytest

from simulator import Scenario, Simulation
from simulator.foundation.errors import ScenarioError
from simulator.scenario.build import build
from simulator.scenario.happenings import Happenings
from simulator.testing import tiny
from simulator.workloads.dynamics import Outage, back, merged_outages, present

OUTAGES = "down_s,up_s,share\n1,2,1\n5,7,1\n20,25,1\n"


@pytest.fixture
def world(tmp_path):
    def make(*dynamics: dict, text: str = OUTAGES, **changes) -> Scenario:
        (tmp_path / "outages.csv").write_text(text)
        base = tiny({"variability": "none", **changes})
        return Scenario.from_dict({**base.document.data, "dynamics": list(dynamics)}, base.library, tmp_path)

    return make


def happens(scenario: Scenario) -> Happenings:
    return build(scenario).happenings


def spans(scenario: Scenario, name: str) -> list[tuple[float, float]]:
    return [(outage.start, outage.end) for outage in happens(scenario).outages.get(name, [])]


def refused(scenario: Scenario) -> str:
    with pytest.raises(ScenarioError) as error:
        build(scenario)
    return str(error.value)


RECORDED = {"kind": "outages", "node": "edge", "trace": "outages.csv"}

# -- recorded ------------------------------------------------------------------------------------------------------


def test_a_node_is_down_when_the_recording_says(world):
    results = Simulation(world(RECORDED, until="10 s")).run()
    assert results.failures[["name", "kind", "down_s", "up_s"]].to_numpy().tolist() == [
        ["edge", "node", 1, 2], ["edge", "node", 5, 7]
    ]  # fmt: skip
    assert results.nodes.set_index("node").loc["edge", "down_s"] == pytest.approx(3.0)


def test_the_run_may_begin_within_an_outage(world):
    assert spans(world({**RECORDED, "offset": "6 s"}, until="10 s"), "edge") == [(0, 1)]
    assert spans(world({**RECORDED, "offset": "6 s"}, until="20 s"), "edge") == [(0, 1), (14, 19)]


def test_behind_its_end_nothing_happens_or_it_begins_again(world):
    assert spans(world(RECORDED, until="60 s"), "edge") == [(1, 2), (5, 7), (20, 25)]
    again = spans(world({**RECORDED, "end": "wrap"}, until="60 s"), "edge")
    assert again == [(1, 2), (5, 7), (20, 25), (26, 27), (30, 32), (45, 50), (51, 52), (55, 57)]


def test_a_random_offset_is_in_the_recording_and_follows_the_seed(world):
    said = {**RECORDED, "offset": "random", "end": "wrap"}
    begins = [spans(world(said, until="30 s", seed=seed), "edge")[0] for seed in range(40)]
    assert begins[3] == spans(world(said, until="30 s", seed=3), "edge")[0]
    assert len(set(begins)) > 30
    down = sum(start == 0 for start, _ in begins) / len(begins)
    assert down == pytest.approx(8 / 25, abs=0.2)  # 8 of 25 s are outages; 3 sigma of 40 draws
    held = world({**RECORDED, "offset": "random"}, until="30 s")
    assert "lasts 25 s, and the run 30 s, so that it cannot begin anywhere in it; add end: wrap" in refused(held)


def test_each_of_a_group_is_struck_with_the_share_of_an_outage(world):
    """100 outages of a quarter of the machines, 400 machines: the number each meets is binomial."""
    text = "down_s,up_s,share\n" + "".join(f"{i},{i}.5,0.25\n" for i in range(100))
    scenario = world({"kind": "outages", "node": "pi", "trace": "outages.csv"}, text=text, until="100 s",
                     **{"nodes.pi.count": 400})  # fmt: skip
    found = happens(scenario).outages
    struck = np.array([len(found[f"pi-{i}"]) for i in range(400)])
    assert struck.mean() == pytest.approx(25, abs=4 * math.sqrt(100 * 0.25 * 0.75 / 400))
    assert struck.var() == pytest.approx(100 * 0.25 * 0.75, rel=0.3)
    together = {outage.start for outages in found.values() for outage in outages}
    assert together == set(map(float, range(100)))


def test_links_written_as_one_are_a_group(world):
    said = {"kind": "outages", "link": "uplink", "trace": "outages.csv"}
    found = happens(world(said, until="10 s", **{"nodes.pi.count": 2})).outages
    assert {name: [o.start for o in outages] for name, outages in found.items()} == {
        "uplink[pi-0]": [1, 5], "uplink[pi-1]": [1, 5]
    }  # fmt: skip


# -- merged --------------------------------------------------------------------------------------------------------


def test_outages_that_meet_are_merged_and_told(world):
    written = {"kind": "failure", "node": "edge", "at": {"time": "6 s"}, "repair_after": "4 s"}
    scenario = world(RECORDED, written, until="30 s")
    assert spans(scenario, "edge") == [(1, 2), (5, 10), (20, 25)]
    results = Simulation(scenario).run()
    assert results.meta["inputs"][-1] == "edge: 1 of 4 outages met others, and were merged with them"
    assert len(results.failures) == 3


def test_merging_is_the_union():
    rng = np.random.default_rng(5)
    made = [Outage("x", start, length) for start, length in zip(rng.random(30) * 100, rng.random(30) * 5, strict=True)]
    merged = merged_outages(made)
    grid = np.arange(0, 110, 0.01)
    before = np.any([(o.start <= grid) & (grid < o.end) for o in made], axis=0)
    after = np.sum([(o.start <= grid) & (grid < o.end) for o in merged], axis=0)
    assert (before == after).all()


def test_an_absence_that_meets_a_failure_is_a_failure_and_nobody_asks_in_it(world):
    gone = {"kind": "churn", "device": "pi", "trace": "outages.csv"}
    fails = {"kind": "failure", "node": "pi", "at": {"time": "6 s"}, "repair_after": "2 s"}
    found = happens(world(gone, fails, until="30 s"))
    assert [(o.start, o.end, o.absent) for o in found.outages["pi"]] == [(1, 2, True), (5, 8, False), (20, 25, True)]
    assert found.away["pi"] == [(1, 2), (5, 7), (20, 25)]


def test_what_never_comes_back_swallows_what_follows():
    merged = merged_outages([Outage("x", 5, 1), Outage("x", 2), Outage("x", 9, 1)])
    assert merged == [Outage("x", 2, math.inf)]


# -- drawn ---------------------------------------------------------------------------------------------------------

FORMS = [
    ({"exponential": "10 s"}, {"exponential": "2 s"}),
    ({"exponential": "10 s"}, {"lognormal": {"mean": "2 s", "spread": 1.2}}),
    ({"weibull": {"mean": "10 s", "shape": 0.7}}, {"constant": "2 s"}),
    ({"constant": "10 s"}, {"weibull": {"mean": "2 s", "shape": 2}}),
]


def drawn(up: dict, down: dict) -> dict:
    return {"kind": "outages", "node": "pi", "up": up, "down": down}


@pytest.mark.parametrize(("up", "down"), FORMS)
def test_the_share_of_time_down_is_that_of_an_alternating_renewal_process(world, up, down):
    """Mean down over mean up and down, in the long run; and at the very beginning, which is stationary."""
    scenario = world(drawn(up, down), until="2000 s", **{"nodes.pi.count": 60})
    found = happens(scenario).outages
    seconds = sum(min(o.end, 2000) - o.start for outages in found.values() for o in outages)
    assert seconds / (60 * 2000) == pytest.approx(2 / 12, rel=0.06)
    early = world(drawn(up, down), until="1 ms", **{"nodes.pi.count": 4000})
    begun = sum(outages[0].start == 0 for outages in happens(early).outages.values() if outages) / 4000
    assert begun == pytest.approx(2 / 12, abs=4 * math.sqrt(1 / 6 * 5 / 6 / 4000))


def test_what_is_left_of_the_first_outage_is_a_part_of_it(world):
    """Constant lengths: uniform between nothing and all."""
    scenario = world(drawn({"constant": "2 s"}, {"constant": "2 s"}), until="1 ms", **{"nodes.pi.count": 4000})
    left = [o[0].end for o in happens(scenario).outages.values() if o]
    assert np.mean(left) == pytest.approx(1.0, abs=0.05)
    assert np.var(left) == pytest.approx(4 / 12, rel=0.1)


def test_members_draw_their_own_and_others_do_not_change_it(world):
    said = drawn({"exponential": "10 s"}, {"exponential": "2 s"})
    two = happens(world(said, until="100 s", **{"nodes.pi.count": 2})).outages
    three = happens(world(said, until="100 s", **{"nodes.pi.count": 3})).outages
    assert two["pi-0"] == three["pi-0"]
    assert two["pi-0"] != two["pi-1"]
    other = happens(world(said, until="100 s", seed=9, **{"nodes.pi.count": 2})).outages
    assert two["pi-0"] != other["pi-0"]


def test_generated_outages(world):
    said = {"kind": "outages", "node": "pi", "generate": "web-service"}
    found = happens(world(said, until="7 d", **{"nodes.pi.count": 2})).outages
    assert found["pi-0"] != found["pi-1"]
    assert min(map(len, found.values())) > 5


# -- churn ---------------------------------------------------------------------------------------------------------

CHURN = {"kind": "churn", "device": "pi", "present": {"exponential": "5 s"}, "absent": {"exponential": "5 s"}}


@pytest.mark.parametrize(
    "arrivals",
    [
        {"kind": "poisson", "rate": "20 /s"},
        {"kind": "periodic", "every": "50 ms"},
        {"kind": "closed", "users": 2, "think": "10 ms"},
    ],
    ids=["poisson", "periodic", "closed"],
)
def test_a_device_that_is_absent_asks_nothing(world, arrivals):
    changes = {
        "until": "100 s",
        "nodes.pi.count": 3,
        "workload.arrivals": arrivals,
        "technique": {"kind": "server-only"},
    }
    scenario = world(CHURN, **changes)
    away = happens(scenario).away
    results = Simulation(scenario).run()
    for source, asked in results.requests.groupby("source")["arrival_s"]:
        times = asked.to_numpy()
        gone = np.array(away[source])
        assert not ((gone[:, :1] <= times) & (times < gone[:, 1:])).any()
        here = 100 - sum(min(end, 100) - begin for begin, end in away[source])
        if arrivals["kind"] != "closed":
            assert len(times) == pytest.approx(20 * here, abs=5 * math.sqrt(20 * here))
        assert (np.diff(results.requests.loc[results.requests["source"] == source, "request"]) == 1).all()
    assert set(results.failures["kind"]) == {"absence"}
    stay = Simulation(world(**changes)).run()
    assert len(results.requests) < 0.8 * len(stay.requests)


def test_what_was_under_way_waits_for_the_return(world):
    """Away from 0.05 s, in its own first layer, to 1.05 s; then it begins again: 0.6 s on the device."""
    said = {"kind": "churn", "device": "pi", "trace": "outages.csv"}
    changes = {"until": "1 s", "workload.arrivals": {"kind": "periodic", "every": "100 s"}}
    scenario = world(said, text="down_s,up_s\n0.05,1.05\n", technique={"kind": "device-only"}, **changes)
    row = Simulation(scenario).run().requests.iloc[0]
    assert row["latency_s"] == pytest.approx(1.05 + 0.6)
    assert row["recovery_s"] == pytest.approx(1.05)


def test_present_drops_just_what_falls_into_absences():
    rng = np.random.default_rng(2)
    times = np.sort(rng.random(1000) * 100)
    away = [(10.0, 20.0), (30.0, 30.5), (90.0, math.inf)]
    kept = [
        t
        for block in present(iter([block.tolist() for block in np.array_split(times, 13)]), away, 100.0)
        for t in block
    ]
    assert kept == [t for t in times if not any(begin <= t < end for begin, end in away)]
    assert [back(away, t) for t in (5, 10, 19.9, 20, 95)] == [5, 20, 20, 20, math.inf]


def test_an_absence_without_an_end_ends_the_drawing_of_times():
    endless = ([float(i), i + 0.5] for i in range(10**9))
    assert list(present(endless, [(3.0, math.inf)], 1000.0))[-1] == []


# -- what is wrong -------------------------------------------------------------------------------------------------

LENGTHS = {"up": {"exponential": "10 s"}, "down": {"exponential": "2 s"}}


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"kind": "outages", "node": "edge"}, "dynamics[0]: when? Write either trace: FILE, or generate:"),
        ({"kind": "outages", "trace": "outages.csv"}, "dynamics[0]: outages name either a node: or a link:"),
        ({**RECORDED, **LENGTHS}, "dynamics[0]: when? Write either"),
        ({**RECORDED, "otherwise": {}}, "dynamics[0].otherwise: say how outages are drawn: either generate:"),
        ({"kind": "outages", "node": "edge", **LENGTHS, "offset": "1 s"}, "dynamics[0]: offset: goes with trace:"),
        ({"kind": "outages", "node": "edge", **LENGTHS, "otherwise": LENGTHS}, "otherwise: goes with trace:"),
        ({"kind": "outages", "node": "edge", "up": LENGTHS["up"]}, "dynamics[0]: when? Write either"),
        (drawn({}, {"constant": "1 s"}), "dynamics[0].up: lengths have one distribution; write e.g."),
        (drawn({"lognormal": {"mean": "1 s"}}, {"constant": "1 s"}), "dynamics[0].up.lognormal.spread: is missing"),
        (drawn({"exponential": "10"}, {"constant": "1 s"}), "dynamics[0].up.exponential: 10 has no unit"),
        ({"kind": "churn", "device": "pi"}, "dynamics[0]: when? Write either trace: FILE, or both present:"),
        ({"kind": "churn", "present": {"constant": "1 s"}}, "dynamics[0].device: is missing"),
        ({"kind": "chrn", "device": "pi"}, 'dynamics[0]: no kind "chrn" here. Did you mean "churn"?'),
    ],
)  # fmt: skip
def test_entries_that_make_no_sense(world, said, sentence):
    with pytest.raises(ScenarioError) as error:
        world(said)
    assert sentence in str(error.value)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({**RECORDED, "node": "edg"}, 'dynamics[0].node: no node named "edg". Did you mean "edge"?'),
        ({**RECORDED, "trace": "outage.csv"}, 'dynamics[0].trace: "outage.csv" is neither beside'),
        ({**RECORDED, "offset": "25 s"}, "dynamics[0].trace: outages.csv ends at 25 s, before offset: 25 s"),
        ({"kind": "outages", "node": "pi", "generate": "web"}, 'dynamics[0].generate: no outages named "web"'),
        ({**CHURN, "device": "edge"}, 'dynamics[0].device: "edge" is a server, and only devices come and go'),
        (
            drawn({"constant": "1 us"}, {"constant": "1 us"}),
            "dynamics[0]: some 5e+06 outages would come; at most 1e+06",
        ),
        ({"kind": "failure", "node": "pi", "at": {"time": "1 s"}}, 'dynamics[0].node: "pi" is a group; name one of it'),
    ],
)
def test_entries_that_do_not_fit_the_rest(world, said, sentence):
    assert sentence in refused(world(said, **{"nodes.pi.count": 2}))


def test_a_recording_of_something_else(world):
    assert "dynamics[0].trace: " in refused(world(RECORDED, text="t_s\n1\n"))
