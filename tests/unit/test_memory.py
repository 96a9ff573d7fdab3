"""Memory by hand: one copy of the union of layers, activations for each slot, and it fits or it does not."""

from __future__ import annotations

import pytest

from simulator import Library, Placement, Scenario, ScenarioError, Simulation
from simulator.foundation.errors import PlacementError
from simulator.physics.node import Memory
from simulator.testing import chain, machine, tiny
from simulator.world.check import check

WEIGHTS = (1000.0, 2000.0, 4000.0)
TIMES = {"board": (0.1,) * 3, "rack": (0.1,) * 3}


def scenario(**changes) -> Scenario:
    """Two devices and an edge of two slots; 100, 50, 20 and 10 bytes between the layers."""
    data = {
        **tiny().document.data,
        "nodes": {
            "pi": {"kind": "device", "hardware": "board", "count": 2},
            "edge": {"kind": "server", "hardware": "rack", "slots": 2, "memory": "20 kB"},
        },
    }
    library = Library(models=[chain((100, 50, 20, 10), TIMES, parameters=WEIGHTS)], machines=list(map(machine, TIMES)))
    return Scenario.from_dict(data, library).with_(changes)


@pytest.fixture
def cluster():
    return Simulation(scenario()).cluster


def split(at: int, source="pi-0") -> Placement:
    return Placement.split(source, "edge", at, 3)


def test_weights_once_and_activations_for_each_slot(cluster):
    need = cluster.residency.need
    assert need("edge", "pi-0", 1, 3) == 2000 + 4000 + 2 * (50 + 20)
    assert need("edge", "pi-0", 0, 3) == 7000 + 2 * (100 + 50)
    assert need("pi-0", "pi-0", 2, 3) == 4000 + (20 + 10)


def test_devices_share_the_union_of_their_layers(cluster):
    residency, memory = cluster.residency, cluster.nodes["edge"].memory
    residency.settle("pi-0", split(2))
    assert memory.used == 4000 + 2 * 30
    residency.settle("pi-1", split(1, "pi-1"))
    assert memory.used == 6000 + 2 * 70
    assert residency.need("edge", "pi-0", 2, 3) == 6000 + 2 * 70  # the other's are there anyway
    assert residency.need("edge", "pi-1", 2, 3) == 4000 + 2 * 30  # its own would go
    residency.settle("pi-1", Placement.whole("pi-1", 3))
    assert memory.used == 4000 + 2 * 30
    residency.settle("pi-0", Placement.whole("pi-0", 3))
    assert (memory.used, memory.peak) == (0, 6000 + 2 * 70)
    assert cluster.nodes["pi-1"].memory.used == 7000 + 150


def test_a_gap_between_two_devices_layers_is_held_too(cluster):
    residency = cluster.residency
    residency.settle("pi-0", Placement.split("edge", "pi-0", 1, 3))
    residency.settle("pi-1", split(2, "pi-1"))
    assert cluster.nodes["edge"].memory.used == 7000 + 2 * 150


def test_it_fits_or_it_does_not():
    for spare, fits in ((0, True), (-1, False)):
        cluster = Simulation(scenario(**{"nodes.edge.memory": f"{6140 + spare} B"})).cluster
        assert cluster.residency.fits("pi-0", split(1)) == fits
        assert cluster.residency.fits("pi-0", split(2))
    cluster.residency.settle("pi-1", split(2, "pi-1"))
    assert not cluster.residency.fits("pi-0", split(1))


def test_a_placement_without_room_is_refused_with_the_numbers():
    small = scenario(**{"nodes.edge.memory": "6 kB", "technique": {"kind": "fixed-split", "split_point": 1}})
    with pytest.raises(ScenarioError) as caught:
        Simulation(small).check()
    assert str(caught.value) == (
        'scenario: technique: layers 1 to 2 of "tiny" need 0.0 MiB on "edge" (weights, and activations of 2 requests '
        "at once), which has 0.0 MiB; raise memory: there, or place fewer layers on it"
    )


def test_min_latency_looks_for_what_fits():
    roomy, small = scenario(), scenario(**{"nodes.edge.memory": "5 kB"})
    slow = {"links.uplink.bandwidth": "1 GB/s", "nodes.pi.load": "100 %"}
    assert list(Simulation(roomy.with_(slow)).run().summary()["placements"]) == ["edge 0-3"]
    fitting = list(Simulation(small.with_(slow)).run().summary()["placements"])
    assert fitting == ["pi-0 0-2 | edge 2-3", "pi-1 0-2 | edge 2-3"]
    nobody = small.with_({"nodes.pi.memory": "1 B"})
    with pytest.raises(ScenarioError, match='no placement of "tiny" fits in memory on "pi-0"'):
        Simulation(nobody).check()


def test_the_peak_stands_in_the_table():
    nodes = Simulation(scenario(technique={"kind": "fixed-split", "split_point": 1})).run().nodes
    peaks = dict(zip(nodes["node"], nodes["memory_peak_bytes"], strict=True))
    assert peaks == {"pi-0": 1000 + 150, "pi-1": 1000 + 150, "edge": 6000 + 2 * 70}


def test_the_view_sees_the_ledger():
    simulation = Simulation(scenario(**{"nodes.edge.memory": "7 kB"}))
    view = simulation.services[0].view
    assert view.fits(split(1))
    assert not view.fits(split(0))
    with pytest.raises(PlacementError, match="layers 0 to 2"):
        check(split(0), "somebody", "pi-0", simulation.cluster)


# -- the ledger itself ---------------------------------------------------------------------------------------------


def test_who_holds_more_holds_it_in_place_of_what_it_held():
    memory = Memory("edge", 100)
    assert memory.hold("a", 60)
    assert memory.hold("b", 40)
    assert not memory.fits("c", 1)
    assert memory.fits("a", 60)
    assert not memory.hold("a", 61)
    assert memory.hold("a", 10)
    assert (memory.used, memory.peak, memory.held) == (50, 100, {"a": 10, "b": 40})


def test_a_node_that_fails_forgets(cluster):
    cluster.residency.settle("pi-0", split(1))
    cluster.fail("edge")
    assert cluster.nodes["edge"].memory.used == 0
