"""``Technique``: the decisions a system makes, as frozen parameters and hooks with neutral defaults.

The empty technique is the classic baseline (all on the device; the whole model trained on each client; wait for
repair), so two techniques differ in their decisions only. Fields are parameters: validated, hashable, written with
units in YAML. State of one run (an average, a bandit's counts) lives in underscore attributes::

    class Counter(Technique):
        _seen: int = PrivateAttr(default=0)

A run works on a fresh copy (:meth:`Technique.start`), so parameters stay frozen and runs stay independent.
Techniques see ``view`` and plain data; only story steps (``serve``, ``run_round`` ...) see the cluster.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, PrivateAttr

from simulator.physics.engine import Story
from simulator.profiles.placement import Failure, Migration, Placement, Recovery, Redeployment, TrainingPlan
from simulator.world.cluster import Cluster
from simulator.world.request import Request
from simulator.world.view import View


class Technique(BaseModel):
    """Base of all techniques; every hook is optional."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    asks: ClassVar[Literal["view", "request"]] = "view"
    """When ``place`` is asked: each time what the view shows has changed, or at each request."""
    senses: ClassVar[Literal["oracle", "last-transfer", "nothing"]] = "oracle"
    """How bandwidth is known where the scenario's ``knowledge:`` does not say; what is in force stands in the table.
    One that senses nothing decides the same whatever is known, so that no probes and reports are sent for it."""
    clairvoyant: ClassVar[bool] = False
    """Whether it sees the truth, and the traces to come, whatever ``knowledge:`` says: a bound, not a policy."""
    _rng: np.random.Generator = PrivateAttr()

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Refuse what would be passed over in silence.

        Raises:
            TypeError: if ``asks`` or ``senses`` is none of the words known.
        """
        for field, known in (("asks", ("view", "request")), ("senses", ("oracle", "last-transfer", "nothing"))):
            if getattr(cls, field) not in known:
                raise TypeError(f"{cls.__name__}.{field} is {getattr(cls, field)!r}; it can be {' or '.join(known)}")

    def start(self, rng: np.random.Generator) -> Self:
        """Return who decides during one run: a fresh copy of this technique that owns *rng*."""
        fresh = type(self)(**{name: getattr(self, name) for name in type(self).model_fields})
        fresh._rng = rng
        return fresh

    # -- inference -----------------------------------------------------------------------------------------------

    def place(self, view: View, request: Request | None = None) -> Placement:
        """Answer what runs where; reading *request* needs ``asks = "request"`` in the class."""
        return Placement.whole(view.source, len(view.model))

    def adapt(self, view: View, current: Placement) -> Redeployment | None:
        """Answer a new placement for a device from now on, or None to stay.

        Asked every ``every`` seconds where the technique has a parameter of that name (``every: Period = 5.0``).
        """
        return None

    def copies(self) -> int:
        """Answer how many instances of its layers each node keeps in memory: 2 where a standby always runs."""
        return 1

    def leaves(self, request: Request, exit_index: int, view: View) -> bool:
        """Answer whether a request leaves the network at an early exit."""
        return False

    def choose_variant(self, node: str, view: View) -> str | None:
        """Answer which variant of the model a node should hold, or None for the present one."""
        return None

    def recover(self, failure: Failure, view: View) -> Recovery:
        """Answer what to do about a failure a request met; the default waits for the repair.

        A handover is one too (``failure.kind``); the default then goes on at once by the new way.
        """
        return Recovery()

    def serve(self, request: Request, cluster: Cluster) -> Story | None:
        """Return the whole story of a request, or None for the house's own (``workloads/inference.py``)."""
        return None

    # -- training ------------------------------------------------------------------------------------------------

    def plan_round(self, number: int, clients: tuple[str, ...], view: View) -> dict[str, TrainingPlan]:
        """Answer how each client trains in round *number*: the whole model on each."""
        return {client: TrainingPlan(split_point=len(view.model)) for client in clients}

    def select(self, clients: tuple[str, ...], view: View) -> tuple[str, ...]:
        """Answer which clients take part in a round."""
        return clients

    def on_update(self, client: str, update: object, view: View) -> bool:
        """Answer whether to aggregate now that *client*'s update has come, before the barrier."""
        return False

    def migrate(self, move: object, view: View) -> Migration:
        """Answer what a client does that changes its server in the middle of a round."""
        return Migration()

    def run_round(self, number: int, cluster: Cluster) -> Story | None:
        """Return the whole story of a round, or None for the house's own."""
        return None

    def aggregate(self, number: int, cluster: Cluster) -> Story | None:
        """Return the story of an aggregation, or None for upload, average, broadcast."""
        return None

    def training_step(self, client: str, plan: TrainingPlan, cluster: Cluster) -> Story | None:
        """Return the story of a training step, or None for forward, up, server, down, backward, step."""
        return None

    # -- both ----------------------------------------------------------------------------------------------------

    def learn(self, outcome: Any) -> None:
        """Take in how it went: a ``RequestRow`` after each request, a round's outcome after each round."""


def overrides(technique: Technique, hook: str) -> bool:
    """Return whether *technique* has its own *hook* (a default costs nothing if it is never called)."""
    return getattr(type(technique), hook) is not getattr(Technique, hook)
