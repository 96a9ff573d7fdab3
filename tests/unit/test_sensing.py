"""What a technique may know, seen from a technique, in a world whose bandwidth steps."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import ClassVar

import pytest

from simulator import Library, Placement, Scenario, ScenarioError, Simulation, Technique
from simulator.foundation.errors import KnowledgeError
from simulator.foundation.randomness import Streams
from simulator.profiles.hardware import OperatorRate, Rates
from simulator.testing import machine, tiny
from simulator.world.sensing import Knowledge, Messages


class Looking(Technique):
    """Send everything to the edge, and write down what was seen at each request."""

    asks = "request"
    seen: ClassVar[list] = []

    def place(self, view, request=None):
        self.seen.append((view.now, self.look(view)))
        return Placement.whole("edge", len(view.model))

    def look(self, view):
        return view.bandwidth("pi", "edge")


class Elsewhere(Looking):
    """The same, from any device."""

    seen: ClassVar[list] = []

    def look(self, view):
        return view.bandwidth(view.source, "edge")


class Away(Technique):
    """Everything at the edge, whatever is seen; but somebody looks."""

    def place(self, view, request=None):
        return Placement.whole("edge", len(view.model))


class Standing(Looking):
    """The same, asked only when the view changes."""

    asks = "view"


class Counting(Looking):
    """Look at the device's queue, and stay there."""

    def place(self, view, request=None):
        super().place(view, request)
        return Placement.whole("pi", len(view.model))

    def look(self, view):
        return view.queue("pi")


class ReadingTheRequest(Standing):
    def place(self, view, request=None):
        return super().place(view) if request.deadline else None


@pytest.fixture
def watch(tmp_path):
    """Play *technique* with the uplink at 1 MB/s, 0.5 from 10 s, 2 from 20 s; return what it saw."""
    path = tmp_path / "steps.csv"
    path.write_text("# unit: MB/s; end: hold\nstart_s,value\n0,1\n10,0.5\n20,2\n")
    instants = tmp_path / "instants.csv"

    def watch(technique, times=(0, 4, 8, 12, 16, 20, 24), **knowledge):
        instants.write_text("t_s\n" + "\n".join(map(str, times)))
        scenario = tiny(
            {
                "until": "30 s",
                "links.uplink.bandwidth": {"trace": str(path)},
                "workload.arrivals": {"kind": "replay", "trace": str(instants)},
                "knowledge": knowledge,
            }
        )
        technique.seen.clear()
        Simulation(scenario.with_technique(technique)).run()
        return list(technique.seen)

    return watch


# -- bandwidth -----------------------------------------------------------------------------------------------------


def test_the_oracle_sees_the_truth(watch):
    assert [rate for _, rate in watch(Looking())] == [1e6, 1e6, 1e6, 0.5e6, 0.5e6, 2e6, 2e6]


def test_the_last_transfer_is_old_news(watch):
    seen = [rate for _, rate in watch(Looking(), bandwidth="last-transfer")]
    assert seen == pytest.approx([1e6, 1e6, 1e6, 1e6, 0.5e6, 0.5e6, 2e6])


def test_ewma_by_hand(watch):
    seen = [rate for _, rate in watch(Looking(), bandwidth={"ewma": 0.25})]
    known = [1e6]
    for shown in (1e6, 1e6, 1e6, 0.5e6, 0.5e6, 2e6):  # by the transfer before each request
        known.append(0.75 * known[-1] + 0.25 * shown)
    assert seen == pytest.approx(known)


def test_a_device_knows_of_its_own_messages_before(watch):
    """Two messages of 0.1 s each at once: the second came 0.2 s after its request, but had the link for 0.1 s."""
    seen = [rate for _, rate in watch(Looking(), (0, 0, 4), bandwidth="last-transfer")]
    assert seen == pytest.approx([1e6] * 3)


def test_a_wait_behind_others_looks_like_a_slow_link():
    """Of two devices on one wire that send 0.1 s each at once, the second waits for the first without knowing it."""
    pair = {"nodes.pi.count": 2, "links.uplink.shared": True, "knowledge.bandwidth": "last-transfer", "until": "5 s"}
    pair["workload.arrivals"] = {"kind": "periodic", "every": "4 s"}
    Elsewhere.seen.clear()
    Simulation(tiny(pair).with_technique(Elsewhere())).run()
    assert [rate for _, rate in Elsewhere.seen[-2:]] == pytest.approx([1e6, 0.5e6])


def test_a_standing_decision_is_asked_again_when_what_it_knows_changes(watch):
    assert [time for time, _ in watch(Standing())] == [0, 12, 20]  # the first request after each step
    assert [time for time, _ in watch(Standing(), bandwidth="last-transfer")] == [0, 16, 24]  # and after it has shown


