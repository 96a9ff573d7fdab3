"""Random streams depend on the seed and on their name, on nothing else."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator import Simulation
from simulator.foundation.randomness import Streams, blocks
from simulator.techniques.device_only import DeviceOnly
from simulator.testing import tiny

names = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\x1f"), max_size=5), min_size=1, max_size=3)


@given(st.integers(0, 2**63 - 1), names, names)
def test_a_stream_is_its_seed_and_its_name(seed, one, other):
    streams = Streams(seed)
    expected = Streams(seed)[tuple(one)].random(3)
    streams[tuple(other)].random(100)  # what others draw does not matter
    assert np.array_equal(streams[tuple(one)].random(3), expected)
    assert np.array_equal(streams[tuple(other)].random(3), expected) == (one == other)


def test_seeds_differ_and_a_word_is_a_name_of_one_part():
    assert Streams(1)["arrivals"].random() != Streams(2)["arrivals"].random()
    assert Streams(1)["arrivals"].random() == Streams(1)["arrivals",].random()


def test_names_do_not_run_together():
    assert Streams(0)["ab", "c"].random() != Streams(0)["a", "bc"].random()


def test_the_numbers_are_those_of_every_other_machine():
    drawn = Streams(7)["arrivals", "pi-3"].integers(0, 10**6, 4).tolist()
    assert drawn == [70474, 969428, 625320, 660409]


@pytest.mark.parametrize("kind", ["exponential", "normal", "random", "integers"])
def test_blocks_are_the_scalars_drawn_one_by_one(kind):
    def draw(rng, size=None):
        return rng.integers(1, 2**31, size) if kind == "integers" else getattr(rng, kind)(size=size)

    by_block, by_one = Streams(3)["x"], Streams(3)["x"]
    assert list(islice(blocks(lambda size: draw(by_block, size)), 2500)) == [draw(by_one) for _ in range(2500)]


def test_blocks_begin_small_and_end_at_1024():
    asked = []

    def draw(size):
        asked.append(size)
        return np.zeros(size)

    list(islice(blocks(draw), 5000))
    assert asked[:8] == [16, 32, 64, 128, 256, 512, 1024, 1024]
    assert max(asked) == 1024


def arrivals(scenario) -> list[float]:
    frame = Simulation(scenario).run().requests
    return frame[frame["source"] == "pi"]["arrival_s"].tolist()


def test_a_technique_or_a_neighbour_changes_nobody_elses_arrivals():
    alone = arrivals(tiny())
    data = tiny().document.data
    crowd = tiny(
        {
            "nodes": {**data["nodes"], "phone": {"kind": "device", "hardware": "board"}},
            "links": {**data["links"], "radio": {**data["links"]["uplink"], "between": ["phone", "edge"]}},
            "workload.sources": ["phone", "pi"],
        }
    )
    assert alone
    assert arrivals(tiny().with_technique(DeviceOnly())) == alone == arrivals(crowd)
    assert arrivals(tiny({"seed": 1})) != alone
