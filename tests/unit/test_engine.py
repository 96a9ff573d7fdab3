"""The clock: SimPy's own things work beside stories, in SimPy's own order."""

from __future__ import annotations

from collections import Counter

import pytest
import simpy

from simulator import Trace
from simulator.foundation.errors import NodeDown
from simulator.physics.engine import Environment
from simulator.physics.station import Fifo


def textbook(env, log):
    """A bit of everything SimPy has, most of it at the same instants."""
    desk = simpy.PriorityResource(env, capacity=1)
    pool, shelf = simpy.Container(env, 10, init=2), simpy.Store(env, 1)

    def customer(name, arrives, priority, stays):
        yield env.timeout(arrives)
        with desk.request(priority=priority) as turn:
            result = yield turn | env.timeout(4)
            log.append((env.now, name, "served" if turn in result else "gave up"))
            if turn in result:
                yield env.timeout(stays)

    def sleeper():
        for _ in range(3):
            try:
                yield env.timeout(3)
                log.append((env.now, "sleeper", "slept"))
            except simpy.Interrupt as interrupt:
                log.append((env.now, "sleeper", interrupt.cause))

    def waker(target):
        yield env.timeout(3)
        target.interrupt("at three")
        yield env.timeout(1)
        target.interrupt("at four")

    def maker():
        for number in range(3):
            yield shelf.put(number)
            yield pool.put(1)
            log.append((env.now, "made", number))

    def taker():
        yield env.timeout(1)
        for _ in range(3):
            got = yield shelf.get()
            log.append((env.now, "took", got))
            yield env.timeout(1)

    def patient():
        values = yield env.all_of([env.timeout(2, "x"), env.process(boss()), env.event().succeed("now")])
        log.append((env.now, "all", sorted(map(str, values.values()))))
        broken = env.event()
        broken.fail(ValueError("broken"))
        try:
            yield env.any_of([broken, env.timeout(1)])
        except ValueError as error:
            log.append((env.now, "any", str(error)))

    def boss():
        yield env.timeout(2)
        return "done"

    for i, (arrives, priority, stays) in enumerate([(0, 1, 3), (0, 1, 3), (1, 0, 2), (3, 0, 1), (3, 2, 9)]):
        env.process(customer(f"c{i}", arrives, priority, stays))
    env.process(waker(env.process(sleeper())))
    env.process(maker())
    env.process(taker())
    env.process(patient())


def played(env, drive):
    log: list[tuple] = []
    textbook(env, log)
    drive(env)
    return log


def by_steps(env):
    while env.peek() < float("inf"):
        env.step()


def by_pieces(env):
    for until in range(1, 30):
        env.run(until=until)


@pytest.mark.parametrize("drive", [lambda env: env.run(), by_steps, by_pieces])
def test_simpy_on_our_clock_is_simpy(drive):
    expected = played(simpy.Environment(), lambda env: env.run())
    assert len(expected) > 15
    assert played(Environment(), drive) == expected


def test_stories_and_processes_take_turns_in_the_order_they_asked():
    env, log = Environment(), []

    def story(name):
        for _ in range(3):
            yield env.now + 1.0
            log.append((env.now, name))

    def process(name):
        for _ in range(3):
            yield env.timeout(1.0)
            log.append((env.now, name))

    env.start(story("a"))
    env.process(process("b"))
    env.run(until=0)  # a process begins with an event, a story on the spot
    env.start(story("c"))
    env.run()
    assert log == [(float(time), name) for time in (1, 2, 3) for name in "abc"]


def test_a_story_may_yield_times_tickets_and_events():
    env, log = Environment(), []
    station, desk = Fifo(env, "edge", Trace.of(1.0), NodeDown), simpy.Resource(env)

    def process():
        with desk.request() as turn:
            yield turn
            yield env.timeout(4.5)

    def story():
        with desk.request() as turn:
            yield turn
            log.append(env.now)
        yield 5  # a whole number is a time as well
        log.append(env.now)
        log.append((yield env.timeout(1, "value")))
        yield station.submit(2.0)
        log.append(env.now)
        log.append((yield env.process(answer())))

    def answer():
        yield env.timeout(1)
        return env.now

    env.process(process())
    env.run(until=1)
    env.start(story())
    env.run()
    assert log == [4.5, 5, "value", 8, 9]


def test_an_event_that_is_over_does_not_hold_a_story_up():
    env, log = Environment(), []
    gone = env.timeout(1, "gone")

    def story():
        yield 2.0
        log.append(((yield gone), env.now))

    env.start(story())
    env.run()
    assert log == [("gone", 2)]


# -- run, until, step ----------------------------------------------------------------------------------------------


def ticking(env, log):
    while True:
        yield env.now + 1.0
        log.append(env.now)


