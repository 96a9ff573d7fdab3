"""``fixed-split``: one split point for the whole run, as a deployment without any adaptation has it."""

from __future__ import annotations

from pydantic import Field

from simulator.foundation.errors import PlacementError
from simulator.profiles.placement import Placement
from simulator.techniques.technique import Technique
from simulator.world.request import Request
from simulator.world.view import View


class FixedSplit(Technique):
    """Run the layers before ``split_point`` on the device and the rest on a server."""

    senses = "nothing"

    split_point: int = Field(ge=0)
    """Index of the first layer that does not run on the device; 0 = all away."""
    server: str | None = None
    """Name of the server; the nearest one that is up where none is given."""

    def place(self, view: View, request: Request | None = None) -> Placement:
        """Cut where the parameter says."""
        layers = len(view.model)
        if self.split_point > layers:
            raise PlacementError(
                f'split_point {self.split_point} is outside "{view.model.name}", which has {layers} layers '
                f"(0 = all on the server, {layers} = all on the device)"
            )
        if self.split_point == layers:
            return Placement.whole(view.source, layers)
        return Placement.split(
            view.source, self.server or view.nearest_server(self.split_point), self.split_point, layers
        )
