"""A small session with two radiographs, and what it says."""

from types import SimpleNamespace

import pytest
from session_parts import make_labels, make_radiograph, make_volume, signals_of

from napari_xreg.geometry import CArmPose
from napari_xreg.session import Session


@pytest.fixture
def session():
    """Radiographs "frontal" and "lateral", the lateral one active; both at their starts."""
    made = Session()
    volume = make_volume()
    made.patient.set_volume(volume)
    made.patient.set_labels(make_labels(volume))
    made.exposures.add(make_radiograph(CArmPose(4.0, -7.0, 2.0)), name="frontal")
    made.exposures.add(make_radiograph(CArmPose(83.0, 5.0, -3.0), 14, 19, 5), name="lateral")
    return made


@pytest.fixture
def heard(session):
    """Names of the signals, in the order they came, with what held when each came."""
    said = []
    for name, signal in signals_of(session).items():
        signal.connect(
            lambda name=name: said.append(SimpleNamespace(name=name, state=session.capture()()))
        )
    return said
