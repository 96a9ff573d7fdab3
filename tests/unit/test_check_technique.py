"""The checker finds each way of breaking a technique's promises, and lets our own techniques pass."""

from __future__ import annotations

import subprocess
import sys
from itertools import count

import pytest
from hypothesis import given, settings
from pydantic import PrivateAttr

from simulator import Placement, Segment, Simulation, Technique
from simulator.foundation.errors import OffingError
from simulator.techniques.device_only import DeviceOnly
from simulator.techniques.fixed_split import FixedSplit
from simulator.techniques.min_latency import MinLatency
from simulator.techniques.server_only import ServerOnly
from simulator.testing import Seeded, chain, check_technique, machine, profiles, random_world, tiny, worlds


@pytest.mark.parametrize("technique", [DeviceOnly(), ServerOnly(), FixedSplit(split_point=1), MinLatency()], ids=repr)
def test_ours_pass(technique):
    check_technique(technique)


class Here(Technique):
    """Right in every way: the base of the wrong ones below."""

    def place(self, view, request=None):
        return Placement.whole(view.source, len(view.model))


CALLS = count()


class OtherEachTime(Here):
    def place(self, view, request=None):
        server = next(CALLS) % 2 == 0 and view.servers
        return Placement.whole(view.nearest_server() if server else view.source, len(view.model))


class Behind(Here):
    def place(self, view, request=None):
        return Placement.whole(next(iter(view._cluster.nodes)), len(view.model))


class Vandal(Here):
    def place(self, view, request=None):
        view.source = "edge"
        return super().place(view)


class Nowhere(Here):
    def place(self, view, request=None):
        return Placement.whole("utopia", len(view.model))


class TooFar(Here):
    def place(self, view, request=None):
        return Placement.whole(view.source, len(view.model) + 1)


class HalfWay(Here):
    def place(self, view, request=None):
        return Placement((Segment(view.source, 0, 1), Segment(view.source, 2, len(view.model))))


class Listed(Here):
    wishes: list[int] = []  # noqa: RUF012 - what is wrong with it is the point


class Itself(Here):
    _asked: int = PrivateAttr(default=0)

    def start(self, rng):
        return self

    def place(self, view, request=None):
        self._asked += 1
        return super().place(view)


@pytest.mark.parametrize(
    ("technique", "error", "said"),
    [
        (OtherEachTime(), AssertionError, "two runs with one seed differ"),
        (Behind(), AssertionError, "looked behind the view"),
        (Vandal(), AssertionError, "changed the view"),
        (Nowhere(), OffingError, "utopia"),
        (TooFar(), OffingError, "placed layer"),
        (HalfWay(), OffingError, "segments must follow one another"),
        (Listed(), AssertionError, "cannot be hashed"),
        (Itself(), AssertionError, "fresh copy"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Technique) else "",
)
def test_each_broken_promise_is_found(technique, error, said):
    with pytest.raises(error, match=said):
        check_technique(technique)


def test_a_failure_comes_with_the_world_it_happened_in():
    with pytest.raises(AssertionError) as error:
        check_technique(Vandal(), [tiny({"until": "2 s"})])
    assert "Vandal in world 0" in error.value.__notes__[0]
    assert "uplink" in error.value.__notes__[0]


def test_worlds_of_your_own():
    """For a parameter that fits certain worlds only."""
    named = ServerOnly(server="edge")
    check_technique(named, [tiny({"until": "3 s"})])
    with pytest.raises(OffingError, match=r'no node named|placed .* on "rack-7"'):
        check_technique(ServerOnly(server="rack-7"), [tiny({"until": "3 s"})])


def test_it_does_not_vanish_when_python_optimises():
    """``python -O`` drops asserts."""
    code = (
        "from simulator.testing import check_technique; from simulator import Technique\n"
        "class Bad(Technique):\n    wishes: list[int] = []\n"
        "try: check_technique(Bad())\nexcept AssertionError: print('found')"
    )
    done = subprocess.run([sys.executable, "-O", "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "found"


def test_testing_needs_no_test_extra():
    """Without Hypothesis the checker works; only strategies ask for it."""
    code = (
        "import sys; sys.modules['hypothesis'] = None\n"
        "import simulator.testing as t; from simulator.techniques.device_only import DeviceOnly\n"
        "t.check_technique(DeviceOnly(), [t.tiny()])\n"
        "try: t.worlds()\nexcept ImportError: print('asked for')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "asked for", done.stderr


def test_the_random_worlds_hold_what_they_promise():
    made = [random_world(Seeded(seed)) for seed in range(80)]
    entries = [scenario.entry for scenario in made]
    assert {link.sharing for entry in entries for link in entry.links.values()} == {"fifo", "max-min", "airtime"}
    assert {node.concurrency for entry in entries for node in entry.nodes.values()} == {
        "slots",
        "shared",
        "partitioned",
    }
    assert {entry.workload.arrivals.kind for entry in entries} == {"poisson", "periodic", "closed"}
    assert {len(entry.dynamics) > 0 for entry in entries} == {True, False}
    sizes = [len(Simulation(scenario).run().requests) for scenario in made[:20]]
    assert min(sizes) >= 10


@given(profile=profiles())
@settings(max_examples=30)
def test_random_profiles_can_be_cut_at_both_ends(profile):
    cuts = [cut.index for cut in profile.cuts()]
    assert cuts[0] == 0
    assert cuts[-1] == len(profile)


@given(scenario=worlds())
@settings(max_examples=10)
def test_random_worlds_can_be_written_and_read(scenario):
    again = type(scenario).from_dict(scenario.document.data, scenario.library)
    assert again.hash() == scenario.hash()


def test_a_machine_of_ones_own_names_what_it_does_not_know():
    with pytest.raises(TypeError, match="no speed"):
        machine("fast", speed=3.0)


def test_a_chain_is_what_it_says():
    model = chain((10.0, 5.0, 2.0), {"board": (0.1, 0.2)}, parameters=(7.0, 8.0))
    assert [cut.bytes for cut in model.cuts()] == [10.0, 5.0, 2.0]
    assert model.measured["board"].prefix() == pytest.approx([0.0, 0.1, 0.3])
    assert model.parameters(0, 2) == 15.0


def test_a_placement_that_does_not_fit_is_an_error_of_the_technique():
    """A cloud of 5 kB holds nothing: the checker's worlds have some."""

    class Farthest(Here):
        def place(self, view, request=None):
            return Placement.whole(view.servers[-1] if view.servers else view.source, len(view.model))

    with pytest.raises(OffingError, match="MiB"):
        check_technique(Farthest())


class Misspelt(Technique):
    """Everything at the edge, one would think."""

    def places(self, view, request=None):
        return Placement.whole("edge", len(view.model))


def test_a_hook_that_is_misspelt_is_noticed():
    with pytest.raises(AssertionError, match=r"Misspelt.places is no hook, and nobody asks it; \['place'\] is one"):
        check_technique(Misspelt())
