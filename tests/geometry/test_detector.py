"""Half pixels and mirrors: the same place in space after every operation on the image."""

import pytest
import torch
from hypothesis import given, strategies as st

from napari_xreg.geometry import CArm, Detector

ISOCENTER = (11.0, -37.0, 452.0)
POINTS = torch.tensor(
    [[31.0, -50.0, 440.0], [-12.0, -10.0, 471.0], [20.0, -41.0, 449.0]], dtype=torch.float64
)
DETECTOR = Detector((120, 200), (0.5, 0.4), principal_point=(51.25, 83.5))


def project(detector: Detector, roll: float = 3.0) -> torch.Tensor:
    carm = CArm(1000.0, 600.0, detector)
    return carm.project(POINTS, carm.world_from_camera(20.0, -10.0, roll, isocenter=ISOCENTER))


def test_the_middle_of_four_pixels_is_one_and_a_half():
    """F7: pixel centres are 0, 1, 2, 3. A corner convention would say 2."""
    assert Detector((4, 4), (1.0, 1.0)).center == (1.5, 1.5)


def test_crop_moves_the_principal_point_by_the_corner():
    """F9: cropping 50 pixels all around shifts the principal point by 50 and the size by 100."""
    detector = Detector((1536, 1536), (0.194, 0.194), principal_point=(767.5, 769.0))
    cropped = detector.crop(50, 50, 1436, 1436)
    assert cropped.center == (717.5, 719.0)
    assert cropped.shape == (1436, 1436)


def test_crop_keeps_every_point_in_place():
    cropped = DETECTOR.crop(7, 19, 60, 110)
    torch.testing.assert_close(project(cropped) + torch.tensor([7.0, 19.0]), project(DETECTOR))


def test_crop_without_a_given_principal_point_does_not_recentre():
    assert Detector((10, 21), (1.0, 2.0)).crop(4, 3, 5, 6).center == (4.5 - 4, 10.0 - 3)


def test_resize_shifts_by_half_a_pixel():
    """F8: 4 rows become 8: row 0 lies between the new rows 0 and 1, at (0 + 1/2) 2 - 1/2."""
    resized = Detector((4, 6), (1.0, 3.0), principal_point=(0.0, 5.0)).resize(8, 18)
    assert resized.center == (0.5, (5 + 0.5) * 3 - 0.5)
    assert resized.spacing == (0.5, 1.0)
    assert resized.size_mm == (4.0, 18.0)


def test_resize_agrees_with_the_pixels_of_an_average():
    """Averaging 2 x 5 blocks: the middle of a block is where the new detector puts its pixel."""
    new = DETECTOR.resize(60, 40)
    arm, small = CArm(1000.0, 600.0, DETECTOR), CArm(1000.0, 600.0, new)
    pose = arm.world_from_camera(20.0, -10.0, isocenter=ISOCENTER)
    block = torch.cartesian_prod(torch.arange(14.0, 16.0), torch.arange(30.0, 35.0)).double()
    middle = arm.rays(pose, block)[1].mean(0)
    pixel = torch.tensor([[7.0, 6.0]], dtype=torch.float64)
    torch.testing.assert_close(small.rays(pose, pixel)[1][0], middle)


@given(st.integers(1, 500), st.integers(1, 500))
def test_resize_and_back(rows, columns):
    again = DETECTOR.resize(rows, columns).resize(120, 200)
    assert again.center == pytest.approx(DETECTOR.center, abs=1e-9)
    assert again.spacing == pytest.approx(DETECTOR.spacing)


@pytest.mark.slow
@given(st.integers(1, 50), st.integers(1, 70), st.booleans())
def test_resize_keeps_every_point_in_place(rows, columns, mirrored):
    detector = Detector((120, 200), (0.5, 0.4), (51.25, 83.5), mirrored=mirrored)
    k = torch.tensor([rows / 120, columns / 200])
    expected = (project(detector) + 0.5) * k - 0.5
    torch.testing.assert_close(project(detector.resize(rows, columns)), expected)


