"""Costs around the models: the fitted line, packing there and back, and copies that share a core."""

from __future__ import annotations

import os

import pytest

torch = pytest.importorskip("torch", reason="packing tensors needs PyTorch")

from hypothesis import given  # noqa: E402  # after the check for torch
from hypothesis import strategies as st  # noqa: E402

from calibration.profiling import costs  # noqa: E402
from calibration.zoo import Recipe  # noqa: E402
from simulator.foundation.errors import ProfileError  # noqa: E402


@given(st.floats(1, 1e5), st.floats(1e-4, 10))
def test_a_line_is_found_again(alpha, beta):
    found = costs.fit_line([(size, alpha + beta * size) for size in costs.SIZES])
    assert found == pytest.approx((alpha, beta), rel=1e-6)


def test_a_line_is_fitted_in_relative_terms_and_never_below_zero():
    assert costs.fit_line([(1, 10), (1000, 10)]) == pytest.approx((10, 0), abs=1e-9)
    alpha, beta = costs.fit_line([(100, 90), (1000, 1000)])  # through the origin at best: a negative alpha is refused
    assert alpha == pytest.approx(0, abs=1e-9)
    squares = [(100 / 90, 1), (1000 / 1000, 1)]
    assert beta == pytest.approx(sum(a * b for a, b in squares) / sum(a * a for a, _ in squares))
    assert costs.fit_line([]) == (0.0, 0.0)


@pytest.mark.parametrize("method", costs.METHODS)
def test_what_is_packed_comes_out_again(method):
    pack, unpack = costs.METHODS[method]
    tensor = torch.randn(3, 5)
    assert torch.equal(unpack(pack(tensor)), tensor)


def test_packing_without_a_copy_is_cheapest_and_does_not_grow():
    cost = {name: costs.packing_cost(*method, rounds=5) for name, method in costs.METHODS.items()}
    largest = {name: told["points"][-1] for name, told in cost.items()}
    assert largest["memoryview"][1] < largest["numpy"][1] < 10 * largest["torch.save"][1]
    assert cost["memoryview"]["points"][-1][1] < 20 * cost["memoryview"]["points"][0][1], "1,024 times the bytes"
    assert cost["numpy"]["overhead_bytes"] == 128  # its format's header, padded to 64
    assert 0 < cost["memoryview"]["overhead_bytes"] < 100 < cost["torch.save"]["overhead_bytes"]


def test_slowdowns_are_against_running_alone():
    told = costs.slowdowns({"alone": {"cpu_ns": 10, "wall_ns": 20}, "same core": {"cpu_ns": 12, "wall_ns": 50}})
    assert told["alone"]["cpu_slowdown"] == told["alone"]["wall_slowdown"] == 1
    assert (told["same core"]["cpu_slowdown"], told["same core"]["wall_slowdown"]) == (1.2, 2.5)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="pinning is Linux'")
def test_looking_for_cores_leaves_this_process_where_it_was():
    before = os.sched_getaffinity(0)
    cores = costs.allowed_cores()
    assert os.sched_getaffinity(0) == before
    assert set(cores) >= before
    assert cores[-1] in before


@pytest.mark.slow
def test_two_on_one_core_take_about_twice_as_long():
    recipe = Recipe("vgg5", "calibration.networks:vgg5", (3, 32, 32))
    core = costs.allowed_cores()[-1]
    both = costs._together(recipe, 8, [core, core])
    assert both["wall_ns"] > 1.4 * both["cpu_ns"], "the other's turns are on the wall clock, not on the processor's"


def test_a_copy_that_does_not_start_is_named():
    with pytest.raises(ProfileError, match=r'"gone" did not start beside a copy: .*calibration.networks'):
        costs._together(Recipe("gone", "calibration.networks:gone", (3,)), 1, [costs.allowed_cores()[-1]])
