"""Chords against hand-computed numbers and against counting points along the ray."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from napari_xreg.simulation.patient import rotation_about
from napari_xreg.simulation.solids import Capsule, Ellipsoid, HalfSpace, Solid, sphere, union_length

SOURCE = np.array([-40.0, 33.0, 21.0])


def counted(body, source, r, samples=40_000):
    """Chord by counting midpoints, mm."""
    t = (np.arange(samples) + 0.5) / samples
    inside = body.inside(source + t[:, None] * r)
    return inside.mean() * np.linalg.norm(r)


def test_chord_of_a_sphere_at_a_known_distance_from_its_centre():
    ball = Solid((sphere(np.array([1.0, 2.0, 3.0]), 5.0),))
    # 3 mm beside the centre: 2 sqrt(25 - 9) = 8.
    chord = ball.chord_lengths(np.array([4.0, 2.0, -50.0]), np.array([[0.0, 0.0, 100.0]]))
    assert chord == pytest.approx([8.0], abs=1e-12)


def test_an_ellipsoid_has_its_axes_where_they_are_said_to_be():
    body = Solid((Ellipsoid(np.array([5.0, -7.0, 2.0]), (10.0, 20.0, 30.0)),))
    far = np.array([5.0, -7.0, 2.0])
    for k, semi in enumerate((10.0, 20.0, 30.0)):
        r = 200.0 * np.eye(3)[k]
        assert body.chord_lengths(far - r / 2, r[None]) == pytest.approx([2 * semi])


def test_a_turned_ellipsoid_turns_right_handed():
    # 90 degrees about z carry the long x axis to y.
    body = Solid((Ellipsoid(np.zeros(3), (30.0, 10.0, 12.0), rotation_about("z", 90.0)),))
    assert body.inside(np.array([[0.0, 29.0, 0.0], [29.0, 0.0, 0.0]])).tolist() == [True, False]
    skew = Ellipsoid(np.zeros(3), (30.0, 2.0, 12.0), rotation_about("z", 30.0))
    assert skew.inside(np.array([[20 * 0.866, 10.0, 0.0], [20 * 0.866, -10.0, 0.0]])).tolist() == [
        True,
        False,
    ]


def test_a_capsule_along_and_across_its_axis():
    body = Solid((Capsule(np.array([0.0, 0.0, 10.0]), np.array([0.0, 0.0, 34.0]), 3.0),))
    along = body.chord_lengths(np.array([0.0, 0.0, -60.0]), np.array([[0.0, 0.0, 200.0]]))
    across = body.chord_lengths(np.array([-70.0, 0.0, 20.0]), np.array([[150.0, 0.0, 0.0]]))
    assert along == pytest.approx([24.0 + 2 * 3.0])
    assert across == pytest.approx([6.0])


def test_a_ray_that_ends_inside_counts_only_to_its_end():
    ball = Solid((sphere(np.array([0.0, 0.0, 50.0]), 10.0),))
    assert ball.chord_lengths(np.zeros(3), np.array([[0.0, 0.0, 47.0]])) == pytest.approx([7.0])
    assert ball.chord_lengths(np.zeros(3), np.array([[0.0, 0.0, 39.0]])) == pytest.approx([0.0])


BODIES = {
    "ellipsoid": Solid(
        (
            Ellipsoid(
                np.array([3.0, -4.0, 6.0]),
                (9.0, 14.0, 21.0),
                rotation_about("x", 25.0) @ rotation_about("y", -40.0),
            ),
        )
    ),
    "capsule": Solid((Capsule(np.array([-12.0, 5.0, -9.0]), np.array([14.0, -3.0, 17.0]), 6.5),)),
    "cut": Solid(
        (sphere(np.array([2.0, 1.0, -3.0]), 18.0), HalfSpace(np.array([0.6, 0.0, 0.8]), 5.0))
    ),
    "shell": Solid(
        (sphere(np.array([2.0, 1.0, -3.0]), 18.0),),
        outside=(sphere(np.array([4.0, 2.0, 1.0]), 13.0),),
    ),
    "drum": Solid(
        (
            Ellipsoid(np.array([1.0, 2.0, 3.0]), (8.0, 15.0, np.inf), rotation_about("x", 30.0)),
            HalfSpace(rotation_about("x", 30.0)[:, 2], 9.0),
            HalfSpace(-rotation_about("x", 30.0)[:, 2], 7.0),
        )
    ),
}


@pytest.mark.parametrize("name", BODIES)
@settings(max_examples=40)
@given(target=st.tuples(*[st.floats(-25.0, 25.0)] * 3))
def test_chords_agree_with_counting(name, target):
    r = 1.8 * (np.array(target) - SOURCE)
    exact = BODIES[name].chord_lengths(SOURCE, r[None])[0]
    assert exact == pytest.approx(counted(BODIES[name], SOURCE, r), abs=0.02)


@pytest.mark.parametrize("name", BODIES)
def test_nothing_lies_outside_the_box(name):
    points = np.random.default_rng(5).uniform(-45, 45, (20_000, 3))
    low, high = BODIES[name].bounds()
    kept = points[BODIES[name].inside(points)]
    assert len(kept) > 100
    assert (kept >= low - 1e-9).all()
    assert (kept <= high + 1e-9).all()


def test_growing_moves_the_surface_and_shrinks_what_is_taken_away():
    shell = BODIES["shell"].grown(-2.0)
    assert shell.within[0].semi_axes == (16.0, 16.0, 16.0)
    assert shell.outside[0].semi_axes == (15.0, 15.0, 15.0)


def test_overlap_counts_once():
    a = (np.array([0.1, 0.2]), np.array([0.5, 0.3]))
    b = (np.array([0.4, 0.6]), np.array([0.7, 0.9]))
    assert union_length([a, b]) == pytest.approx([0.6, 0.4])


def test_a_size_that_is_not_positive_is_refused():
    with pytest.raises(ValueError, match="semi-axes must be positive"):
        Ellipsoid(np.zeros(3), (1.0, 0.0, 2.0))
    with pytest.raises(ValueError, match="radius of a capsule"):
        Capsule(np.zeros(3), np.ones(3), -1.0)
