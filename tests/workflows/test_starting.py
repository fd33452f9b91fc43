"""Who finds a start: the table, several at once, and what is proposed for the window."""

from dataclasses import replace

import pytest
import torch

from napari_xreg.geometry import CArm, CArmPose, Detector, Pose
from napari_xreg.images import Landmark, Radiograph
from napari_xreg.progress import Control, run
from napari_xreg.registration import Spread
from napari_xreg.rendering import render_drr
from napari_xreg.similarity import SimilarityNetwork
from napari_xreg.simulation import phantom
from napari_xreg.training import CheckpointError, FixedCamera, save_network
from napari_xreg.workflows import (
    INITIALISERS,
    Asking,
    InitialiseRequest,
    NoStart,
    ProposeRequest,
    Ranking,
    StartingPose,
    find_starts,
    propose,
)
from napari_xreg.workflows.starting.proposing import coarse_settings

ARM = CArm(1020.0, 745.0, Detector((72, 90), (3.7, 3.1), (31.0, 47.5)))


@pytest.fixture(scope="module")
def patient():
    return phantom(spacing_mm=5.0)


@pytest.fixture(scope="module")
def truth(patient):
    x, y, z = patient.volume.center.tolist()
    return ARM.pose_from(CArmPose(14.0, -6.0, 2.0, (3.0, -4.0, 5.0), (x, y, z)))


@pytest.fixture(scope="module")
def asked(patient, truth):
    center = patient.volume.center.double()
    x, y, z = center.tolist()
    image = render_drr(patient.volume, ARM, truth, method="joseph")
    said = CArmPose(18.0, -4.0, 1.0, (-3.0, 3.0, -6.0), (x, y, z))
    radiograph = Radiograph(image, ARM, nominal=said, simulated=True)
    lost = ARM.pose_from(CArmPose(75.0, 20.0, 2.0, (30.0, -14.0, 5.0), (x, y, z)))
    hand = StartingPose(lost, center, "a hand")
    return InitialiseRequest("manual", patient.volume, radiograph, given=hand)


def off_mm(pose, truth, patient):
    points = patient.volume.center.double() + 40.0 * torch.eye(3).double()
    seen = [each.to(dtype=torch.float64).inverse().apply(points) for each in (pose, truth)]
    return float((seen[0] - seen[1]).norm(dim=1).mean())


def test_every_row_can_be_asked(asked):
    for name, row in INITIALISERS.items():
        bare = InitialiseRequest(name, asked.volume, asked.radiograph)
        assert all(hasattr(bare, need) for need in row.needs)
        if row.needs:
            with pytest.raises(ValueError, match=f"{row.needs[0]} are needed"):
                run(find_starts([bare]))
    recipes = [row.recipe for row in INITIALISERS.values()]
    assert recipes == ["", "", "rayemb", "landmarks", "pose", "similarity"]


def test_the_given_and_the_header(asked):
    header = replace(asked, method="dicom")
    starts = run(find_starts([asked, header]))
    assert list(starts.found) == ["manual", "dicom"]
    assert starts.found["manual"] is asked.given
    said = asked.radiograph.nominal
    torch.testing.assert_close(
        starts.found["dicom"].pose.matrix(), ARM.pose_from(said).matrix(), rtol=0, atol=1e-9
    )
    # Said otherwise, the isocenter is elsewhere in the patient.
    other = asked.volume.center.double() + torch.tensor([7.0, 0.0, -4.0])
    moved = run(find_starts([replace(header, isocenter=other)])).found["dicom"]
    shift = moved.pose.translation - starts.found["dicom"].pose.translation
    torch.testing.assert_close(shift, torch.tensor([7.0, 0.0, -4.0]).double(), rtol=0, atol=1e-9)


def test_one_without_a_pose_does_not_stop_the_others(asked):
    silent = replace(asked, method="dicom", radiograph=replace(asked.radiograph, nominal=None))
    events = []
    starts = run(find_starts([silent, asked]), events.append)
    assert list(starts.found) == ["manual"]
    (nothing,) = starts.nothing
    assert nothing.words.endswith("does not say where the C-arm stood.")
    assert events == [Asking("dicom", 0, 2), nothing, Asking("manual", 1, 2)]
    with pytest.raises(NoStart, match="does not say where the C-arm stood"):
        run(find_starts([silent]))
    control = Control()
    control.cancel()
    assert run(find_starts([asked], control=control)) is None


def test_a_damaged_file_of_weights_does_not_stop_the_others(asked, tmp_path):
    (tmp_path / "bad.safetensors").write_bytes(b"no")
    for name in ("bad.safetensors", "gone.safetensors"):
        damaged = replace(asked, method="regression", weights=tmp_path / name)
        starts = run(find_starts([damaged, asked]))
        assert list(starts.found) == ["manual"]
        (nothing,) = starts.nothing
        assert name in nothing.words
        with pytest.raises(CheckpointError, match=name):
            run(find_starts([damaged]))


