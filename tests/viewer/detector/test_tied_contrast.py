"""Window and level of radiograph and DRR: free, or changed by the same shares of their ranges."""

import numpy as np
import pytest
from detector_scene import COLUMNS, OTHER_CARM, ROWS, preview, radiograph, session
from napari.components import ViewerModel

from napari_xreg.viewer.detector.canvas import DetectorCanvas

DRR = np.linspace(0, 5, ROWS * COLUMNS, dtype=np.float32).reshape(ROWS, COLUMNS)


@pytest.fixture
def canvas():
    made = DetectorCanvas(ViewerModel(), session())
    made.show_preview(preview(DRR))
    yield made
    made.close()


def window(canvas, role):
    return list(canvas.layer(role).contrast_limits)


def part(limits, low, high):
    """A window that shows these shares of another one."""
    start, end = limits
    return [start + low * (end - start), start + high * (end - start)]


def test_free_until_asked_for(canvas):
    before = window(canvas, "DRR")
    canvas.layer("radiograph").contrast_limits = (0.5, 2.0)
    assert window(canvas, "DRR") == before
    canvas.tied_contrast = True
    # The window of the radiograph that is there holds for both, from now on.
    fitted = [pytest.approx(v) for v in part(before, *shares_of_half(canvas))]
    assert window(canvas, "DRR") == fitted
    canvas.tied_contrast = False
    canvas.layer("radiograph").contrast_limits = (0.1, 1.0)
    assert window(canvas, "DRR") == fitted


def shares_of_half(canvas):
    canvas.fit_contrast()  # of the radiograph as fitted: what (0.5, 2.0) is of it
    low, high = window(canvas, "radiograph")
    canvas.layer("radiograph").contrast_limits = (0.5, 2.0)
    return (0.5 - low) / (high - low), (2.0 - low) / (high - low)


@pytest.mark.parametrize(("moved", "follows"), [("radiograph", "DRR"), ("DRR", "radiograph")])
@pytest.mark.parametrize("shares", [(0.25, 0.75), (-0.5, 1.5), (0.4, 0.45)])
def test_tied_each_shows_the_same_shares_of_its_own_range(canvas, moved, follows, shares):
    canvas.tied_contrast = True
    first, other = window(canvas, moved), window(canvas, follows)
    assert first != other
    canvas.layer(moved).contrast_limits = part(first, *shares)
    np.testing.assert_allclose(window(canvas, follows), part(other, *shares), rtol=1e-5)
    np.testing.assert_allclose(window(canvas, moved), part(first, *shares), rtol=1e-5)


@pytest.mark.parametrize("mode", ["blink", "DRR", "edges"])
def test_the_radiographs_window_stays_and_leads_when_the_pictures_are_compared_otherwise(
    canvas, mode
):
    canvas.tied_contrast = True
    fitted = window(canvas, "radiograph")
    canvas.layer("radiograph").contrast_limits = part(fitted, 0.2, 0.6)
    blended = window(canvas, "DRR")
    canvas.overlay = mode
    np.testing.assert_allclose(window(canvas, "radiograph"), part(fitted, 0.2, 0.6), rtol=1e-5)
    if mode == "blink":
        assert window(canvas, "DRR") == window(canvas, "radiograph")
    canvas.overlay = "blend"
    np.testing.assert_allclose(window(canvas, "DRR"), blended, rtol=1e-5)


def test_another_radiograph_begins_with_its_own_window(canvas):
    canvas.tied_contrast = True
    canvas.layer("radiograph").contrast_limits = (0.5, 0.6)
    canvas.session.exposures.add(radiograph(OTHER_CARM), name="second")
    fitted = window(canvas, "radiograph")
    assert fitted[1] > 0.8  # of values up to 0.863
    drr = np.linspace(0, 40, 36 * 24, dtype=np.float32).reshape(36, 24)
    canvas.show_preview(preview(drr, OTHER_CARM))
    first = window(canvas, "DRR")
    assert first[1] > 30
    canvas.layer("radiograph").contrast_limits = part(fitted, 0.3, 0.9)
    np.testing.assert_allclose(window(canvas, "DRR"), part(first, 0.3, 0.9), rtol=1e-5)
