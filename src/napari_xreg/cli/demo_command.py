"""``napari-xreg demo``: the whole way, on a machine with nothing but this package."""

import time
from argparse import Namespace
from pathlib import Path

import torch

from napari_xreg.cli.checking import bone_points, errors_against
from napari_xreg.cli.console import Console
from napari_xreg.cli.outputs import error_words, write_registration
from napari_xreg.cli.refining import prepare_renderer, refine_shown
from napari_xreg.cli.register_command import exit_code
from napari_xreg.cli.simulate_command import with_nominal
from napari_xreg.geometry import CArm, Detector
from napari_xreg.images import write_radiograph
from napari_xreg.registration import RefineSettings, View
from napari_xreg.simulation import phantom, simulate_radiograph

_DETECTOR = Detector(shape=(288, 288), spacing=(300 / 288, 300 / 288))


def run(arguments: Namespace, console: Console) -> int:
    """Phantom, radiograph, wrong start, registration, pictures; the exit code."""
    began = time.perf_counter()
    out = Path(arguments.out)
    out.mkdir(parents=True, exist_ok=True)
    console.say(
        "The demo's patient is a phantom and its radiograph is simulated: the pose is known,"
    )
    console.say("so the result can be checked. Accuracy on real images does not follow from it.")
    console.step("1/5 making the phantom's CT")
    sample = phantom()
    console.say(f"    {sample.volume!r}, {len(sample.landmarks)} landmarks")
    carm = CArm(1020.0, 750.0, _DETECTOR)
    landmarks = torch.tensor(list(sample.landmarks.values()), dtype=torch.float64)
    isocenter = landmarks.mean(0)
    truth = carm.world_from_camera(18.0, -9.0, 4.0, isocenter=isocenter)
    console.step(f"2/5 simulating a radiograph ({arguments.severity}, seed {arguments.seed})")
    simulated = simulate_radiograph(
        sample.volume,
        sample.labels,
        carm,
        truth,
        severity=arguments.severity,
        seed=arguments.seed,
    )
    radiograph = with_nominal(
        simulated.radiograph, truth, isocenter, error=1.5, seed=arguments.seed
    )
    write_radiograph(out / "radiograph.npz", radiograph)
    assert radiograph.nominal is not None
    start = carm.pose_from(radiograph.nominal)
    console.step("3/5 preparing the renderer")
    prepare_renderer(console, arguments.threads)
    console.step("4/5 registering")
    settings = RefineSettings(keep_images=False, threads=arguments.threads)
    view = View(radiograph, start)
    refining = time.perf_counter()
    registration = refine_shown(sample.volume, view, settings, isocenter, console)
    seconds = time.perf_counter() - refining
    points = bone_points(sample.volume, carm, truth, count=50, seed=arguments.seed)
    errors = errors_against(truth, points, carm, start, registration)
    console.step("5/5 writing")
    data, files = write_registration(
        out,
        sample.volume,
        view,
        registration,
        title="demo: phantom to simulated radiograph",
        settings=settings,
        inputs=[{"role": "ct", "path": "phantom", "built_in": True}],
        extra={"truth": errors},
        film=arguments.film,
        console=console,
    )
    console.say(f"{error_words(errors)} (registered in {seconds:.1f} s)")
    console.say(f"done in {time.perf_counter() - began:.0f} s; look at {out / 'report.html'}")
    for name, what in files.items():
        console.say(f"    {out / name}: {what}")
    x, y, z = (f"{v:.3f}" for v in isocenter.tolist())
    console.say("")
    console.say("The same by hand, from other starts if you like:")
    console.say(
        f"    napari-xreg register phantom {out / 'radiograph.npz'} --isocenter {x} {y} {z} "
        "--primary 10 --secondary 0 --multi-start 16"
    )
    console.answer(data | {"files": [str(out / name) for name in files]})
    return exit_code(registration)
