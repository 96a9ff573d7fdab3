"""Every error Offing raises, so that a newcomer sees all failures on one page.

::

    OffingError
    ├── ScenarioError      a scenario is wrong; holds every problem found, each with file, line and key
    ├── UnitError          a quantity without a unit, or with one that does not fit
    ├── TraceError         a recording cannot be read or replayed
    ├── ProfileError       a model or hardware profile is missing, malformed or used outside its range
    ├── PlacementError     a technique placed layers where they cannot run
    ├── KnowledgeError     a technique read what it did not declare (``knowledge:``, ``asks``)
    ├── RegistryError      no technique or command of that name, or two of one name
    ├── ResultsError       a saved run cannot be written or read
    └── Down               work in flight is lost; thrown into the story that waits for it
        ├── NodeDown
        └── LinkDown

All of them mean "the input is wrong" to the command line (exit code 2, no traceback), except ``Down``,
which stories catch.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class OffingError(Exception):
    """Base of all errors that are meant for the user's eyes."""


class ScenarioError(OffingError):
    """A scenario is wrong. ``problems`` holds one sentence per problem, all of those found."""

    def __init__(self, *problems: str) -> None:
        """Take the sentences; they are shown one per line."""
        super().__init__(*problems)
        self.problems = problems

    def __str__(self) -> str:
        """One problem per line."""
        return "\n".join(self.problems)


class UnitError(OffingError, ValueError):
    """A quantity without a unit, with an unknown unit, or outside its range."""


class TraceError(OffingError, ValueError):
    """A recording cannot be read, or cannot be replayed as asked."""


class ProfileError(OffingError):
    """A model or hardware profile is missing, malformed, or asked for what it does not hold."""


class PlacementError(OffingError):
    """A technique placed layers where they cannot run."""


class KnowledgeError(OffingError):
    """A technique read a thing it has not declared to know."""


class RegistryError(OffingError):
    """No technique, command or format of that name, or two of one name."""


class ResultsError(OffingError):
    """A saved run cannot be written or read."""


class Down(OffingError):
    """Work in flight was lost because ``name`` went down at ``time`` [s]."""

    def __init__(self, name: str, time: float) -> None:
        """Keep both arguments in ``args``: SimPy rebuilds exceptions from them."""
        super().__init__(name, time)
        self.name = name
        self.time = time

    def __str__(self) -> str:
        """Say what is down and since when."""
        return f'"{self.name}" has been down since {self.time:g} s'


class NodeDown(Down):
    """A node failed while the story waited for its work, or was asked while it was down."""


class LinkDown(Down):
    """A link failed while a transfer was under way, or was asked while it was down."""


def did_you_mean(name: object, known: Iterable[str]) -> str:
    """Return ``' Did you mean "x"?'`` where a near name exists (mbit/s for Mbit/s too), else an empty string."""
    names = {each.lower(): each for each in known}
    near = difflib.get_close_matches(str(name).lower(), names, n=1, cutoff=0.6)
    return f' Did you mean "{names[near[0]]}"?' if near else ""
