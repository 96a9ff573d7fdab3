"""The clock: one SimPy ``Environment`` whose heap also takes stories, tickets and bare callables.

A *story* is a generator that yields what it waits for: a time (a float, absolute seconds), a station's ``Ticket``, or
any SimPy event. It is driven from the heap itself instead of by a ``simpy.Process``: the same ordering at about a
fifth of the cost (``docs/decisions/0001``). Ordinary SimPy processes and resources still work beside stories.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from heapq import heappop, heappush
from itertools import repeat
from types import GeneratorType
from typing import Any, TypeAlias, cast

import simpy
from simpy.core import EmptySchedule, StopSimulation

from simulator.foundation.errors import Down

Story: TypeAlias = Generator[Any, Any, Any]
"""The life of a request or a round: yields times [s], tickets and events; ``Down`` is thrown into it."""

NORMAL = 1  # SimPy's priority of ordinary events
DONE: Any = object()  # stands in ``Ticket.story`` where the work was done before anybody waited for it


class Ticket:
    """A place in a station: yield it to wait until the work is done.

    ``start`` and ``finish`` [s] hold when service began and ended; both are final once the story goes on.
    """

    __slots__ = ("finish", "start", "station", "story")

    def __init__(self, start: float, finish: float, station: object = None) -> None:
        """Keep when service begins and ends, as far as the station knows by now, and the station itself."""
        self.start = start
        self.finish = finish
        self.station = station
        self.story: Any = None  # who waits; DONE or a Down where it was over before anybody did


class Environment(simpy.Environment):
    """SimPy's environment plus stories; see the module's docstring."""

    def __init__(self, initial_time: float = 0.0) -> None:
        """Set the clock [s]."""
        super().__init__(initial_time)
        self.calendar: list[tuple[float, int, int, Any]] = cast("Any", self._queue)
        """SimPy's own heap of (time, priority, number, item)."""

    def at(self, time: float, item: Ticket | Story | Callable[[], None]) -> None:
        """Put *item* on the calendar: a ticket completes, a story goes on, a callable is called."""
        heappush(self.calendar, (time, NORMAL, next(self._eid), item))

    def start(self, story: Story) -> None:
        """Begin *story* now and run it to its first wait."""
        self._go_on(story)

    def join(self, stories: Iterable[Story]) -> simpy.Event:
        """Begin *stories* now; the event returned happens when all have ended.

        An exception that leaves a story fails the event, so the story that waits for it meets it.
        """
        return self.all_of([self._joined(story) for story in stories])

    def tickets(self, station: object) -> list[Ticket]:
        """Return the tickets of *station* that are on the calendar, in the order they were made.

        The calendar is the only list of them: failures are rare, and a list per station would cost every job.
        """
        found = [(entry[2], entry[3]) for entry in self.calendar if type(entry[3]) is Ticket]
        return [ticket for _, ticket in sorted(found, key=lambda e: e[0]) if ticket.station is station]

    def _joined(self, story: Story) -> simpy.Event:
        end = self.event()

        def run() -> Story:
            try:
                value = yield from story
            except Exception as error:  # handed to whoever waits; SimPy raises it if nobody does
                end.fail(error)
                end.defused = isinstance(error, Down)  # one failure may strike several; who waits meets the first
            else:
                end.succeed(value)

        self.start(run())
        return end

    def wake(self, ticket: Ticket) -> None:
        """Let the story that waits for *ticket* go on now (at once, not by the calendar)."""
        story, ticket.story = ticket.story, DONE
        if story is not None:
            self._go_on(story)

    def fail(self, ticket: Ticket, down: Down) -> None:
        """Throw *down* into the story that waits for *ticket*, or leave it for the story that will."""
        story, ticket.story = ticket.story, down
        if story is not None:
            self._handle(story, story.throw, down)

    def _go_on(self, story: Story) -> None:
        target = next(story, DONE)  # cheaper than send() and StopIteration
        if type(target) is Ticket and target.story is None:
            target.story = story
        elif type(target) is float:
            heappush(self.calendar, (target, NORMAL, next(self._eid), story))
        elif target is not DONE:
            self._wait(story, target)

    def _handle(self, story: Story, resume: Callable[[Any], Any], value: object) -> None:
        try:
            target = resume(value)
        except StopIteration:
            return
        self._wait(story, target)

    def _wait(self, story: Story, target: Any) -> None:
        if isinstance(target, Ticket):
            if isinstance(target.story, Down):  # refused on the spot, or lost since
                self._handle(story, story.throw, target.story)
            elif target.story is DONE:
                self._handle(story, story.send, None)
            elif target.story is None:
                target.story = story
            else:
                raise RuntimeError("two stories wait for one ticket; join the stories instead")
        elif isinstance(target, simpy.Event):
            if target.processed:
                self._resume_from(story, target)
            else:
                target.callbacks.append(lambda event: self._resume_from(story, event))
        elif isinstance(target, (int, float)):
            self.at(float(target), story)
        else:
            raise TypeError(f"a story yielded {target!r}; it may yield a time [s], a Ticket or a SimPy event")

    def _resume_from(self, story: Story, event: simpy.Event) -> None:
        if event.ok:
            self._handle(story, story.send, event.value)
        else:
            event.defused = True
            self._handle(story, story.throw, event.value)

    def _turn(self, turns: Iterator[None]) -> None:
        """Process one entry of the calendar per turn: the only loop of the program (it has ``_go_on`` inlined)."""
        queue, pop, push, eid, wait = self.calendar, heappop, heappush, self._eid, self._wait
        for _ in turns:
            try:
                self._now, _, _, item = pop(queue)
            except IndexError:
                raise EmptySchedule from None
            kind: type[Any] = type(item)
            story: Any = item
            if kind is Ticket:
                story, item.story = item.story, DONE
                if story is None:  # nobody waits yet
                    continue
                if type(story) is not GeneratorType:  # it was lost with its station
                    item.story = story
                    continue
            elif kind is not GeneratorType:
                self._process(item)
                continue
            target = next(story, DONE)
            if type(target) is Ticket and target.story is None:
                target.story = story
            elif type(target) is float:
                push(queue, (target, NORMAL, next(eid), story))
            elif target is not DONE:
                wait(story, target)

    def _process(self, item: Any) -> None:
        """Process what is neither a ticket nor a story: SimPy's own events, as SimPy does, and callables."""
        if not isinstance(item, simpy.Event):
            item()
            return
        callbacks: Any = item.callbacks
        item.callbacks = None  # type: ignore[assignment]
        for callback in callbacks:
            callback(item)
        if not item._ok and not item.defused:
            raise item._value

    def step(self) -> None:
        """Process the next entry (SimPy's hook, so that ``run(until=...)`` knows stories too)."""
        self._turn(repeat(None, 1))

    def run(self, until: simpy.Event | float | None = None) -> Any:
        """Run until the calendar is empty, a time [s], or an event (whose value is returned), as SimPy does."""
        if isinstance(until, simpy.Event) and until.processed:
            return until.value
        if until is not None:
            event = until if isinstance(until, simpy.Event) else self._stop_at(float(until))
            event.callbacks.append(StopSimulation.callback)
        try:
            self._turn(repeat(None))
        except StopSimulation as stop:
            return stop.args[0]
        except EmptySchedule:
            if isinstance(until, simpy.Event) and not until.triggered:
                raise RuntimeError(f"the calendar is empty, but {until!r} has not happened") from None
        return None

    def _stop_at(self, time: float) -> simpy.Event:
        if time < self.now:
            raise ValueError(f"until ({time:g} s) lies before now ({self.now:g} s)")
        stop = simpy.Event(self)
        stop._ok, stop._value = True, None
        heappush(self.calendar, (time, 0, next(self._eid), stop))
        return stop
