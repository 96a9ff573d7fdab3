"""The replay against formulas by hand, the fit against planted numbers, and our emulator against the simulator."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibration.testbed import replay
from calibration.testbed.emulator import Law
from calibration.testbed.rows import COLUMNS, SETTING
from calibration.testbed.setting import FRAMING
from simulator.foundation.errors import LinkDown, ProfileError
from simulator.physics.engine import Environment
from simulator.physics.station import Fifo
from simulator.profiles.model import Layer, LayerTimes, ModelProfile
from simulator.profiles.trace import Trace

SECONDS = (0.002, 0.003, 0.005, 0.001)
MODEL = ModelProfile(
    "toy", "x", 40_000.0,
    tuple(Layer(f"l{i}", "Conv2d", "conv", (f"l{i - 1}" if i else "x",), 1e6, 4e4, size, 0.0)
          for i, size in enumerate((80_000.0, 20_000.0, 10_000.0, 400.0))),
    1, "8", {"testbed": LayerTimes("testbed", SECONDS, tuple(SECONDS for _ in range(3)))},
)  # fmt: skip
FIT = replay.Fit(message=1e-4, byte=2e-9, cold=1e-3, rest=0.0, latency={"tun": 4e-4, "tbf": 1e-4}, paces=(1.0,))
SIZES = {0: 40_000, 1: 80_000, 2: 20_000, 3: 10_000}


def setting(cut=2, mode="persistent", rate=20.0, **changes):
    made = dict.fromkeys(SETTING, 0.0) | {
        "profile": "toy_8_b1", "model": "toy", "input": "8", "batch": 1.0, "place": 2.0, "cut": float(cut),
        "layers": 4.0, "payload_bytes": float(SIZES[cut]), "answer_bytes": 400.0, "mode": mode, "congestion": "cubic",
        "rate_mbit_s": rate, "link": "tbf" if mode == "bucket" else "tun", "use": "fit",
        "delay_ms": 0.0 if mode == "bucket" else 10.0, "burst_bytes": 16384.0 if mode == "bucket" else 0.0,
    }  # fmt: skip
    return made | changes


def test_a_persistent_connection_by_hand():
    got = replay.replayed(setting(), MODEL, FIT)
    rate, framing = 20e6 / 8, 1500 / 1448
    assert got["device"] == pytest.approx(0.005 + 0.001)
    assert got["server"] == pytest.approx(0.006 + 0.001)
    assert got["serialise"] == pytest.approx(4 * 1e-4 + 2e-9 * 2 * (20_000 + 400))
    assert got["uplink"] == pytest.approx(framing * 20_000 / rate + 0.0104)
    assert got["downlink"] == pytest.approx(framing * 400 / rate + 0.0104)
    assert got["total"] == pytest.approx(sum(got[part] for part in replay.PARTS[:-1]))


def test_a_new_connection_waits_for_its_windows():
    """80 kB are 55.2 segments: 10 and 20 go at once and a round trip later, the rest another round trip later."""
    rate = 75e6 / 8
    got = replay.replayed(setting(1, "new", 75.0), MODEL, FIT)["uplink"]
    left = (80_000 / 1448 - 30) * 1500
    assert got == pytest.approx(2 * 0.0208 + left / rate + 0.0104, rel=1e-6)


def test_a_bucket_that_has_not_filled_again():
    """Back to back: what a cycle earns at the rate is what the next message may send at once."""
    got = replay.replayed(setting(1, "bucket", 5.0), MODEL, FIT)
    rate, framed = 5e6 / 8, FRAMING["tbf"] * 80_000
    assert got["total"] == pytest.approx(framed / rate)  # 26 ms would fill it, a cycle rests for 14: the link is all
    assert got["uplink"] == pytest.approx(framed / rate - (got["total"] - got["uplink"]))


def test_a_short_rest_is_not_cold():
    rested = replay.replayed(setting(), MODEL, replace(FIT, rest=10.0))
    assert rested["device"] == pytest.approx(0.005)


def test_with_measured_parts_only_the_network_is_predicted():
    model, fit = replay.with_measured_parts(setting(), MODEL, FIT, 0.0123, 0.0456)
    got = replay.replayed(setting(), model, fit)
    assert (got["device"][0], got["server"][0]) == (pytest.approx(0.0123), pytest.approx(0.0456))
    assert got["uplink"] == pytest.approx(replay.replayed(setting(), MODEL, FIT)["uplink"])


def test_cut_at_the_input_there_is_no_head():
    assert replay.replayed(setting(0), MODEL, FIT)["device"] == 0.0


def test_as_many_requests_as_asked_and_varied_as_fitted():
    fit = replace(FIT, paces=(0.5, 2.0))
    got = replay.replayed(setting(), replay.as_split(MODEL, fit), fit, 0.06, requests=400)
    assert {len(values) for values in got.values()} == {400}
    slow = np.isclose(got["device"], 0.011)
    assert np.isclose(got["device"][~slow], 0.0035).all()
    assert 0.4 < slow.mean() < 0.6


def recorded(one, **parts):
    """Return 15 repeats of *one* that took *parts*, in the columns of a rows file."""
    row = {**dict.fromkeys(COLUMNS, 0.0), **one, **parts}
    return pd.DataFrame([{**row, "repeat": i} for i in range(15)])


def planted(cold=7e-4):
    """Return rows by the transfer law written out anew, with known constants."""
    made = []
    for cut in (1, 2, 3):
        for rate in (5.0, 75.0):
            one = setting(cut, rate=rate)
            up, down = one["payload_bytes"], 400
            head, tail = sum(SECONDS[:cut]) + cold, sum(SECONDS[cut:]) + cold
            wires = [FRAMING["tun"] * size * 8e-6 / rate + 0.01 + 3e-4 for size in (up, down)]
            turn = 4 * 5e-5 + 2 * 3e-9 * (up + down)
            made.append(
                recorded(one, device_s=head, server_s=tail, uplink_s=wires[0], downlink_s=wires[1],
                         serialise_s=turn, total_s=head + tail + sum(wires) + turn)
            )  # fmt: skip
    return pd.concat(made)


def test_the_fit_finds_what_was_planted():
    found = replay.fitted(planted(), {"toy_8_b1": MODEL})
    assert found.message == pytest.approx(5e-5, rel=1e-6)
    assert found.byte == pytest.approx(3e-9, rel=1e-6)
    assert found.cold == pytest.approx(7e-4, rel=1e-6)
    assert found.latency["tun"] == pytest.approx(3e-4, rel=1e-6)
    assert set(np.round(found.paces, 9)) == {1.0}


def test_held_out_rows_change_nothing():
    rows = planted()
    other = rows.assign(use="held-out", device_s=9.0, serialise_s=9.0, uplink_s=9.0)
    assert replay.fitted(pd.concat([rows, other]), {"toy_8_b1": MODEL}) == replay.fitted(rows, {"toy_8_b1": MODEL})
    with pytest.raises(ProfileError, match="column use"):
        replay.fitted(other, {"toy_8_b1": MODEL})


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 0.05), st.floats(1, 60_000)), min_size=1, max_size=12),
    st.sampled_from([5.0, 75.0]), st.sampled_from([0.0, 16384.0]),
)  # fmt: skip
def test_the_emulator_and_the_simulator_have_one_law(messages, mbit, burst):
    """Our user-space shaper, written for packets, and the simulator's station, written for messages."""
    rate = mbit * 1e6 / 8
    law, env = Law(rate, burst, 0.0), Environment()
    station = Fifo(env, "link", Trace.of(rate), LinkDown, burst=burst)
    now = 100.0
    for gap, size in messages:
        now += gap
        env.run(until=now)
        assert math.isclose(law.arrival(now, size), station.submit(size).finish, abs_tol=1e-9)
