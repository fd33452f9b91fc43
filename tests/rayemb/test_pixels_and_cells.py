"""Which cell a pixel is, which pixel a 3D point: half pixels, mirrors, rows before columns."""

from dataclasses import replace

import pytest
import torch

from napari_xreg.geometry import CArm, CArmPose, Detector, Pose, covariance_between, pixels_between
from napari_xreg.images import Radiograph
from napari_xreg.rayemb.network.compact import CompactEncoder
from napari_xreg.rayemb.templates import Templates, choose_templates
from napari_xreg.training import (
    Framing,
    cells_from_pixels,
    contrast_channels,
    sample_cells,
)

CARM = CArm(1020.0, 750.0, Detector((200, 240), (1.3, 1.1), principal_point=(90.5, 131.0)))


def test_cells_by_hand():
    # 12 x 20 pixels in 3 x 5 cells of 4: cell 0 covers pixels 0..3, its centre is pixel 1.5.
    pixels = torch.tensor([[1.5, 1.5], [5.5, 17.5], [-0.5, 19.5], [2.5, 3.5]])
    cells = cells_from_pixels(pixels, (12, 20), (3, 5))
    expected = torch.tensor([[0.0, 0.0], [1.0, 4.0], [-0.5, 4.5], [0.25, 0.5]])
    torch.testing.assert_close(cells, expected)


def test_cells_of_the_published_weights_by_hand():
    # p = 100 counted from the corner is 99.5 counted from centres: 100 / 223 * 15; clipped at 223.
    pixels = torch.tensor([[99.5, -0.5], [300.0, 222.5], [-7.0, 111.0]], dtype=torch.float64)
    cells = cells_from_pixels(pixels, (224, 224), (16, 16), "rayemb-v1")
    expected = [[100 / 223 * 15, 0.0], [15.0, 15.0], [0.0, 111.5 / 223 * 15]]
    torch.testing.assert_close(cells, torch.tensor(expected, dtype=torch.float64))
    # The two conventions disagree by up to half a cell at the border (METHODS A5: 6.5 px of 224).
    ours = cells_from_pixels(pixels[:1], (224, 224), (16, 16))
    assert (ours[0, 1] - cells[0, 1]).abs().item() == pytest.approx(0.5)


def test_sampling_is_bilinear_and_rows_come_first():
    embedding = torch.arange(12.0).reshape(1, 1, 3, 4)  # value = 4 row + column
    cells = torch.tensor([[[0.0, 3.0], [2.0, 0.0], [1.25, 2.5], [-3.0, 9.0]]])
    sampled = sample_cells(embedding, cells)[0, :, 0]
    torch.testing.assert_close(sampled, torch.tensor([3.0, 8.0, 7.5, 3.0]))


