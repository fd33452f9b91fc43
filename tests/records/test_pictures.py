"""Pictures and films: what is drawn where, and that a simulated image says so."""

import importlib.util
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from napari_xreg.geometry import CArm, CArmPose, Detector
from napari_xreg.images import Radiograph, Volume
from napari_xreg.records import drawing, pictures
from napari_xreg.records.pictures import (
    carm_words,
    compare,
    overlay_picture,
    refinement_frames,
    write_gif,
    write_mp4,
    write_picture,
)
from napari_xreg.records.report import write_report
from napari_xreg.registration import Iterate, Registration, Status
from napari_xreg.rendering import render_drr

CARM = CArm(1000.0, 700.0, Detector((40, 52), (3.0, 3.0)))


def volume():
    """A bright box off the middle of a dim one."""
    lac = torch.full((24, 20, 28), 0.01)
    lac[4:12, 5:11, 15:25] = 0.06
    matrix = torch.diag(torch.tensor([4.0, 4.0, 4.0, 1.0], dtype=torch.float64))
    return Volume(lac, matrix)


def case(simulated=True):
    ct = volume()
    center = tuple(ct.center.tolist())
    poses = [
        CARM.pose_from(CArmPose(p, 4.0, 0.0, (d, 0.0, 0.0), center))
        for p, d in [(9, 8), (3, 2), (0, 0)]
    ]
    image = render_drr(ct, CARM, poses[-1])
    radiograph = Radiograph(image, CARM, simulated=simulated, source="box")
    steps = tuple(
        Iterate(i, 0, min(i, 1), pose, {"loss": 0.5 / (i + 1)}, accepted=True)
        for i, pose in enumerate(poses)
    )
    rejected = Iterate(3, 0, 1, poses[0], {"loss": 0.9}, accepted=False)
    result = Registration(
        poses[-1],
        Status.CONVERGED,
        {"loss": 0.1},
        (*steps, rejected),
        ct.center.double(),
        views=(poses[-1],),
        simulated=simulated,
    )
    return ct, radiograph, poses, result


def has_color(picture, color):
    return bool((picture == np.array(color, np.uint8)).all(-1).any())


def test_grey_spans_the_usable_pixels_and_darkens_the_others():
    image = np.linspace(0, 1, 2000, dtype=np.float32).reshape(40, 50)
    image[0, :10] = 90.0  # metal
    usable = np.ones((40, 50), bool)
    usable[30:] = False
    picture = drawing.grey(image, usable)
    assert picture[29, 49, 0] > 150  # not dimmed to 2 by the metal
    assert picture[0, 5, 0] == 255
    assert picture[1, 0, 0] < 20
    assert picture[39, 49, 0] <= 64


def test_a_constant_image_is_drawn_without_warnings():
    assert drawing.grey(np.full((9, 8), 3.0, np.float32)).shape == (9, 8, 3)
    assert not drawing.edges(np.full((30, 30), 3.0, np.float32)).any()
    # As a filter leaves a constant: what is a unit in the last place off is no edge, nor white.
    rounded = np.full((30, 34), 3.7, np.float32)
    rounded[5:20, 7:23] *= np.float32(1 + 2**-23)
    assert not drawing.edges(rounded).any()
    assert np.ptp(drawing.grey(rounded).astype(int)) < 128


def test_edges_lie_on_the_border_of_a_box():
    image = np.zeros((80, 90), np.float32)
    image[20:60, 30:70] = 1.0
    rows, columns = np.nonzero(drawing.edges(image))
    assert len(rows) > 100
    on_row = np.minimum(abs(rows - 19.5), abs(rows - 59.5)) <= 2
    on_column = np.minimum(abs(columns - 29.5), abs(columns - 69.5)) <= 2
    assert (on_row | on_column).all()
    # One bone in a large image: most of it is nothing.
    large = np.zeros((400, 500), np.float32)
    large[120:200, 210:300] = image  # its box: rows 140 to 179, columns 240 to 279
    rows, columns = np.nonzero(drawing.edges(large))
    assert len(rows) > 100
    assert abs(rows - 159.5).max() <= 22
    assert abs(columns - 259.5).max() <= 22


