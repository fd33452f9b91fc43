"""What is really drawn: a mark lands on the pixel it marks, and a drag lands in the session."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from detector_scene import CARM, COLUMNS, POSE, ROWS, iterate, landmarks, preview, session
from qtpy.QtCore import QEvent, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtWidgets import QApplication

from napari_xreg.images import Landmark, Radiograph
from napari_xreg.registration import Registration, Status
from napari_xreg.session import Result, Session
from napari_xreg.viewer.detector.canvas import OVERLAYS, DetectorCanvas
from napari_xreg.viewer.iterates.layers import IterateLayers

PIXEL = (13, 57)  # far from the middle, and from its transpose


@pytest.fixture
def viewer(make_napari_viewer):
    made = make_napari_viewer(show=True)
    made.window._qt_window.resize(900, 640)
    QApplication.processEvents()
    yield made
    made.layers.clear()
    QApplication.processEvents()


def one_bright_pixel():
    picture = torch.zeros(ROWS, COLUMNS)
    picture[PIXEL] = 1.0
    work = Session()
    work.exposures.add(Radiograph(picture, CARM), name="first", start=POSE)
    return work


def drawn(viewer):
    QApplication.processEvents()
    return viewer.screenshot(canvas_only=True, flash=False)[..., :3].astype(float)


def centre_of(light):
    """Weighted mean position (row, column) on the screen, of what is bright."""
    light = np.where(light > 0.5 * light.max(), light, 0.0)
    rows, columns = np.indices(light.shape)
    return np.array([(rows * light).sum(), (columns * light).sum()]) / light.sum()


def screen_of(viewer, shape, row, column):
    """Where a pixel's centre must be on the screen: from the camera, by hand."""
    camera = viewer.scene.camera
    middle = np.array(shape[:2]) / 2 - 0.5
    return middle + camera.zoom * (
        np.array((row * 4.2, column * 3.1)) - np.array(camera.center[-2:])
    )


def test_a_pixel_is_drawn_where_the_camera_says(viewer):
    canvas = DetectorCanvas(viewer, one_bright_pixel())
    viewer.layers["first"].contrast_limits = (0.0, 1.0)
    picture = drawn(viewer)
    np.testing.assert_allclose(
        centre_of(picture.mean(-1)), screen_of(viewer, picture.shape, *PIXEL), atol=1.0
    )
    canvas.close()


@pytest.mark.parametrize("kind", ["landmarks", "projected landmarks"])
def test_a_landmark_is_drawn_on_the_pixel_it_marks(viewer, kind):
    work = one_bright_pixel()
    canvas = DetectorCanvas(viewer, work)
    viewer.layers["first"].contrast_limits = (0.0, 1.0)
    pixel = centre_of(drawn(viewer).mean(-1))
    viewer.layers["first"].visible = False
    if kind == "landmarks":
        work.landmarks.set_picked(
            work.exposures.named("first").id, [Landmark("a", pixel=tuple(map(float, PIXEL)))]
        )
    else:
        work.landmarks.set(landmarks(PIXEL))
    viewer.layers[kind].text.visible = False
    mark = centre_of(drawn(viewer).max(-1))
    # A pixel is 4.2 x 3.1 mm, about 8 x 6 of the screen's: half of one would show.
    np.testing.assert_allclose(mark, pixel, atol=1.2)
    canvas.close()


def test_a_coarse_drr_and_a_coarse_iterate_lie_on_what_they_cover(viewer):
    work = one_bright_pixel()
    work.patient.set_volume(session().patient.volume)
    canvas = DetectorCanvas(viewer, work)
    coarse = canvas.preview_carm(16)  # 10 x 16: a pixel covers 5 x 5 of the radiograph's
    frame = np.zeros(coarse.detector.shape, np.float32)
    frame[2, 11] = 1.0  # rows 10 to 14, columns 55 to 59: their middle is (12, 57)
    canvas.overlay = "DRR"
    canvas.show_preview(preview(frame, coarse))
    viewer.layers["DRR"].contrast_limits = (0.0, 1.0)
    picture = drawn(viewer)
    expected = screen_of(viewer, picture.shape, 12, 57)
    np.testing.assert_allclose(centre_of(picture.max(-1)), expected, atol=1.2)
    viewer.layers["DRR"].visible = False
    iterates = IterateLayers(viewer, work)
    iterates.begin(coarse.detector.shape, coarse.detector.spacing, 2)
    iterates.append(iterate(0, image=torch.from_numpy(frame)))
    iterates.finish()
    viewer.layers["iterations"].contrast_limits = (0.0, 1.0)
    viewer.layers["path on the radiograph"].visible = False
    picture = drawn(viewer)
    expected = screen_of(viewer, picture.shape, 12, 57)  # the slider took some of the screen
    np.testing.assert_allclose(centre_of(picture.max(-1)), expected, atol=1.2)
    iterates.close()
    canvas.close()


