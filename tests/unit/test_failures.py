"""Failures, worked out by hand on the tiny world: what is lost, what is kept, who waits how long.

A request of ``tiny()`` split after layer 1: device 0.1 s, 50 kB in 0.05 s, 10 ms, edge 0.05 s, 1 kB in 1 ms, 10 ms.
"""

from __future__ import annotations

import pytest
from support import Fixed, play

from simulator import Library, Placement, Recovery, Scenario, Segment, Simulation, Technique
from simulator.foundation.errors import PlacementError
from simulator.testing import chain, machine, tiny

ONE = {"until": "1 s", "variability": "none", "workload.arrivals": {"kind": "periodic", "every": "100 s"}}
SPLIT = (("@", 0, 1), ("edge", 1, 3))
ALONE = 0.1 + 0.05 + 0.01 + 0.05 + 0.001 + 0.01


def down(name: str, at: float, length: float | None = None) -> dict:
    what = "link" if name.startswith("uplink") or name == "core" else "node"
    repair = {} if length is None else {"repair_after": f"{length} s"}
    return {"kind": "failure", what: name, "at": {"time": f"{at} s"}, **repair}


def after(*failures: dict, scenario: Scenario | None = None, **changes) -> Scenario:
    return (scenario or tiny(ONE)).with_({"dynamics": list(failures), **changes})


def layers_run(results, completed: bool = True) -> list[tuple[str, int, int]]:
    spans = results.spans[(results.spans["kind"] == "compute") & (results.spans["completed"] == completed)]
    return list(
        spans.sort_values("finish_s")[["resource", "from_layer", "to_layer"]].itertuples(index=False, name=None)
    )


def test_without_failures():
    assert play(tiny(ONE), *SPLIT).requests["latency_s"].tolist() == pytest.approx([ALONE])


def test_a_server_that_fails_loses_its_segment_and_the_device_keeps_its_own():
    """Down at 0.2 s (0.04 s into the edge's layers), back at 1.2 s: the tensors are sent again, the head is not."""
    results = play(after(down("edge", 0.2, 1.0)), *SPLIT)
    row = results.requests.iloc[0]
    assert row["latency_s"] == pytest.approx(1.2 + ALONE - 0.1)
    assert row["recovery_s"] == pytest.approx(1.2 - 0.16)  # work in vain, and the wait
    assert layers_run(results) == [("pi", 0, 1), ("edge", 1, 3)]
    assert layers_run(results, completed=False) == [("edge", 1, 3)]
    assert results.nodes.set_index("node").loc["edge", "down_s"] == pytest.approx(1.0)
    failures = results.failures[["name", "kind", "down_s", "up_s"]]
    assert failures.to_numpy().tolist() == [["edge", "node", 0.2, 1.2]]


def test_a_server_that_is_down_when_the_tensors_come():
    results = play(after(down("edge", 0.12, 1.0)), *SPLIT)
    assert results.requests["latency_s"].tolist() == pytest.approx([1.12 + ALONE - 0.1])
    assert layers_run(results) == [("pi", 0, 1), ("edge", 1, 3)]


def test_a_device_that_fails_begins_again():
    """Its memory is empty when it comes back."""
    results = play(after(down("pi", 0.05, 1.0)), *SPLIT)
    assert results.requests["latency_s"].tolist() == pytest.approx([1.05 + ALONE])
    assert layers_run(results) == [("pi", 0, 1), ("edge", 1, 3)]


def test_a_failed_node_that_held_the_tensors_makes_the_request_begin_again():
    """Device down at 0.17 s, edge at 0.18 s: nobody has anything left; the device does its head again meanwhile."""
    results = play(after(down("pi", 0.17, 0.5), down("edge", 0.18, 2.0)), *SPLIT)
    assert results.requests["latency_s"].tolist() == pytest.approx([2.18 + ALONE - 0.1])
    assert layers_run(results) == [("pi", 0, 1), ("pi", 0, 1), ("edge", 1, 3)]


def test_a_link_that_fails_loses_the_message_under_way():
    results = play(after(down("uplink", 0.12, 1.0)), *SPLIT)
    row = results.requests.iloc[0]
    assert row["latency_s"] == pytest.approx(1.12 + ALONE - 0.1)
    assert row["sent_bytes"] == pytest.approx(51e3)  # what arrived
    links = results.links.set_index("channel")
    assert links.loc["uplink.up", "sent_bytes"] == pytest.approx(100e3)  # what was handed over
    assert links.loc["uplink.up", "received_bytes"] == pytest.approx(50e3)
    assert layers_run(results) == [("pi", 0, 1), ("edge", 1, 3)]


def test_propagation_is_out_of_the_reach_of_a_failure():
    """The last byte left at 0.15 s; the link fails while it propagates."""
    assert play(after(down("uplink", 0.155, 0.01)), *SPLIT).requests["latency_s"].tolist() == pytest.approx([ALONE])


def test_what_never_comes_back_leaves_an_unfinished_row():
    results = play(after(down("edge", 0.2)), *SPLIT)
    assert results.requests["outcome"].tolist() == ["unfinished"]
    assert results.requests["compute_s"].tolist() == pytest.approx([0.1])
    assert results.failures["up_s"].tolist() == [float("inf")]


def test_the_run_does_not_wait_for_failures_that_touch_nobody():
    """One far in the future neither lengthens the run nor its idle energy."""
    plain, far = play(tiny(ONE), *SPLIT), play(after(down("edge", 5000.0, 10.0)), *SPLIT)
    assert far.meta["end_s"] == plain.meta["end_s"] == pytest.approx(1.0)
    assert far.failures.empty


