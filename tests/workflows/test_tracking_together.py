"""A bar that goes on by whole voxels beside its patient, who lies still: tracked together, in two views."""

import csv
from dataclasses import replace

import numpy as np
import pytest
import torch
from moved_bar import CARM, ORIGIN, SIZE, patient, world_from_index

from napari_xreg.geometry import CArmPose, Pose
from napari_xreg.images import Cine, LabelMap, Radiograph, Volume, lac_from_hu
from napari_xreg.progress import Control, run
from napari_xreg.registration import (
    BodyIterate,
    RefineSettings,
    View,
    levels_at,
    refine_bodies,
    step_between,
)
from napari_xreg.rendering import render_drr
from napari_xreg.session import BodiesTrack, FrameState
from napari_xreg.workflows import (
    PATIENT,
    BodiesTrackExport,
    BodiesTrackRequest,
    Patient,
    TrackSettings,
    bodies_of_ct,
    export_bodies_track,
    frames_of,
    track_bodies,
)
from napari_xreg.workflows.tracking.together import Together

STEP = (1, 1, -1)
"""Voxels (x, y, z) that the bar goes on by from frame to frame."""
NUMBERS = (4, 5, 6, 7)


@pytest.fixture(scope="module")
def asked() -> BodiesTrackRequest:
    hu, ids = patient()
    volume = Volume(lac_from_hu(hu), world_from_index(), hu=hu)
    center = volume.center.double()
    rig = [
        CARM.pose_from(CArmPose(primary, -5.0, 1.0, (2.0, -3.0, 4.0), tuple(center.tolist())))
        for primary in (12.0, -68.0)
    ]

    def picture(number, camera):
        k = number - NUMBERS[0]
        now = Volume(lac_from_hu(patient(tuple(k * s for s in STEP))[0]), world_from_index())
        return Radiograph(
            render_drr(now, CARM, rig[camera], method="trilinear"), CARM, simulated=True
        )

    cines = [Cine(NUMBERS, lambda n, camera=camera: picture(n, camera)) for camera in range(2)]
    frames = frames_of(cines, rig, NUMBERS[0], center)
    views = [View(picture(NUMBERS[0], n), pose) for n, pose in enumerate(rig)]
    labels = LabelMap(ids, world_from_index())
    bodies = bodies_of_ct(Patient(volume, "ct", labels=labels), {"bar": ["76"]}, views)
    settings = TrackSettings(pixels=96, retry_starts=1)
    keys = {NUMBERS[0]: (rig[0], rig[0])}
    return BodiesTrackRequest(bodies, frames, NUMBERS[0], keys, settings)


@pytest.fixture(scope="module")
def found(asked) -> BodiesTrack:
    return run(track_bodies(asked))


def off_mm(patient_from_bar: Pose, place: int) -> float:
    """Of the bar's own voxels, from where whole voxels take them."""
    _, ids = patient()
    places = torch.nonzero(ids == 76).flip(1).double() * torch.tensor(SIZE) + torch.tensor(ORIGIN)
    now = places + place * torch.tensor(STEP) * torch.tensor(SIZE)
    return float((patient_from_bar.apply(places) - now).norm(dim=1).mean())


@pytest.mark.slow
def test_the_bar_is_followed_and_the_patient_stays(asked, found):
    assert found.names == (PATIENT, "bar")
    assert not found.cancelled
    for place in range(len(NUMBERS)):
        between, covariance = found.between(PATIENT, "bar", place)
        assert off_mm(between, place) < 0.4
        # Of a frame that was given nothing is known of how both err.
        assert (covariance is None) == (place == 0)
        assert place == 0 or float(torch.linalg.eigvalsh(covariance)[0]) > 0
        here = found[PATIENT].frames[place].world_from_rig
        assert float(here.log()[:3].norm()) < 0.005
    states = {frame.state for track in found.tracks for frame in track.frames}
    assert FrameState.OPEN not in states
    assert found.words.splitlines()[1].startswith("bar: 4 simulated frames: ")


@pytest.mark.slow
def test_what_is_written_of_several_bones(asked, found, tmp_path):
    done = export_bodies_track(
        BodiesTrackExport(tmp_path, found, asked.bodies, asked.frames, (None, None), film=False)
    )
    assert done.files == (
        "patient/track.csv", "patient/jointtrack.jts", "bar/track.csv", "bar/jointtrack.jts",
        "between.csv",
    )  # fmt: skip
    assert done.missing == {}
    lines = (tmp_path / "between.csv").read_text(encoding="utf-8").splitlines()
    assert lines[0] == (
        "# napari-xreg/track-between version 1; simulated yes; one_from_other, LPS mm; 4 rows"
    )
    rows = list(csv.DictReader(lines[1:]))
    assert [row["frame"] for row in rows] == ["4", "5", "6", "7"]
    between, covariance = found.between(PATIENT, "bar", 2)
    read = [[float(rows[2][f"m{i}{j}"]) for j in range(4)] for i in range(3)]
    np.testing.assert_allclose(read, between.matrix()[:3].numpy(), atol=1e-6)
    turn = np.degrees(float(covariance[2, 2].sqrt()))
    assert float(rows[2]["rz_sd_deg"]) == pytest.approx(turn, rel=1e-5)
    assert float(rows[2]["x_sd_mm"]) == pytest.approx(float(covariance[3, 3].sqrt()), rel=1e-5)


@pytest.mark.slow
def test_from_near_all_are_refined_together_and_none_is_looked_for(asked):
    views = asked.frames.views(NUMBERS[0])
    events = []
    settings = RefineSettings(levels=levels_at((96,)), starts=1, keep_images=False)
    found = run(
        refine_bodies(
            asked.bodies, [view.radiograph for view in views], settings=settings, near_start=True, judge=False
        ),
        events.append,
    )  # fmt: skip
    assert events
    assert not any(isinstance(event, BodyIterate) for event in events)
    assert [body.probability for body in found.bodies] == [None, None]
    assert found.covariance is not None


def test_a_key_frame_has_the_pose_of_every_bone(asked):
    with pytest.raises(ValueError, match="frame 5 has 1 of 2"):
        BodiesTrackRequest(asked.bodies, asked.frames, 4, {5: (Pose.identity(),)})


@pytest.mark.slow
def test_a_bone_that_is_given_stays_while_others_are_looked_for(asked):
    """1.7 mm beside where the picture has it; the patient is looked for both times."""
    views = asked.frames.views(NUMBERS[0])
    pivots = [body.pivot for body in asked.bodies]
    off = torch.tensor([0.0, 0.0, 0.0, 1.0, 1.2, -0.6], dtype=torch.float64)
    rig = views[0].world_from_camera.to(dtype=torch.float64)
    given, start = rig.left_perturb(off, pivots[1]), rig.left_perturb(off, pivots[0])
    seen = [
        tuple(replace(v, world_from_camera=pose @ rig.inverse() @ v.world_from_camera.to(dtype=torch.float64)) for v in views)
        for pose in (start, given)
    ]  # fmt: skip
    together = Together(asked, Control())
    for how, held in ((together.holding({1: given}), True), (together, False)):
        found = how.fine(seen, how.rough(seen, None)).bodies
        moved = step_between(given, found[1].world_from_camera.to(dtype=torch.float64), pivots[1])[
            3:
        ].norm()
        assert (moved < 0.05) if held else (moved > 1.0)
        # The spine of this patient is as long as the picture: where it is found along itself says nothing.
        patient = step_between(start, found[0].world_from_camera.to(dtype=torch.float64), pivots[0])
        assert float(patient[3:].norm()) > 0.2
