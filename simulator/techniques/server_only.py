"""``server-only``: the input is sent away and everything runs on a server. The other classic baseline."""

from __future__ import annotations

from simulator.profiles.placement import Placement
from simulator.techniques.technique import Technique
from simulator.world.request import Request
from simulator.world.view import View


class ServerOnly(Technique):
    """Run every layer on one server."""

    senses = "nothing"

    server: str | None = None
    """Name of the server; the nearest one that is up where none is given."""

    def place(self, view: View, request: Request | None = None) -> Placement:
        """Send everything to the server."""
        return Placement.whole(self.server or view.nearest_server(), len(view.model))
