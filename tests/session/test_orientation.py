"""Turning and flipping a radiograph keeps everything on its anatomy."""

from dataclasses import replace

import pytest
import torch
from session_parts import signals_of

from napari_xreg.geometry import CArm, Detector
from napari_xreg.images import Landmark, Radiograph
from napari_xreg.session import Session, flip_exposure, rotate_exposure

POINTS = {"asis": (21.0, -35.0, 14.0), "head": (-12.0, 9.0, -27.0)}


@pytest.fixture(params=[True, False], ids=["mirrored", "not mirrored"])
def exposure(request):
    detector = Detector((40, 62), (2.7, 1.9), (17.25, 37.5), mirrored=request.param)
    carm = CArm(1010.0, 620.0, detector)
    session = Session()
    image = Radiograph(torch.rand(40, 62), carm)
    pose = carm.world_from_camera(21.0, -13.0, 6.0, isocenter=torch.zeros(3, dtype=torch.float64))
    start = carm.world_from_camera(17.0, -9.0, 2.0, isocenter=torch.zeros(3, dtype=torch.float64))
    name = session.exposures.add(image, start=start, truth=pose)
    session.poses.move(pose)
    marks = [
        Landmark(key, pixel=tuple(carm.project(torch.tensor([xyz]).double(), pose)[0].tolist()))
        for key, xyz in POINTS.items()
    ]
    session.landmarks.set_picked(name, marks)
    painted = torch.ones(40, 62, dtype=torch.bool)
    painted[3, 5] = False
    session.exposures.set_painted(name, painted)
    return session.exposures[name]


def projected(entry, pose):
    points = torch.tensor(list(POINTS.values()), dtype=torch.float64)
    return entry.radiograph.carm.project(points, pose)


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_landmarks_stay_on_what_they_mark(exposure, turns):
    found = rotate_exposure(exposure, turns)
    picked = torch.tensor([mark.pixel for mark in found.landmarks], dtype=torch.float64)
    for pose in (found.world_from_camera, found.truth):
        torch.testing.assert_close(picked, projected(found, pose), atol=1e-9, rtol=0)
    assert not torch.allclose(picked, projected(found, found.start), atol=1.0)
    # By hand: one turn takes (row, column) to (column, rows - 1 - row).
    where = {1: (5, 36), 2: (36, 56), 3: (56, 3)}[turns]
    assert not found.painted[where]
    assert int((~found.painted).sum()) == 1


def test_ellipses_turn_along(exposure):
    # A spread of 3 pixels along rows, 1 along columns, leaning to the lower right.
    mark = replace(exposure.landmarks[0], covariance=(9.0, 1.5, 1.0))
    leaning = replace(exposure, landmarks=(mark,))
    wanted = {1: (1.0, -1.5, 9.0), 2: (9.0, 1.5, 1.0), 3: (1.0, -1.5, 9.0), 4: (9.0, 1.5, 1.0)}
    for turns, covariance in wanted.items():
        assert rotate_exposure(leaning, turns).landmarks[0].covariance == covariance
    assert flip_exposure(leaning).landmarks[0].covariance == (9.0, -1.5, 1.0)


def test_flipping_keeps_the_pose(exposure):
    found = flip_exposure(exposure)
    assert found.world_from_camera is exposure.world_from_camera
    picked = torch.tensor([mark.pixel for mark in found.landmarks], dtype=torch.float64)
    torch.testing.assert_close(picked, projected(found, found.truth), atol=1e-9, rtol=0)
    assert not found.painted[3, 56]


def test_four_turns_give_everything_back(exposure):
    found = exposure
    for _ in range(4):
        found = rotate_exposure(found, 1)
    torch.testing.assert_close(
        found.world_from_camera.matrix(), exposure.world_from_camera.matrix()
    )
    for mark, was in zip(found.landmarks, exposure.landmarks, strict=True):
        assert mark.pixel == pytest.approx(was.pixel, abs=1e-9)
    assert torch.equal(found.painted, exposure.painted)


def test_a_renamed_radiograph_keeps_its_history(exposure):
    session = Session()
    first = session.exposures.add(exposure.radiograph, name="a", start=exposure.start)
    session.exposures.add(exposure.radiograph, name="b", start=exposure.start)
    session.poses.save("before")
    session.poses.set(exposure.world_from_camera, "drag", exposure=first)
    session.exposures.rename(session.exposures.named("a").id, " frontal ")
    assert [entry.name for entry in session.exposures.all] == ["frontal", "b"]
    assert session.exposures.active.name == "b"
    (kept,) = session.poses.named
    assert set(kept.poses) == {entry.id for entry in session.exposures.all}
    for taken in ("b", "  "):
        with pytest.raises(ValueError, match="a name of its own"):
            session.exposures.rename(session.exposures.named("frontal").id, taken)
    assert (session.undo(), session.undo()) == ("rename a to frontal", "drag")
    assert session.exposures.named("a").world_from_camera is exposure.start


def test_an_exposure_is_replaced_as_a_whole(exposure):
    session = Session()
    name = session.exposures.add(exposure.radiograph, start=exposure.start)
    said = []
    for what, signal in signals_of(session).items():
        signal.connect(lambda what=what: said.append(what))
    session.exposures.replace(rotate_exposure(replace(exposure, id=name), 1))
    assert session.exposures.active.radiograph.carm.detector.shape == (62, 40)
    assert sorted(said) == ["history", "landmarks", "mask", "pose", "radiographs"]
