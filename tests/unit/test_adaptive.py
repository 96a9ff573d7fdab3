"""``adaptive`` in worlds small enough to follow by hand."""

from __future__ import annotations

from itertools import pairwise

import pytest

from simulator import Placement, ScenarioError, Simulation
from simulator.foundation.errors import ProfileError
from simulator.profiles.library import Library
from simulator.profiles.model import LayerTimes, ModelProfile
from simulator.techniques.adaptive import Adaptive
from simulator.testing import chain, check_technique, machine, tiny

EACH_SECOND = {"kind": "periodic", "every": "1 s"}


@pytest.fixture
def square(tmp_path):
    """The tiny world with a request a second, and 1 MB/s for 20 s, 0.1 MB/s for 20 s, and so on."""
    path = tmp_path / "square.csv"
    path.write_text("# unit: MB/s; end: wrap; duration_s: 40\nstart_s,value\n0,1\n20,0.1\n")
    return {"until": "100 s", "links.uplink.bandwidth": {"trace": str(path)}, "workload.arrivals": EACH_SECOND}


def redeployments(technique, **changes):
    results = Simulation(tiny(changes).with_technique(technique)).run()
    decisions = results.decisions
    adapted = decisions[decisions["hook"] == "adapt"]
    held = results.requests.set_index("request")["hold_s"]
    return adapted[["time_s", "answer", "downtime_s"]].to_numpy().tolist(), held[held > 1e-9].to_dict(), results


def test_on_a_constant_link_it_never_redeploys():
    for seed in range(5):
        for knowledge in ("oracle", "last-transfer", {"ewma": 0.5}, {"probe": "700 ms", "bytes": "1 kB"}):
            for duplex in ("half", "full"):
                changes = {"knowledge": {"bandwidth": knowledge}, "seed": seed, "until": "60 s"}
                changes["links.uplink.duplex"] = duplex
                assert redeployments(Adaptive(every=1.0), **changes)[0] == [], changes


def test_under_a_square_wave_by_hand(square):
    """At 1 MB/s all at the edge takes 0.181 s; at a tenth of it 1.09 s, and 0.56 s with two layers on the device.

    The step down at 20 s shows when that second's 100 kB are across, at 21 s: the next look, at 25.5 s, redeploys and
    holds the request of 26 s for 0.1 s. The step up at 40 s shows at 40.3 s, the look at 40.8 s holds that of 41 s for
    0.4 s. And so on: 61.2 (nobody comes before 61.8), 81.6 (until 82.2).
    """
    low, high = "pi 0-2 | edge 2-3", "edge 0-3"
    adapted, held, results = redeployments(Adaptive(every=5.1), **square)
    assert [row[1] for row in adapted] == [low, high, low, high]
    assert [row[0] for row in adapted] == pytest.approx([25.5, 40.8, 61.2, 81.6])
    assert sum(row[2] for row in adapted) == pytest.approx(2.4)
    assert held == pytest.approx({26: 0.1, 41: 0.4, 82: 0.2})
    latency = results.requests.set_index("request")["latency_s"]
    assert latency[26] == pytest.approx(0.1 + 0.56)
    assert latency[45] == pytest.approx(0.181)


def test_with_the_oracle_s_eyes_it_looks_no_earlier_but_sees_more(square):
    """The step at 20 s is known at the look of 20.4 s, that at 40 s at 40.8 s."""
    adapted, held, _ = redeployments(Adaptive(every=5.1), **square, **{"knowledge.bandwidth": "oracle"})
    assert [row[0] for row in adapted] == pytest.approx([20.4, 40.8, 61.2, 81.6])
    assert held == pytest.approx({41: 0.4, 82: 0.2})  # at 20.4 until 21.0, when the request comes


def test_a_gain_below_the_threshold_is_not_worth_it(square):
    """Down: 0.56 instead of 1.09 s saves 48.6 %; up: 0.181 instead of 0.371 s saves 51.2 %."""
    assert len(redeployments(Adaptive(every=5.1, threshold=0.48), **square)[0]) == 4
    assert redeployments(Adaptive(every=5.1, threshold=0.49), **square)[0] == []


@pytest.mark.parametrize(("switch", "downtime"), [("pause-resume", 6.0), ("cold-standby", 0.6), ("hot-standby", 0.001)])
def test_what_a_switch_costs_by_default(square, switch, downtime):
    adapted, _, _ = redeployments(Adaptive(every=5.1, switch=switch), **square)
    assert {row[2] for row in adapted} == {downtime}


def test_pause_and_resume_keeps_everybody_waiting(square):
    """25.5 to 31.5: the requests of 26 to 31 s all go on then."""
    _, held, _ = redeployments(Adaptive(every=5.1, switch="pause-resume"), **{**square, "until": "38 s"})
    assert held == pytest.approx({26: 5.5, 27: 4.5, 28: 3.5, 29: 2.5, 30: 1.5, 31: 0.5})


