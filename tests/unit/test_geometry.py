"""Places on the globe: the nearest site and the instants it changes, against haversines on a fine grid."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.foundation.errors import TraceError
from simulator.physics.geometry import EARTH, Course, course, envelope, metres, on_sphere, turns


def haversine(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    """Great-circle distance [m] by the textbook formula in latitudes and longitudes."""
    p, q = math.radians(lat1), math.radians(lat2)
    h = math.sin((q - p) / 2) ** 2 + math.cos(p) * math.cos(q) * math.sin(math.radians(lon2 - lon1) / 2) ** 2
    return 2 * EARTH * math.asin(math.sqrt(h))


def test_distances_are_those_of_the_haversine_formula():
    places = [(-37.815, 144.974), (-37.8102, 144.9603), (51.0543, 3.7174), (0.0, 179.9999), (0.0, -179.9999)]
    for a in places:
        for b in places:
            expected = haversine(*a, *b)
            assert metres(on_sphere(*a), on_sphere(*b))[0] == pytest.approx(expected, rel=1e-9, abs=1e-6)


def test_a_degree_of_latitude_is_about_111_km():
    assert metres(on_sphere(10, 20), on_sphere(11, 20))[0] == pytest.approx(111_195, abs=1)


def test_half_way_between_two_sites_the_other_one_is_nearer():
    drive = course([0, 0], [-0.01, 0.01], times=[0, 200])
    found = drive.nearest(on_sphere([0, 0], [-0.01, 0.01]), 200)
    assert found == [(0.0, 0), (pytest.approx(100.0, abs=1e-7), 1)]


def test_the_shore_of_a_cell_at_a_third_of_the_way():
    """Sites 0 and 3 km east, 1 km north of the way: the border stands at 1.5 km whatever their distance from it."""
    degree = 180 / math.pi / EARTH
    drive = course([0, 0], [0, 4500 * degree], times=[0, 45])
    found = drive.nearest(on_sphere([1000 * degree, 1000 * degree], [0, 3000 * degree]), 45)
    assert [site for _, site in found] == [0, 1]
    assert found[1][0] == pytest.approx(15.0, abs=1e-5)


def test_a_site_that_is_the_nearest_for_a_moment_only_is_met():
    """The middle one has its turn between two others inside one stretch that no grid of its ends would show."""
    drive = course([0, 0], [0, 0.1], times=[0, 1000])
    found = drive.nearest(on_sphere([0, 0, 0], [0.0, 0.05, 0.0505]), 1000)
    assert [site for _, site in found] == [0, 1, 2]
    assert found[2][0] == pytest.approx(502.5, abs=1e-4)


def test_over_the_date_line():
    drive = course([0, 0], [179.99, -179.99], times=[0, 200])
    found = drive.nearest(on_sphere([0, 0], [179.99, -179.99]), 200)
    assert found == [(0.0, 0), (pytest.approx(100.0, abs=1e-7), 1)]


def test_a_tie_that_is_touched_and_left_again_changes_nothing():
    """To the border at 100 s exactly, where it stands for a while, and back; then over it."""
    drive = course([0] * 5, [-0.01, 0.0, 0.0, -0.01, 0.01], times=[0, 100, 150, 250, 450])
    found = drive.nearest(on_sphere([0, 0], [-0.01, 0.01]), 500)
    assert found == [(0.0, 0), (pytest.approx(350.0, abs=1e-6), 1)]


def test_who_waits_on_the_border_crosses_it_when_the_way_goes_on():
    drive = course([0] * 5, [-0.01, 0.0, 0.0, 0.0, 0.01], times=[0, 100, 150, 160, 260])
    found = drive.nearest(on_sphere([0, 0], [-0.01, 0.01]), 500)
    assert [site for _, site in found] == [0, 1]
    assert 100 <= found[1][0] <= 160 + 1e-6


def test_of_lines_that_meet_in_one_point_the_steepest_goes_on():
    assert envelope(np.array([0.0, -1.0, -2.0]), np.array([0.0, 2.0, 4.0]), 0) == [(0.5, 2)]


def test_lines_that_meet_at_the_end_have_not_changed_yet():
    assert envelope(np.array([0.0, -1.0]), np.array([0.0, 1.0]), 0) == []


def test_a_tie_at_a_point_goes_to_whom_the_way_leads():
    """In whole numbers, so that the tie is one: from the second site's cell to the border, and on into the first's."""
    sites = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    points = np.array([[1.0, 2.0, 0.0], [1.0, 1.0, 0.0], [2.0, 1.0, 0.0]])
    assert turns(np.arange(3.0), points, sites) == [(0.0, 1), (1.0, 0)]
    back = np.array([[1.0, 2.0, 0.0], [1.0, 1.0, 0.0], [1.0, 2.0, 0.0]])
    assert turns(np.arange(3.0), back, sites) == [(0.0, 1)]


def test_one_who_stands_still():
    assert course([5], [5], step=1.0).nearest(on_sphere([5, 5], [6, 5.1]), 1e9) == [(0.0, 1)]


def test_a_path_that_ends_holds_its_last_place():
    drive = course([0, 0], [-0.01, 0.005], times=[0, 150], end="hold")
    found = drive.nearest(on_sphere([0, 0], [-0.01, 0.01]), 1e6)
    assert found == [(0.0, 0), (pytest.approx(100.0, abs=1e-6), 1)]
    assert drive.at(1e5) == pytest.approx(on_sphere(0, 0.005)[0])


def test_a_path_that_wraps_is_back_at_its_beginning():
    drive = course([0, 0], [-0.01, 0.01], times=[0, 200], end="wrap")
    sites = on_sphere([0, 0], [-0.01, 0.01])
    found = drive.nearest(sites, 500)
    assert [site for _, site in found] == [0, 1, 0, 1, 0]
    assert [time for time, _ in found] == pytest.approx([0, 100, 200, 300, 400], abs=1e-6)


def test_an_offset_into_a_path_that_wraps():
    drive = course([0, 0], [-0.01, 0.01], times=[0, 200], end="wrap")
    later = Course(drive.times, drive.points, "wrap", 150.0)
    found = later.nearest(on_sphere([0, 0], [-0.01, 0.01]), 300)
    assert [site for _, site in found] == [1, 0, 1, 0]
    assert [time for time, _ in found] == pytest.approx([0, 50, 150, 250], abs=1e-6)
    assert later.at(30.0) == pytest.approx(drive.at(180.0))


def test_speed_gives_the_times_and_points_that_repeat_take_none():
    walk = course([0, 0, 0, 1e-2], [0, 0.01, 0.01, 0.01], speed=10.0)
    leg = haversine(0, 0, 0, 0.01)
    assert walk.times.tolist() == pytest.approx([0, leg / 10, 2 * leg / 10], rel=1e-6)


def test_times_begin_with_the_recording():
    assert course([0, 0, 0], [0, 1, 2], times=[7.0, 8.0, 11.0]).times.tolist() == [0, 1, 4]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "exactly one of its own times, step: or speed:"),
        ({"step": 1.0, "speed": 1.0}, "exactly one of its own times, step: or speed:"),
        ({"times": [0.0, 2.0, 2.0]}, "2 s follows 2 s"),
        ({"times": [0.0, 2.0]}, "got 2 and 3"),
    ],
)
def test_what_is_no_path(given, words):
    with pytest.raises(TraceError, match=words):
        course([0, 0, 0], [0, 1, 2], **given)


def test_an_offset_needs_a_path_that_wraps():
    drive = course([0, 0], [0, 1], step=1.0)
    with pytest.raises(TraceError, match='add "end: wrap"'):
        Course(drive.times, drive.points, "hold", 1.0)


@given(seed=st.integers(0, 10**6), points=st.integers(2, 12), sites=st.integers(1, 9), wraps=st.booleans())
@settings(max_examples=60)
def test_nobody_is_nearer_than_the_nearest(seed, points, sites, wraps):
    """Straight lines in latitude and longitude, and haversines: on ways of 1 km the two straights differ by < 1 m."""
    rng = np.random.default_rng(seed)
    lat, lon = 48.0 + 0.005 * rng.random(points), 11.0 + 0.008 * rng.random(points)
    where = list(zip(48.0 + 0.005 * rng.random(sites), 11.0 + 0.008 * rng.random(sites), strict=True))
    times = np.concatenate(([0.0], np.cumsum(rng.uniform(0.5, 20.0, points - 1))))
    end = "wrap" if wraps else "hold"
    until = 2.5 * times[-1]
    offset = float(rng.random() * times[-1]) if wraps else 0.0
    moves = Course(times, on_sphere(lat, lon), end, offset)
    found = moves.nearest(on_sphere(*zip(*where, strict=True)), until)
    assert found[0][0] == 0.0
    assert all(a[0] < b[0] and a[1] != b[1] for a, b in pairwise(found))
    for time in np.linspace(0, until, 401)[:-1]:
        when = (time + offset) % times[-1] if wraps else min(time, times[-1])
        here = float(np.interp(when, times, lat)), float(np.interp(when, times, lon))
        attached = [site for begin, site in found if begin <= time][-1]
        distances = [haversine(*here, *site) for site in where]
        assert distances[attached] <= min(distances) + 2.0


@given(seed=st.integers(0, 10**6))
@settings(max_examples=40)
def test_a_turn_is_where_two_sites_are_equally_near(seed):
    rng = np.random.default_rng(seed)
    moves = course(48.0 + 0.05 * rng.random(6), 11.0 + 0.08 * rng.random(6), step=30.0)
    sites = on_sphere(48.0 + 0.05 * rng.random(8), 11.0 + 0.08 * rng.random(8))
    found = moves.nearest(sites, 1000.0)
    for (_, before), (time, after) in pairwise(found):
        here = moves.at(time)
        here = here / np.linalg.norm(here)
        assert metres(here, sites[before]) == pytest.approx(metres(here, sites[after]), abs=1e-3)