def test_the_curve_goes_down_from_left_to_right():
    picture = drawing.curve([1.0, 0.3, 0.1, 0.03], [0, 0, 0, 0], (120, 300))
    line = (picture == np.array(drawing.AFTER, np.uint8)).all(-1)
    rows, columns = np.nonzero(line)
    assert rows[columns.argmin()] < rows[columns.argmax()]
    first = drawing.curve([1.0, 0.3, 0.1, 0.03], [0, 0, 0, 0], (120, 300), until=2)
    assert (first == np.array(drawing.AFTER, np.uint8)).all(-1).sum() < line.sum()


@pytest.mark.parametrize("losses", [[], [0.0, 0.0], [float("nan"), 1.0]])
def test_a_curve_without_values_says_so(losses):
    assert drawing.curve(losses, [0] * len(losses), (100, 200)).shape == (100, 200, 3)


def test_comparison_renders_at_the_size_of_the_display():
    ct, radiograph, poses, _ = case()
    comparison = compare(ct, radiograph, poses[0], poses[-1], pixels=104)
    assert comparison.after.shape == comparison.radiograph.shape == (80, 104)
    matched = np.corrcoef(comparison.after.ravel(), comparison.radiograph.ravel())[0, 1]
    apart = np.corrcoef(comparison.before.ravel(), comparison.radiograph.ravel())[0, 1]
    assert matched > 0.99 > apart