def with_loading(load: float, first: float):
    """The tiny model, loaded in *load* s, its first run *first* s longer; parameters all in the last layer."""
    plain = chain((1e5, 5e4, 2e4, 1e3), {"board": (0.1, 0.2, 0.3), "rack": (0.01, 0.02, 0.03)}, parameters=(0, 0, 1e6))
    slow = {"board": 1.0, "rack": 0.1}
    measured = {
        name: LayerTimes(name, times.seconds, (), "measured", "", load * slow[name], first * slow[name])
        for name, times in plain.measured.items()
    }
    model = ModelProfile("tiny", "input", 1e5, plain.layers, measured=measured)
    return Library(models=[model], machines=[machine("board"), machine("rack")])


def test_the_price_from_the_profile(square):
    """Two layers on the device: no parameters, half of its first call (3 of 6 parts); the rest loads on the edge."""
    scenario = tiny(square)
    scenario = type(scenario).of(scenario.document, with_loading(8.0, 2.0))
    view = Simulation(scenario).services[0].view
    split = Placement.split("pi", "edge", 2, 3)
    assert view.deploy_seconds(split) == pytest.approx(max(2.0 * 0.3 / 0.6, 8.0 * 0.1 + 2.0 * 0.1 * 0.5))
    for switch, downtime, lead in (("pause-resume", 1.0, 0.0), ("cold-standby", 0.001, 1.0)):
        technique = Adaptive(every=5.1, switch=switch, cost="profile")
        results = Simulation(scenario.with_({"until": "38 s"}).with_technique(technique)).run()
        row = results.decisions[results.decisions["hook"] == "adapt"].iloc[0]
        assert (row["time_s"], row["downtime_s"]) == pytest.approx((25.5 + lead, downtime))
        assert results.requests.set_index("request")["placement"][26] == ("edge 0-3" if lead else str(split))


def test_a_price_nobody_measured_is_an_error(square):
    with pytest.raises(ProfileError, match=r'nobody measured how long "tiny" takes to load .*cost: neukonfig'):
        redeployments(Adaptive(every=5.1, cost="profile"), **square)


def test_a_hot_standby_needs_twice_the_memory(square):
    plain = chain((1e5, 5e4, 2e4, 1e3), {"board": (0.1, 0.2, 0.3), "rack": (0.01, 0.02, 0.03)}, parameters=(0, 0, 1e6))
    library = Library(models=[plain], machines=[machine("board"), machine("rack", memory=1.5e6)])
    scenario = type(tiny()).of(tiny(square).document, library)
    for switch, fits in (("cold-standby", True), ("hot-standby", False)):
        results = Simulation(scenario.with_technique(Adaptive(every=5.1, switch=switch))).run()
        assert (results.requests["placement"] == "edge 0-3").any() == fits
        peak = results.nodes.set_index("node")["memory_peak_bytes"]
        assert peak["pi" if not fits else "edge"] > (2e6 if not fits else 1e6)
    with pytest.raises(ScenarioError, match="all that twice, for the standby"):
        Simulation(scenario.with_technique(Stubborn(switch="hot-standby"))).run()


class Stubborn(Adaptive):
    """Begin at the edge, room or not."""

    def place(self, view, request=None):
        return Placement.whole("edge", len(view.model))


def test_it_senses_by_itself_and_says_so():
    known = Simulation(tiny().with_technique(Adaptive())).run().summary()["knowledge"]
    assert known.startswith("bandwidth last-transfer, ")
    told = tiny({"knowledge.bandwidth": "oracle"}).with_technique(Adaptive())
    assert Simulation(told).run().summary()["knowledge"].startswith("bandwidth oracle, ")


def test_a_node_that_died_while_its_placement_was_made_ready_is_not_switched_to(square):
    """Ready at 41.8 s, but the edge fails at 41.2 s: no redeployment, and the device takes over."""
    scenario = type(tiny()).of(tiny(square).document, with_loading(8.0, 2.0)).with_({"until": "46 s"})
    down = {"kind": "failure", "node": "edge", "at": {"time": "41.2 s"}}
    technique = Adaptive(every=5.1, cost="profile")
    results = Simulation(scenario.with_({"dynamics": [down]}).with_technique(technique)).run()
    decided = results.decisions[["time_s", "hook", "answer"]].to_numpy().tolist()
    assert [row[1:] for row in decided if row[0] > 40] == [["recover", "pi 0-2 | edge 2-3"], ["place", "pi 0-3"]]
    assert not [row for row in decided if row[0] > 40 and row[1] == "adapt"]


@pytest.mark.parametrize("switch", ["pause-resume", "cold-standby", "hot-standby"])
def test_it_keeps_what_every_technique_promises(switch):
    check_technique(Adaptive(every=0.5, threshold=0.0, switch=switch))


def test_it_does_not_look_while_it_is_paused(square):
    """With 6 s of downtime and a look every 5 s no downtime begins in another."""
    adapted, _, _ = redeployments(Adaptive(every=5.0, switch="pause-resume", threshold=0.0), **square)
    begins = [row[0] for row in adapted]
    assert len(begins) > 2
    assert all(later - before >= 6.0 for before, later in pairwise(begins))
