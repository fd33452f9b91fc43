"""Run by `test_beside_opengl`: an OpenGL context, and then what the first argument says."""

# ruff: noqa: T201 - its output is what the test reads
import sys

import torch
from qtpy.QtGui import QGuiApplication, QOffscreenSurface, QOpenGLContext

from napari_xreg.geometry import (
    PARAMETERIZATIONS,
    CArm,
    Detector,
    matrix_from_parameters,
    parameters_from_matrix,
    so4_from_pose,
)
from napari_xreg.images import Landmark, Radiograph
from napari_xreg.landmarks import (
    CompactDetector,
    LandmarkSettings,
    LandmarkTask,
    LandmarkViewSettings,
)
from napari_xreg.progress import run
from napari_xreg.rayemb import CompactEncoder, RayEmbSettings, RayEmbTask, ViewSettings
from napari_xreg.registration import AdamSettings, View, refine
from napari_xreg.rendering import cuda, render_drr
from napari_xreg.simulation import phantom
from napari_xreg.training import Framing, OnePatient, TrainSettings, patient_from_volume, train

CARM = CArm(1020.0, 750.0, Detector((64, 72), (4.6, 4.1)))
COARSE = Framing(pixel_mm=7.0, multiple=16, smallest=48)


def opengl():
    """A current context; ends with 77 where there is none to be had."""
    application = QGuiApplication([])
    surface, context = QOffscreenSurface(), QOpenGLContext()
    surface.create()
    if not (context.create() and context.makeCurrent(surface)):
        print("no OpenGL context can be made here")
        sys.exit(77)
    return application, surface, context


def learn():
    """A step of each network and two iterations of Adam."""
    made = phantom(spacing_mm=9.0, seed=5)
    marks = [Landmark(name, place) for name, place in made.landmarks.items()]
    patient = OnePatient(
        patient_from_volume(made.volume, labels=made.labels, landmarks=marks, voxel_mm=9.0)
    )

    def unjudged(network):
        return {"score": 1.0}, None

    one = TrainSettings(steps=1, validate_every=1)
    views = ViewSettings(CARM, queries=2, templates=4, first=1, kept=2)
    few = RayEmbSettings(views, queries=2, templates=4, per_point=2, points=16)
    encoder = RayEmbTask(CompactEncoder(8, (8, 8, 8), COARSE), patient, unjudged, few)
    print(f"encoder: {run(train(encoder, one)).steps} step")
    names = [mark.name for mark in marks]
    small = LandmarkSettings(LandmarkViewSettings(CARM, views=2, first=1), batch=2)
    network = CompactDetector(names, (8, 8, 8, 8), framing=COARSE)
    detector = LandmarkTask(network, patient, unjudged, small)
    print(f"detector: {run(train(detector, one)).steps} step")
    pose = CARM.world_from_camera(10.0, -20.0, isocenter=made.volume.center)
    radiograph = Radiograph(render_drr(made.volume, CARM, pose), CARM)
    start = CARM.world_from_camera(14.0, -17.0, isocenter=made.volume.center)
    settings = AdamSettings(pixels=(40,), iterations=2)
    refined = run(refine(made.volume, View(radiograph, start), settings=settings))
    print(f"Adam: {len(refined.trajectory)} iterations")
    try:
        render_drr(made.volume, CARM, pose, backend="triton")
    except ValueError:
        print("Triton for a CT on the CPU: refused")
    for name in PARAMETERIZATIONS:
        convention = "ZXY" if name == "euler_angles" else None
        numbers = parameters_from_matrix(start.rotation, name, convention=convention)
        matrix_from_parameters(numbers, name, convention=convention)
    so4_from_pose(start, embedding="polar")
    there = [name for name in ("triton", "torch._dynamo") if name in sys.modules]
    print(f"loaded: {', '.join(there) or 'nothing'}")


torch.set_num_threads(1)
kept = opengl()
if sys.argv[1] == "learn":
    learn()
else:
    print(f"available: {cuda.available()}")
