"""The demo: napari with everything docked, a phantom, a simulated radiograph, a wrong pose, a tour."""

from collections.abc import Callable, Generator
from typing import Any

import napari
from qtpy.QtGui import QGuiApplication

from napari_xreg.progress import Control
from napari_xreg.session import SampleCase, sample_case
from napari_xreg.simulation import phantom
from napari_xreg.widgets.data.widget import DataWidget
from napari_xreg.widgets.docks.importing import import_ahead
from napari_xreg.widgets.docks.layout import WIDTH, set_width
from napari_xreg.widgets.docks.table import ENTRIES
from napari_xreg.widgets.jobs.jobs import Job
from napari_xreg.widgets.jobs.workbench import workbench_of
from napari_xreg.widgets.pose.widget import PoseWidget
from napari_xreg.widgets.refine.widget import RefineWidget
from napari_xreg.widgets.room.widget import RoomWidget
from napari_xreg.widgets.tour.steps import Tour
from napari_xreg.workflows import compiling

DOCKS: dict[str, Callable[[Any], Any]] = {
    "Data": DataWidget,
    "Pose": PoseWidget,
    "Refine": RefineWidget,
    "3D view": RoomWidget,
}
"""As tabs at the right; the others are in the Tools menu."""


def open_demo(
    headless: bool = False, *, spacing_mm: float = 1.5, pixels: int = 256
) -> napari.Viewer:
    """Open napari on the sample and start the tour.

    Returns at once, with the sample still being made in the background; call ``napari.run()`` to
    stay until the window is closed.

    Parameters
    ----------
    headless
        Do not show the window.
    spacing_mm, pixels
        Of the phantom's voxels and of the radiograph, see `sample_case`.
    """
    viewer = napari.Viewer(title="napari-xreg demo", show=not headless)
    screen = QGuiApplication.primaryScreen()
    if screen is not None:
        room = screen.availableSize()
        viewer.window.resize(min(1500, room.width()), min(950, room.height() - 40))
    dock_all(viewer)
    tour = Tour(viewer)
    viewer.window.add_dock_widget(tour, name="Tour", area="bottom")
    prepare(viewer, tour, spacing_mm=spacing_mm, pixels=pixels)
    return viewer


def dock_all(viewer: napari.Viewer) -> dict[str, Any]:
    """All widgets as tabs at the right, those not there yet; by name."""
    there = dict(viewer.window.dock_widgets)
    docks = []
    for name, make in DOCKS.items():
        if name not in there:
            widget = there[name] = make(viewer)
            docks.append(
                viewer.window.add_dock_widget(widget, name=name, area="right", tabify=True)
            )
    if docks:
        set_width(docks[-1], WIDTH)
    return {name: there[name] for name in DOCKS}


def prepare(viewer: napari.Viewer, tour: Tour, *, spacing_mm: float, pixels: int) -> Job:
    """Compile the renderer and make the sample in the background, then load it."""
    bench = workbench_of(viewer)

    def make(control: Control) -> Generator[str, None, SampleCase | None]:
        yield from compiling(control, simulator=True)
        if control.cancelled:
            return None
        yield "Making the phantom's CT …"
        made = phantom(spacing_mm=spacing_mm)
        if control.cancelled:
            return None
        yield "Simulating a radiograph of it …"
        return sample_case(source=made, spacing_mm=spacing_mm, pixels=pixels)

    def say(words: str, _: list[str]) -> None:
        tour.say_waiting(words)
        viewer.status = words

    def load(case: SampleCase | None) -> None:
        if case is None:
            return
        case.fill(bench.session)
        viewer.status = "Ready"
        tour.start()
        import_ahead(entry for entry in ENTRIES if not entry.main)

    return bench.jobs.start(
        "Preparing the demo",
        make,
        on_event=say,
        on_result=load,
        total=5,
        description="Preparing the demo",
    )
