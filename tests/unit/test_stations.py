"""Stations by hand: when work is done, when it is lost, and what is said to whom."""

from __future__ import annotations

import math

import pytest

from simulator import Trace
from simulator.foundation.errors import LinkDown, NodeDown
from simulator.physics.engine import Environment
from simulator.physics.station import Fifo, Shared

BOTH = pytest.mark.parametrize("kind", [Fifo, Shared])


class World:
    """A clock, a log, and stories that write in it when they are done or lost."""

    def __init__(self):
        self.env = Environment()
        self.log: list[tuple[float, str, str]] = []

    def station(self, kind, capacity=1.0, **more):
        trace = capacity if isinstance(capacity, Trace) else Trace.of(capacity)
        return kind(self.env, "edge", trace, NodeDown, **more)

    def note(self, who, what="done"):
        self.log.append((self.env.now, who, what))

    def job(self, who, station, work, delay=0.0):
        try:
            yield station.submit(work, delay)
        except NodeDown as down:
            self.note(who, f"{down.name} down at {down.time:g}")
        else:
            self.note(who)

    def bring(self, who, station, work, time=0.0, delay=0.0):
        self.env.at(time, lambda: self.env.start(self.job(who, station, work, delay)))

    def run(self, *calls):
        """Do each ``(time, callable)``, run to the end, and return the log."""
        for time, call in calls:
            self.env.at(time, call)
        self.env.run()
        return self.log


@pytest.fixture
def world():
    return World()


# -- how work is served --------------------------------------------------------------------------------------------


def test_fifo_serves_one_after_the_other(world):
    station = world.station(Fifo)
    for who, work, time in (("a", 3, 0), ("b", 1, 1), ("c", 2, 10)):
        world.bring(who, station, work, time)
    assert world.run() == [(3, "a", "done"), (4, "b", "done"), (12, "c", "done")]


def test_shared_serves_all_at_once(world):
    station = world.station(Shared)
    world.bring("a", station, 3)
    world.bring("b", station, 1, 1)  # from 1 on each has half: b ends at 3, then a has its last unit alone
    assert world.run() == [(3, "b", "done"), (4, "a", "done")]


def test_two_servers(world):
    slots, shared = world.station(Fifo, servers=2), world.station(Shared, servers=2)
    for who in "abc":
        world.bring(f"{who} fifo", slots, 2)
        world.bring(f"{who} shared", shared, 2)
    assert sorted(world.run()) == [
        (2, "a fifo", "done"), (2, "b fifo", "done"),
        (3, "a shared", "done"), (3, "b shared", "done"), (3, "c shared", "done"),
        (4, "c fifo", "done"),
    ]  # fmt: skip


@BOTH
def test_capacity_is_work_per_second(world, kind):
    station = world.station(kind, Trace([0, 2, 5], [1, 0, 2], 6, "hold"))
    world.bring("a", station, 4)  # 2 by second 2, nothing until 5, then 2 per second
    assert world.run() == [(6, "a", "done")]


def test_delay_follows_the_work_and_holds_up_nobody(world):
    station = world.station(Fifo)
    world.bring("a", station, 2, delay=10)
    world.bring("b", station, 2)
    assert world.run() == [(4, "b", "done"), (12, "a", "done")]


def test_a_bucket_lets_its_credit_through_and_fills_again(world):
    """Rate 2, burst 4: of 6 at once 4 pass and 2 take a second; two seconds later 4 are there again, less 2 since."""
    station = world.station(Fifo, 2.0, burst=4.0)
    for who, work, time in (("within", 4, 0), ("beyond", 2, 0), ("empty", 2, 1), ("rested", 4, 10), ("half", 4, 11)):
        world.bring(who, station, work, time)
    assert world.run() == [
        (0, "within", "done"), (1, "beyond", "done"), (2, "empty", "done"),
        (10, "rested", "done"), (12, "half", "done"),
    ]  # fmt: skip


def test_a_bucket_under_a_trace_is_the_same_bucket(world):
    station = world.station(Fifo, Trace([0, 5], [2, 2], 20, "wrap"), burst=4.0)
    for who, work, time in (("within", 4, 0), ("beyond", 2, 0), ("empty", 2, 1), ("rested", 4, 10), ("half", 4, 11)):
        world.bring(who, station, work, time)
    assert [time for time, _, _ in world.run()] == [0, 1, 2, 10, 12]


def test_a_ticket_says_when_service_began_and_ended(world):
    station = world.station(Fifo)
    first, second = station.submit(3.0), station.submit(2.0)
    assert [(t.start, t.finish) for t in (first, second)] == [(0, 3), (3, 5)]


def test_work_that_is_over_before_anybody_waits(world):
    station = world.station(Fifo)
    ticket = station.submit(1.0)

    def late():
        yield 5.0
        yield ticket
        world.note("late")

    world.env.start(late())
    assert world.run() == [(5, "late", "done")]


def test_two_stories_cannot_wait_for_one_ticket(world):
    ticket = world.station(Fifo).submit(1.0)

    def wait():
        yield ticket

    world.env.start(wait())
    with pytest.raises(RuntimeError, match="two stories wait for one ticket; join the stories instead"):
        world.env.start(wait())


# -- failures ------------------------------------------------------------------------------------------------------


