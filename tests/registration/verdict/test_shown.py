"""How much of a body radiographs show, counted by hand; and what is said where one alone shows it."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from registration.blobs import CENTER, blob_radiograph, blob_volume

from napari_xreg.geometry import CArm, CArmPose, Detector, Pose
from napari_xreg.images import Radiograph, Volume
from napari_xreg.registration import Registration, Status, View, likelihood_of
from napari_xreg.registration.verdict.evidence import patches_of
from napari_xreg.registration.verdict.shown import share_shown
from napari_xreg.registration.verdict.verdict import judged

ARM = CArm(1000.0, 500.0, Detector((100, 160), (2.0, 1.25), (49.5, 79.5), mirrored=False))
AT = Pose(torch.eye(3, dtype=torch.float64), torch.tensor([0.0, 0.0, -500.0], dtype=torch.float64))


def boxes() -> Volume:
    """Two of 10 x 20 x 10 mm, (x, y, z), with their middles at x = -20 and 20 mm: at 40 and 120 columns' middle."""
    lac = torch.zeros(10, 20, 60)
    lac[:, :, 5:15] = lac[:, :, 45:55] = 0.02
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:3, 3] = torch.tensor([-29.5, -9.5, -4.5], dtype=torch.float64)
    return Volume(lac, matrix)


def picture(**kwargs) -> Radiograph:
    return Radiograph(torch.zeros(100, 160), ARM, simulated=True, **kwargs)


def test_all_half_and_nothing_of_two_boxes():
    volume, whole = boxes(), picture()
    assert share_shown(volume, View(whole, AT)) == pytest.approx(1.0)
    # Magnified twice they lie about columns 79.5 -+ 32, rows 29.5 to 69.5.
    assert share_shown(volume, View(whole.crop(0, 0, 100, 80), AT)) == pytest.approx(0.5, abs=0.01)
    # Above the middle row a half of each.
    assert share_shown(volume, View(whole.crop(0, 0, 50, 160), AT)) == pytest.approx(0.5, abs=0.03)
    assert share_shown(volume, View(whole.crop(0, 0, 20, 160), AT)) == 0.0
    beside = Pose(AT.rotation, AT.translation + torch.tensor([90.0, 0.0, 0.0]).double())
    assert share_shown(volume, View(whole, beside)) == 0.0


def test_behind_a_mask_it_is_not_shown_and_a_field_is_round():
    mask = torch.ones(100, 160, dtype=torch.bool)
    mask[:, :80] = False
    assert share_shown(boxes(), View(picture(mask=mask), AT)) == pytest.approx(0.5, abs=0.01)
    # Boxes stand 56 mm and more from the middle at their outer edges, 30 and more at the inner ones.
    small = replace(ARM, detector=replace(ARM.detector, principal_point=None, field_diameter=40.0))
    assert share_shown(boxes(), View(replace(picture(), carm=small), AT)) == 0.0


def test_where_the_source_stands_within_nothing_is_said_to_show():
    inside = Pose(AT.rotation, torch.zeros(3, dtype=torch.float64))
    assert share_shown(boxes(), View(picture(), inside)) == 0.0


BALLS = CArm(1020.0, 740.0, Detector((150, 130), (1.4, 1.7), (70.0, 68.0)))
TRUTH = BALLS.pose_from(CArmPose(12.0, -8.0, isocenter=tuple(CENTER.tolist())))
TURNED = BALLS.pose_from(CArmPose(-60.0, 10.0, isocenter=tuple(CENTER.tolist())))


@pytest.fixture(scope="module")
def pair():
    return blob_volume(2.5), [blob_radiograph(BALLS, pose) for pose in (TRUTH, TURNED)]


def found(*poses: Pose, along: Pose = TRUTH) -> Registration:
    """Along the rays of one of the poses it is known to 3 mm, across them to 20."""
    sight = along.rotation[:, 2]
    covariance = torch.eye(6, dtype=torch.float64) * 400.0
    covariance[3:, 3:] += (9.0 - 400.0) * sight.outer(sight)
    return Registration(
        poses[0], Status.CONVERGED, {"loss": 0.1}, (), CENTER, views=poses, covariance=covariance
    )


def hidden(radiograph: Radiograph) -> Radiograph:
    """But for a corner."""
    mask = torch.zeros(BALLS.detector.shape, dtype=torch.bool)
    mask[:18, :18] = True
    return radiograph.with_mask(mask, "behind blades")


