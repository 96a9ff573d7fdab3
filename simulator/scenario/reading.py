"""How a recording that a scenario names is to be read: the same words wherever one may stand."""

from __future__ import annotations

from simulator.profiles.trace import End
from simulator.scenario.entry import Entry
from simulator.traces.format import Request


class ReadingEntry(Entry):
    """What all entries that name a recording have in common."""

    format: str | None = None
    """Of the file, where more than one fits; ``offing traces formats`` lists them."""
    member: str | None = None
    """Which file of an archive."""
    series: str | None = None
    """Which of several tables in it: an operator, a run, a machine."""
    repair: bool = False
    """Mend what the format does not explain, instead of refusing it."""

    time: str | None = None
    """Name of the column of times, in a CSV of your own; with ``value``, its columns are taken by their names."""
    value: str | None = None
    """Name of the column of values there."""

    def request(
        self, kind: str | None, unit: str | None = None, step: float | None = None, end: End | None = None
    ) -> Request:
        """Return what is wanted of the file: a recording of *kind*, and what else the file may not say."""
        return Request(kind, self.format, unit, end, self.member, self.series, step, self.repair, self.time, self.value)
