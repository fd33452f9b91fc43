"""Whether bone is bright: asked of renderings, on radiographs that another integrator simulated."""

from dataclasses import replace

import pytest
import torch

from napari_xreg.geometry import CArm, Detector
from napari_xreg.images import Radiograph
from napari_xreg.rayemb import Looks, Polarity, coarse_drrs, polarity_of
from napari_xreg.rayemb.local_contrast import band_between, mean_near, normalised_in, z_scores
from napari_xreg.rayemb.polarity import BEYOND_DOUBT, _measures, _middle, _shape_at, _skewness
from napari_xreg.simulation import phantom, simulate_radiograph
from napari_xreg.training import STANDARD_CARM

CARM = replace(STANDARD_CARM, detector=STANDARD_CARM.detector.resize(96, 96))


@pytest.fixture(scope="module")
def scene():
    made = phantom(spacing_mm=4.0, seed=11)
    volume = made.volume.to(dtype=torch.float32)
    isocenter = torch.tensor([8.0, -20.0, 655.0], dtype=torch.float64)
    images, carm = coarse_drrs(volume, CARM, isocenter, count=16)
    pose = CARM.world_from_camera(14.0, -9.0, 3.0, isocenter=isocenter, offset_mm=(11, -14, 20))
    radiograph = simulate_radiograph(
        made.volume, made.labels, CARM, pose, severity="typical", seed=3
    ).radiograph
    return radiograph, images, carm


@pytest.mark.slow
def test_a_radiograph_looks_right_and_its_negative_inverted(scene):
    radiograph, images, carm = scene
    right = polarity_of(radiograph, images, carm)
    wrong = polarity_of(radiograph.invert(), images, carm)
    assert right.looks is Looks.RIGHT
    assert right.log_odds > 2 * BEYOND_DOUBT
    assert wrong.looks is Looks.INVERTED
    # Exactly the opposite: every measure is odd.
    assert wrong.log_odds == pytest.approx(-right.log_odds, rel=1e-4)
    assert "inverted" in wrong.sentence
    assert "Nothing was inverted" in wrong.sentence


def test_detector_values_read_as_line_integrals_look_inverted(scene):
    radiograph, images, carm = scene
    raw = replace(radiograph, line_integrals=torch.exp(-radiograph.line_integrals))
    assert polarity_of(raw, images, carm).looks is Looks.INVERTED


@pytest.mark.slow
def test_gain_and_offset_say_nothing(scene):
    radiograph, images, carm = scene
    other = replace(radiograph, line_integrals=3.7 * radiograph.line_integrals - 11.0)
    expected = polarity_of(radiograph, images, carm).log_odds
    assert polarity_of(other, images, carm).log_odds == pytest.approx(expected, rel=1e-3)


@pytest.mark.slow
def test_noise_cannot_be_told(scene):
    _, images, carm = scene
    generator = torch.Generator().manual_seed(5)
    called = []
    for _ in range(6):
        noise = Radiograph(torch.randn(96, 96, generator=generator), CARM)
        called.append(polarity_of(noise, images, carm).looks)
    assert called.count(Looks.UNCLEAR) >= 4


@pytest.mark.parametrize("value", [0.0, 0.1, 3.7, 40.3])
def test_a_constant_says_nothing(scene, value):
    # In float32 it differs from its mean; that would be the strongest answer of all: inverted.
    _, images, carm = scene
    flat = Radiograph(torch.full((96, 96), value), CARM)
    assert polarity_of(flat, images, carm) == Polarity(Looks.UNCLEAR, 0.0)
    mask = torch.zeros(96, 96, dtype=torch.bool)
    mask[40:43, 50:52] = True  # a few pixels, which at the renderings' size are one or two
    few = replace(flat, mask=mask)
    assert polarity_of(few, images, carm) == Polarity(Looks.UNCLEAR, 0.0)


@pytest.mark.slow
def test_the_radiograph_is_compared_at_the_size_of_the_renderings(scene):
    radiograph, images, carm = scene
    # The same detector with other pixels, and one that is stored unmirrored: the same answer.
    expected = polarity_of(radiograph, images, carm).log_odds
    small = polarity_of(radiograph.resize(64, 64), images, carm).log_odds
    assert small == pytest.approx(expected, rel=0.15)
    flipped = polarity_of(radiograph.flip_columns(), images, carm).log_odds
    assert flipped == pytest.approx(expected, rel=1e-4)


