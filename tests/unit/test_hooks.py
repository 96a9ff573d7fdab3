"""Hooks of a technique: neutral unless overridden, and heard where they are."""

from __future__ import annotations

import inspect
from typing import ClassVar

import pytest
from pydantic import PrivateAttr, ValidationError

from simulator import Placement, Recovery, Redeployment, Simulation, Technique, run
from simulator.foundation.units import Period, Seconds
from simulator.profiles.placement import Failure, Migration, TrainingPlan
from simulator.results.record import RequestRow
from simulator.techniques.technique import overrides
from simulator.testing import tiny

EACH_SECOND = {"workload.arrivals": {"kind": "periodic", "every": "1 s"}}
OUTAGE = {"kind": "failure", "node": "edge", "at": {"time": "2.05 s"}, "repair_after": "4 s"}


def rows(technique: Technique, **changes):
    return Simulation(tiny({**EACH_SECOND, **changes}).with_technique(technique)).run().requests.set_index("request")


# -- defaults ------------------------------------------------------------------------------------------------------


@pytest.fixture
def view():
    return Simulation(tiny()).services[0].view


NEUTRAL = {
    "place": (lambda view: (view,), Placement.whole("pi", 3)),
    "adapt": (lambda view: (view, Placement.whole("pi", 3)), None),
    "copies": (lambda view: (), 1),
    "leaves": (lambda view: (None, 0, view), False),
    "choose_variant": (lambda view: ("pi", view), None),
    "recover": (lambda view: (Failure("edge", 1.0, Placement.whole("edge", 3), 0), view), Recovery(None, 0.0)),
    "serve": (lambda view: (None, None), None),
    "plan_round": (lambda view: (1, ("a", "b"), view), {"a": TrainingPlan(3), "b": TrainingPlan(3)}),
    "select": (lambda view: (("a", "b"), view), ("a", "b")),
    "on_update": (lambda view: ("a", None, view), False),
    "migrate": (lambda view: (None, view), Migration("restart")),
    "run_round": (lambda view: (1, None), None),
    "aggregate": (lambda view: (1, None), None),
    "training_step": (lambda view: ("a", TrainingPlan(3), None), None),
    "learn": (lambda view: (None,), None),
}


@pytest.mark.parametrize("hook", NEUTRAL)
def test_a_hook_that_is_not_overridden_is_neutral(hook, view):
    arguments, answer = NEUTRAL[hook]
    assert getattr(Technique(), hook)(*arguments(view)) == answer
    assert not overrides(Technique(), hook)


def test_these_are_all_of_them():
    own = {name for name, value in vars(Technique).items() if inspect.isfunction(value) and name[0] != "_"}
    assert own - {"model_post_init"} == {*NEUTRAL, "start"}  # pydantic's, where there are private attributes


def test_an_empty_technique_is_everything_on_the_device():
    class Empty(Technique):
        pass

    assert set(rows(Empty())["placement"]) == {"pi 0-3"}


def test_parameters_are_frozen_and_nothing_else_is_taken():
    class Mine(Technique):
        budget: Seconds = 1.0

    mine = Mine(budget=2.0)
    with pytest.raises(ValidationError, match="frozen"):
        mine.budget = 3.0
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        Mine(budgte=2.0)
    assert (mine, hash(mine)) == (Mine(budget=2.0), hash(Mine(budget=2.0)))
    assert mine != Mine()


# -- start ---------------------------------------------------------------------------------------------------------


class Counter(Technique):
    """Count the answers of one device in one run, and try a die now and then."""

    limit: int = 3
    _seen: int = PrivateAttr(default=0)
    _outcomes: list = PrivateAttr(default_factory=list)
    finished: ClassVar[list] = []

    def learn(self, outcome):
        self._seen += 1
        self._outcomes.append(outcome)
        self.finished.append((outcome.source, self._seen, self.limit, float(self._rng.random())))


def test_each_run_and_each_device_starts_afresh():
    Counter.finished.clear()
    counter = Counter(limit=5)
    crowd = tiny(EACH_SECOND).with_({"nodes.pi.count": 2, "until": "3 s"})
    run(crowd, counter)
    first = Counter.finished.copy()
    run(crowd, counter)
    assert sorted(row[:3] for row in first) == [(f"pi-{i}", n, 5) for i in (0, 1) for n in (1, 2, 3)]
    assert Counter.finished == first * 2  # the die too: it is the run's, not the program's
    assert len({row[3] for row in first}) == len(first)
    assert (counter._seen, counter._outcomes) == (0, [])


def test_learn_hears_every_answer_as_it_stands_in_the_table():
    class Listener(Technique):
        heard: ClassVar[list] = []

        def learn(self, outcome):
            self.heard.append(outcome)

    frame = rows(Listener()).reset_index()
    assert all(type(outcome) is RequestRow for outcome in Listener.heard)
    for name in ("request", "arrival_s", "latency_s", "outcome", "placement", "compute_s"):
        assert frame[name].tolist() == [getattr(outcome, name) for outcome in Listener.heard]


# -- adapt ---------------------------------------------------------------------------------------------------------


class Mover(Technique):
    """Move to the edge at the first look, which takes a while."""

    every: Period = 4.5
    downtime: Seconds = 2.0

    def adapt(self, view, current):
        there = Placement.whole("edge", len(view.model))
        return None if current == there else Redeployment(there, downtime=self.downtime)