@pytest.fixture
def similarity_weights(tmp_path):
    torch.manual_seed(1)
    network = SimilarityNetwork("sphere", 8, FixedCamera(1020.0, 32, 9.375), (8, 8, 16), 1, 2)
    about = {"trained_on": "pelvis 7", "request": {"on": "one CT"}}
    save_network(tmp_path / "one.safetensors", network, about)
    return tmp_path / "one.safetensors"


def test_a_similarity_finds_nothing_where_the_ct_is_out_of_view(asked, patient, similarity_weights):
    twist = torch.tensor([0, 0, 0, 5000.0, 0, 0], dtype=torch.float64)
    away = asked.given.pose.left_perturb(twist, asked.given.isocenter)
    given = replace(asked.given, pose=away)
    learned = replace(asked, method="similarity", given=given, weights=similarity_weights)
    starts = run(find_starts([replace(asked, given=given), learned]))
    assert list(starts.found) == ["manual"]
    assert "the CT is out of its view" in starts.nothing[0].words


def test_a_similarity_says_what_it_was_trained_on_and_what_it_does_not_look_at(
    asked, patient, similarity_weights
):
    learned = replace(asked, method="similarity", weights=similarity_weights)
    (start,) = run(find_starts([learned])).found.values()
    assert len(start.notes) == 1
    assert "trained on one CT (pelvis 7)" in start.notes[0]
    small = CArm(1020.0, 745.0, Detector((16, 8), (9.375, 9.375)))
    view = Radiograph(render_drr(patient.volume, small, asked.given.pose), small, simulated=True)
    beside = ((asked.radiograph, None),)
    little = replace(learned, radiograph=view, beside=beside)
    (start,) = run(find_starts([little])).found.values()
    assert start.notes[0].startswith("the radiograph fills 12 % of what the network looks at")
    assert start.notes[2] == "the learned similarity looks at the first radiograph alone"


@pytest.mark.slow
def test_proposals_are_refined_coarsely_and_ranked(asked, truth, patient):
    header = replace(asked, method="dicom")
    silent = replace(header, radiograph=replace(asked.radiograph, nominal=None))
    events = []
    found = run(propose(ProposeRequest((asked, header), patient.volume, id="xray")), events.append)
    assert [event.method for event in events if isinstance(event, Ranking)] == ["manual", "dicom"]
    assert found.id == "xray"
    best, other = found.ranked
    assert (best.method, best.title) == ("dicom", "Radiograph's header")
    assert best.loss < 0.5 * other.loss
    assert best.ncc > max(0.99, other.ncc)
    before, after = (
        off_mm(pose, truth, patient) for pose in (best.start.pose, best.world_from_camera)
    )
    assert before > 8.0 > 2.0 > after
    assert best.drr.shape == found.radiograph.shape == (72, 90)
    # The way there, picture by picture: of the winner alone, only what was accepted.
    way = best.iterations
    assert {each.start for each in way} == {best.registration.candidates[0].start}
    assert {each.level for each in way} == {0, 1}
    assert all(each.accepted and each.image is not None for each in way)
    torch.testing.assert_close(
        way[-1].world_from_camera.matrix(), best.world_from_camera.matrix(), rtol=0, atol=1e-6
    )
    with pytest.raises(NoStart):
        run(propose(ProposeRequest((silent,), patient.volume)))


@pytest.mark.slow
def test_a_proposal_takes_the_starts_that_its_finder_asks_for(asked, patient):
    many = replace(asked.given, starts=5, spread=Spread(1.0, 2.0, 3.0))
    found = run(propose(ProposeRequest((replace(asked, given=many),), patient.volume)))
    assert len(found.ranked[0].registration.candidates) == 5 + 2  # one in four has its antipode
    control = Control()
    events = propose(ProposeRequest((asked,), patient.volume), control=control)
    for event in events:
        if isinstance(event, Ranking):
            control.cancel()
            break
    assert run(events) is None


def test_proposals_are_ranked_with_the_mirror_that_landmarks_say():
    start = StartingPose(Pose.identity(), torch.zeros(3), "given")
    sides = (Landmark("ASIS-left", (90.0, 0.0, 0.0)), Landmark("ASIS-right", (-110.0, 0.0, 0.0)))
    assert coarse_settings(start, ()).sagittal is None
    found = coarse_settings(start, sides).sagittal
    assert found is not None
    assert found.point.tolist() == [-10.0, 0.0, 0.0]
