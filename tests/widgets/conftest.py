"""A small piece of work in a real viewer, and where pictures of the widgets go."""

import math
import os
import threading
import time
from pathlib import Path

import pytest
from kept_window import KeptWindow

from napari_xreg.geometry import CArm, CArmPose, Detector
from napari_xreg.images import Landmark, Radiograph
from napari_xreg.rendering import render_drr
from napari_xreg.simulation import phantom

TRUTH = {"primary_deg": 7.0, "secondary_deg": -4.0, "roll_deg": 2.0, "offset_mm": (6.0, -9.0, 14.0)}


@pytest.fixture(scope="session")
def patient():
    """The pelvis phantom with voxels of 6 mm."""
    return phantom(spacing_mm=6.0)


def carm_of(pixels=96):
    """A C-arm whose detector sees the whole pelvis.

    Rows and columns differ, pixels are 0.9 to 1.3, the ray of the detector's normal meets it off its middle.
    """
    rows, columns = pixels, pixels + pixels // 8
    high = 330.0 / rows
    off_centre = (0.47 * rows, 0.54 * columns)
    return CArm(1020.0, 750.0, Detector((rows, columns), (high, high * 1.3 / 0.9), off_centre))


@pytest.fixture(scope="session")
def make_radiograph(patient):
    """A function that makes another radiograph: its size in pixels, and `CArmPose` keywords."""

    def make(pixels=96, **terms):
        pose = CArmPose(isocenter=center_of(patient), **(terms or TRUTH))
        return shot(patient, carm_of(pixels), pose)

    return make


@pytest.fixture(scope="session")
def radiograph(patient):
    """The phantom from a pose that is not the nominal one (which is AP); 96 x 108 pixels."""
    return shot(patient, carm_of(), CArmPose(isocenter=center_of(patient), **TRUTH))


def center_of(patient):
    """Middle of the CT as plain numbers, mm."""
    x, y, z = (float(v) for v in patient.volume.center)
    return x, y, z


def shot(patient, carm, pose, nominal=None):
    """A radiograph of the phantom at a `CArmPose`."""
    image = render_drr(patient.volume, carm, carm.pose_from(pose), method="joseph")
    start = nominal or CArmPose(isocenter=pose.isocenter)
    return Radiograph(image, carm, nominal=start, simulated=True, source="phantom")


@pytest.fixture(autouse=True)
def nothing_left_behind():
    """After every test, its viewers closed: no thread of ours, no work in the pool, no workbench.

    (napari's own fixture fails a test that leaves a viewer.)
    """
    from qtpy.QtCore import QThreadPool

    from napari_xreg.widgets.jobs import workbench

    yield
    pool = QThreadPool.globalInstance()
    assert pool.waitForDone(60_000), f"{pool.activeThreadCount()} workers still run"
    deadline = time.monotonic() + 10  # a thread may be in the middle of an answer
    while left := [t.name for t in threading.enumerate() if t.name.startswith("xreg ")]:
        assert time.monotonic() < deadline, f"threads still run: {', '.join(left)}"
        time.sleep(0.01)
    assert not [bench for bench in workbench._benches.values() if not bench.closed]


@pytest.fixture(scope="module")
def kept_window(qapp, manifests_read_once):
    """The window that one test of a file after another gets; none is alive in other files."""
    kept = KeptWindow()
    yield kept
    kept.close()


@pytest.fixture
def lent_viewer(kept_window, quick_collections, qtbot, monkeypatch, nothing_left_behind):
    """A function that lends the kept viewer, as napari hands one to plugins; shown or not."""
    from napari.utils._proxies import PublicOnlyProxy

    def lend(*, show=False):
        monkeypatch.setenv("NAPARI_ENSURE_PLUGIN_MAIN_THREAD", "True")
        return PublicOnlyProxy(kept_window.lend(qtbot, show=show))

    yield lend
    kept_window.take_back()


@pytest.fixture
def viewer(lent_viewer):
    """A real viewer as napari hands it to plugins, as new; not shown."""
    return lent_viewer()


@pytest.fixture
def canvas_aside(monkeypatch):
    """Radiographs and landmarks are drawn by a model of napari's that no window shows.

    For tests that look at no layer: those of a window, with their controls, are half of the time of a
    test. What draws runs all the same.
    """
    from napari.components import ViewerModel

    from napari_xreg.widgets.jobs import workbench

    plain = workbench.DetectorCanvas
    monkeypatch.setattr(
        workbench, "DetectorCanvas", lambda viewer, session: plain(ViewerModel(), session)
    )


@pytest.fixture
def empty_bench(viewer):
    """The workbench of a viewer, with nothing loaded."""
    from napari_xreg.widgets.jobs.workbench import workbench_of

    bench = workbench_of(viewer)
    yield bench
    bench.close()


@pytest.fixture
def bench(empty_bench, fill):
    """The workbench of a viewer: phantom, its landmarks, and one radiograph at its nominal pose."""
    fill(empty_bench.session)
    return empty_bench


@pytest.fixture(scope="session")
def fill(patient, radiograph):
    """A function that loads the phantom and a radiograph into a session, as the Data widget would."""

    def load(session):
        session.patient.set_volume(patient.volume)
        session.patient.set_labels(patient.labels)
        session.landmarks.set([Landmark(name, xyz) for name, xyz in patient.landmarks.items()])
        session.exposures.add(radiograph, name="frontal")

    return load


@pytest.fixture
def notified(viewer):
    """Messages of the notifications shown from now on."""
    from napari.utils.notifications import notification_manager

    messages = []

    def keep(notification):
        messages.append(notification.message)

    notification_manager.notification_ready.connect(keep)
    yield messages
    notification_manager.notification_ready.disconnect(keep)


@pytest.fixture
def painted(qtbot):
    """A function that waits until the DRR on the canvas is that of the current pose."""

    def wait(bench, timeout=20_000):
        def done():
            latest, pose = bench.preview.latest, bench.session.poses.current
            return (
                not bench.preview.busy
                and latest is not None
                and latest.request.world_from_camera is pose
            )

        qtbot.waitUntil(done, timeout=timeout)
        return bench.preview.latest

    return wait


@pytest.fixture
def screenshot(tmp_path, qtbot):
    """A function that keeps a picture of a widget, at a given width, in the folder of pictures."""

    def keep(widget, name, width=None):
        folder = Path(os.environ.get("NAPARI_XREG_SCREENSHOTS") or tmp_path)
        folder.mkdir(parents=True, exist_ok=True)
        if width is not None:
            widget.resize(width, max(widget.sizeHint().height(), widget.minimumSizeHint().height()))
        qtbot.wait(50)
        picture = widget.grab()
        assert not picture.isNull()
        path = folder / f"{name}.png"
        assert picture.save(str(path))
        image = picture.toImage()
        shades = {
            image.pixel(x, y)
            for x in range(0, image.width(), max(1, math.ceil(image.width() / 40)))
            for y in range(0, image.height(), max(1, math.ceil(image.height() / 40)))
        }
        assert len(shades) > 3, f"the picture of {name} is blank"
        return path

    return keep
