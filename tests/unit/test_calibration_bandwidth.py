"""The fit of synthetic bandwidth: statistics by hand, known parameters found again, what we ship against reality."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from support import recordings as third_party

from calibration.worlds.bandwidth import (
    MBIT,
    SETS,
    as_yaml,
    comparison,
    fit,
    recordings,
    statistics,
    transfer_times,
    wifi,
)
from simulator import Trace
from simulator.foundation.errors import TraceError
from simulator.profiles.library import shipped
from simulator.traces.copula import Outages
from simulator.traces.generator import find_generator

FOLDER = shipped() / "networks"
SIZES = {"3g": 1e6, "4g": 10e6, "5g-walking": 100e6, "5g-driving": 100e6}
"""Bytes of the transfers compared: some seconds each."""


def test_statistics_by_hand():
    first = Trace([0.0, 1.0, 3.0, 4.0], [4.0, 0.0, 0.0, 8.0], 6.0, "wrap")
    second = Trace([0.0, 2.0], [2.0, 0.0], 4.0, "wrap")
    found = statistics([first, second])
    assert found.seconds == 10
    assert found.mean == pytest.approx((4 + 16 + 4) / 10)
    assert found.variation == pytest.approx(np.std([4, 0, 0, 0, 8, 8, 2, 2, 0, 0]) / 2.4)
    assert found.quantiles == (0, 0, 0, 4, 8)
    assert found.zero == pytest.approx(0.5)
    assert found.outages == (2, 3)
    pairs = [(4, 0), (0, 0), (0, 0), (0, 8), (8, 8), (2, 2), (2, 0), (0, 0)]
    covariance = np.mean([(a - 2.4) * (b - 2.4) for a, b in pairs])
    assert found.memory[0] == pytest.approx(covariance / np.var([4, 0, 0, 0, 8, 8, 2, 2, 0, 0]))
    assert np.isnan(found.memory[2])  # none of them lasts 20 s


def test_transfers_begin_at_random_and_wrap():
    constant = Trace([0.0], [10.0], 5.0, "wrap")
    assert transfer_times([constant], 25.0, 50, np.random.default_rng(0)) == pytest.approx(np.full(50, 2.5))
    half = Trace([0.0, 1.0], [10.0, 0.0], 2.0, "wrap")  # 5 B: up to 1.5 s, depending on the begin
    times = transfer_times([half], 5.0, 20000, np.random.default_rng(0))
    # begun in the first half second 0.5 s; later in the first second 1.5 s; else until the next lap and 0.5 s
    assert times.mean() == pytest.approx((0.5 * 0.5 + 0.5 * 1.5 + 1.0 * 1.0) / 2, rel=0.02)


def test_the_fit_finds_the_parameters_of_a_known_generator():
    real = SETS[1]
    known = replace(find_generator("4g", FOLDER), share=0.3, fast=2.0, slow=60.0, outages=Outages(0.05, 4.0, 0.7))
    traces = [known.generate(np.random.default_rng(seed), 1200.0) for seed in range(150)]
    found = fit(real, traces)
    assert found.outages.share == pytest.approx(0.05, rel=0.1)
    assert found.outages.mean == pytest.approx(4.0, rel=0.1)
    assert found.outages.spread == pytest.approx(0.7, rel=0.1)
    assert found.share == pytest.approx(0.3, abs=0.05)
    assert found.fast == pytest.approx(2.0, rel=0.25)
    assert found.slow == pytest.approx(60.0, rel=0.15)
    for (share, level), (_, recorded) in zip(found.levels, known.levels, strict=True):
        if 0.05 <= share <= 0.95:
            assert level == pytest.approx(recorded, rel=0.06), share
    assert found.source.startswith("fitted to 150 recordings, 180000 s: van der Hooft")


def test_what_we_ship_for_wifi_is_what_the_reasons_give():
    assert (FOLDER / "wifi.yaml").read_text(encoding="utf-8") == as_yaml(wifi())
    generator = find_generator("wifi", FOLDER)
    assert max(level for _, level in generator.levels) == pytest.approx(0.6 * 130 * MBIT)
    assert generator.outages.share == pytest.approx(0.0062, abs=1e-4)  # 2.5 deviations below the middle


def test_no_recordings_is_an_error(tmp_path):
    with pytest.raises(TraceError, match=r"no report\.\*\.json in bandwidth/norway"):
        recordings(SETS[0], tmp_path)


@pytest.mark.data
@pytest.mark.parametrize("real", SETS, ids=lambda real: real.name)
def test_what_we_ship_is_what_a_fit_gives(real):
    traces = recordings(real, third_party("bandwidth").parent)
    assert (FOLDER / f"{real.name}.yaml").read_text(encoding="utf-8") == as_yaml(fit(real, traces))


@pytest.mark.data
@pytest.mark.parametrize("real", SETS, ids=lambda real: real.name)
def test_generated_traces_behave_as_the_recorded_ones(real):
    recorded = recordings(real, third_party("bandwidth").parent)
    generator = find_generator(real.name, FOLDER)
    generated = [generator.generate(np.random.default_rng(seed), 600.0) for seed in range(1000)]
    table = comparison(recorded, generated, SIZES[real.name])
    assert generator.mean / MBIT == pytest.approx(table.recorded["mean (Mbit/s)"], rel=0.01)
    tolerances = pd.DataFrame(
        [
            ("mean (Mbit/s)", 0.06, 0.0),
            ("coefficient of variation", 0.03, 0.0),
            ("5 % of time below (Mbit/s)", 0.25, 0.0),
            ("25 % of time below (Mbit/s)", 0.15, 0.0),
            ("50 % of time below (Mbit/s)", 0.10, 0.0),
            ("75 % of time below (Mbit/s)", 0.10, 0.0),
            ("95 % of time below (Mbit/s)", 0.10, 0.0),
            ("autocorrelation, 1 s", 0.0, 0.08),
            ("autocorrelation, 5 s", 0.0, 0.08),
            ("autocorrelation, 20 s", 0.0, 0.10),
            ("time at zero (%)", 0.0, 0.6),
            ("outage, mean (s)", 0.15, 0.0),
            ("outage, 90 % (s)", 0.25, 0.0),
            ("transfer, median (s)", 0.30, 0.0),
            ("transfer, 90 % (s)", 0.30, 0.0),
        ],
        columns=["figure", "relative", "absolute"],
    ).set_index("figure")
    allowed = tolerances.absolute + tolerances.relative * table.recorded[tolerances.index]
    off = (table.generated - table.recorded)[tolerances.index].abs() > allowed
    assert not off.any(), table.assign(allowed=allowed).round(2)[off.reindex(table.index, fill_value=False)]
