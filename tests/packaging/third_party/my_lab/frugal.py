"""FrugalSplit: least device energy within a latency budget."""

from simulator import Placement, Request, Seconds, Technique, View


class FrugalSplit(Technique):
    """Take the split that costs the device least energy and is still in time; else the fastest."""

    budget: Seconds = 0.2
    """End-to-end latency allowed per request [s]."""

    def place(self, view: View, request: Request | None = None) -> Placement:
        """Decide the split."""
        options = view.splits(request)
        in_time = [option for option in options if view.latency(option) <= self.budget]
        return min(in_time, key=view.device_energy) if in_time else min(options, key=view.latency)
