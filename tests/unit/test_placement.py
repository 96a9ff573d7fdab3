"""Placements are values that cannot be wrong in themselves."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator import Placement, Segment
from simulator.foundation.errors import PlacementError
from simulator.profiles.placement import along


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