@pytest.mark.parametrize("simulated", [True, False])
def test_the_overlay_says_whether_the_radiograph_was_simulated(simulated):
    ct, radiograph, poses, result = case(simulated)
    comparison = compare(ct, radiograph, poses[0], poses[-1], pixels=104)
    picture = overlay_picture(comparison, result, caption=["words"])
    bottom = picture[-30:]
    assert has_color(bottom, drawing.WARNING) == simulated
    # Orange edges in the second row, second column; cyan in the third.
    width = picture.shape[1] // 3
    lower = picture[picture.shape[0] // 2 : -60]
    assert (lower[:, width : 2 * width, 0].astype(int) - lower[:, width : 2 * width, 2] > 150).any()
    cyan = lower[:, 2 * width :, 2].astype(int) - lower[:, 2 * width :, 0]
    assert (cyan > 120).any()


def test_the_film_shows_the_accepted_steps_of_the_winner(tmp_path):
    ct, radiograph, _, result = case()
    frames = list(refinement_frames(ct, radiograph, result, pixels=104))
    assert len(frames) == 3  # the rejected step is left out
    assert len({frame.shape for frame in frames}) == 1
    few = list(refinement_frames(ct, radiograph, result, pixels=104, most=2))
    assert np.array_equal(few[0], frames[0])
    assert np.array_equal(few[1], frames[2])
    write_gif(tmp_path / "f.gif", frames)
    with Image.open(tmp_path / "f.gif") as film:
        assert film.n_frames == 3
        assert film.size == (frames[0].shape[1], frames[0].shape[0])
        film.seek(2)
        shown = np.asarray(film.convert("RGB")).astype(int)
    assert abs(shown - frames[2]).mean() < 4
    with pytest.raises(ValueError, match="at least one frame"):
        write_gif(tmp_path / "none.gif", [])


def test_the_film_follows_the_start_that_became_the_result():
    """Of several rounds the most likely wins, though another start has a lower loss at a finer level."""
    ct, radiograph, poses, result = case()
    lost = [Iterate(3 + i, 5, i, poses[0], {"loss": 0.01}, accepted=True) for i in range(3)]
    told = replace(result, trajectory=(*result.trajectory[:3], *lost))
    shown = list(refinement_frames(ct, radiograph, told, pixels=104))
    alone = replace(result, trajectory=result.trajectory[:3])
    right = list(refinement_frames(ct, radiograph, alone, pixels=104))
    assert len(shown) == 3
    assert all(np.array_equal(one, other) for one, other in zip(shown, right, strict=True))


@pytest.fixture
def rendered(monkeypatch):
    """Voxel sizes of what was rendered."""
    seen = []

    def noted(volume, *rest, **options):
        seen.append(volume.spacing)
        return render_drr(volume, *rest, **options)

    monkeypatch.setattr(pictures, "render_drr", noted)
    return seen


def test_a_film_renders_voxels_of_two_of_its_pixels(rendered):
    """52 columns of 3 mm on 13 pixels of 12 mm, 1000 / 700 nearer: 8.4 mm, twice that four voxels of 4 mm."""
    ct, radiograph, _, result = case()
    list(refinement_frames(ct, radiograph, result, pixels=13, most=1))
    list(refinement_frames(ct, radiograph, result, pixels=52, most=1))
    assert rendered == [(16.0, 16.0, 16.0), (4.0, 4.0, 4.0)]


@pytest.mark.parametrize(("moved_mm", "count"), [(0.1, 1), (0.5, 2)])
def test_a_step_that_moves_nothing_by_a_tenth_of_a_pixel_is_not_rendered(rendered, moved_mm, count):
    """Of 3 mm at the detector, 1000 / 700 times what the patient moves"""
    ct, radiograph, poses, result = case()
    twist = torch.tensor([0.0, 0.0, 0.0, moved_mm, 0.0, 0.0], dtype=torch.float64)
    there = poses[0].left_perturb(twist, result.pivot.double())
    track = tuple(
        Iterate(k, 0, 0, pose, {"loss": 1.0 - 0.1 * k}, accepted=True)
        for k, pose in enumerate((poses[0], there))
    )
    told = replace(result, world_from_camera=there, trajectory=track)
    assert len(list(refinement_frames(ct, radiograph, told, pixels=52))) == 2
    assert len(rendered) == count


@pytest.mark.skipif(
    importlib.util.find_spec("imageio_ffmpeg") is None, reason="imageio-ffmpeg is not installed"
)
def test_mp4(tmp_path):
    frames = [np.full((61, 81, 3), shade, np.uint8) for shade in (20, 220)]
    write_mp4(tmp_path / "f.mp4", frames)
    assert b"ftyp" in (tmp_path / "f.mp4").read_bytes()[:32]


def test_png_comes_back(tmp_path):
    picture = np.random.default_rng(1).integers(0, 255, (11, 13, 3)).astype(np.uint8)
    write_picture(tmp_path / "p.png", picture)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "p.png")), picture)


def test_words_of_a_pose_name_the_sides():
    words = carm_words(CArmPose(-12.34, 5.0, -0.02, (1.0, -0.04, 3.0)))
    assert words == "RAO 12.3°  CRA 5.0°  roll 0.0°  x 1.0  y 0.0  depth 3.0 mm"
    assert carm_words(CArmPose(12.34, -5.0)).startswith("LAO 12.3°  CAU 5.0°")


def test_the_report_escapes_names_and_tells_errors(tmp_path):
    from napari_xreg.records.result_files import result_to_json
    from napari_xreg.registration import RefineSettings, View

    _, radiograph, poses, result = case()
    errors = {
        "mean_target_registration_error_mm": 12.346,
        "mean_projection_error_mm": 2.0,
        "mean_reprojection_distance_mm": 1.0,
        "double_geodesic_mm": 3.0,
        "rotation_deg": -0.001,
    }
    data = result_to_json(
        result,
        [View(radiograph, poses[0])],
        settings=RefineSettings(),
        inputs=[{"role": "ct", "path": "<ct>.nii"}],
        extra={"truth": {"fiducials": 7, "start": errors, "final": errors}},
    )
    write_report(tmp_path / "r.html", data, title="a < b", film="f.gif")
    text = (tmp_path / "r.html").read_text()
    assert "a &lt; b" in text
    assert "&lt;ct&gt;.nii" in text
    assert "12.35" in text
    assert "-0.00" not in text
    assert "SIMULATED" in text
    assert "src='f.gif'" in text
