"""A radiograph: every operation carries pixels, mask, K and nominal pose along, consistently."""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, strategies as st

from napari_xreg.geometry import CArm, CArmPose, Detector
from napari_xreg.images import Radiograph
from napari_xreg.images.operations import Mask

ROWS, COLUMNS = 20, 31
POSE = CArmPose(31.0, -17.0, 8.0, (4.0, -7.0, 11.0), (13.0, -22.0, 37.0))
POINTS = torch.tensor(
    [[20.0, -35.0, 45.0], [2.0, -9.0, 22.0], [25.0, -12.0, 60.0]], dtype=torch.float64
)


def radiograph(*, mirrored=True, mask=None, field_diameter=None):
    generator = torch.Generator().manual_seed(5)
    image = torch.rand(ROWS, COLUMNS, generator=generator)
    detector = Detector(
        (ROWS, COLUMNS), (2.7, 1.9), (7.25, 17.5), mirrored=mirrored, field_diameter=field_diameter
    )
    return Radiograph(image, CArm(1010.0, 620.0, detector), mask=mask, nominal=POSE)


def pixels_of(image):
    """Where the nominal C-arm sees the points."""
    return image.carm.project(POINTS, image.carm.pose_from(image.nominal))


class TestConstruction:
    def test_image_and_detector_must_agree(self):
        image = radiograph()
        with pytest.raises(ValueError, match="same rows and columns"):
            replace(image, line_integrals=image.line_integrals.T.contiguous())

    def test_nan_is_allowed_only_behind_the_mask(self):
        image = radiograph()
        broken = image.line_integrals.clone()
        broken[3, 4] = math.nan
        with pytest.raises(ValueError, match="finite"):
            replace(image, line_integrals=broken)
        mask = torch.ones(ROWS, COLUMNS, dtype=torch.bool)
        mask[3, 4] = False
        assert not replace(image, line_integrals=broken, mask=mask).usable[3, 4]

    def test_masks_intersect(self):
        first = torch.ones(ROWS, COLUMNS, dtype=torch.bool)
        first[2] = False
        second = torch.ones(ROWS, COLUMNS, dtype=torch.bool)
        second[:, 5] = False
        image = radiograph(mask=first).with_mask(second, "a tube")
        assert (~image.usable).sum() == COLUMNS + ROWS - 1
        assert image.operations == (Mask("a tube"),)


class TestCrop:
    def test_projections_move_by_the_corner(self):
        image = radiograph()
        cropped = image.crop(3, 5, 12, 20)
        torch.testing.assert_close(
            pixels_of(cropped), pixels_of(image) - torch.tensor([3.0, 5.0], dtype=torch.float64)
        )
        assert torch.equal(cropped.line_integrals, image.line_integrals[3:15, 5:25])
        assert cropped.carm.detector.spacing == (2.7, 1.9)

    def test_circular_field_stays_where_it_was(self):
        image = radiograph(field_diameter=40.0)
        cropped = image.crop(2, 1, 9, 22)
        assert torch.equal(cropped.usable, image.usable[2:11, 1:23])
        assert cropped.usable.any()
        assert not cropped.usable.all()

    @pytest.mark.parametrize("window", [(-1, 0, 5, 5), (0, 12, 5, 20), (16, 0, 5, 5), (1, 1, 0, 5)])
    def test_outside_is_refused(self, window):
        with pytest.raises(ValueError, match=r"inside|at least one"):
            radiograph().crop(*window)


