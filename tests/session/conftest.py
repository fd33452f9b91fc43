"""A small session with two radiographs, and what it says."""

from types import SimpleNamespace

import pytest
from session_parts import make_labels, make_radiograph, make_volume

from napari_xreg.geometry import CArmPose
from napari_xreg.session import Session


@pytest.fixture
def session():
    """Radiographs "frontal" and "lateral", the lateral one active; both at their starts."""
    made = Session()
    volume = make_volume()
    made.set_volume(volume)
    made.set_labels(make_labels(volume))
    made.add_radiograph(make_radiograph(CArmPose(4.0, -7.0, 2.0)), name="frontal")
    made.add_radiograph(make_radiograph(CArmPose(83.0, 5.0, -3.0), 14, 19, 5), name="lateral")
    return made


@pytest.fixture
def heard(session):
    """Names of the signals, in the order they came, with what held when each came."""
    names = (
        "volume_changed",
        "radiographs_changed",
        "active_changed",
        "pose_changed",
        "history_changed",
        "landmarks_changed",
        "mask_changed",
        "results_changed",
    )
    said = []
    for name in names:
        getattr(session, name).connect(
            lambda name=name: said.append(SimpleNamespace(name=name, state=session.state()))
        )
    return said
