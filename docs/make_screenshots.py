"""Draw the plugin's pictures in docs/images from the running plugin: ``make figures``.

Needs a display that can do OpenGL. The phantom, its radiograph and every pose come from fixed
seeds; nothing is drawn by hand but the words over the overlays. Names given as arguments choose
chapters: ``make_screenshots.py tutorial widgets``.
"""

import io
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import napari
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from qtpy.QtCore import QBuffer, QEvent, QIODevice, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QDockWidget, QPushButton, QScrollArea, QWidget

from napari_xreg.geometry import CArmPose
from napari_xreg.images import Landmark, write_dicom_radiograph, write_radiograph
from napari_xreg.session import Session, file_source, read_xray
from napari_xreg.simulation import TYPICAL, simulate_radiograph
from napari_xreg.widgets import open_demo
from napari_xreg.widgets.docks.opening import opened_entry
from napari_xreg.widgets.docks.table import entry_titled
from napari_xreg.widgets.jobs.workbench import workbench_of
from napari_xreg.widgets.pose.words import truth_error_mm

IMAGES = Path(__file__).resolve().parent / "images"
WINDOW, FILM_WINDOW = (1500, 950), (1000, 640)
PAGE_WIDTH, FILM_WIDTH = 1200, 700
SHOWN_OVERLAYS = ("blend", "edges", "difference", "checkerboard")


