"""Every course of a registration leaves BLAS one thread: matrices are thin here, and threads wait."""

import pytest
from blas import ask_for, threads_now
from blobs import CENTER, blob_radiograph, blob_volume, carm

from napari_xreg.registration import (
    Body,
    LandscapeSettings,
    Level,
    RefineSettings,
    View,
    loss_landscape,
    refine,
    refine_bodies,
    refine_many,
    refine_near_bone,
)

CARM = carm(72, 78)
POSE = CARM.world_from_camera(24.0, -13.0, 5.0, isocenter=CENTER)
LEVELS = (Level(48, 6.0),)


@pytest.fixture(autouse=True)
def _two():
    before = ask_for(2)
    yield
    ask_for(before)


@pytest.mark.parametrize("which", ["refine", "many", "near a bone", "bodies", "landscape"])
def test_one_thread_from_the_first_event_on(which):
    volume, radiograph = blob_volume(4.0), blob_radiograph(CARM, POSE)
    settings = RefineSettings(levels=LEVELS, starts=1, antipode=False, threads=1)
    view = View(radiograph, POSE)
    courses = {
        "refine": lambda: refine(volume, view, settings=settings),
        "many": lambda: refine_many(volume, [view], settings=settings),
        "near a bone": lambda: refine_near_bone(volume, view, settings=settings),
        "bodies": lambda: refine_bodies(
            [Body("balls", volume, (POSE,), CENTER)], [radiograph], settings=settings
        ),
        "landscape": lambda: loss_landscape(
            volume, view, settings=LandscapeSettings(samples=3, pair=None, level=LEVELS[0])
        ),
    }
    events = courses[which]()
    assert threads_now() == 2
    next(events)
    assert threads_now() == 1
    events.close()
    assert threads_now() == 2