@pytest.mark.parametrize("sharing", ["fifo", "max-min", "airtime"])
def test_a_failing_link_of_a_group_leaves_the_others_links_alone(sharing):
    """Each device has a link of its own, though all are written as one (and share a medium under airtime)."""
    group = tiny(ONE).with_({"nodes.pi.count": 3, "links.uplink.sharing": sharing})
    results = play(after(down("uplink[pi-1]", 0.12, 1.0), scenario=group), *SPLIT)
    recovery = results.requests.set_index("source")["recovery_s"]
    assert recovery["pi-1"] > 0.9
    assert recovery[["pi-0", "pi-2"]].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("concurrency", ["slots", "shared"])
def test_all_requests_in_a_failing_node_are_lost_and_come_back(concurrency):
    group = tiny(ONE).with_({"nodes.pi.count": 4, "nodes.edge.concurrency": concurrency})
    results = play(after(down("edge", 0.17, 1.0), scenario=group), *SPLIT)
    assert (results.requests["outcome"] == "done").all()
    assert sum(1 for node, *_ in layers_run(results, completed=False) if node == "edge") == 4
    assert sum(1 for node, *_ in layers_run(results) if node == "edge") == 4


# -- three tiers and techniques ------------------------------------------------------------------------------------


def three_tiers() -> Scenario:
    times = {"board": (0.1, 0.2, 0.3), "rack": (0.01, 0.02, 0.03), "hall": (0.001, 0.002, 0.003)}
    library = Library(models=[chain((1e5, 5e4, 2e4, 1e3), times)], machines=[machine(name) for name in times])
    data = tiny(ONE).document.data
    data["nodes"]["cloud"] = {"kind": "server", "hardware": "hall"}
    data["nodes"]["spare"] = {"kind": "server", "hardware": "rack"}
    for name, ends in (("core", ["edge", "cloud"]), ("side", ["edge", "spare"]), ("back", ["pi", "spare"])):
        data["links"][name] = {"between": ends, "bandwidth": "1 MB/s", "delay": "10 ms", "connection": "none"}
    return Scenario.from_dict(data, library)


TIERS = (("@", 0, 1), ("edge", 1, 2), ("cloud", 2, 3))


def test_what_the_edge_has_done_stays_when_the_cloud_fails():
    """0.16 s at the edge, its layer until 0.18 s, 20 kB until 0.2 + 0.01 s; the cloud is down from 0.2 to 1.2 s."""
    results = play(after(down("cloud", 0.2, 1.0), scenario=three_tiers()), *TIERS)
    assert layers_run(results) == [("pi", 0, 1), ("edge", 1, 2), ("cloud", 2, 3)]
    assert results.requests["latency_s"].tolist() == pytest.approx([1.2 + 0.02 + 0.01 + 0.003 + 2 * 0.011])


def test_the_edge_fails_and_comes_back_while_the_cloud_is_down():
    """The edge's tensors are gone when the cloud is back; the device still has its own."""
    results = play(after(down("cloud", 0.2, 1.0), down("edge", 0.5, 0.1), scenario=three_tiers()), *TIERS)
    assert layers_run(results) == [("pi", 0, 1), ("edge", 1, 2), ("edge", 1, 2), ("cloud", 2, 3)]


class StandIn(Technique):
    """Move what a dead node should have done to the nearest that lives, after a detection time."""

    detection: float = 0.5

    def place(self, view, request=None):
        return Placement((Segment(view.source, 0, 1), Segment("edge", 1, 3)))

    def recover(self, failure, view):
        if failure.kind == "link":
            return Recovery()
        moved = failure.placement.reassign(failure.name, to=view.nearest(view.source)[0])
        return Recovery(moved if view.fits(moved) else None, downtime=self.detection)


def test_a_stand_in_takes_over_what_is_left():
    """Edge dead at 0.2 s; 0.5 s to notice; 50 kB to the spare, two layers there, and back."""
    results = Simulation(after(down("edge", 0.2), scenario=three_tiers()).with_technique(StandIn())).run()
    assert layers_run(results) == [("pi", 0, 1), ("spare", 1, 3)]
    assert results.requests["latency_s"].tolist() == pytest.approx([0.7 + 0.06 + 0.05 + 0.011])
    hooks = results.decisions[["hook", "answer"]].to_numpy().tolist()
    assert hooks == [["place", "pi 0-1 | edge 1-3"], ["recover", "pi 0-1 | spare 1-3"]]


class Stubborn(StandIn):
    """Goes on with what is down."""

    def recover(self, failure, view):
        return Recovery(failure.placement)


def test_a_technique_that_answers_a_dead_node_is_told_so():
    with pytest.raises(PlacementError, match=r'Stubborn.recover placed .* on "edge", which has been down since 0.2 s'):
        Simulation(after(down("edge", 0.2), scenario=three_tiers()).with_technique(Stubborn())).run()


def test_a_technique_that_answers_a_dead_link_at_once_is_told_so_and_does_not_hang():
    with pytest.raises(PlacementError, match=r'Stubborn.recover answered .*"uplink" has been down since 0.12 s'):
        Simulation(after(down("uplink", 0.12)).with_technique(Stubborn())).run()


def test_the_place_hook_is_asked_again_when_a_node_goes_and_comes():
    """``server-only`` goes to the nearest server that is up, and back to the nearest."""
    every = three_tiers().with_({"until": "6 s", "workload.arrivals": {"kind": "periodic", "every": "1 s"}})
    scenario = after(down("edge", 1.5, 2.0), scenario=every, technique={"kind": "server-only"})
    placed = Simulation(scenario).run().requests["placement"].tolist()
    assert placed == ["edge 0-3", "edge 0-3", "spare 0-3", "spare 0-3", "edge 0-3", "edge 0-3"]


def test_a_fixed_split_of_the_tests_is_what_it_says():
    assert Fixed.at(*SPLIT).segments == SPLIT