def test_adapt_redeploys_and_requests_wait_for_it():
    frame = rows(Mover())
    assert frame["placement"].tolist() == ["pi 0-3"] * 5 + ["edge 0-3"] * 5
    held = frame["hold_s"].tolist()
    assert held == pytest.approx([0, 0, 0, 0, 0, 1.5, 0.5, 0, 0, 0])  # asked at 4.5, ready at 6.5
    waited = frame["queue_s"] + frame["compute_s"] + frame["transfer_s"] + frame["delay_s"] + frame["hold_s"]
    assert frame["latency_s"].tolist() == pytest.approx(waited.tolist())


def test_adapt_without_downtime_holds_nobody():
    frame = rows(Mover(downtime=0.0, every=0.5))
    assert frame["placement"].tolist() == ["pi 0-3"] + ["edge 0-3"] * 9
    assert frame["hold_s"].sum() == 0


def test_adapt_is_written_down():
    results = Simulation(tiny(EACH_SECOND).with_technique(Mover())).run()
    decisions = results.decisions[["time_s", "hook", "answer"]].to_numpy().tolist()
    assert decisions == [[0, "place", "pi 0-3"], [4.5, "adapt", "edge 0-3"]]


# -- recover -------------------------------------------------------------------------------------------------------


class AtTheEdge(Technique):
    """Everything at the edge; wait for its repair."""

    def place(self, view, request=None):
        return Placement.whole("edge", len(view.model))


class StandIn(AtTheEdge):
    """Take another node for the one that failed."""

    instead: str = "pi"
    detection: Seconds = 0.5
    met: ClassVar[list] = []

    def recover(self, failure, view):
        self.met.append(failure)
        return Recovery(failure.placement.reassign(failure.name, to=self.instead), downtime=self.detection)


def outage(technique: Technique, **changes):
    return rows(technique, until="5 s", dynamics=[OUTAGE], **changes)


def test_recover_s_default_waits_for_the_repair():
    """The request of second 2 is on the wire until 2.1, 2.11 at the edge: the edge is down then until 6.05."""
    frame = outage(AtTheEdge())
    assert frame["placement"].unique().tolist() == ["edge 0-3"]
    assert frame.loc[2, "recovery_s"] == pytest.approx(6.05 - 2.11)
    assert frame.loc[1, "recovery_s"] == 0


def test_recover_with_a_stand_in_by_hand():
    """Input there by 2.11, half a second to notice; the edge is gone with what it held: 0.6 s again at the device."""
    StandIn.met.clear()
    frame = outage(StandIn())
    assert frame.loc[2, "placement"] == "pi 0-3"
    assert frame.loc[2, "recovery_s"] == pytest.approx(0.5)
    assert frame.loc[2, "latency_s"] == pytest.approx(0.11 + 0.5 + 0.6)
    failure = StandIn.met[0]
    assert (failure.name, failure.time, failure.layer, failure.kind) == ("edge", 2.05, 0, "node")
    assert failure.placement == Placement.whole("edge", 3)


def test_recover_takes_up_where_the_tensors_are():
    """The edge fails at work, 2.14: 0.03 s were in vain, and the cloud begins again with the input."""
    servers = {
        "nodes": {**tiny().document.data["nodes"], "cloud": {"kind": "server", "hardware": "rack"}},
        "links": {
            **tiny().document.data["links"],
            "far": {"between": ["pi", "cloud"], "bandwidth": "1 MB/s", "delay": "50 ms", "connection": "none"},
        },
    }
    late = {**OUTAGE, "at": {"time": "2.14 s"}}
    frame = rows(StandIn(instead="cloud"), until="3 s", **servers, dynamics=[late])
    assert frame.loc[2, "placement"] == "cloud 0-3"
    assert frame.loc[2, "recovery_s"] == pytest.approx(0.03 + 0.5)
    assert frame.loc[2, "latency_s"] == pytest.approx(0.14 + 0.5 + (0.1 + 0.05) + 0.06 + (0.001 + 0.05))


def test_a_technique_that_goes_in_circles_is_stopped():
    class Circles(AtTheEdge):
        def recover(self, failure, view):
            return Recovery(failure.placement)

    with pytest.raises(Exception, match="Circles"):
        outage(Circles())


# -- serve ---------------------------------------------------------------------------------------------------------


class Twice(Technique):
    """Run everything on the device, and then once more at the edge, to be sure (no message in between)."""

    def serve(self, request, cluster):
        return self.both(request, cluster) if request.number % 2 else None

    def both(self, request, cluster):
        yield from cluster.compute("pi", 0, 3, request)
        yield cluster.wait(0.25)
        yield from cluster.compute("edge", 0, 3, request)
        return Placement.whole("edge", 3)


def test_serve_is_the_whole_story_of_a_request_or_none():
    frame = rows(Twice(), until="4 s")
    assert frame["placement"].tolist() == ["pi 0-3", "edge 0-3"] * 2
    assert frame["latency_s"].tolist() == pytest.approx([0.6, 0.91] * 2)
    assert frame["compute_s"].tolist() == pytest.approx([0.6, 0.66] * 2)
    assert set(frame["outcome"]) == {"done"}


def test_a_story_of_one_s_own_that_meets_a_failure_is_a_row_too():
    frame = rows(Twice(), until="4 s", dynamics=[{**OUTAGE, "at": {"time": "1.5 s"}}])
    assert frame["outcome"].tolist() == ["done", "lost", "done", "lost"]