# -- probes --------------------------------------------------------------------------------------------------------


def probes(results, channel):
    spans = results.spans
    return spans[(spans["kind"] == "probe") & (spans["resource"] == channel)]


def test_a_probe_knows_what_it_has_measured_and_nothing_else(watch):
    """It starts at a moment of its first period and takes 0.02 s; what it saw is known until the next."""
    phase = Streams(0)["probe", "uplink.up"].random()
    seen = watch(Looking(), (0, 9.9, 19.9, 29.9), bandwidth={"probe": "10 s", "bytes": "20 kB"})
    last = [(int(at / 10 - phase) + phase) * 10 for at, _ in seen[1:]]  # the last probe begun before
    truth = [1e6 if at < 10 else 0.5e6 if at < 20 else 2e6 for at in last]
    assert [rate for _, rate in seen] == pytest.approx([1e6, *truth])


def test_probes_cross_the_link_and_keep_others_waiting():
    probing = {"knowledge.bandwidth": {"probe": "1 s", "bytes": "400 kB"}}
    free, busy = (Simulation(tiny(changes).with_technique(Away())).run() for changes in ({}, probing))
    up = probes(busy, "uplink.up")
    assert len(up) == len(probes(busy, "uplink.down")) == 10  # one in each second of the ten
    assert set(up["request"]) == {-1}
    assert up["sent_bytes"].tolist() == [4e5] * 10
    extra = busy.links.set_index("channel")["sent_bytes"] - free.links.set_index("channel")["sent_bytes"]
    assert extra.tolist() == pytest.approx([4e6, 4e6])
    assert busy.requests["latency_s"].mean() > free.requests["latency_s"].mean() + 0.01
    assert busy.requests["arrival_s"].tolist() == free.requests["arrival_s"].tolist()


def test_a_fleet_does_not_probe_in_step():
    fleet = {"nodes.pi.count": 8, "knowledge.bandwidth": {"probe": "4 s", "bytes": "1 kB"}}
    spans = Simulation(tiny(fleet)).run().spans
    first = spans[spans["kind"] == "probe"].groupby("resource")["queued_s"].min()
    assert len(first) == 16
    assert first.nunique() == 16
    assert first.max() < 4


def test_a_probe_that_a_failure_takes_is_missed():
    down = {"kind": "failure", "link": "uplink", "at": {"time": "2 s"}, "repair_after": "3 s"}
    changes = {"knowledge.bandwidth": {"probe": "1 s", "bytes": "1 kB"}}
    results = Simulation(tiny({**changes, "dynamics": [down]}).with_technique(Away())).run()
    assert probes(results, "uplink.up")["completed"].sum() == 7


def test_nothing_is_sent_for_those_who_do_not_look():
    sensing = {"bandwidth": {"probe": "1 s", "bytes": "400 kB"}, "queues": {"reported": "1 s", "bytes": "200 B"}}
    plain, told = ({"technique.kind": "server-only", **more} for more in ({}, {"knowledge": sensing}))
    free, same = (Simulation(tiny(changes)).run() for changes in (plain, told))
    assert set(same.spans["kind"]) == {"compute", "transfer"}
    assert same.requests["latency_s"].tolist() == free.requests["latency_s"].tolist()
    assert same.summary()["knowledge"] == "nothing: it decides the same whatever is known"


# -- reports -------------------------------------------------------------------------------------------------------


class Asking(Looking):
    """Look at the server's queue, and go there."""

    asks = "view"
    seen: ClassVar[list] = []

    def look(self, view):
        return view.queue("edge")


def test_a_reported_queue_is_what_the_server_said_then():
    """Every 0.5 s work of 0.6 s comes to the edge, first at 0.11: what is known is the count when the report left."""
    Asking.seen.clear()
    changes = {
        "nodes.edge.hardware": "board",
        "workload.arrivals": {"kind": "periodic", "every": "500 ms"},
        "knowledge.queues": {"reported": "700 ms", "bytes": "200 B"},
    }
    Simulation(tiny(changes).with_technique(Asking())).run()
    phase = Streams(0)["report", "queue", "edge", "pi"].random()

    def waiting(time):
        come, gone = math.floor((time - 0.11) / 0.5) + 1, math.floor((time - 0.11) / 0.6)
        return max(0, come - gone) if time >= 0.11 else 0

    said = [((turn + phase) * 0.7, waiting((turn + phase) * 0.7)) for turn in range(20)]
    for time, jobs in Asking.seen:
        there = [count for left, count in said if left + 0.0102 < time]  # 200 B and 10 ms later
        assert jobs == (there[-1] if there else 0), time
    assert len({jobs for _, jobs in Asking.seen}) > 2


