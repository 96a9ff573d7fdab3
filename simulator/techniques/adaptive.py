"""``adaptive``: look now and then, and repartition when that promises enough.

The adaptive deployment that "The Case for Adaptive Deep Neural Networks in Edge Computing" (McNamee et al., IEEE CLOUD
2021) asks about: the best cut is deployed; when conditions have moved so far that another cut promises a gain, it
takes over. What the paper leaves open is a parameter here and labelled ours: how often to look, and the gain that is
worth a change.

A change of partition has a price, and NEUKONFIG (Abdul Majeed et al., 2021, arXiv 2106.15689) measured it, from
outside and for one service, when the speed of the network changed: 6 s with pause-and-resume, 0.6 s when a second
pipeline is made in the memory of the first and then switched to, below 1 ms when a second pipeline always runs, in
twice the memory. Those are the defaults (published; their network and machines are not this scenario's). With
``cost: profile`` the price is made up from the profile instead: loading the weights and the first run, while requests
wait (pause-resume) or while the old pipeline serves on (cold standby); switching over then costs what a hot standby's
switch does. Requests under way finish where they began.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from simulator.foundation.units import Period, Seconds, Share
from simulator.profiles.placement import Placement, Redeployment
from simulator.techniques.technique import Technique
from simulator.world.request import Request
from simulator.world.view import View


class Adaptive(Technique):
    """Repartition when the bandwidth or the load, as sensed, promises enough gain."""

    senses = "last-transfer"

    every: Period = 5.0
    """Time between two looks [s]; ours, the paper gives none."""
    threshold: Share = Field(default=0.1, lt=1.0)
    """Part of the predicted latency that a change must save; ours, the paper gives none."""
    switch: Literal["pause-resume", "cold-standby", "hot-standby"] = "cold-standby"
    """How a new partition takes over."""
    cost: Literal["neukonfig", "profile"] = "neukonfig"
    """Where the price of that comes from: NEUKONFIG's measurements, or load time and first call in the profile."""
    pause_resume: Seconds = 6.0
    """Downtime of pause-and-resume [s]; NEUKONFIG's abstract, published."""
    cold_standby: Seconds = 0.6
    """Downtime of a switch in the memory of one pipeline [s]; NEUKONFIG's abstract, published."""
    hot_standby: Seconds = 1e-3
    """Downtime of a switch to a pipeline that runs already [s]; NEUKONFIG's abstract says "below 1 ms", published."""

    def copies(self) -> int:
        """Keep everything twice where a standby always runs."""
        return 2 if self.switch == "hot-standby" else 1

    def place(self, view: View, request: Request | None = None) -> Placement:
        """Begin with the fastest."""
        return view.fastest(view.splits())

    def adapt(self, view: View, current: Placement) -> Redeployment | None:
        """Change to the fastest if it saves enough."""
        better = view.fastest(view.splits())
        before, after = view.latency(current), view.latency(better)
        if better == current or not after < (1.0 - self.threshold) * before:
            return None
        if self.cost == "profile" and self.switch != "hot-standby":
            ready = view.deploy_seconds(better)
            if self.switch == "pause-resume":
                return Redeployment(better, downtime=ready)
            return Redeployment(better, downtime=self.hot_standby, lead=ready)
        prices = {
            "pause-resume": self.pause_resume, "cold-standby": self.cold_standby, "hot-standby": self.hot_standby,
        }  # fmt: skip
        return Redeployment(better, downtime=prices[self.switch])