@pytest.mark.parametrize("mirrored", [True, False])
def test_flipping_columns_toggles_the_mirror(mirrored):
    detector = Detector((120, 200), (0.5, 0.4), (51.25, 83.5), mirrored=mirrored)
    flipped = project(detector.flip_columns())
    expected = project(detector)
    torch.testing.assert_close(flipped[:, 0], expected[:, 0])
    torch.testing.assert_close(flipped[:, 1], 199 - expected[:, 1])


@pytest.mark.parametrize("turns", [-1, 1, 2, 3, 4])
@pytest.mark.parametrize("mirrored", [True, False])
def test_quarter_turns_belong_to_a_roll(turns, mirrored):
    """A clockwise turn of the image as torch.rot90 makes it, and the roll that explains it.

    Seen from the source (unmirrored), turning the image clockwise means that the camera turned
    counter-clockwise, right-handed about the beam away from the viewer: minus 90. The mirror
    changes the sign.
    """
    detector = Detector((120, 200), (0.5, 0.4), (51.25, 83.5), mirrored=mirrored)
    rotated = detector.rotate90(turns)
    index = torch.arange(120 * 200).reshape(120, 200)
    image = torch.rot90(index, -turns)
    assert image.shape == torch.Size(rotated.shape)
    roll = 3.0 + 90 * turns * (1 if mirrored else -1)
    expected = project(detector)
    got = project(rotated, roll)
    for _ in range(turns % 4):
        rows = detector.shape[0]
        expected = torch.stack([expected[:, 1], rows - 1 - expected[:, 0]], -1)
        detector = detector.rotate90(1)
    torch.testing.assert_close(got, expected)
    # The same law for whole pixels, from the array itself.
    marked = (image == 17 * 200 + 31).nonzero()[0].double()
    p = torch.tensor([17.0, 31.0], dtype=torch.float64)
    size = [120, 200]
    for _ in range(turns % 4):
        p = torch.stack([p[1], size[0] - 1 - p[0]])
        size.reverse()
    torch.testing.assert_close(marked, p)


def test_the_circular_field_is_measured_in_mm_about_the_middle():
    """5 x 9 pixels of 2 x 1 mm; a field of 8.2 mm holds 4.1 mm to each side of (2, 4)."""
    detector = Detector((5, 9), (2.0, 1.0), principal_point=(0.0, 0.0), field_diameter=8.2)
    mask = detector.field_mask()
    expected = [
        "....#....",  # 4 mm up: 0.9 mm wide to each side, so the centre alone
        ".#######.",  # 2 mm up: 3.58 mm
        "#########",  # 4.1 mm
        ".#######.",
        "....#....",
    ]
    assert ["".join(".#"[int(v)] for v in row) for row in mask] == expected


def test_the_field_survives_resizing_and_is_dropped_by_cropping():
    detector = Detector((50, 90), (2.0, 1.0), field_diameter=70.0)
    assert detector.resize(25, 30).field_mask().float().mean() == pytest.approx(
        float(detector.field_mask().float().mean()), abs=0.02
    )
    assert detector.crop(0, 0, 10, 10).field_mask().all()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"shape": (0, 5)}, "at least one row"),
        ({"spacing": (1.0, -1.0)}, "spacing"),
        ({"principal_point": (float("nan"), 0.0)}, "finite"),
        ({"field_diameter": 0.0}, "diameter"),
    ],
)
def test_impossible_detectors_are_refused(change, says):
    with pytest.raises(ValueError, match=says):
        Detector(**{"shape": (4, 5), "spacing": (1.0, 2.0), **change})


@pytest.mark.parametrize("corner", [(-1, 0), (0, 195), (115, 0)])
def test_crops_beyond_the_image_are_refused(corner):
    with pytest.raises(ValueError, match="does not lie inside"):
        DETECTOR.crop(*corner, 10, 10)