@pytest.mark.parametrize("alone", [0, 1])
def test_where_one_radiograph_shows_it_the_pose_is_judged_as_seen_there(pair, alone):
    volume, radiographs = pair
    poses = (TRUTH, TURNED)
    views = [
        View(r if n == alone else hidden(r), p)
        for n, (r, p) in enumerate(zip(radiographs, poses, strict=True))
    ]
    told = judged(found(*poses, along=poses[alone]), volume, views)
    single = judged(found(poses[alone]), volume, [views[alone]])
    assert told.seen_by == told.as_seen_in == alone
    assert told.probability == single.probability > 0.9
    assert told.shown[alone] > 0.95
    assert told.shown[1 - alone] < 0.05
    assert likelihood_of(told).measured == "as seen in one radiograph alone"
    assert f"within 2 mm as seen in radiograph {alone + 1} alone (fitted" in told.notes[-1]
    assert f"Only radiograph {alone + 1} shows enough" in told.notes[-1]
    # By their names, where they have some: which comes first is another matter.
    named = [
        replace(v, radiograph=replace(v.radiograph, source=f"{n}.dcm"))
        for n, v in zip(("ap", "lat"), views, strict=True)
    ]
    said = judged(found(*poses), volume, named).notes[-1]
    one, other = ("ap.dcm", "lat.dcm")[:: 1 if alone == 0 else -1]
    assert f"as seen in {one} alone (fitted" in said
    assert f"Only {one} shows enough" in said
    assert f"{other} shows" in said
    # The standard deviation is that along its own rays: 3 mm, and a hundredth of the 740 mm to the source, which no one view knows.
    assert "± 8.0 mm (one standard deviation)" in told.notes[-1]
    sight = poses[alone].rotation[:, 2]
    assert float(sight @ told.covariance[3:, 3:] @ sight) == pytest.approx(9.0 + 7.4**2)
    across = torch.linalg.cross(sight, torch.eye(3).double()[1])
    across /= across.norm()
    assert float(across @ told.covariance[3:, 3:] @ across) == pytest.approx(400.0)
    assert torch.allclose(told.scale[3:], 0.01 * (poses[alone].translation - CENTER))
    # What was refined by one is told as it was.
    assert torch.equal(single.covariance, found(poses[alone]).covariance)
    # Locked is the depth of the first.
    locked = judged(found(*poses, along=poses[alone]), volume, views, ("depth",))
    assert ("The depth was locked" in locked.notes[-1]) == (alone == 0)
    kept = float(sight @ locked.covariance[3:, 3:] @ sight)
    assert kept == pytest.approx(9.0 if alone == 0 else 9.0 + 7.4**2)
    # Its header is asked, as of one radiograph: 740 mm by the pose, 12 % farther than 660.
    said = [
        replace(v, radiograph=replace(v.radiograph, carm=replace(v.radiograph.carm, source_to_isocenter=660.0)))
        for v in views
    ]  # fmt: skip
    assert "12 % farther from the source" in judged(found(*poses), volume, said).notes[-1]


def test_both_show_it_and_nothing_changes(pair):
    volume, radiographs = pair
    views = [View(r, p) for r, p in zip(radiographs, (TRUTH, TURNED), strict=True)]
    told = judged(found(TRUTH, TURNED), volume, views)
    assert told.seen_by is None
    assert told.as_seen_in is None
    assert min(told.shown) > 0.95
    assert likelihood_of(told).measured == ""
    assert "radiograph 1" not in told.notes[-1]


def test_a_radiograph_that_shows_something_else_still_contradicts(pair):
    volume, radiographs = pair
    rng = np.random.default_rng(5)
    noise = torch.from_numpy(rng.normal(1.0, 0.4, BALLS.detector.shape)).float()
    other = replace(radiographs[1], line_integrals=noise)
    told = judged(found(TRUTH, TURNED), volume, [View(radiographs[0], TRUTH), View(other, TURNED)])
    assert told.seen_by is None
    assert not told


def test_where_none_shows_it_nothing_is_trusted(pair):
    volume, radiographs = pair
    views = [View(hidden(r), p) for r, p in zip(radiographs, (TRUTH, TURNED), strict=True)]
    told = judged(found(TRUTH, TURNED), volume, views)
    assert told.seen_by is None
    assert told.probability == 0.0


def test_few_details_in_one_radiograph_are_no_radiograph_that_shows_it(monkeypatch, pair):
    """Fewer than it takes to judge by, and none in the other: nothing is said of one alone."""
    volume, radiographs = pair
    views = [View(radiographs[0], TRUTH), View(hidden(radiographs[1]), TURNED)]

    def few(volume, view):
        got = patches_of(volume, view)
        if got is None:
            return None
        part = {f.name: getattr(got[0], f.name)[:7] for f in fields(got[0])}
        return replace(got[0], **part), got[1]

    monkeypatch.setattr("napari_xreg.registration.verdict.verdict.patches_of", few)
    told = judged(found(TRUTH, TURNED), volume, views)
    assert told.seen_by is None
    assert "Too little of the CT shows" in told.notes[-1]
