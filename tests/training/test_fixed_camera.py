"""One camera for every radiograph: hand-computed pixels, and points that stay on their rays."""

import pytest
import torch

from napari_xreg.geometry import CArm, Detector, pixels_between
from napari_xreg.images import Radiograph
from napari_xreg.training import FixedCamera

VALUES = torch.tensor([[1.0, 3.0, 10.0, 20.0], [5.0, 7.0, 30.0, 40.0]])


def radiograph(center, *, mask=None, mirrored=False):
    """Pixels of 2 x 1 mm, 1000 mm from the source."""
    carm = CArm(1000.0, 600.0, Detector((2, 4), (2.0, 1.0), center, mirrored))
    return Radiograph(VALUES, carm, mask=mask)


def test_pixels_are_averaged_and_columns_run_as_the_camera_does():
    seen = FixedCamera(2000.0, 2, 4.0).resample(radiograph((0.5, 1.5)))
    # Twice as far, pixels of 4 mm are 2 mm wide at the radiograph; left and right change places.
    torch.testing.assert_close(seen.line_integrals, torch.tensor([[15.0, 2.0], [35.0, 6.0]]))
    assert seen.mask is None
    kept = FixedCamera(2000.0, 2, 4.0).resample(radiograph((0.5, 1.5), mirrored=True))
    torch.testing.assert_close(kept.line_integrals, torch.tensor([[2.0, 15.0], [6.0, 35.0]]))


def test_the_principal_point_comes_to_the_middle_and_beyond_is_nothing():
    seen = FixedCamera(1000.0, 4, 1.0).resample(radiograph((0.0, 2.0), mirrored=True))
    # Rows of 1 mm: at -3/4, -1/4, 1/4 and 3/4 rows of 2 mm; columns at 1/2, 3/2, 5/2 and 7/2.
    columns = torch.tensor(
        [[2.0, 6.5, 15.0, 20.0], [6.0, 18.5, 35.0, 40.0]]  # the last is half outside, and masked
    )
    half = 0.75 * columns[0], 0.75 * columns[0] + 0.25 * columns[1]
    near = 0.25 * columns[0] + 0.75 * columns[1]
    # What is seen to 3/4 is divided by it; what is seen to 1/4 or to half is masked.
    wanted = torch.stack([0 * near, half[0] / 0.75, half[1], near])
    wanted[:, 3] = 0.0
    torch.testing.assert_close(seen.line_integrals, wanted)
    assert seen.usable.int().tolist() == [[0, 0, 0, 0], [1, 1, 1, 0], [1, 1, 1, 0], [1, 1, 1, 0]]


def test_masked_pixels_do_not_bleed():
    mask = torch.tensor([[True, True, True, False], [True, True, False, False]])
    seen = FixedCamera(1000.0, 2, 2.0).resample(radiograph((0.5, 1.5), mask=mask, mirrored=True))
    assert seen.usable.tolist() == [[True, False], [True, False]]
    torch.testing.assert_close(seen.line_integrals[:, 0], torch.tensor([2.0, 6.0]))


def test_a_point_of_the_patient_is_seen_where_its_ray_goes():
    detector = Detector((60, 80), (1.5, 2.0), (21.5, 50.25), mirrored=False)
    carm = CArm(1100.0, 700.0, detector)
    camera = FixedCamera(1020.0, 96, 1.7)
    pose = carm.world_from_camera(20.0, -10.0, 4.0, isocenter=(1.0, 2.0, 3.0))
    points = torch.tensor([[10.0, 5.0, -8.0], [-12.0, 0.0, 9.0]], dtype=torch.float64)
    direct = camera.carm(carm).project(points, pose)
    carried = pixels_between(carm.project(points, pose), carm, camera.carm(carm))
    torch.testing.assert_close(direct, carried)
    # A bright spot there: its centre of mass stays on the ray, to a tenth of a pixel.
    for point, (row, column) in zip(points, direct, strict=True):
        grid = detector.pixel_grid() - carm.project(point, pose)
        spot = torch.exp(-0.5 * (grid * torch.tensor([1.5, 2.0])).square().sum(-1) / 3.0**2)
        seen = camera.resample(Radiograph(spot.reshape(60, 80), carm)).line_integrals
        rows, columns = (torch.arange(96, dtype=torch.float64) for _ in range(2))
        assert float(seen.sum(1) @ rows / seen.sum()) == pytest.approx(float(row), abs=0.1)
        assert float(seen.sum(0) @ columns / seen.sum()) == pytest.approx(float(column), abs=0.1)


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        ("positive, mm", {"pixel_mm": 0.0}),
        ("positive, mm", {"source_to_detector": float("inf")}),
        ("1 to 4096 pixels a side: got 5000", {"pixels": 5000}),
    ],
)
def test_what_is_no_camera_is_refused(words, changes):
    with pytest.raises(ValueError, match=words):
        FixedCamera(**changes)
