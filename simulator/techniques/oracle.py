"""``oracle``: the least latency with everything known, to show what better knowledge could gain.

It sees the layer times, the background load and the bandwidth as they are and will be, and the queues it would join;
it decides for each request anew and pays nothing for changing its mind. So as not to win a millisecond for a request
and lose ten for those behind it, it also counts what a request is expected to delay them by. What it does not see:
how one request's repeats will vary from the median, when others will come, and how fair-shared links and processors
will be shared (it takes those as if it were alone). Alone on FIFO stations and without variability it is exact, so
nobody beats it there on a request; where requests queue it is a good bound and not a proof.
"""

from __future__ import annotations

from simulator.profiles.placement import Placement
from simulator.techniques.technique import Technique
from simulator.world.request import Request
from simulator.world.view import View


class Oracle(Technique):
    """Take the placement that will be fastest, knowing the traces to come and the queues."""

    asks = "request"
    clairvoyant = True

    def place(self, view: View, request: Request | None = None) -> Placement:
        """Take the fastest of all placements that fit, counting what it delays others by."""
        return view.fastest(view.splits(request), kind=True)
