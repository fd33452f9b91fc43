"""What counts as saturated, by hand."""

from dataclasses import replace

import pytest
import torch

from napari_xreg.geometry import CArm, Detector
from napari_xreg.images import Radiograph, without_saturated

ARM = CArm(1020.0, 740.0, Detector((14, 15), (2.5, 2.4), (4.0, 9.0)))


def picture(low: int = 0, high: int = 0, **kwargs: object) -> Radiograph:
    """210 different values, the `low` smallest and the `high` largest of them cut off."""
    order = torch.randperm(210, generator=torch.Generator().manual_seed(4))
    values = (0.5 + order / 210.0).clamp(0.5 + low / 210, 0.5 + (209 - high) / 210)
    return Radiograph(values.reshape(14, 15), ARM, read_as="intensity", **kwargs)


def left(radiograph: Radiograph) -> int:
    return int(without_saturated(radiograph).usable.sum())


@pytest.mark.parametrize(
    ("low", "high", "kept"),
    [
        (0, 0, 210),
        (1, 0, 210),  # 2 of 210 are under a hundredth
        (2, 0, 207),  # 3 are not
        (0, 40, 169),
        (60, 9, 139),
    ],
)
def test_a_plateau_at_either_end_is_left_out(low, high, kept):
    radiograph = picture(low, high)
    assert left(radiograph) == kept
    assert (without_saturated(radiograph) is radiograph) == (kept == 210)


def test_which_pixels_are_left_out():
    radiograph = picture(50)
    done = without_saturated(radiograph)
    values = radiograph.line_integrals
    assert torch.equal(done.usable, values > values.min())
    assert torch.equal(done.line_integrals, values)
    assert str(done.operations[-1]) == "mask: without what is saturated"
    assert without_saturated(done) is done
    assert without_saturated(done.crop(0, 0, 9, 8)).operations == done.crop(0, 0, 9, 8).operations


def test_the_last_step_of_few_grey_values_is_no_plateau():
    radiograph = picture()
    coarse = (radiograph.line_integrals * 10).round() / 10
    assert int((coarse == coarse.min()).sum()) == 11
    assert left(replace(radiograph, line_integrals=coarse)) == 210
    # Twice as many as at the next step, and one more.
    values = torch.linspace(0.5, 1.5, 210).reshape(14, 15)
    values.view(-1)[:41], values.view(-1)[41:61] = 0.2, 0.3
    assert left(replace(radiograph, line_integrals=values)) == 169
    values.view(-1)[40] = 0.3
    assert left(replace(radiograph, line_integrals=values)) == 210


def test_masked_pixels_do_not_count():
    radiograph = picture(50)
    values = radiograph.line_integrals
    mask = values > values.min()
    assert without_saturated(replace(radiograph, mask=mask)).operations == ()


def test_nothing_is_nothing_in_a_drr_alone():
    values = picture(50).line_integrals
    values = values - values.min()
    for simulated, read_as, kept in (
        (True, "line_integral", 210),
        (False, "line_integral", 159),
        (True, "intensity", 159),
    ):
        assert left(Radiograph(values, ARM, read_as=read_as, simulated=simulated)) == kept
    # Anything but zero is an end of the range in a DRR too.
    assert left(Radiograph(values + 0.1, ARM, simulated=True)) == 159


def test_a_picture_of_plateaus_stays():
    values = torch.zeros(14, 15)
    values[3:6, 4] = 1.0
    radiograph = Radiograph(values, ARM, read_as="intensity")
    assert without_saturated(radiograph) is radiograph


def test_nothing_in_a_subtracted_image_is_no_plateau():
    values = picture().line_integrals.clone()
    values[values < values.quantile(0.6)] = 0.0  # all that is no vessel
    vessels = replace(picture(), line_integrals=values, read_as="line_integral")
    assert left(vessels) == 84
    angiogram = replace(vessels, subtracted=True)
    assert left(angiogram) == 210
    assert left(angiogram.invert()) == 210  # nothing is the highest value now
    clipped = replace(angiogram, line_integrals=values.clamp(max=float(values.quantile(0.9))))
    assert left(clipped) == 189  # the other end is a plateau: 21 of 210 lie above 0.9 of the way
