"""A registration gets its verdict: what the optimiser said stays only where the radiographs agree."""

from dataclasses import replace

import pytest
import torch
from registration.blobs import CENTER, blob_radiograph, blob_volume

from napari_xreg.geometry import CArm, CArmPose, Detector, Pose
from napari_xreg.images import geometry_of
from napari_xreg.registration import Registration, Status, View, likelihood_of
from napari_xreg.registration.verdict.verdict import judged

ARM = CArm(1020.0, 740.0, Detector((150, 130), (1.4, 1.7), (70.0, 68.0)))
TRUTH = ARM.pose_from(CArmPose(12.0, -8.0, isocenter=tuple(CENTER.tolist())))
ASIDE = Pose(TRUTH.rotation, TRUTH.translation + TRUTH.rotation[:, 0] * 8.0)


@pytest.fixture(scope="module")
def balls():
    return blob_volume(2.5), blob_radiograph(ARM, TRUTH)


def registration(*poses: Pose, status: Status = Status.CONVERGED) -> Registration:
    return Registration(
        world_from_camera=poses[0],
        status=status,
        losses={"loss": 0.1},
        trajectory=(),
        pivot=CENTER,
        views=poses,
        notes=("said before",),
    )


def test_a_right_pose_stays_what_the_optimiser_said(balls):
    volume, radiograph = balls
    found = judged(registration(TRUTH), volume, [View(radiograph, ASIDE)])
    assert found.status is Status.CONVERGED
    assert found.probability > 0.95
    assert found.notes[0] == "said before"
    assert "likely to lie within 2 mm" in found.notes[1]


@pytest.mark.parametrize("status", [Status.CONVERGED, Status.ITERATION_LIMIT, Status.STALLED])
def test_a_wrong_pose_is_not_trusted_whatever_the_optimiser_said(balls, status):
    volume, radiograph = balls
    found = judged(registration(ASIDE, status=status), volume, [View(radiograph, TRUTH)])
    assert found.status is Status.NOT_TRUSTED
    assert found.probability < 0.1
    assert not found
    assert (status.value in found.notes) == (status is not Status.CONVERGED)


@pytest.mark.parametrize("status", [Status.CANCELLED, Status.NO_OVERLAP])
def test_what_did_not_end_is_not_judged(balls, status):
    volume, radiograph = balls
    given = registration(ASIDE, status=status)
    assert judged(given, volume, [View(radiograph, TRUTH)]) is given


def test_one_view_must_agree_with_the_distances_of_its_header(balls):
    volume, radiograph = balls
    # 740 mm from the source by the pose; the header says 660: 12 % farther.
    said = replace(radiograph, carm=replace(ARM, source_to_isocenter=660.0))
    found = judged(registration(TRUTH), volume, [View(said, TRUTH)])
    assert found.status is Status.NOT_TRUSTED
    assert "12 % farther from the source" in found.notes[-1]
    assert "± 7.4 mm or more" in found.notes[-1]  # the isocenter is 740 mm from the source
    given = judged(registration(TRUTH), volume, [View(said, TRUTH)], ("roll", "depth"))
    assert "±" not in given.notes[-1]
    assert "12 % farther from the source" in given.notes[-1]
    assert likelihood_of(found).trusted is False
    assert likelihood_of(found).short.startswith("look again, ")
    # Where nobody said it, there is nothing to contradict.
    record = geometry_of(said.carm, None, "a file")
    guess = {"source_to_isocenter": "assumed: the data set does not say it"}
    made_up = replace(said, geometry=replace(record, provenance={**record.provenance, **guess}))
    assert judged(registration(TRUTH), volume, [View(made_up, TRUTH)]).status is Status.CONVERGED
    stated = replace(said, geometry=record)
    assert judged(registration(TRUTH), volume, [View(stated, TRUTH)]).status is Status.NOT_TRUSTED


def test_several_views_fix_the_depth_by_themselves(balls):
    volume, radiograph = balls
    said = replace(radiograph, carm=replace(ARM, source_to_isocenter=660.0))
    turned = ARM.pose_from(CArmPose(-60.0, 10.0, isocenter=tuple(CENTER.tolist())))
    second = View(blob_radiograph(ARM, turned), turned)
    found = judged(registration(TRUTH, turned), volume, [View(said, TRUTH), second])
    assert found.status is Status.CONVERGED
    assert torch.equal(found.world_from_camera.translation, TRUTH.translation)
    assert likelihood_of(found).measured == ""
    assert "one view" not in found.notes[-1]


def test_notes_are_read_as_sentences():
    found = replace(registration(TRUTH), notes=("rendered above water", "", "Look at both."))
    assert found.words == "The optimiser converged. Rendered above water. Look at both."
    asks = replace(found, notes=("is it the right side?", "stop!", "and so on…", ""))
    assert asks.words == "The optimiser converged. Is it the right side? Stop! And so on…"