class Scene:
    """The demo in a window, and what a user does to it."""

    def __init__(self, size: tuple[int, int]) -> None:
        self.viewer = open_demo()
        self.window = self.viewer.window._qt_window
        self.window.resize(*size)
        self.bench = workbench_of(self.viewer)
        self.session: Session = self.bench.session
        wait(lambda: self.session.exposures.active is not None and self.widget("Tour").at == 0)
        self.settle()

    def widget(self, name: str) -> QWidget:
        """A dock widget by its name."""
        return self.viewer.window.dock_widgets[name]

    def dock(self, name: str) -> QDockWidget:
        """What holds it."""
        parent = self.widget(name).parent()
        while not isinstance(parent, QDockWidget):
            parent = parent.parent()
        return parent

    def front(self, name: str) -> QWidget:
        """Bring a tab forward; one that the demo has not is opened, as by the Tools menu."""
        entry = entry_titled(name)
        assert entry is not None
        widget = opened_entry(self.viewer, entry)
        self.settle()
        return widget

    def settle(self, milliseconds: int = 400) -> None:
        """Until the DRR on the canvas is that of the current pose, and is drawn."""
        wait(lambda: not self.bench.preview.busy)
        QTest.qWait(milliseconds)

    def click(self, button: QPushButton) -> None:
        """With the mouse."""
        assert button.isEnabled(), button.text()
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)
        self.settle()

    def drag(self, way: tuple[int, int]) -> None:
        """Control and the left button, from the middle of the canvas."""
        canvas = self.viewer.window._qt_viewer.canvas.native
        middle = QPoint(canvas.width() // 2, canvas.height() // 2)
        left, none = Qt.MouseButton.LeftButton, Qt.MouseButton.NoButton

        def send(
            kind: QEvent.Type, share: float, button: Qt.MouseButton, held: Qt.MouseButton
        ) -> None:
            at = QPointF(middle + QPoint(*way) * share)
            event = QMouseEvent(
                kind, at, canvas.mapToGlobal(at), button, held, Qt.KeyboardModifier.ControlModifier
            )
            QApplication.sendEvent(canvas, event)
            QTest.qWait(60)

        send(QEvent.Type.MouseButtonPress, 0.0, left, left)
        for step in range(1, 6):
            send(QEvent.Type.MouseMove, step / 5, none, left)
        send(QEvent.Type.MouseButtonRelease, 1.0, left, none)
        self.settle()

    def refine(self, *, pause_at: int | None = None) -> None:
        """Press Refine; wait for its result, or pause at an iterate."""
        widget, before = self.front("Refine"), len(self.session.results.all)
        QTest.mouseClick(widget.buttons.go, Qt.MouseButton.LeftButton)
        if pause_at is None:
            wait(lambda: len(self.session.results.all) > before and not widget.running)
        else:
            wait(
                lambda: (
                    widget.iterations.current is not None
                    and widget.iterations.current.index >= pause_at
                )
            )
            QTest.mouseClick(widget.buttons.pause, Qt.MouseButton.LeftButton)
        self.settle(1200)

    def resume(self) -> None:
        """Go on after a pause, to the end."""
        widget, before = self.widget("Refine"), len(self.session.results.all)
        QTest.mouseClick(widget.buttons.pause, Qt.MouseButton.LeftButton)
        wait(lambda: len(self.session.results.all) > before and not widget.running)
        self.settle(1200)

    def error_mm(self) -> float:
        """Of the current pose; the radiograph is simulated."""
        active = self.session.exposures.active
        assert active is not None
        error = truth_error_mm(self.session, active.id, active.world_from_camera)
        assert error is not None
        return error

    def picture(self) -> Image.Image:
        """The whole window."""
        return grabbed(self.window)

    def close(self) -> None:
        """Nobody asks."""
        wait(lambda: not self.bench.jobs.running)
        self.viewer.close()
        QTest.qWait(200)


def tutorial(scene: Scene) -> None:
    """The steps of docs/tutorial.md, as the tour goes."""
    tour = scene.widget("Tour")
    scene.front("Pose")
    say("start", scene)
    save("tutorial-1-start", scene.picture(), PAGE_WIDTH)
    scene.click(tour.next)
    scene.drag((70, 45))
    save("tutorial-2-drag", scene.picture(), PAGE_WIDTH)
    scene.click(tour.next)
    scene.click(scene.widget("Pose").poses.undo_button)
    say("after undo", scene)
    scene.click(tour.next)
    scene.refine(pause_at=12)
    save("tutorial-3-refine", scene.picture(), PAGE_WIDTH)
    scene.resume()
    scene.click(tour.next)
    refine = scene.widget("Refine")
    refine.iterations.slider.setValue(3)
    scene.settle()
    save("tutorial-4-look-back", scene.picture(), PAGE_WIDTH)
    scene.click(tour.next)
    below(refine)
    refine.replay.show_best()  # as a click on its row
    scene.click(refine.results.accept)
    say("accepted", scene)
    save("tutorial-5-accept", scene.picture(), PAGE_WIDTH)


def widgets(scene: Scene) -> None:
    """Each widget alone, everything in it, after a refinement."""
    session = scene.session
    with tempfile.TemporaryDirectory() as folder:
        active = session.exposures.active
        assert active is not None
        file = write_dicom_radiograph(Path(folder) / "xray.dcm", active.radiograph)
        data = scene.front("Data")
        data.load(file)
        wait(lambda: not data.queue.busy and len(session.exposures.all) == 2)
        scene.settle()
        save("widget-geometry", whole(scene.front("Geometry")))
        session.exposures.remove(session.exposures.named("xray").id)
    scene.settle()
    scene.refine()
    for name in ("Data", "Pose", "Refine"):
        save(f"widget-{name.lower()}", whole(scene.front(name)))
    landscape = scene.front("Loss landscape")
    landscape.settings["samples"].value = 21
    QTest.mouseClick(landscape.go, Qt.MouseButton.LeftButton)
    wait(lambda: not landscape.running)
    scene.settle()
    save("widget-landscape", whole(landscape))
    save("widget-confidence", whole(scene.front("Confidence")))


def overlays(scene: Scene) -> None:
    """Every way of comparing, before and after a refinement."""
    session, rows = scene.session, []
    scene.front("Refine")
    for when in ("start", "result"):
        if when == "start":
            session.poses.reset()
        else:
            scene.refine()
            session.results.accept(session.results.all[-1].id)
        row = []
        for mode in SHOWN_OVERLAYS:
            scene.bench.canvas.overlay = mode
            scene.settle()
            picture = Image.fromarray(
                square(scene.viewer.screenshot(canvas_only=True, flash=False))
            )
            row.append(labelled(picture.convert("RGB").resize((300, 300)), f"{mode}, {when}"))
        rows.append(np.hstack(row))
    scene.bench.canvas.overlay = "blend"
    save("overlays", Image.fromarray(np.vstack(rows)))


def room(scene: Scene) -> None:
    """Two radiographs whose relation is known, in the Data widget and in the room."""
    session = scene.session
    volume, active = session.patient.volume, session.exposures.active
    assert volume is not None
    assert active is not None
    carm, isocenter = active.radiograph.carm, tuple(session.patient.isocenter.tolist())
    session.exposures.remove(active.id)
    for name, primary, seed in (("frontal", 0.0, 20001), ("oblique", 62.0, 20002)):
        terms = CArmPose(primary, 0.0, isocenter=isocenter)
        made = simulate_radiograph(
            volume, session.patient.labels, carm, carm.pose_from(terms), seed=seed
        )
        session.exposures.add(
            replace(made.radiograph, nominal=terms), name=name, truth=made.world_from_camera
        )
    session.exposures.activate(session.exposures.named("frontal").id)
    save("widget-data-two-views", whole(scene.front("Data")))
    scene.front("3D view")
    scene.window.resizeDocks([scene.dock("3D view")], [640], Qt.Orientation.Horizontal)
    scene.settle(2000)
    widget = scene.widget("3D view")
    scene.click(widget.everything)
    scene.settle(2000)
    save("widget-room", grabbed(widget))


def rayemb(scene: Scene) -> None:
    """A heatmap of the shipped network, then correspondences and their scatter."""
    session = scene.session
    scene.dock("Tour").hide()
    widget = scene.front("Points")
    scene.window.resizeDocks([scene.dock("Points")], [400], Qt.Orientation.Horizontal)
    widget.slices.setMinimumHeight(240)
    scene.click(widget.network.prepare)
    wait(lambda: session.ray_points.prepared is not None)
    hip = next(mark.position for mark in session.landmarks.all if mark.name == "FH-l")
    assert hip is not None
    widget.look_at(hip)
    wait(lambda: widget.look.heatmap is not None)
    widget.list.add_landmarks()
    wait(lambda: session.ray_points.points.found is not None)
    fit(scene)
    scene.settle(800)
    save("rayemb", scene.picture(), PAGE_WIDTH)
    widget.tabs.setCurrentWidget(widget.pose)
    scene.click(widget.pose.find_button)
    wait(lambda: not widget.search.finding)
    scene.click(widget.pose.pose)
    wait(lambda: widget.search.solved is not None)
    print(f"RayEmb: {widget.pose.verdict.words}")
    widget.tabs.setCurrentWidget(widget.scatter)
    scene.settle(800)
    save("rayemb-correspondences", scene.picture(), PAGE_WIDTH)


def landmarks(scene: Scene) -> None:
    """Picked by a hand that errs by a pixel and once by many; the pose, and slices of the CT."""
    session, active = scene.session, scene.session.exposures.active
    assert active is not None
    assert active.truth is not None
    scene.dock("Tour").hide()
    widget = scene.front("Landmarks")
    scene.window.resizeDocks([scene.dock("Landmarks")], [420], Qt.Orientation.Horizontal)
    points = torch.tensor([mark.position for mark in session.landmarks.all], dtype=torch.float64)
    pixels = active.radiograph.carm.project(points, active.truth).numpy()
    pixels += np.random.default_rng(4).normal(scale=1.0, size=pixels.shape)
    pixels[3] += (14.0, -22.0)
    marks = [
        Landmark(mark.name, pixel=(float(row), float(column)))
        for mark, (row, column) in zip(session.landmarks.all, pixels, strict=True)
    ]
    session.landmarks.set_picked(active.id, marks)
    widget.open_slices()
    scene.window.resizeDocks([scene.dock("Slices")], [330], Qt.Orientation.Vertical)
    wait(lambda: not widget.busy)
    widget.use_pose()
    widget.result.ellipses.setChecked(True)
    widget.table.selectRow(2)
    fit(scene)
    scene.settle(800)
    say("landmarks", scene)
    save("landmarks", scene.picture(), PAGE_WIDTH)
    save("widget-landmarks", whole(widget))


def train(scene: Scene) -> None:
    """The Train widget a few minutes into a training for the phantom."""
    widget = scene.front("Train")
    with tempfile.TemporaryDirectory() as folder:
        widget.form.out.setText(str(Path(folder) / "pelvis.safetensors"))
        widget.form.minutes.setValue(20.0)  # the machine that makes pictures may be busy
        widget.form.recipe.validate_every = 30  # else one would wait long for three of them
        scene.click(widget.samples.button)
        wait(lambda: not widget.samples.busy)
        QTest.mouseClick(widget.start_button, Qt.MouseButton.LeftButton)
        wait(lambda: len(widget.progress.plots.validations) >= 3 or not widget.running, 3600)
        QTest.qWait(500)
        save("widget-train", whole(widget))
        if widget.running:
            scene.click(widget.stop_button)
            wait(lambda: not widget.running)
        print(f"Train: {widget.progress.closing_words.words}")


def mask(scene: Scene) -> None:
    """A mask painted over an implant that the CT does not have."""
    session = scene.session
    active = session.exposures.active
    assert active is not None
    assert active.truth is not None
    assert session.patient.volume is not None
    metal = replace(TYPICAL, name="metal", rods=1, rod_radius_mm=7.0, screws=4)
    made = simulate_radiograph(
        session.patient.volume,
        session.patient.labels,
        active.radiograph.carm,
        active.truth,
        severity=metal,
        seed=20003,
    )
    session.exposures.add(
        replace(made.radiograph, nominal=active.radiograph.nominal), name="with implant"
    )
    session.exposures.remove(active.id)
    widget = scene.front("Refine")
    widget.settings.more.expand(animate=False)
    scene.settle()
    widget.findChild(QScrollArea).ensureWidgetVisible(widget.settings.paint)
    scene.settle()
    scene.click(widget.settings.paint)
    layer = scene.viewer.layers["mask"]
    carm = active.radiograph.carm
    for tool in made.instruments:
        ends = [p for part in tool.parts for p in (part.start, part.end)]
        pixels = carm.project(torch.tensor(np.array(ends)), active.truth).numpy()
        for begin, end in zip(pixels[::2], pixels[1::2], strict=True):
            for share in np.linspace(0, 1, 60):
                at = np.round(begin + share * (end - begin)).astype(int)
                if (at >= 0).all() and (at < layer.data.shape).all():
                    layer.paint(tuple(at), 1)
    scene.settle()
    save("mask", scene.picture(), PAGE_WIDTH)
    session.exposures.remove(session.exposures.named("with implant").id)


def bones(scene: Scene) -> None:
    """Both femurs moved about their hips, found in two radiographs."""
    session, seed = scene.session, 20009
    volume, active = session.patient.volume, session.exposures.active
    assert volume is not None
    assert active is not None
    carm, isocenter = active.radiograph.carm, tuple(session.patient.isocenter.tolist())
    session.exposures.remove(active.id)
    scene.dock("Tour").hide()
    apart = replace(TYPICAL, bone_motion_deg=6.0, bone_motion_mm=2.0)
    for name, primary in (("frontal", 3.0), ("oblique", 42.0)):
        made = simulate_radiograph(
            volume, session.patient.labels, carm, carm.pose_from(CArmPose(primary, isocenter=isocenter)),
            severity=apart, seed=seed,
        )  # fmt: skip
        near = CArmPose(primary + 1.5, -1.0, 1.0, (2.0, -1.5, 3.0), isocenter)
        session.exposures.add(
            replace(made.radiograph, nominal=near), name=name, truth=made.world_from_camera
        )
    session.exposures.activate(session.exposures.named("frontal").id)
    widget = scene.front("Bones")
    scene.window.resizeDocks([scene.dock("Bones")], [400], Qt.Orientation.Horizontal)
    structures = widget.controls.structures.list
    for place in range(structures.count()):
        if structures.item(place).text().startswith("femur"):
            structures.item(place).setCheckState(Qt.CheckState.Checked)
    scene.click(widget.controls.go)
    wait(lambda: not widget.running and not widget.on_canvas.busy, 600)
    fit(scene)
    scene.viewer.layers["projected landmarks"].visible = False
    scene.settle(800)
    print(f"bones: {widget.controls.words.words} {widget.controls.moved.words}")
    save("bones", scene.picture(), PAGE_WIDTH, every_colour=True)


def film(scene: Scene) -> None:
    """All iterates of one refinement, looked back at: docs/images/refinement.gif."""
    scene.dock("Tour").hide()
    scene.viewer.window._qt_viewer.dockLayerList.hide()
    scene.viewer.window._qt_viewer.dockLayerControls.hide()
    refine = scene.front("Refine")
    refine.how.collapse(animate=False)
    scene.settle(800)
    fit(scene)
    # Of the start's pose, not of the iterates'.
    scene.viewer.layers["projected landmarks"].visible = False
    scene.settle()
    frames = [(scene.picture(), 1200)]
    scene.refine()
    fit(scene)
    layers = scene.viewer.layers
    layers["iterations"].contrast_limits = layers["DRR"].contrast_limits  # one scale throughout
    count = len(refine.iterations.losses.iterates)
    for index in range(count):
        refine.iterations.slider.setValue(index)
        scene.settle(120)
        frames.append((scene.picture(), 900 if index == count - 1 else 220))
    scene.click(refine.results.accept)
    scene.settle()
    frames.append((scene.picture(), 2500))
    save_film("refinement", frames)


def tour(scene: Scene) -> None:
    """The tour from its first step to its last, in two minutes: docs/images/tour.gif."""
    panel, frames = scene.widget("Tour"), []

    def show(seconds: float) -> None:
        frames.append((scene.picture(), round(1000 * seconds)))

    def go_on(seconds: float = 7.0) -> None:
        scene.click(panel.next)
        show(seconds)

    scene.viewer.window._qt_viewer.dockLayerList.hide()
    scene.viewer.window._qt_viewer.dockLayerControls.hide()
    scene.front("Pose")
    fit(scene)
    show(9.0)
    go_on(8.0)
    scene.drag((40, 25))
    show(6.0)
    go_on(6.0)
    scene.click(scene.widget("Pose").poses.undo_button)
    show(4.0)
    go_on(8.0)
    refine, before = scene.widget("Refine"), len(scene.session.results.all)
    QTest.mouseClick(refine.buttons.go, Qt.MouseButton.LeftButton)
    while len(scene.session.results.all) == before or refine.running:
        QTest.qWait(250)
        show(0.5)
    scene.settle(1200)
    show(7.0)
    go_on(8.0)
    last = len(refine.iterations.losses.iterates) - 1
    for index in range(last, -1, -4):
        refine.iterations.slider.setValue(index)
        scene.settle()
        show(1.2)
    show(4.0)
    go_on(9.0)
    refine.replay.show_best()  # as a click on its row
    scene.settle()
    show(4.0)
    scene.click(refine.results.accept)
    show(7.0)
    go_on(10.0)
    seconds = sum(milliseconds for _, milliseconds in frames) / 1000
    frames[-1] = (frames[-1][0], round(1000 * (10.0 + max(120.0 - seconds, 0.0))))
    save_film("tour", frames)


def starts(scene: Scene) -> None:
    """What the current pose, the header and the shipped network propose, ranked."""
    widget = scene.front("Find a pose")
    scene.session.poses.reset()
    for row in widget.rows.rows.values():
        if row.tick.isEnabled():
            row.tick.setChecked(True)
    scene.click(widget.go)
    wait(lambda: not widget.running)
    scene.settle(800)
    print(f"Find a pose: {widget.words.words}")
    save("widget-starts", whole(widget))


def sequence(scene: Scene) -> None:
    """A pelvis that turns and slides through twelve frames, tracked from the sixth."""
    session = scene.session
    volume, active = session.patient.volume, session.exposures.active
    assert volume is not None
    assert active is not None
    assert active.truth is not None
    center = session.patient.isocenter.double()
    step = torch.tensor([0.012, 0.016, -0.008, 2.0, -1.5, 1.0], dtype=torch.float64)
    carm, poses = active.radiograph.carm.at_most(128), [active.truth.to(dtype=torch.float64)]
    for _ in range(11):
        poses.append(poses[-1].left_perturb(step, center))
    with tempfile.TemporaryDirectory() as folder:
        for number, pose in enumerate(poses, start=1):
            made = simulate_radiograph(
                volume, session.patient.labels, carm, pose, seed=20010 + number
            )
            write_radiograph(Path(folder) / f"pelvis_{number:02d}.npz", made.radiograph)
        source = file_source(Path(folder) / "pelvis_06.npz")
        start = poses[5].left_perturb(-0.5 * step, center)
        session.exposures.remove(active.id)
        session.exposures.add(
            read_xray(source), name="simulated pelvis, frames", start=start, source=source
        )
        widget = scene.front("Sequence")
        scene.click(widget.controls.go)
        wait(lambda: not widget.running, 1200)
        scene.settle(800)
        print(f"Sequence: {widget.controls.words.words}")
        save("widget-sequence", whole(widget))
        session.exposures.remove(session.exposures.all[0].id)


CHAPTERS: dict[str, tuple[tuple[int, int], Callable[[Scene], None]]] = {
    "tutorial": (WINDOW, tutorial),
    "widgets": (WINDOW, widgets),
    "overlays": (WINDOW, overlays),
    "room": (WINDOW, room),
    "rayemb": (WINDOW, rayemb),
    "starts": (WINDOW, starts),
    "sequence": (WINDOW, sequence),
    "train": (WINDOW, train),
    "landmarks": (WINDOW, landmarks),
    "mask": (WINDOW, mask),
    "bones": (WINDOW, bones),
    "film": (FILM_WINDOW, film),
    "tour": (FILM_WINDOW, tour),
}


# ---------------------------------------------------------------------- helpers


def wait(until: Callable[[], bool], seconds: float = 300.0) -> None:
    """Let Qt work until something holds."""
    end = time.monotonic() + seconds
    while not until():
        if time.monotonic() > end:
            raise TimeoutError("the plugin did not get there")
        QTest.qWait(20)


def grabbed(widget: QWidget) -> Image.Image:
    """What a widget looks like."""
    buffer = QBuffer()
    buffer.open(QIODevice.OpenModeFlag.ReadWrite)
    widget.grab().save(buffer, "PNG")
    return Image.open(io.BytesIO(bytes(buffer.data().data()))).convert("RGB")


def whole(widget: QWidget) -> Image.Image:
    """All of a dock widget, also what has to be scrolled to."""
    picture, area = grabbed(widget), widget.findChild(QScrollArea)
    if area is None:
        return picture
    seen = np.asarray(picture)
    port = area.viewport()
    corner = port.mapTo(widget, QPoint(0, 0))
    inside = np.asarray(grabbed(area.widget()))
    filled = np.flatnonzero((inside != inside[-1, -1]).any(axis=(1, 2)))
    inside = inside[: filled.max() + 8]
    middle = np.empty((len(inside), picture.width, 3), np.uint8)
    middle[:] = seen[corner.y() + 1, 1]  # the theme's background
    middle[:, corner.x() : corner.x() + port.width()] = inside[:, : port.width()]
    below = seen[corner.y() + port.height() :]
    return Image.fromarray(np.vstack([seen[: corner.y()], middle, below]))


def below(widget: QWidget) -> None:
    """Scroll a widget to its end."""
    bar = widget.findChild(QScrollArea).verticalScrollBar()
    bar.setValue(bar.maximum())
    QTest.qWait(200)


def fit(scene: Scene) -> None:
    """The radiograph fills the canvas again."""
    from napari_xreg.viewer.detector.fit import look_at

    carm = scene.bench.canvas.carm
    assert carm is not None
    look_at(scene.viewer, carm.detector)
    scene.settle()


def square(picture: np.ndarray) -> np.ndarray:
    """The middle."""
    rows, columns = picture.shape[:2]
    side = min(rows, columns)
    top, left = (rows - side) // 2, (columns - side) // 2
    return picture[top : top + side, left : left + side, :3]


def labelled(picture: Image.Image, words: str) -> np.ndarray:
    """With words in the corner."""
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(15)
    box = draw.textbbox((8, 6), words, font=font)
    draw.rectangle((box[0] - 4, box[1] - 3, box[2] + 4, box[3] + 3), fill="black")
    draw.text((8, 6), words, fill="white", font=font)
    return np.asarray(picture)


def save(
    name: str, picture: Image.Image, width: int | None = None, *, every_colour: bool = False
) -> None:
    """As a small PNG of 256 colours; of all, where a few words in colour are what matters."""
    if width is not None and picture.width > width:
        height = round(picture.height * width / picture.width)
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    small = picture
    if not every_colour:
        small = picture.quantize(palette=palette_of(picture), dither=Image.Dither.NONE)
    path = IMAGES / f"{name}.png"
    small.save(path, optimize=True)
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


def palette_of(picture: Image.Image, colours: int = 256) -> Image.Image:
    """Of the picture; a quarter of it for its vivid colours, which are few pixels."""
    pixels = np.asarray(picture).reshape(-1, 3)
    spread = pixels.max(axis=1).astype(int) - pixels.min(axis=1)
    found = []
    for chosen, count in ((pixels, colours * 3 // 4), (pixels[spread > 110], colours // 4)):
        if len(chosen):
            few = Image.fromarray(chosen[None]).quantize(count, Image.Quantize.MEDIANCUT)
            found.append(np.array(few.getpalette(), np.uint8).reshape(-1, 3)[:count])
    palette = Image.new("P", (1, 1))
    palette.putpalette(np.vstack(found).ravel().tolist())
    return palette


def save_film(name: str, frames: Iterable[tuple[Image.Image, int]]) -> None:
    """As an animated GIF with one palette for all frames."""
    frames = list(frames)
    pictures = [
        picture.resize(
            (FILM_WIDTH, round(picture.height * FILM_WIDTH / picture.width)),
            Image.Resampling.LANCZOS,
        )
        for picture, _ in frames
    ]
    shown = (pictures[0], pictures[len(pictures) // 2], pictures[-1])
    sample = Image.fromarray(np.vstack([np.asarray(picture) for picture in shown]))
    palette = palette_of(sample, 96)
    small = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]
    path = IMAGES / f"{name}.gif"
    small[0].save(
        path,
        save_all=True,
        append_images=small[1:],
        duration=[milliseconds for _, milliseconds in frames],
        loop=0,
        optimize=True,
    )
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB, {len(small)} frames")


def say(when: str, scene: Scene) -> None:
    """What the pages say in numbers."""
    print(f"{when}: mTRE {scene.error_mm():.2f} mm")


def main(names: list[str]) -> None:
    """Make the pictures of these chapters, or all."""
    unknown = set(names) - set(CHAPTERS)
    if unknown:
        raise SystemExit(f"chapters are {', '.join(CHAPTERS)}: got {', '.join(sorted(unknown))}")
    torch.manual_seed(0)
    IMAGES.mkdir(exist_ok=True)
    for name in names or CHAPTERS:
        size, make = CHAPTERS[name]
        scene = Scene(size)
        try:
            make(scene)
        finally:
            scene.close()


if __name__ == "__main__":
    napari.settings.get_settings().application.ipy_interactive = False
    main(sys.argv[1:])