def corners(viewer, shape):
    """Where the detector's outer corners are on the screen, from the camera."""
    return screen_of(viewer, shape, -0.5, -0.5), screen_of(viewer, shape, ROWS - 0.5, COLUMNS - 0.5)


def test_the_detector_goes_on_filling_the_canvas(viewer):
    """A landmark beside the detector, a slider, another window size: the picture stays fitted."""

    def fitted():
        native = viewer.window._qt_viewer.canvas.native
        shape = native.height(), native.width()
        first, last = corners(viewer, shape)
        np.testing.assert_allclose((first + last) / 2, np.array(shape) / 2 - 0.5, atol=1.0)
        assert np.max((last - first) / shape) == pytest.approx(0.95, abs=0.01)
        return shape

    work = one_bright_pixel()
    work.landmarks.set(landmarks((25.0, 190.0)))
    canvas = DetectorCanvas(viewer, work)
    drawn(viewer)
    before = fitted()
    iterates = IterateLayers(viewer, work)
    iterates.begin((ROWS, COLUMNS), (4.2, 3.1), 2)
    for number in range(2):
        iterates.append(iterate(number, image=torch.ones(ROWS, COLUMNS)))
    iterates.finish()
    drawn(viewer)
    assert fitted() != before  # the slider took some of the screen
    viewer.window._qt_window.resize(700, 520)
    drawn(viewer)
    fitted()
    # What the user did stays.
    viewer.scene.camera.zoom *= 2
    mine = viewer.scene.camera.zoom
    viewer.window._qt_window.resize(900, 640)
    drawn(viewer)
    assert viewer.scene.camera.zoom == pytest.approx(mine)
    viewer.reset_view()  # the Home button: everything, the landmark too
    everything = viewer.scene.camera.zoom
    canvas.close()
    iterates.close()
    viewer.window._qt_window.resize(700, 520)
    drawn(viewer)
    assert viewer.scene.camera.zoom == pytest.approx(everything)


def test_a_residual_arrow_is_drawn_between_its_ends(viewer):
    work = one_bright_pixel()
    canvas = DetectorCanvas(viewer, work)
    work.landmarks.set(landmarks((10.0, 20.0)))
    work.landmarks.set_picked(work.exposures.named("first").id, [Landmark("a", pixel=(30.0, 60.0))])
    for name in ("first", "landmarks", "projected landmarks"):
        viewer.layers[name].visible = False
    picture = drawn(viewer).max(-1)
    rows, columns = np.nonzero(picture > 0.3 * picture.max())
    start, end = (screen_of(viewer, picture.shape, *at) for at in ((10.0, 20.0), (30.0, 60.0)))
    np.testing.assert_allclose((rows.min(), columns.min()), start, atol=6)
    np.testing.assert_allclose((rows.max(), columns.max()), end, atol=6)
    # The head, wider than the shaft, is near the picked end.
    lit = np.stack([rows, columns], 1) - start
    along = (end - start) / np.linalg.norm(end - start)
    aside = np.abs(lit[:, 0] * along[1] - lit[:, 1] * along[0])
    assert (lit @ along)[aside.argmax()] > 0.6 * np.linalg.norm(end - start)
    canvas.close()


def test_an_ellipse_is_drawn_as_wide_as_it_is(viewer):
    work = one_bright_pixel()
    canvas = DetectorCanvas(viewer, work)
    work.landmarks.set(landmarks((25.0, 40.0)))
    covariance = torch.diag(torch.tensor([0.0, 0, 0, 6.0, 2.0, 0.0]).double() ** 2)
    pivot = torch.tensor([0.0, 0.0, 800.0]).double()
    registration = Registration(POSE, Status.CONVERGED, {"loss": 1.0}, (), pivot, covariance)
    canvas.show_uncertainty(Result("r", (work.exposures.active.id,), registration, {}))
    for name in ("first", "projected landmarks"):
        viewer.layers[name].visible = False
    picture = drawn(viewer).max(-1)
    rows, columns = np.nonzero(picture > 0.3 * picture.max())
    zoom = viewer.scene.camera.zoom
    # Millimetres on the detector: isotropic, whatever the pixels.
    assert np.ptp(columns) == pytest.approx(2 * 2.4477 * 6.0 * 1.25 * zoom, rel=0.08)
    assert np.ptp(rows) == pytest.approx(2 * 2.4477 * 2.0 * 1.25 * zoom, rel=0.15)
    canvas.close()