def test_reports_say_the_load_as_it_was(tmp_path):
    """The edge is half busy from 5 s on (one competitor: 3/4 left); that is known when the next report has come."""
    path = tmp_path / "load.csv"
    path.write_text("# kind: cpu; unit: %; end: hold\nstart_s,value\n0,0\n5,50\n")
    changes = {
        "nodes.edge.load": {"trace": str(path)},
        "knowledge.load": {"reported": "1 s", "bytes": "200 B"},
    }
    simulation = Simulation(tiny(changes).with_technique(Away()))
    view = simulation.services[0].view
    idle = view.latency(Placement.whole("edge", 3))
    seen = []
    env = simulation.cluster.env
    for time in (4.99, 5.01, 6.1, 7.0):
        env.at(time, lambda: seen.append(view.latency(Placement.whole("edge", 3)) - idle))
    results = simulation.run()
    reports = results.spans[results.spans["kind"] == "report"]
    assert len(reports) == 10
    phase = Streams(0)["report", "load", "edge", "pi"].random()
    late = 0.06 / 0.75 - 0.06
    assert seen == pytest.approx([0, late if phase < 0.01 else 0, late, late])


# -- processors and profiles ---------------------------------------------------------------------------------------


def predicted(placement: str, **changes) -> float:
    technique = {"kind": "device-only"} if placement == "pi" else {"kind": "server-only"}
    return float(Simulation(tiny({"technique": technique, **changes})).run().decisions["predicted_s"].iloc[0])


def test_a_load_that_is_not_known_is_not_believed():
    idle = predicted("edge")
    busy = {"nodes.edge.load": "50 %"}  # one competitor: three quarters are left
    assert predicted("edge", **busy) == pytest.approx(idle + 0.06 / 0.75 - 0.06)
    assert predicted("edge", **busy, **{"knowledge.load": "none"}) == pytest.approx(idle)


def test_layer_times_are_believed_with_their_error():
    wrong = {"knowledge.profile": {"error": "20 %"}}
    factors = Streams(5)["knowledge", "board"].normal(1.0, 0.2, 3)
    assert predicted("pi", **wrong, seed=5) == pytest.approx(0.1 * factors[0] + 0.2 * factors[1] + 0.3 * factors[2])
    assert predicted("pi", **wrong, seed=6) != predicted("pi", **wrong, seed=5)
    assert predicted("pi") == pytest.approx(0.6)
    truth = Simulation(tiny({**wrong, "technique.kind": "device-only"})).run()
    assert truth.requests["compute_s"].tolist() == pytest.approx([0.6] * len(truth.requests))  # the world is as it is


def test_layer_times_as_predicted_from_rates():
    """The rack was measured at 10, 20 and 30 ms; its rates say 4 ms for each layer, and 1 MB/s for what is moved."""
    rates = Rates(4e-3, {"conv": OperatorRate(None, 1e6)}, "transferred", "made for a test")
    library = tiny().library
    models = [library.model("tiny")]
    machines = [machine("board"), replace(machine("rack"), rates=rates)]
    document = tiny({"knowledge.profile": "predicted"}).document
    refusal = r'knowledge\.profile: model "tiny" cannot be predicted on "board": that machine has no rates'
    with pytest.raises(ScenarioError, match=refusal):
        Simulation(Scenario.of(document, Library(models=models, machines=machines)))
    machines[0] = replace(machines[0], rates=rates)
    results = Simulation(Scenario.of(document, Library(models=models, machines=machines)).with_technique(Away())).run()
    moved = (1e5 + 5e4) + (5e4 + 2e4) + (2e4 + 1e3)  # read and written
    wire = 0.1 + 0.001 + 2 * 0.01
    assert results.decisions["predicted_s"].tolist() == pytest.approx([wire + 3 * 4e-3 + moved / 1e6])
    assert results.requests["compute_s"].tolist() == pytest.approx([0.06] * len(results.requests))
    assert "profile predicted" in results.summary()["knowledge"]


# -- queues and requests -------------------------------------------------------------------------------------------


def test_queues_by_hand(watch):
    """Each request takes 0.6 s on the device; of three at once two wait behind, and at 0.7 one of them is served."""
    assert [jobs for _, jobs in watch(Counting(), (0, 0, 0, 0.7), queues="oracle")] == [0, 1, 2, 2]