def test_pixels_are_those_at_the_isocenter():
    # 300 mm of detector, magnified 1.36; 400 mm of detector, magnified 2: 3 mm and 2 mm pixels.
    carm = CArm(1020.0, 750.0, Detector((90, 60), (300 / 90, 300 / 60)))
    other = CArm(1400.0, 700.0, Detector((100, 100), (6.0, 4.0)))
    rows, columns = _shape_at(carm, other)
    assert rows == round(300 * 750 / 1020 / 3.0)
    assert columns == round(300 * 750 / 1020 / 2.0)
    image = torch.arange(35.0).reshape(5, 7)
    assert torch.equal(_middle(image, 3, 3), image[1:4, 2:5])


@pytest.mark.slow
def test_what_lies_outside_the_mask_does_not_count(scene):
    radiograph, images, carm = scene
    mask = radiograph.usable.clone()
    mask[:, :30] = False
    limited = radiograph.with_mask(mask, "test")
    painted = replace(limited, line_integrals=torch.where(mask, limited.line_integrals, 1e4))
    first = polarity_of(limited, images, carm).log_odds
    assert polarity_of(painted, images, carm).log_odds == pytest.approx(first, rel=1e-4)


def test_skewness_of_a_known_distribution():
    # Two of every three at 0, one at 3: mean 1, variance 2, third moment 2: 2 / 2^1.5.
    values = torch.tensor([[0.0, 0.0, 3.0], [0.0, 0.0, 3.0]])[None]
    usable = torch.ones(2, 3)
    assert float(_skewness(values, usable)) == pytest.approx(float(torch.tensor(2 / 2**1.5).tanh()))
    assert float(_skewness(-values, usable)) == pytest.approx(-float(_skewness(values, usable)))
    # The last column is not used: no spread is left.
    usable[:, 2] = 0
    assert float(_skewness(values, usable)) == 0.0


def test_all_measures_change_their_sign_with_the_image(scene):
    radiograph, images, _ = scene
    small = radiograph.resize(*images.shape[1:])
    usable = small.usable.float()
    image = small.line_integrals.float()[None]
    ahead = _measures(image, images, usable, itself=False)
    behind = _measures(5.0 - image, images, usable, itself=False)
    torch.testing.assert_close(behind, -ahead, rtol=1e-3, atol=1e-4)
    assert (ahead.abs() > 0.02).all()
    # A rendering that is compared with itself would have a correlation of 1.
    alone = _measures(images, images, usable, itself=True)
    assert (alone[:, 8] < 1.5).all()
    assert (_measures(images, images, usable, itself=False)[:, 8] > alone[:, 8]).all()


def test_too_few_renderings_and_an_empty_mask_are_refused(scene):
    radiograph, images, carm = scene
    with pytest.raises(ValueError, match="at least 8 renderings"):
        polarity_of(radiograph, images[:7], carm)
    nothing = radiograph.with_mask(torch.zeros(96, 96, dtype=torch.bool), "test")
    with pytest.raises(ValueError, match="check its mask"):
        polarity_of(nothing, images, carm)


def test_local_contrast_in_a_mask():
    usable = torch.ones(8, 9)
    usable[:, 6:] = 0
    image = torch.rand(8, 9, generator=torch.Generator().manual_seed(2))[None]
    score = z_scores(image, usable)
    inside = score[0, :, :6]
    assert inside.mean() == pytest.approx(0.0, abs=1e-6)
    assert inside.square().mean() == pytest.approx(1.0, rel=1e-5)
    assert (score[0, :, 6:] == 0).all()
    near = mean_near(score, usable, 3)
    assert near[0, 4, 3] == pytest.approx(float(score[0, 3:6, 2:5].mean()), abs=1e-6)
    # At the edge of the mask: only what is used.
    assert near[0, 4, 5] == pytest.approx(float(score[0, 3:6, 4:6].mean()), abs=1e-6)
    narrow = band_between(score, usable, 1, 3)
    assert narrow[0, 4, 3] == pytest.approx(float(score[0, 4, 3] - near[0, 4, 3]), abs=1e-6)
    unit = normalised_in(image, usable)
    assert float((unit * unit).sum()) == pytest.approx(1.0, rel=1e-5)
