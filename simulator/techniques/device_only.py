"""``device-only``: everything runs on the device. The baseline of every offloading study."""

from __future__ import annotations

from simulator.techniques.technique import Technique


class DeviceOnly(Technique):
    """Run every layer on the device (the empty technique, under its own name)."""

    senses = "nothing"
