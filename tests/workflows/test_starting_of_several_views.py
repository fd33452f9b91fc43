"""A pose network asked about several radiographs of one patient."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from napari_xreg.geometry import CArm, CArmPose, Detector, Pose
from napari_xreg.images import Radiograph
from napari_xreg.progress import run
from napari_xreg.registration import View
from napari_xreg.regression import PoseNetwork, Prediction
from napari_xreg.session import Session
from napari_xreg.simulation import phantom
from napari_xreg.training import FixedCamera
from napari_xreg.workflows import InitialiseRequest, further_views, initialise, propose_request
from napari_xreg.workflows.starting import by_regression

ARM = CArm(1020.0, 745.0, Detector((20, 24), (13.7, 12.1), (8.0, 12.5)))
ERRORS = (2.0, 2.0, 2.0, 3.0, 3.0, 30.0)


@pytest.fixture(scope="module")
def patient():
    return phantom(spacing_mm=8.0)


@pytest.fixture
def asked(patient, monkeypatch):
    """Of two radiographs at right angles, and what the network is going to say of each."""
    center = patient.volume.center.double()
    x, y, z = center.tolist()
    radiographs = [
        Radiograph(torch.ones(20, 24), ARM, nominal=CArmPose(angle, 3.0, isocenter=(x, y, z)), simulated=True)
        for angle in (5.0, 95.0)
    ]  # fmt: skip
    said = {}
    network = PoseNetwork(framing=FixedCamera(pixels=32), errors=ERRORS)
    monkeypatch.setattr(by_regression, "load_pose_network", lambda path: (network, {}))

    def predict(network, radiograph, place):
        answer = said[radiograph is radiographs[1]]
        if answer is None:
            raise ValueError("the network sees nothing")
        return Prediction(answer, radiograph, torch.zeros(4, 4), 1.0)

    monkeypatch.setattr(by_regression, "predict", predict)
    request = InitialiseRequest(
        "regression", patient.volume, radiographs[0], isocenter=center, weights=Path(__file__),
        beside=((radiographs[1], None),),
    )  # fmt: skip
    return request, said, radiographs


def posed(radiographs, center, mm=(0.0, 0.0, 0.0)):
    """The truth: the first is moved in the patient, the second along with it, as headers say; the
    prediction of the first is so many mm off in its own axes."""
    moved = Pose.exp(torch.tensor([0.05, -0.02, 0.1, 4.0, -7.0, 2.0], dtype=torch.float64))
    first = moved @ radiographs[0].carm.pose_from(radiographs[0].nominal)
    (second,) = further_views(View(radiographs[0], first), radiographs[1:], center)
    away = first.rotation @ torch.tensor(mm, dtype=torch.float64)
    return first, second.world_from_camera, Pose(first.rotation, first.translation - away)


def test_the_depth_of_one_is_known_from_the_other(asked):
    request, said, radiographs = asked
    first, second, off = posed(radiographs, request.isocenter, (0.0, 0.0, 33.0))
    said.update({False: off, True: second})
    start = run(initialise(request))
    left = start.pose.inverse().apply(request.isocenter) - first.inverse().apply(request.isocenter)
    assert left.norm().item() == pytest.approx(33.0 / 101.0, rel=0.02)
    assert start.spread.depth_mm == pytest.approx(3.0, rel=0.01)
    assert start.spread.rotation_deg == pytest.approx(2.0 / 2**0.5, rel=0.01)
    assert any(
        "2 radiographs joined; they are off what they have in common by up to 0° and 33 mm" in note
        for note in start.notes
    )


def test_where_the_camera_stands_may_be_given(asked):
    """In a window poses may have been moved since the header; what is there holds."""
    request, said, radiographs = asked
    first, second, off = posed(radiographs, request.isocenter, (0.0, 0.0, 33.0))
    tilted = second.left_perturb(
        torch.tensor([0.0, 0.2, 0.0, 0.0, 30.0, 0.0], dtype=torch.float64), request.isocenter
    )
    said.update({False: off, True: tilted})
    given = InitialiseRequest(
        "regression", request.volume, request.radiograph, isocenter=request.isocenter,
        weights=request.weights, beside=((radiographs[1], first.inverse() @ tilted),),
    )  # fmt: skip
    start = run(initialise(given))
    left = start.pose.inverse().apply(request.isocenter) - first.inverse().apply(request.isocenter)
    assert left.norm().item() < 1.0


def test_contradictions_are_not_averaged(asked):
    request, said, radiographs = asked
    first, _, off = posed(radiographs, request.isocenter, (0.0, 0.0, 33.0))
    said.update({False: off, True: first})  # a frontal pose for a lateral radiograph
    start = run(initialise(request))
    assert torch.equal(start.pose.matrix(), off.matrix())
    assert start.spread.depth_mm == ERRORS[5]
    assert any("more than it errs: the first alone counts" in note for note in start.notes)


def test_a_radiograph_that_the_network_cannot_see_says_nothing(asked):
    request, said, radiographs = asked
    _, _, off = posed(radiographs, request.isocenter, (0.0, 0.0, 33.0))
    said.update({False: off, True: None})
    start = run(initialise(request))
    assert torch.equal(start.pose.matrix(), off.matrix())
    assert any("sees nothing of the other radiographs" in note for note in start.notes)


def test_a_radiograph_that_nobody_placed_or_of_a_pose_that_is_no_number_says_nothing(
    asked, patient
):
    request, said, radiographs = asked
    _, second, off = posed(radiographs, request.isocenter, (0.0, 0.0, 33.0))
    lost = Pose(second.rotation, second.translation * float("nan"))
    bare = replace(radiographs[1], nominal=None)
    for other, answer in ((radiographs[1], lost), (bare, second)):
        said.update({False: off, True: answer})
        start = run(initialise(replace(request, beside=((other, None),))))
        assert torch.equal(start.pose.matrix(), off.matrix())
        assert any("nobody knows how they stand" in note for note in start.notes)


def test_in_the_window_only_radiographs_that_move_together_and_were_placed_are_compared(
    patient, asked
):
    _, _, radiographs = asked
    session = Session()
    session.patient.set_volume(patient.volume)
    first = session.exposures.add(radiographs[0], name="frontal")
    session.exposures.add(radiographs[1], name="lateral")
    bare = session.exposures.add(replace(radiographs[1], nominal=None), name="bare")
    session.exposures.activate(first)
    session.poses.rig_locked = True
    (request,) = propose_request(session, {"manual": None}).asked
    assert [radiograph.nominal is None for radiograph, _ in request.beside] == [False]
    session.poses.rig_locked = False
    (request,) = propose_request(session, {"manual": None}).asked
    assert request.beside == ()
    assert session.exposures[bare].used
