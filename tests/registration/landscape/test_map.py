"""Which way a map leads, on losses written by hand."""

import numpy as np
import pytest

from napari_xreg.geometry import LENGTH_MM
from napari_xreg.registration.landscape.result import PairMap

ANGLES = np.linspace(-6.0, 6.0, 7)
SHIFTS = np.linspace(-40.0, 40.0, 9)


def _map(loss, parameters=("roll", "y")):
    """``loss(turn, shift)`` in radians, a shift of `LENGTH_MM` counting as one."""
    turn, shift = np.meshgrid(np.deg2rad(ANGLES), SHIFTS / LENGTH_MM, indexing="ij")
    return PairMap(parameters, ANGLES, SHIFTS, loss(turn, shift))


def test_the_distance_of_poses_itself_leads_straight_home():
    pair = _map(lambda turn, shift: turn**2 + shift**2)
    inside = pair.astray_deg[1:-1, 1:-1]
    assert np.isnan(inside[2, 3])  # the middle
    assert np.nanmax(inside) == pytest.approx(0.0, abs=1e-5)
    assert pair.leads_home == 1.0
    assert pair.minima == ((0.0, 0.0),)


def test_a_valley_leads_across_and_a_hill_away():
    along = _map(lambda turn, shift: shift**2 + 0 * turn)
    # From 4 degrees and 20 mm the way down is the shift's alone.
    turn, shift = np.deg2rad(4.0), 20.0 / LENGTH_MM
    assert along.astray_deg[5, 6] == pytest.approx(np.rad2deg(np.arctan2(turn, shift)))
    away = _map(lambda turn, shift: -(turn**2) - shift**2)
    assert away.astray_deg[1, 4] == pytest.approx(180.0)
    assert away.leads_home == 0.0


def test_half_a_map_leads_home():
    # Down towards positive turns, everywhere: from the negative ones that is nearer to the middle.
    pair = _map(lambda turn, shift: -turn)
    assert pair.leads_home == pytest.approx(27 / 62)  # three rows of nine; without turn 90 degrees
    assert pair.minima == ((6.0, -40.0),)


def test_nothing_is_said_of_what_was_not_computed():
    pair = _map(lambda turn, shift: np.full_like(turn, np.nan))
    assert np.isnan(pair.leads_home)
    assert pair.minima == ()
