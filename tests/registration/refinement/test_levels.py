"""The levels that a refinement goes through unless it is told others."""

from napari_xreg.registration import RefineSettings
from napari_xreg.registration.refinement.second_order.levels import COARSE_TO_FINE, ROBUST


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