def test_a_landmark_dragged_with_the_mouse_lands_in_the_session(viewer):
    work = one_bright_pixel()
    canvas = DetectorCanvas(viewer, work)
    work.landmarks.set_picked(work.exposures.named("first").id, [Landmark("a", pixel=(13.0, 57.0))])
    layer = viewer.layers["landmarks"]
    viewer.layers.selection.active = layer
    layer.mode = "select"
    native = viewer.window._qt_viewer.canvas.native
    shape = (native.height(), native.width())

    def at(row, column):
        down, right = screen_of(viewer, shape, row, column)
        return QPointF(round(right), round(down))

    def send(kind, where, button, buttons):
        globally = QPointF(native.mapToGlobal(where.toPoint()))
        event = QMouseEvent(kind, where, globally, button, buttons, Qt.KeyboardModifier.NoModifier)
        QApplication.sendEvent(native, event)
        QApplication.processEvents()

    left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton
    drawn(viewer)
    send(QEvent.Type.MouseMove, at(13, 57), none, none)
    send(QEvent.Type.MouseButtonPress, at(13, 57), left, left)
    for row, column in ((16, 54), (20, 50), (26, 44)):
        send(QEvent.Type.MouseMove, at(row, column), none, left)
    send(QEvent.Type.MouseButtonRelease, at(26, 44), left, none)
    (mark,) = work.exposures.active.landmarks
    assert mark.name == "a"
    np.testing.assert_allclose(mark.pixel, (26, 44), atol=0.25)
    canvas.close()


def test_every_overlay_of_the_phantom(viewer, tmp_path):
    """Pictures to look at; here only that each mode draws something else."""
    from napari_xreg.session import PreviewRequest
    from napari_xreg.simulation import phantom, simulate_radiograph

    folder = Path(os.environ.get("NAPARI_XREG_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    patient = phantom(spacing_mm=6.0)
    carm = type(CARM)(1020.0, 700.0, type(CARM.detector)((60, 90), (5.1, 3.7)))
    isocenter = patient.volume.center
    truth = carm.world_from_camera(9.0, -6.0, 3.0, isocenter=isocenter)
    start = carm.world_from_camera(
        13.0, -2.0, 1.0, isocenter=isocenter, offset_mm=(7.0, -9.0, 15.0)
    )
    shot = simulate_radiograph(
        patient.volume, patient.labels, carm, truth, step_mm=2.0, rays_per_side=1
    )
    work = Session()
    work.patient.set_volume(patient.volume)
    work.exposures.add(shot.radiograph, start=start)
    marks = [Landmark(n, position=tuple(map(float, p))) for n, p in patient.landmarks.items()]
    work.landmarks.set(marks)
    picked = carm.project(torch.tensor([m.position for m in marks], dtype=torch.float64), truth)
    work.landmarks.set_picked(
        work.exposures.named("radiograph").id,
        [Landmark(m.name, pixel=tuple(p)) for m, p in zip(marks, picked.tolist(), strict=True)][:5],
    )
    canvas = DetectorCanvas(viewer, work)
    canvas.show_preview(PreviewRequest(patient.volume, canvas.preview_carm(90), start).answer())
    pictures = []
    for mode in OVERLAYS:
        canvas.overlay = mode
        pictures.append(drawn(viewer))
        viewer.screenshot(str(folder / f"overlay_{mode}.png"), canvas_only=True, flash=False)
    # Docks may take a few pixels of the canvas between two pictures.
    shape = np.min([picture.shape for picture in pictures], axis=0)
    pictures = [picture[: shape[0], : shape[1]] for picture in pictures]
    for i, one in enumerate(pictures):
        for j, other in enumerate(pictures[:i]):
            assert np.abs(one - other).mean() > 0.5, (OVERLAYS[i], OVERLAYS[j])
    canvas.close()
