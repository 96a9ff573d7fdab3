"""Work stations: how a processor or a channel serves work. Everything that takes time in a run passes through here.

``submit(work)`` returns a ``Ticket``; yield it to wait. ``Fifo`` never holds a queue: the finish time of a job is
known when it arrives, from one float (or one per server) and the capacity trace, exact and a hundred times cheaper
than a ``simpy.Resource``. ``Shared`` is processor sharing in virtual time with one timer. A station that fails throws
``NodeDown`` or ``LinkDown`` into every story that waits for it; the calendar entries left behind find nobody.

Source: Lindley (1952) for the FIFO recursion, in the capacity domain ``C(t)`` = integral of capacity:
``F = max(F, C(t) - burst) + work`` and ``finish = min{t' : C(t') >= F}``, where ``burst`` is the credit of a token
bucket (zero for none).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from heapq import heappop, heappush, heapreplace
from typing import Protocol

from simulator.foundation.errors import Down
from simulator.physics.engine import Environment, Ticket
from simulator.profiles.trace import Trace


class Station(Protocol):
    """What every station can do."""

    capacity: Trace
    """Work per second over time."""
    up: bool

    def submit(self, work: float, delay: float = 0.0) -> Ticket:
        """Admit *work* now; the ticket completes *delay* after it is done, or fails with the station before that."""

    def fail(self) -> None:
        """Go down: all work admitted and not done is lost, its stories meet ``Down``."""

    def restore(self) -> None:
        """Come up again, empty."""

    def busy(self) -> float:
        """Return the time in service until now, summed over servers [s], work later lost included."""

    def admitted(self) -> float:
        """Return the time in service of all work admitted until now, that to come included [s over all servers]."""

    def waiting(self) -> int:
        """Return how many jobs are admitted and not done."""


class _Base:
    """What both disciplines share: being down, and who waits."""

    __slots__ = ("_served", "capacity", "down", "env", "name", "since", "up")

    def __init__(self, env: Environment, name: str, capacity: Trace, down: Callable[[str, float], Down]) -> None:
        self.env = env
        self.name = name
        self.capacity = capacity
        self.down = down
        self.up = True
        self._served = 0.0
        self.since = 0.0  # when it went down last [s]

    def refusal(self) -> Ticket:
        """Return the ticket of a job that meets a station that is down: whoever waits for it meets ``Down``."""
        ticket = Ticket(self.env.now, math.inf)
        ticket.story = self.down(self.name, self.since)
        return ticket


class Fifo(_Base):
    """First in, first out, on ``servers`` equal servers, each at the capacity of the trace."""

    __slots__ = ("_free", "_never", "_next", "_rate", "burst", "servers")

    def __init__(
        self,
        env: Environment,
        name: str,
        capacity: Trace,
        down: Callable[[str, float], Down],
        servers: int = 1,
        burst: float = 0.0,
    ) -> None:
        """Take the clock, a name for errors, the capacity of one server, and the credit of a token bucket [work]."""
        super().__init__(env, name, capacity, down)
        self.servers = servers
        self.burst = burst
        self._rate = capacity.constant or 0.0
        self._next = -math.inf  # when the one server is free [s]; under a trace, the ``F`` it has admitted [work]
        self._free = [-math.inf] * servers if servers > 1 else None  # the same of several servers, a heap
        self._never: tuple[Ticket, ...] = ()  # jobs that would never end, so that they are on no calendar

    def submit(self, work: float, delay: float = 0.0) -> Ticket:
        """Admit *work* now; its finish is known at once, and the ticket completes *delay* after it."""
        env = self.env
        now = env._now
        if not self.up:
            return self.refusal()
        rate = self._rate
        free = self._free
        if rate:  # a constant: the recursion in time itself, which is exact to the last bit
            start = self._next if free is None else free[0]
            earliest = now - self.burst / rate if self.burst else now
            if start < earliest:
                start = earliest
            finish = start + work / rate
            if free is None:
                self._next = finish
            else:
                heapreplace(free, finish)
            if start < now:
                start = now
                if finish < now:  # wholly within the burst
                    finish = now
        else:
            start, finish = self._submit_under_trace(now, work)
            if finish == math.inf:
                ticket = Ticket(start, finish, self)
                self._never += (ticket,)
                return ticket
        ticket = Ticket(start, finish, self)
        self._served += finish - start
        heappush(env.calendar, (finish + delay, 1, next(env._eid), ticket))
        return ticket

    def _submit_under_trace(self, now: float, work: float) -> tuple[float, float]:
        capacity = self.capacity
        before = self._next if self._free is None else self._free[0]
        admitted = max(before, capacity.integral(now) - self.burst)
        if self._free is None:
            self._next = admitted + work
        else:
            heapreplace(self._free, admitted + work)
        start = max(now, capacity.when(admitted))
        finish = max(start, capacity.when(admitted + work)) if work > 0 else start
        return start, finish

    def fail(self) -> None:
        """Go down: what is admitted and not done is lost."""
        now = self.env.now
        self.up, self.since = False, now
        lost = self._pending()
        self._served = self.busy()
        self._never = ()
        self._next = -math.inf
        self._free = [-math.inf] * self.servers if self.servers > 1 else None
        down = self.down(self.name, now)
        for ticket in lost:
            self.env.fail(ticket, down)

    def _pending(self) -> list[Ticket]:
        now = self.env.now
        tickets = [
            ticket for ticket in self.env.tickets(self) if ticket.finish > now and not isinstance(ticket.story, Down)
        ]
        return [*tickets, *self._never]

    def restore(self) -> None:
        """Come up again, empty."""
        self.up = True

    def busy(self) -> float:
        """Return the time in service until now, summed over servers [s]."""
        now = self.env.now
        last = self._next if self._free is None else max(self._free)
        if last <= now and self._rate:
            return self._served
        ahead = math.fsum(
            ticket.finish - max(ticket.start, now) for ticket in self._pending() if ticket.finish < math.inf
        )
        return self._served - ahead + math.fsum(max(0.0, now - ticket.start) for ticket in self._never)

    def admitted(self) -> float:
        """Return the time in service of all admitted work, that to come included [s] (infinite if it never ends)."""
        return math.inf if self._never else self._served

    def waiting(self) -> int:
        """Return how many jobs are admitted and not done."""
        return len(self._pending())

    def free(self) -> float:
        """Return when a server is free of what was admitted [s] (infinite where never; in the past where it is now)."""
        first = self._next if self._free is None else self._free[0]
        return first if self._rate or first == -math.inf else self.capacity.when(first)


class SharedTicket(Ticket):
    """A ticket that also says how much of a server's time the job had [s], for it may have had to share it."""

    __slots__ = ("occupied",)

    occupied: float