def test_templates_gather_what_sampling_gathers():
    generator = torch.Generator().manual_seed(2)
    embeddings = torch.randn(5, 6, 7, 9, generator=generator)
    carm = CArm(1000.0, 700.0, Detector((28, 36), (1.0, 1.0)))
    poses = carm.world_from_camera(
        torch.linspace(-20, 20, 5).double(), 3.0, isocenter=(1.0, 2.0, 3.0)
    )
    templates = Templates(carm, poses, torch.zeros(5, 28, 36), embeddings)
    points = torch.randn(11, 3, generator=generator).double() * 6 + torch.tensor([1.0, 2.0, 3.0])
    pixels, inside = templates.project(points)
    choice, seen = choose_templates(inside, 3, generator)
    features = templates.features(pixels, choice, seen)
    cells = cells_from_pixels(pixels, (28, 36), (7, 9)).float()
    sampled = sample_cells(embeddings, cells)
    for n in range(11):
        for k in range(3):
            expected = sampled[choice[n, k], n] * seen[n, k]
            torch.testing.assert_close(features[n, :, k], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("mirrored", [True, False])
def test_a_point_is_where_the_radiograph_shows_it(mirrored):
    # An oblique view; a ball's shadow on the encoder's image lies at the projected point.
    carm = replace(CARM, detector=replace(CARM.detector, mirrored=mirrored))
    pose = carm.pose_from(CArmPose(33.0, -17.0, 6.0, (4.0, -9.0, 21.0), (12.0, -31.0, 640.0)))
    point = torch.tensor([[31.0, -44.0, 668.0]], dtype=torch.float64)
    pixel = carm.project(point, pose)
    grid = carm.detector.pixel_grid().reshape(200, 240, 2)
    shadow = torch.exp(-((grid - pixel[0]) ** 2).sum(-1) / (2 * 5.0**2)).float()
    framing = Framing()
    seen = framing.resample(Radiograph(shadow, carm)).line_integrals
    encoder_carm = framing.carm(carm)
    assert encoder_carm.detector.mirrored
    assert tuple(seen.shape) == encoder_carm.detector.shape
    rows, columns = (torch.arange(n, dtype=torch.float64) for n in seen.shape)
    weight = seen.double() / seen.double().sum()
    centroid = torch.stack([(weight.sum(1) * rows).sum(), (weight.sum(0) * columns).sum()])
    torch.testing.assert_close(centroid, encoder_carm.project(point, pose)[0], rtol=0, atol=0.05)
    torch.testing.assert_close(
        pixels_between(encoder_carm.project(point, pose), encoder_carm, carm), pixel
    )


def test_pixels_between_grids_by_hand():
    # Halving 8 x 8 pixels: pixel 3 of 4 is pixels 6 and 7 of 8, centre 6.5; flipped columns: 7 - 1.
    fine = CArm(1000.0, 700.0, Detector((8, 8), (1.0, 1.0)))
    coarse = replace(fine, detector=fine.detector.resize(4, 4).flip_columns())
    moved = pixels_between(torch.tensor([[3.0, 1.0]], dtype=torch.float64), coarse, fine)
    torch.testing.assert_close(moved, torch.tensor([[6.5, 4.5]], dtype=torch.float64))
    covariance = torch.tensor([[[2.0, 0.5], [0.5, 1.0]]], dtype=torch.float64)
    carried = covariance_between(covariance, coarse, fine)
    expected = torch.tensor([[[8.0, -2.0], [-2.0, 4.0]]], dtype=torch.float64)
    torch.testing.assert_close(carried, expected)


def test_anatomy_has_one_size_on_every_c_arm():
    framing = Framing(pixel_mm=1.7, multiple=16)
    for carm in (CARM, CArm(1300.0, 800.0, Detector((1024, 768), (0.3, 0.4)))):
        detector = framing.carm(carm).detector
        ratio = carm.source_to_isocenter / carm.source_to_detector
        for spacing in detector.spacing:
            assert spacing * ratio == pytest.approx(1.7, rel=0.06)
        assert detector.shape[0] % 16 == 0
        assert detector.size_mm == pytest.approx(carm.detector.size_mm)
        template = framing.template_carm(carm, 1.25).detector
        assert template.spacing == detector.spacing
        assert template.shape[0] / max(detector.shape) == pytest.approx(1.25, rel=0.04)


def test_contrast_channels_forget_gain_offset_and_what_is_masked():
    carm = CArm(1020.0, 750.0, Detector((48, 64), (2.0, 1.5), principal_point=(20.0, 30.0)))
    generator = torch.Generator().manual_seed(8)
    image = torch.randn(1, 48, 64, generator=generator)
    mask = torch.ones(1, 48, 64, dtype=torch.bool)
    mask[:, :7] = False
    channels = contrast_channels(image, mask, carm)
    other = torch.where(mask, 3.5 * image + 11.0, 1e6)
    torch.testing.assert_close(contrast_channels(other, mask, carm), channels, rtol=0, atol=1e-3)
    # Where a pixel lies: row 45 is 25 rows below the central ray, 25 * 2 mm * 750 / 1020 / 100.
    assert channels[0, 3, 45, 3].item() == pytest.approx(25 * 2.0 * 750 / 1020 / 100)
    assert channels[0, 4, 45, 3].item() == pytest.approx(-27 * 1.5 * 750 / 1020 / 100)
    assert channels[0, 2, 6, 5] == 0
    assert channels[0, 2, 7, 5] == 1


@pytest.mark.parametrize("value", [0.1, 3.7, 40.3])
def test_a_constant_has_no_contrast(value):
    # In float32 its mean is off by up to 4e-6: as a score that would be one deviation everywhere.
    carm = CArm(1020.0, 750.0, Detector((48, 64), (2.0, 1.5), principal_point=(20.0, 30.0)))
    image = torch.full((2, 48, 64), value)
    mask = torch.ones(2, 48, 64, dtype=torch.bool)
    mask[0, :17, 20:] = False
    mask[1] = False  # nothing usable, and then one pixel
    assert contrast_channels(image, mask, carm)[:, :2].abs().max() == 0
    mask[1, 30, 11] = True
    assert contrast_channels(image, mask, carm)[:, :2].abs().max() == 0


def test_cells_of_the_encoder_lie_where_their_pixels_are():
    # A network of symmetric steps: mirrored input (and places), mirrored cells for mirrored weights.
    torch.manual_seed(5)
    encoder = CompactEncoder(dimensions=8, widths=(8, 8, 8)).eval()
    with torch.no_grad():
        for module in encoder.modules():
            if isinstance(module, torch.nn.Conv2d):
                module.weight.copy_((module.weight + module.weight.flip(3)) / 2)
                module.weight.copy_((module.weight + module.weight.flip(2)) / 2)
        inputs = torch.randn(1, 5, 64, 96)
        plain = encoder(inputs)
        flipped = encoder(inputs.flip(3).flip(2)).flip(3).flip(2)
    assert plain.shape == (1, 8, 32, 48)
    torch.testing.assert_close(plain, flipped, rtol=0, atol=2e-4)


def test_every_template_is_drawn_from_those_that_see_the_point():
    inside = torch.zeros(9, 40, dtype=torch.bool)
    inside[:5, :20] = True
    inside[3:, 20:] = True
    inside[:, 39] = False
    inside[2, 39] = True
    choice, seen = choose_templates(inside, 4, torch.Generator().manual_seed(1))
    assert all(len(set(row)) == 4 for row in choice.tolist())
    assert choice[:20].max() < 5
    assert choice[20:39].min() >= 3
    assert seen[:39].all()
    assert seen[39].sum() == 1
    assert choice[39, seen[39]].item() == 2
    together, _ = choose_templates(inside, 4, torch.Generator().manual_seed(1), visible=False)
    assert (together == together[0]).all()


def test_a_batch_of_identity_poses_is_refused_nothing():
    # Points behind the source are not seen, and are no NaN in the features.
    carm = CArm(1000.0, 700.0, Detector((16, 16), (2.0, 2.0)))
    poses = Pose(torch.eye(3).double().expand(3, 3, 3), torch.zeros(3, 3).double())
    templates = Templates(carm, poses, torch.zeros(3, 16, 16), torch.ones(3, 4, 4, 4))
    pixels, inside = templates.project(torch.tensor([[0.0, 0.0, -5.0], [1.0, 2.0, 500.0]]).double())
    assert inside.tolist() == [[False, True]] * 3
    choice, seen = choose_templates(inside, 2, torch.Generator().manual_seed(0))
    features = templates.features(pixels, choice, seen)
    assert torch.isfinite(features).all()
    assert features[0].abs().max() == 0