def test_a_queue_that_was_not_declared_names_the_line(watch):
    with pytest.raises(KnowledgeError) as caught:
        watch(Counting())
    assert str(caught.value) == (
        'the technique read the queue of "pi", but in this scenario queues are not known; '
        'add to the scenario:  knowledge: {queues: {reported: 1 s, bytes: "200 B"}}  (or queues: oracle)'
    )


class CountingOnce(Counting):
    asks = "view"


def test_a_standing_decision_cannot_follow_a_queue(watch):
    with pytest.raises(
        ScenarioError, match='read the queue of "pi", but is asked when its view changes, not per request'
    ):
        watch(CountingOnce(), queues="oracle")


def test_a_request_that_was_not_declared_names_the_line(watch):
    with pytest.raises(ScenarioError) as caught:
        watch(ReadingTheRequest())
    assert "place() read request.deadline, but the technique is asked when its view changes, not per request" in str(
        caught.value
    )
    assert 'add to the class:  asks = "request"' in str(caught.value)


# -- how it is told ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("knowledge", "text"),
    [
        (Knowledge(), "bandwidth oracle, load oracle, profile measured, queues none"),
        (
            Knowledge("ewma", 0.3, load="none", queues="oracle", profile="error", profile_error=0.1),
            "bandwidth ewma 0.3, load none, profile error 10%, queues oracle",
        ),
        (
            Knowledge("probe", probe=Messages(5, 1e6), queues="reported", queue_report=Messages(0.5, 200)),
            "bandwidth probed every 5 s, 1000 kB, load oracle, profile measured, queues reported every 0.5 s, 200 B",
        ),
        (Knowledge(foresight=True), "everything, and the traces to come"),
    ],
)
def test_knowledge_in_words(knowledge, text):
    assert str(knowledge) == text


def test_what_was_known_stands_in_the_tables():
    results = Simulation(tiny({"knowledge": {"bandwidth": "last-transfer", "load": "none"}})).run()
    said = "bandwidth last-transfer, load none, profile measured, queues none"
    assert results.summary()["knowledge"] == said
    assert set(results.decisions["knowledge"]) == {said}


# -- what is easily got wrong ------------------------------------------------------------------------------------


@pytest.mark.parametrize("sharing", ["max-min", "airtime"])
def test_a_shared_link_never_looks_faster_than_it_is(watch_link, sharing):
    """Two messages of one device at once share 1 MB/s; neither saw more of it than there is."""
    seen = watch_link(sharing)
    assert max(seen) <= 1e6 * (1 + 1e-9)
    assert min(seen) < 0.9e6


@pytest.fixture
def watch_link(tmp_path):
    """Play pairs of requests 0.05 s apart over a link of that sharing; return what transfers showed."""

    def watch_link(sharing):
        path = tmp_path / "pairs.csv"
        path.write_text("t_s\n" + "\n".join(f"{i}\n{i + 0.05}" for i in range(8)))
        changes = {
            "links.uplink.sharing": sharing,
            "knowledge.bandwidth": "last-transfer",
            "workload.arrivals": {"kind": "replay", "trace": str(path)},
        }
        Looking.seen.clear()
        Simulation(tiny(changes).with_technique(Looking())).run()
        return [rate for _, rate in Looking.seen]

    return watch_link


def test_probes_that_a_dead_stretch_delays_are_missed_and_not_made_up_for(tmp_path):
    path = tmp_path / "dead.csv"
    path.write_text("# unit: MB/s; end: hold\nstart_s,value\n0,1\n2,0\n22,1\n")
    changes = {
        "links.uplink.bandwidth": {"trace": str(path)},
        "knowledge.bandwidth": {"probe": "1 s", "bytes": "100 kB"},
        "until": "30 s",
    }
    up = probes(Simulation(tiny(changes).with_technique(Away())).run(), "uplink.up")
    assert (up["queued_s"].diff().dropna() > 0.99).all()
    assert 8 <= len(up) <= 12  # some 20 of 30 were missed


def test_what_links_can_carry_is_judged_by_what_they_carry_on_average():
    """A synthetic trace may be poor in one seed; whether probes are too many does not depend on that."""
    changes = {"links.uplink.bandwidth": {"generate": "3g", "scale": 0.5}}
    changes["knowledge"] = {"bandwidth": {"probe": "5 s", "bytes": "100 kB"}}
    for seed in range(30):
        Simulation(tiny({**changes, "seed": seed}))
    together = {"nodes.pi.count": 20, "links.uplink.shared": True}
    with pytest.raises(ScenarioError, match="for all who share it"):
        Simulation(tiny({**together, "knowledge": {"bandwidth": {"probe": "1 s", "bytes": "100 kB"}}}))