def test_until_a_time_leaves_what_happens_then_for_later():
    env, log = Environment(), []
    env.start(ticking(env, log))
    env.run(until=3)
    assert (env.now, log) == (3, [1, 2])
    env.run(until=4.5)
    assert (env.now, log) == (4.5, [1, 2, 3, 4])
    with pytest.raises(ValueError, match=r"until \(2 s\) lies before now \(4.5 s\)"):
        env.run(until=2)


def test_until_an_event():
    env = Environment()
    event = env.timeout(2, "value")
    env.start(ticking(env, []))
    assert (env.run(until=event), env.now) == ("value", 2)
    assert (env.run(until=event), env.now) == ("value", 2)  # it is over: nothing more runs


def test_until_an_event_that_fails_raises_its_exception():
    env, event = Environment(), Environment().event()
    event = env.event()
    env.at(1.0, lambda: event.fail(KeyError("lost")))
    with pytest.raises(KeyError, match="lost"):
        env.run(until=event)


def test_until_an_event_that_never_happens():
    env = Environment()
    with pytest.raises(RuntimeError, match=r"the calendar is empty, but <Event\(\) object at .*> has not happened"):
        env.run(until=env.event())


def test_a_step_is_one_entry():
    env, log = Environment(), []
    env.start(ticking(env, log))
    env.at(0.5, lambda: log.append("called"))
    env.step()
    assert log == ["called"]
    env.step()
    assert log == ["called", 1]
    with pytest.raises(simpy.core.EmptySchedule):
        Environment().step()


def test_a_failure_that_nobody_meets_ends_the_run():
    env = Environment()
    env.event().fail(ValueError("nobody looked"))
    with pytest.raises(ValueError, match="nobody looked"):
        env.run()


# -- join ----------------------------------------------------------------------------------------------------------


def test_join_waits_for_the_last_and_brings_the_values():
    env, log = Environment(), []

    def part(seconds):
        yield env.now + seconds
        return seconds

    def whole():
        values = yield env.join([part(2.0), part(5.0), part(1.0)])
        log.append((env.now, [event.value for event in values.events]))
        yield env.join([])
        log.append(env.now)

    env.start(whole())
    env.run()
    assert log == [(5, [2, 5, 1]), 5]


def test_an_exception_of_one_part_meets_who_waits_for_all():
    env, log = Environment(), []

    def part(seconds, error):
        yield env.now + seconds
        log.append(seconds)
        if error:
            raise error

    def whole():
        try:
            yield env.join([part(2.0, None), part(1.0, KeyError("wrong")), part(3.0, None)])
        except KeyError as error:
            log.append((env.now, str(error)))

    env.start(whole())
    env.run()
    assert log == [1, (1, "'wrong'"), 2, 3]  # the others go on


def test_one_failure_may_strike_several_parts():
    env, log = Environment(), []
    station = Fifo(env, "edge", Trace.of(1.0), NodeDown)

    def part():
        yield station.submit(5.0)

    def whole():
        try:
            yield env.join([part(), part(), part()])
        except NodeDown as down:
            log.append((env.now, str(down)))

    env.start(whole())
    env.at(2.0, station.fail)
    env.run()
    assert log == [(2, '"edge" has been down since 2 s')]


@pytest.mark.parametrize("error", [KeyError("wrong"), NodeDown("edge", 1.0)])
def test_an_exception_of_a_part_that_nobody_waits_for_ends_the_run(error):
    env = Environment()

    def part():
        yield 1.0
        raise error

    env.join([part()])
    with pytest.raises(type(error)):
        env.run()


# -- what goes wrong in stories ------------------------------------------------------------------------------------


@pytest.mark.parametrize("nonsense", [None, "soon", [1.0], object])
@pytest.mark.parametrize("late", [False, True])
def test_a_story_that_yields_nonsense_is_told(nonsense, late):
    env = Environment()

    def story():
        if late:
            yield 1.0
        yield nonsense

    env.at(0.0, story())
    with pytest.raises(TypeError, match=r"a story yielded .*; it may yield a time \[s\], a Ticket or a SimPy event"):
        env.run()


def test_an_exception_in_a_story_ends_the_run_at_its_time():
    env = Environment()

    def story():
        yield 2.0
        raise ZeroDivisionError("bad")

    env.start(story())
    with pytest.raises(ZeroDivisionError, match="bad"):
        env.run()
    assert env.now == 2


def test_an_event_s_failure_is_thrown_into_the_story():
    env, log = Environment(), []
    event = env.event()

    def story():
        try:
            yield event
        except ValueError as error:
            log.append((env.now, str(error)))

    env.start(story())
    env.at(3.0, lambda: event.fail(ValueError("no")))
    env.run()
    assert log == [(3, "no")]


def test_tickets_of_a_station_in_the_order_they_were_made():
    env = Environment()
    one, other = (Fifo(env, name, Trace.of(1.0), NodeDown) for name in "ab")
    made = [one.submit(5.0), other.submit(1.0), one.submit(0.5)]
    assert env.tickets(one) == [made[0], made[2]]
    assert Counter(map(id, env.tickets(other))) == Counter([id(made[1])])
