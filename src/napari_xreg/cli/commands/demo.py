"""``napari-xreg demo``: the plugin on the phantom, or, without a display, the same through a session."""

import importlib.util
import os
import sys
import time
from argparse import Namespace
from pathlib import Path

from napari_xreg.cli.commands.register import exit_code
from napari_xreg.cli.console import Console
from napari_xreg.cli.outputs import export_shown, say_result
from napari_xreg.cli.refining import prepare_renderer, refine_shown
from napari_xreg.files import check_folder
from napari_xreg.registration import RefineSettings
from napari_xreg.session import SampleCase, file_source, sample_case, write_session
from napari_xreg.workflows import (
    ExportRequest,
    bone_points,
    check_film,
    error_words,
    errors_against,
    refine_request,
)

_BINDINGS = ("PyQt6", "PySide6", "PyQt5", "PySide2")


def run(arguments: Namespace, console: Console) -> int:
    """Open napari on the sample, or register it in the terminal; the exit code."""
    why = None if arguments.headless or arguments.json else without_window()
    if arguments.headless or arguments.json or why is not None:
        if why is not None:
            console.say(f"{why}: the demo runs in the terminal.")
        return headless(arguments, console)
    return windowed(console)


def without_window() -> str | None:
    """Why no window can be opened here; None where one can."""
    if not any(importlib.util.find_spec(name) for name in _BINDINGS):
        return "There is no Qt for a window (pip install 'napari[all]' brings it)"
    if os.environ.get("QT_QPA_PLATFORM", "") in ("offscreen", "minimal"):
        return f"QT_QPA_PLATFORM is {os.environ['QT_QPA_PLATFORM']}, so no window can be seen"
    on_x11 = sys.platform not in ("win32", "darwin")
    if on_x11 and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return "There is no display"
    return None


def windowed(console: Console) -> int:
    """napari with the plugin and its tour; returns when the window is closed."""
    # Qt is imported nowhere else in the command line.
    import napari

    from napari_xreg.widgets import open_demo

    console.say("Opening napari. `napari-xreg demo --headless` does the same in the terminal.")
    open_demo()
    napari.run()
    return 0


def headless(arguments: Namespace, console: Console) -> int:
    """Phantom, radiograph, wrong start, registration, pictures, session file; the exit code."""
    began = time.perf_counter()
    out = Path(arguments.out)
    check_film(arguments.film)
    check_folder(out)
    console.say(
        "The demo's patient is a phantom and its radiograph is simulated: the pose is known,"
    )
    console.say("so the result can be checked. Accuracy on real images does not follow from it.")
    console.step(f"1/4 making a CT and a radiograph ({arguments.severity}, seed {arguments.seed})")
    case: SampleCase = sample_case(
        pixels=288, severity=arguments.severity, seed=arguments.seed,
        start_error=arguments.start_error,
    )  # fmt: skip
    console.say(f"    {case.volume!r}, {len(case.landmarks)} landmarks")
    session = case.session()
    assert session.exposures.active is not None and session.patient.rendered_volume is not None
    radiograph = session.exposures.active.id
    console.step("2/4 preparing the renderer")
    prepare_renderer(console, arguments.threads)
    console.step("3/4 registering")
    settings = RefineSettings(keep_images=False, threads=arguments.threads)
    volume, (view,) = session.patient.rendered_volume, session.exposures.views()
    carm, start = view.radiograph.carm, view.world_from_camera
    refining = time.perf_counter()
    registration = refine_shown(refine_request(session, settings), console)
    seconds = time.perf_counter() - refining
    points = bone_points(volume, carm, case.truth, count=50, seed=arguments.seed)
    errors = errors_against(case.truth, points, carm, start, registration)
    console.step("4/4 writing")
    built_in = {"role": "ct", "path": "phantom", "built_in": True}
    exported = export_shown(
        ExportRequest(
            out, volume, (view,), registration, "demo: phantom to simulated radiograph", settings,
            [built_in], {"truth": errors}, arguments.film, with_radiographs=True, kind="demo",
            also=("demo.xreg.json",),
        ),
        console,
    )  # fmt: skip
    data, files = exported.data, exported.files
    session.exposures.replace_image(
        radiograph, case.radiograph, source=file_source(out / "radiograph.npz")
    )
    session.results.accept(session.results.add(registration, [radiograph], data["settings"]))
    write_session(out / "demo.xreg.json", session)
    files["demo.xreg.json"] = "the session: open it with the Data widget in napari"
    say_result(view, registration, console)
    console.say(f"{error_words(errors)} (registered in {seconds:.1f} s)")
    console.say(f"done in {time.perf_counter() - began:.0f} s; look at {out / 'report.html'}")
    for file, what in files.items():
        console.say(f"    {out / file}: {what}")
    x, y, z = (f"{v:.3f}" for v in case.isocenter.tolist())
    console.say("")
    console.say("The same by hand, from other starts if you like:")
    console.say(
        f"    napari-xreg register phantom {out / 'radiograph.npz'} --isocenter {x} {y} {z} "
        "--primary 10 --secondary 0 --multi-start 16"
    )
    console.answer(data | {"files": [str(out / file) for file in files]})
    return exit_code(registration)