@BOTH
def test_down_reaches_the_stories_at_the_time_of_failure(world, kind):
    station = world.station(kind)
    world.bring("gone", station, 0.5)
    world.bring("a", station, 5)
    world.bring("b", station, 5)
    lost = [(3, "a", "edge down at 3"), (3, "b", "edge down at 3")]
    assert world.run((3.0, station.fail)) == [(0.5 if kind is Fifo else 1.5, "gone", "done"), *lost]


@BOTH
def test_what_comes_while_it_is_down_hears_since_when_and_what_comes_later_is_served(world, kind):
    station = world.station(kind)
    world.bring("lost", station, 5)
    world.bring("refused", station, 1, 4)
    world.bring("later", station, 1, 6)
    assert world.run((3.0, station.fail), (5.0, station.restore)) == [
        (3, "lost", "edge down at 3"), (4, "refused", "edge down at 3"), (7, "later", "done"),
    ]  # fmt: skip


@BOTH
def test_a_story_may_try_again_on_the_spot(world, kind):
    station, other = world.station(kind), world.station(kind)

    def stubborn():
        try:
            yield station.submit(5.0)
        except NodeDown:
            yield other.submit(2.0)
        world.note("stubborn")

    world.env.start(stubborn())
    assert world.run((1.0, station.fail)) == [(3, "stubborn", "done")]


@BOTH
def test_nobody_waits_yet(world, kind):
    """A ticket that is lost before anybody yields it tells so to whoever does."""
    station = world.station(kind)
    ticket = station.submit(5.0)

    def late():
        yield 9.0
        try:
            yield ticket
        except NodeDown as down:
            world.note("late", str(down))

    world.env.start(late())
    assert world.run((2.0, station.fail)) == [(9, "late", '"edge" has been down since 2 s')]


@BOTH
def test_work_that_would_never_end_is_lost_as_well(world, kind):
    station = world.station(kind, 0.0)
    world.bring("a", station, 1)
    assert world.run((3.0, station.fail)) == [(3, "a", "edge down at 3")]


def test_what_is_sent_and_still_travels_is_not_lost(world):
    """A failing link loses what is on it; the last byte of a has left, and arrives."""
    station = world.station(Fifo)
    world.bring("a", station, 2, delay=10)
    world.bring("b", station, 2, delay=10)
    assert world.run((3.0, station.fail)) == [(3, "b", "edge down at 3"), (12, "a", "done")]


@BOTH
def test_a_station_forgets_what_it_lost(world, kind):
    station = world.station(kind)
    world.bring("lost", station, 100)
    world.bring("one", station, 1, 5)
    world.bring("two", station, 1, 50)
    log = world.run((3.0, station.fail), (4.0, station.restore), (20.0, station.fail), (40.0, station.restore))
    assert log == [(3, "lost", "edge down at 3"), (6, "one", "done"), (51, "two", "done")]


def test_a_link_says_that_it_is_a_link(world):
    station = Fifo(world.env, "uplink", Trace.of(1.0), LinkDown)
    station.fail()
    assert repr(station.submit(1.0).story) == "LinkDown('uplink', 0.0)"


# -- accounts ------------------------------------------------------------------------------------------------------


def account(world, station, times):
    seen = []
    for time in times:
        world.env.at(time, lambda: seen.append((station.busy(), station.waiting())))
    world.run()
    return seen


@BOTH
def test_busy_and_waiting_by_hand(world, kind):
    """Three jobs of 2 on two servers, from 1 on, and one of 1 at 8."""
    station = world.station(kind, servers=2)
    for who in "abc":
        world.bring(who, station, 2, 1)
    world.bring("d", station, 1, 8)
    seen = account(world, station, [0.5, 2.0, 3.5, 6.0, 8.5, 20.0])
    if kind is Fifo:  # two until 3, the third alone until 5
        assert seen == [(0, 0), (2, 3), (4.5, 1), (6, 0), (6.5, 1), (7, 0)]
    else:  # all three at two thirds until 4
        assert seen == [(0, 0), (2, 3), (5, 3), (6, 0), (6.5, 1), (7, 0)]


@BOTH
def test_lost_work_was_work(world, kind):
    station = world.station(kind)
    world.bring("a", station, 5)
    world.bring("b", station, 5)
    world.env.at(3.0, station.fail)
    world.env.at(7.0, station.restore)
    world.bring("c", station, 2, 8)
    assert account(world, station, [2, 4, 7.5, 9, 20]) == [(2, 2), (3, 0), (3, 0), (4, 1), (5, 0)]


@BOTH
def test_a_station_without_capacity_is_busy_all_the_same(world, kind):
    station = world.station(kind, 0.0)
    world.bring("a", station, 1, 1)
    world.env.at(5.0, station.fail)
    assert account(world, station, [4, 9]) == [(3, 1), (4, 0)]


@BOTH
def test_busy_under_a_trace_counts_the_stretch_at_zero(world, kind):
    station = world.station(kind, Trace([0, 2, 5], [1, 0, 2], 6, "hold"))
    world.bring("a", station, 4)
    assert account(world, station, [1, 4, 5.5, 9]) == [(1, 1), (4, 1), (5.5, 1), (6, 0)]


def test_a_part_of_a_bucket_s_credit_takes_no_time(world):
    station = world.station(Fifo, 2.0, burst=4.0)
    world.bring("a", station, 6)
    assert account(world, station, [0.5, 9]) == [(0.5, 1), (1, 0)]


def test_never_is_a_time():
    assert World().station(Fifo, 0.0).submit(1.0).finish == math.inf