class Shared(_Base):
    """Processor sharing: up to ``servers`` jobs run at full capacity, more share it equally.

    Virtual time ``V`` is the work each present job has received; a job of *work* ends when ``V`` has grown by it.
    """

    __slots__ = ("_at", "_count", "_jobs", "_occupancy", "_timer", "_virtual", "servers")

    def __init__(
        self, env: Environment, name: str, capacity: Trace, down: Callable[[str, float], Down], servers: int = 1
    ) -> None:
        """Take the clock, a name for errors, the capacity of one server, and how many jobs run unslowed."""
        super().__init__(env, name, capacity, down)
        self.servers = servers
        self._virtual = 0.0
        self._occupancy = 0.0  # server seconds that each present job has had
        self._at = 0.0  # when ``_virtual`` was last brought up to date [s]
        self._jobs: list[tuple[float, int, SharedTicket]] = []
        self._count = 0
        self._timer = 0  # number of the newest timer; older ones on the calendar are stale

    def submit(self, work: float, delay: float = 0.0) -> Ticket:
        """Admit *work* now; it slows the others, and they it (a processor has no *delay*)."""
        if not self.up:
            return self.refusal()
        self._advance()
        ticket = SharedTicket(self.env.now, math.inf, self)
        ticket.occupied = -self._occupancy
        self._count += 1
        heappush(self._jobs, (self._virtual + work, self._count, ticket))
        self._set_timer()
        return ticket

    def _advance(self) -> None:
        now = self.env.now
        jobs = len(self._jobs)
        if jobs and now > self._at:
            done = self.capacity.integral(now) - self.capacity.integral(self._at)
            self._virtual += done * min(1.0, self.servers / jobs)
            self._occupancy += (now - self._at) * min(1.0, self.servers / jobs)
            self._served += (now - self._at) * min(jobs, self.servers)
        self._at = now

    def _set_timer(self) -> None:
        self._timer += 1
        if not self._jobs:
            self._virtual = 0.0  # an idle station forgets, so that rounding never piles up
            return
        left = max(0.0, self._jobs[0][0] - self._virtual) * max(1.0, len(self._jobs) / self.servers)
        finish = self.capacity.finish(self.env.now, left)
        if math.isfinite(finish):
            mine = self._timer
            self.env.at(finish, lambda: self._complete(mine))

    def _complete(self, timer: int) -> None:
        if timer != self._timer:
            return
        self._advance()
        jobs = self._jobs
        done = [heappop(jobs)[2]]
        slack = 1e-12 * max(1.0, abs(self._virtual))
        while jobs and jobs[0][0] <= self._virtual + slack:
            done.append(heappop(jobs)[2])
        self._set_timer()
        for ticket in done:
            ticket.finish = self.env.now
            ticket.occupied += self._occupancy
            self.env.wake(ticket)

    def fail(self) -> None:
        """Go down: all jobs present are lost."""
        self._advance()
        self.up, self.since = False, self.env.now
        lost = [ticket for _, _, ticket in sorted(self._jobs, key=lambda job: job[1])]
        self._jobs.clear()
        self._set_timer()
        down = self.down(self.name, self.since)
        for ticket in lost:
            self.env.fail(ticket, down)

    def restore(self) -> None:
        """Come up again, empty."""
        self.up = True
        self._at = self.env.now

    def busy(self) -> float:
        """Return the time in service until now, summed over servers [s]."""
        self._advance()
        return self._served

    def admitted(self) -> float:
        """Return the time in service of all work admitted until now, that to come included, all servers at work."""
        self._advance()
        left = math.fsum(max(0.0, target - self._virtual) for target, _, _ in self._jobs)
        now = self.env.now
        return self._served + self.servers * (self.capacity.finish(now, left / self.servers) - now if left else 0.0)

    def waiting(self) -> int:
        """Return how many jobs are present."""
        return len(self._jobs)
