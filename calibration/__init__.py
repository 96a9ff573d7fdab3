"""Turn hardware into tables, and hold the tables against reality.

The only package of the project that may use PyTorch, and it does so late: importing ``calibration`` (and therefore
``offing --help``) works without it. The folder, lowest floor first::

    zoo, networks/   which models exist by name, and their plain-torch code
    profiling/       the layer graph and one clock read per layer: ``offing profile``
    measured/        other people's measurements, one module per set (no torch)
    devices/         rates and predictions for machines that were not profiled (no torch)
    worlds/          the fits behind the shipped networks, loads and outages (no torch)
"""

from __future__ import annotations

from calibration.devices.fit import Fit, fit_rates, samples_of, samples_of_profile
from calibration.measured.scission import read_scission
from calibration.zoo import ZOO, Recipe, resolve

__all__ = ["ZOO", "Fit", "Recipe", "fit_rates", "read_scission", "resolve", "samples_of", "samples_of_profile"]
