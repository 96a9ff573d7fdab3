"""What a technique may know, seen from a technique, in a world whose bandwidth steps."""

from __future__ import annotations

from typing import ClassVar

import pytest

from simulator import Placement, ScenarioError, Simulation, Technique
from simulator.foundation.errors import KnowledgeError
from simulator.foundation.randomness import Streams
from simulator.testing import tiny
from simulator.world.sensing import Knowledge


class Looking(Technique):
    """Send everything to the edge, and write down what was seen at each request."""

    asks = "request"
    seen: ClassVar[list] = []

    def place(self, view, request=None):
        self.seen.append((view.now, self.look(view)))
        return Placement.whole("edge", len(view.model))

    def look(self, view):
        return view.bandwidth("pi", "edge")


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


def test_a_wait_behind_others_looks_like_a_slow_link(watch):
    """Of two messages of 0.1 s each at once the second took 0.2 s."""
    seen = [rate for _, rate in watch(Looking(), (0, 0, 4), bandwidth="last-transfer")]
    assert seen == pytest.approx([1e6, 1e6, 0.5e6])


def test_a_standing_decision_is_asked_again_when_what_it_knows_changes(watch):
    assert [time for time, _ in watch(Standing())] == [0, 12, 20]  # the first request after each step
    assert [time for time, _ in watch(Standing(), bandwidth="last-transfer")] == [0, 16, 24]  # and after it has shown


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


# -- queues and requests -------------------------------------------------------------------------------------------


def test_queues_by_hand(watch):
    """Each request takes 0.6 s on the device; of three at once two wait behind, and at 0.7 one of them is served."""
    assert [jobs for _, jobs in watch(Counting(), (0, 0, 0, 0.7), queues="oracle")] == [0, 1, 2, 2]


def test_a_queue_that_was_not_declared_names_the_line(watch):
    with pytest.raises(KnowledgeError) as caught:
        watch(Counting())
    assert str(caught.value) == (
        'the technique read the queue of "pi", but in this scenario queues are not known; '
        "add to the scenario:  knowledge: {queues: oracle}"
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
            Knowledge("ewma", 0.3, "none", "oracle", 0.1),
            "bandwidth ewma 0.3, load none, profile error 10%, queues oracle",
        ),
    ],
)
def test_knowledge_in_words(knowledge, text):
    assert str(knowledge) == text


def test_what_was_known_stands_in_the_tables():
    results = Simulation(tiny({"knowledge": {"bandwidth": "last-transfer", "load": "none"}})).run()
    said = "bandwidth last-transfer, load none, profile measured, queues none"
    assert results.summary()["knowledge"] == said
    assert set(results.decisions["knowledge"]) == {said}
