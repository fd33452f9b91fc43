"""The levels that a refinement goes through unless it is told others."""

import pytest

from napari_xreg.registration import RefineSettings, levels_at
from napari_xreg.registration.refinement.second_order.levels import COARSE_TO_FINE, ROBUST
from napari_xreg.registration.refinement.second_order.lm_solver import LEVENBERG_MARQUARDT
from napari_xreg.registration.refinement.solver import Wanted


def test_the_last_two_levels_see_the_ct_as_it_is():
    """A coarser CT at the end leaves about 0.6 mm of bias (docs/decisions/0004)."""
    assert [(level.pixels, level.voxel_mm) for level in COARSE_TO_FINE] == [
        (32, 6.0), (64, 3.0), (128, None), (256, None),
    ]  # fmt: skip
    assert RefineSettings().levels == COARSE_TO_FINE


def test_robust_weights_wait_until_the_anatomy_is_in_place():
    first, *later = COARSE_TO_FINE
    assert first.channels.outlier_scale is None
    assert all(level.channels is ROBUST for level in later)


def iterations(levels):
    return [level.iterations for level in levels]


def test_the_last_level_may_take_longer():
    """Grey values that are cut off make it slow (docs/decisions/0026-auto.md)."""
    assert iterations(COARSE_TO_FINE) == [20, 20, 20, 60]
    assert iterations(levels_at((96, 192))) == [20, 60]


@pytest.mark.parametrize(
    ("wanted", "expected"), [(60, [20, 20, 20, 60]), (7, [7] * 4), (100, [20, 20, 20, 100])]
)
def test_iterations_that_are_asked_for_are_those_of_the_last_level(wanted, expected):
    assert iterations(LEVENBERG_MARQUARDT.configure(Wanted(iterations=wanted)).levels) == expected


def test_what_a_form_shows_is_what_is_done_without_one():
    shown = LEVENBERG_MARQUARDT.iterations
    assert LEVENBERG_MARQUARDT.configure(Wanted(iterations=shown)).levels == COARSE_TO_FINE
