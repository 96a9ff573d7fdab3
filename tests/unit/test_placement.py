"""Placements are values that cannot be wrong in themselves."""

from __future__ import annotations

from itertools import product
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator import Placement, Segment
from simulator.foundation.errors import PlacementError
from simulator.profiles.placement import along, fewer


def placed(*segments: tuple[str, int, int]) -> Placement:
    return Placement(tuple(Segment(*segment) for segment in segments))


def test_a_split():
    split = Placement.split("pi", "edge", 2, 5)
    assert split == placed(("pi", 0, 2), ("edge", 2, 5))
    assert str(split) == "pi 0-2 | edge 2-5"
    assert (split.nodes, split.end, split.split_point("pi"), split.split_point("edge")) == (("pi", "edge"), 5, 2, 0)
    assert [split.segment_at(layer).node for layer in range(5)] == ["pi", "pi", "edge", "edge", "edge"]


@pytest.mark.parametrize(("split_point", "same"), [(0, ("edge", 0, 5)), (5, ("pi", 0, 5))])
def test_empty_segments_vanish(split_point, same):
    assert Placement.split("pi", "edge", split_point, 5) == placed(same) == Placement.whole(same[0], 5)
    assert hash(Placement.split("pi", "edge", split_point, 5)) == hash(placed(same))


@pytest.mark.parametrize(
    "segments", [[("pi", 1, 3)], [("pi", 0, 2), ("edge", 3, 5)], [("pi", 0, 3), ("edge", 2, 5)], [("pi", 0, -1)]]
)
def test_gaps_and_overlaps_are_refused(segments):
    with pytest.raises(PlacementError, match="segments must follow one another from layer 0: "):
        placed(*segments)


@pytest.mark.parametrize("segments", [[], [("pi", 0, 0)]])
def test_nothing_is_no_placement(segments):
    with pytest.raises(PlacementError, match="at least one segment with a layer in it"):
        placed(*segments)


def test_a_layer_beyond_the_end():
    with pytest.raises(PlacementError, match=r"layer 5 is not in pi 0-2 \| edge 2-5"):
        Placement.split("pi", "edge", 2, 5).segment_at(5)


def test_what_recoveries_are_made_of():
    three = placed(("pi", 0, 2), ("edge", 2, 4), ("cloud", 4, 5))
    assert three.reassign("edge", to="cloud") == placed(("pi", 0, 2), ("cloud", 2, 4), ("cloud", 4, 5))
    assert three.exit_before("cloud") == placed(("pi", 0, 2), ("edge", 2, 4))
    assert three.exit_before("elsewhere") == three
    with pytest.raises(PlacementError, match="at least one segment"):
        three.exit_before("pi")


@given(st.integers(1, 3), st.integers(1, 5), st.data())
def test_along_yields_each_monotone_choice_of_cuts(nodes, layers, data):
    chain = [f"n{i}" for i in range(nodes)]
    cuts = data.draw(st.lists(st.integers(0, layers), unique=True))
    options = list(along(chain, cuts, layers))
    brute = {
        tuple((node, a, b) for node, a, b in zip(chain, (0, *ends), (*ends, layers), strict=True) if a != b)
        for ends in product(cuts, repeat=nodes - 1)
        if list(ends) == sorted(ends)
    }
    assert {tuple((s.node, s.start, s.stop) for s in option.segments) for option in options} == brute
    if layers in cuts or nodes == 1:
        assert options[0] == Placement.whole("n0", layers)


# -- too many to choose from -------------------------------------------------------------------------------------------


def count(chains, cuts: int) -> int:
    return len({p for chain in chains for p in along(chain, range(cuts), cuts - 1)})


def test_few_enough_are_left_as_they_are():
    chains = (("pi", "a", "b"), ("pi", "c"))
    assert fewer(chains, 10, 1000) == chains
    assert fewer((("pi",),), 10, 1) == (("pi",),)


@given(st.integers(3, 6), st.integers(2, 7), st.integers(1, 400))
def test_there_are_never_more_than_asked_unless_one_server_each_is_more(cuts, servers, most):
    chain = ("pi", *(f"s{i}" for i in range(servers)))
    shorter = fewer((chain,), cuts, most)
    total = sum(comb(cuts + len(c) - 2, len(c) - 1) for c in shorter)
    assert total >= count(shorter, cuts)  # what is counted is no less than what comes
    assert total <= most or {len(c) for c in shorter} == {2}
    assert {name for c in shorter for name in c} == set(chain)  # nobody is out of reach
    assert all(c[0] == "pi" and list(c[1:]) == sorted(c[1:]) for c in shorter)  # in the order of the way


def test_placements_over_fewer_nodes_are_some_of_those_over_all():
    chain = ("pi", "a", "b", "c", "d", "e", "f")
    whole = set(along(chain, range(6), 5))
    kept = {p for c in fewer((chain,), 6, 400) for p in along(c, range(6), 5)}
    assert kept < whole
    assert max(len(p.nodes) for p in kept) == 3