class TestResize:
    def test_area_average_by_hand(self):
        """5 pixels to 2 cover 2.5 each: (1 + 2 + 4/2) / 2.5 and (4/2 + 8 + 16) / 2.5."""
        detector = Detector((1, 5), (1.0, 1.0))
        row = torch.tensor([[1.0, 2.0, 4.0, 8.0, 16.0]])
        small = Radiograph(row, CArm(1000.0, 500.0, detector)).resize(1, 2)
        torch.testing.assert_close(small.line_integrals, torch.tensor([[2.0, 10.4]]))

    def test_doubling_by_hand(self):
        """New centres lie at -1/4, 1/4, 3/4, 5/4 old pixels; outside the centres it is flat."""
        detector = Detector((1, 2), (1.0, 1.0))
        large = Radiograph(torch.tensor([[1.0, 5.0]]), CArm(1000.0, 500.0, detector)).resize(1, 4)
        torch.testing.assert_close(large.line_integrals, torch.tensor([[1.0, 2.0, 4.0, 5.0]]))

    @pytest.mark.slow
    @given(rows=st.integers(16, 47), columns=st.integers(20, 63))
    def test_projection_and_content_agree(self, rows, columns):
        """A blob stays where its point projects, at any ratio."""
        detector = Detector((48, 64), (1.5, 1.1), (20.25, 40.5))
        carm = CArm(1010.0, 620.0, detector)
        r = torch.arange(48, dtype=torch.float64)[:, None]
        c = torch.arange(64, dtype=torch.float64)
        at = carm.project(POINTS[:1], carm.pose_from(replace(POSE, isocenter=(20.0, -34.0, 45.0))))
        blob = torch.exp(-((r - at[0, 0]) ** 2 + (c - at[0, 1]) ** 2) / (2 * 3.5**2))
        image = Radiograph(blob, carm, nominal=replace(POSE, isocenter=(20.0, -34.0, 45.0)))
        small = image.resize(rows, columns)
        values = small.line_integrals
        weight = values / values.sum()
        found = torch.stack(
            [
                (weight.sum(1) * torch.arange(rows, dtype=torch.float64)).sum(),
                (weight.sum(0) * torch.arange(columns, dtype=torch.float64)).sum(),
            ]
        )
        # Pixels smaller than sigma, all of the blob inside (aliasing 0.002 pixels): the centroid of the samples is that of the blob.
        torch.testing.assert_close(found, pixels_of(small)[0], atol=0.01, rtol=0)

    @pytest.mark.slow
    @given(rows=st.integers(1, 60), columns=st.integers(1, 60))
    def test_projections_keep_their_place_between_the_edges(self, rows, columns):
        image = radiograph()
        scale = torch.tensor([rows / ROWS, columns / COLUMNS], dtype=torch.float64)
        torch.testing.assert_close(
            (pixels_of(image.resize(rows, columns)) + 0.5) / scale, pixels_of(image) + 0.5
        )

    def test_masked_pixels_do_not_bleed(self):
        mask = torch.ones(ROWS, COLUMNS, dtype=torch.bool)
        mask[6:9, 10:14] = False
        image = radiograph(mask=mask)
        poisoned = image.line_integrals.clone()
        poisoned[~mask] = 1e6
        clean, dirty = image.resize(9, 13), replace(image, line_integrals=poisoned).resize(9, 13)
        torch.testing.assert_close(dirty.line_integrals, clean.line_integrals)
        assert dirty.line_integrals.max() <= 1.0
        assert not dirty.usable.all()

    def test_constant_image_with_a_mask_stays_constant(self):
        mask = torch.ones(ROWS, COLUMNS, dtype=torch.bool)
        mask[:7] = False
        image = replace(radiograph(mask=mask), line_integrals=torch.full((ROWS, COLUMNS), 3.25))
        small = image.resize(6, 11)
        torch.testing.assert_close(
            small.line_integrals[small.usable], torch.full((int(small.usable.sum()),), 3.25)
        )

    def test_masked_nan_does_not_bleed(self):
        mask = torch.ones(ROWS, COLUMNS, dtype=torch.bool)
        mask[4, 4] = False
        image = radiograph(mask=mask)
        broken = image.line_integrals.clone()
        broken[4, 4] = math.nan
        assert torch.isfinite(
            replace(image, line_integrals=broken).resize(7, 9).line_integrals
        ).all()


class TestTurns:
    @pytest.mark.parametrize("mirrored", [True, False])
    @pytest.mark.parametrize("turns", [1, 2, 3, -1, 4])
    def test_pixels_mask_and_projections_turn_together(self, turns, mirrored):
        mask = torch.ones(ROWS, COLUMNS, dtype=torch.bool)
        mask[3, 5] = False
        image = radiograph(mirrored=mirrored, mask=mask)
        turned = image.rotate90(turns)
        row, column, rows, columns = *pixels_of(image).unbind(-1), ROWS, COLUMNS
        at = (3, 5)
        for _ in range(turns % 4):  # a clockwise quarter turn, by hand
            row, column = column, rows - 1 - row
            at = at[1], rows - 1 - at[0]
            rows, columns = columns, rows
        assert turned.carm.detector.shape == (rows, columns)
        torch.testing.assert_close(pixels_of(turned), torch.stack([row, column], -1))
        assert turned.line_integrals[at] == image.line_integrals[3, 5]
        assert not turned.usable[at]
        assert (~turned.usable).sum() == 1

    def test_rotate180_pins(self):
        image = radiograph()
        turned = image.rotate180()
        assert turned.carm.detector.center == (ROWS - 1 - 7.25, COLUMNS - 1 - 17.5)
        assert turned.line_integrals[0, 0] == image.line_integrals[ROWS - 1, COLUMNS - 1]
        assert turned.nominal.roll_deg == pytest.approx(-172.0)
        assert turned.nominal.offset_mm == pytest.approx((-4.0, 7.0, 11.0))
        assert turned.carm.detector.mirrored

    def test_a_mirrored_image_rolls_the_other_way(self):
        assert radiograph(mirrored=True).rotate90(1).nominal.roll_deg == pytest.approx(98.0)
        assert radiograph(mirrored=False).rotate90(1).nominal.roll_deg == pytest.approx(-82.0)

    @pytest.mark.parametrize("mirrored", [True, False])
    def test_flip_mirrors_the_detector_and_not_the_pose(self, mirrored):
        image = radiograph(mirrored=mirrored)
        flipped = image.flip_columns()
        before = pixels_of(image)
        expected = torch.stack([before[:, 0], COLUMNS - 1 - before[:, 1]], -1)
        torch.testing.assert_close(pixels_of(flipped), expected)
        assert flipped.nominal == image.nominal
        assert flipped.carm.detector.mirrored is not mirrored
        assert flipped.line_integrals[2, 0] == image.line_integrals[2, COLUMNS - 1]

    def test_four_turns_and_two_flips_are_nothing(self):
        image = radiograph()
        again = image.rotate90(1).rotate90(3).flip_columns().flip_columns()
        assert torch.equal(again.line_integrals, image.line_integrals)
        assert again.carm == image.carm
        assert again.nominal.roll_deg == pytest.approx(POSE.roll_deg)
        assert again.nominal.offset_mm == pytest.approx(POSE.offset_mm)

    def test_crop_then_turn_is_turn_then_crop(self):
        image = radiograph()
        one = image.crop(2, 3, 10, 14).rotate90(1)
        two = image.rotate90(1).crop(3, ROWS - 12, 14, 10)
        assert torch.equal(one.line_integrals, two.line_integrals)
        assert one.carm.detector.center == pytest.approx(two.carm.detector.center)
