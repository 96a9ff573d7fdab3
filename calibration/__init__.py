"""Turn hardware into tables: layer profiles, device rates and the facts of the machine they were taken on.

The only package of the project that may use PyTorch, and it does so late: importing ``calibration`` (and therefore
``offing --help``) works without it. Floors, lowest first::

    zoo, networks           which models exist by name, and their plain-torch code
    operators, graph        the layer graph: classes, sizes, FLOP, valid cuts
    ticks, machine          one clock read per layer; what machine this is
    profiler                rounds, retries and the additivity gate
    loading                 load time and first call, in fresh processes
    store                   the files of a profile, written whole or not at all
    commands                the verb ``offing profile``
    keras, measured, fit    device rates from third-party block times or from own profiles (no torch)
"""

from __future__ import annotations

from calibration.fit import Fit, fit_rates, samples_of, samples_of_profile
from calibration.measured import read_scission
from calibration.zoo import ZOO, Recipe, resolve

__all__ = ["ZOO", "Fit", "Recipe", "fit_rates", "read_scission", "resolve", "samples_of", "samples_of_profile"]
