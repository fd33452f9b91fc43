"""What moves: bones of a label map and the rest of their CT."""

import math

import pytest
import torch

from napari_xreg.geometry import CArm, Detector, Pose
from napari_xreg.images import LabelMap, Radiograph, Volume, lac_from_hu
from napari_xreg.registration import (
    BodiesIterate,
    BodiesRegistration,
    BodyIterate,
    Iterate,
    Registration,
    Status,
    View,
)
from napari_xreg.workflows import (
    BodiesRequest,
    Patient,
    bodies_of_ct,
    bones_progress,
    middle_of,
    moved_since_ct,
)


def patient():
    hu = torch.full((12, 14, 16), 40.0)
    ids = torch.zeros(hu.shape, dtype=torch.int32)
    for label, box in (
        (7, (slice(2, 5), slice(3, 5), slice(9, 14))),
        (8, (slice(7, 9), slice(8, 12), slice(2, 4))),
    ):
        hu[box], ids[box] = 800.0, label
    matrix = torch.diag(torch.tensor([2.0, 3.0, 5.0, 1.0], dtype=torch.float64))
    matrix[:3, 3] = torch.tensor([100.0, -50.0, 7.0])
    return Patient(
        Volume(lac_from_hu(hu), matrix, hu=hu),
        "made",
        labels=LabelMap(ids, matrix, {7: "talus", 8: "tibia"}),
    )


def test_a_bone_turns_about_its_middle():
    lac = torch.zeros(4, 5, 6)
    lac[1, 2, 3] = lac[1, 2, 5] = lac[3, 2, 3] = lac[3, 2, 5] = 0.05
    matrix = torch.diag(torch.tensor([2.0, 3.0, 5.0, 1.0], dtype=torch.float64))
    matrix[:3, 3] = torch.tensor([100.0, -50.0, 7.0])
    # Columns 3 and 5, row 2, slices 1 and 3.
    assert middle_of(Volume(lac, matrix)).tolist() == [100.0 + 2 * 4, -50.0 + 3 * 2, 7.0 + 5 * 2]


def test_every_bone_starts_as_it_lies_in_the_ct():
    made = patient()
    pose = Pose.exp(torch.tensor([0.1, 0.2, 0.3, 4.0, 5.0, 6.0], dtype=torch.float64))
    view = View(
        Radiograph(torch.rand(9, 11), CArm(900.0, 600.0, Detector((9, 11), (3.0, 2.0)))), pose
    )
    rest, *bones = bodies_of_ct(made, {"ankle": ["talus", "8"]}, [view])
    assert [body.name for body in (rest, *bones)] == ["patient", "ankle"]
    assert all(
        torch.equal(body.world_from_camera[0].matrix(), pose.matrix()) for body in (rest, *bones)
    )
    assert rest.pivot.tolist() == made.volume.center.tolist()
    assert bones[0].dense_above == 0.0 < rest.dense_above
    with pytest.raises(ValueError, match="another name"):
        bodies_of_ct(made, {"patient": ["7"]}, [view])


def test_what_is_registered_is_said_and_the_bar_never_goes_back():
    pose = Pose.identity(dtype=torch.float64)
    view = View(
        Radiograph(torch.rand(9, 11), CArm(900.0, 600.0, Detector((9, 11), (3.0, 2.0)))), pose
    )
    bodies = bodies_of_ct(patient(), {"talus": ["7"], "8": ["8"]}, [view])
    request = BodiesRequest(bodies, (view.radiograph,))
    finest = len(request.settings.levels) - 1

    def together(level):
        return BodiesIterate(7, level, (pose,) * 3, {"loss": 0.5}, True, 0.0, 0.0, 0.0)

    alone = [BodyIterate(name, Iterate(4, 0, 0, pose, {"loss": 0.5})) for name in ("talus", "8")]
    said = [bones_progress(request, event) for event in (together(0), *alone, together(finest))]
    assert [words for _, words in said] == [
        "the patient as a whole  iteration 7", "talus (2 of 3)  iteration 4", "8 (3 of 3)  iteration 4",
        "all together  iteration 7",
    ]  # fmt: skip
    # Five stages, the rest by itself among them, each half done.
    assert [share for share, _ in said] == pytest.approx([0.1, 0.5, 0.7, 0.9])


def found_of(moved, covariance=None):
    """A patient and a bone that has moved by a twist about its middle, seen by an oblique camera."""
    pose = Pose.exp(torch.tensor([0.4, -0.2, 0.9, 40.0, -25.0, 600.0], dtype=torch.float64))
    middle = torch.tensor([30.0, -12.0, 55.0], dtype=torch.float64)
    # Where it lies in the patient from where the CT has it: patient_from_bone = pose_p @ pose_b^-1.
    patient_from_bone = Pose.identity(dtype=torch.float64).left_perturb(moved, middle)
    poses = (pose, patient_from_bone.inverse() @ pose)
    pivots = (torch.tensor([3.0, 4.0, 5.0], dtype=torch.float64), middle)
    bodies = tuple(
        Registration(at, Status.CONVERGED, {"loss": 0.5}, (), pivot, None, (at,))
        for at, pivot in zip(poses, pivots, strict=True)
    )
    return BodiesRegistration(("patient", "bone"), bodies, covariance)


def test_how_far_a_bone_has_moved():
    # A turn of 5 degrees about an axis through the middle, which goes 3, -4 and 12 mm: 13 mm.
    axis = torch.tensor([2.0, -1.0, 2.0], dtype=torch.float64) / 3.0
    moved = moved_since_ct(
        found_of(torch.cat([math.radians(5.0) * axis, torch.tensor([3.0, -4.0, 12.0]).double()])),
        "bone",
    )
    # (A left twist shifts by nearly its own shift: turned about the pivot by half of the angle.)
    assert moved.turn_deg == pytest.approx(5.0, abs=1e-9)
    assert moved.shift_mm == pytest.approx(13.0, abs=0.02)
    assert moved.turn_sd_deg is None
    assert moved.words == "turned by 5.0 degrees, its middle shifted by 13.0 mm"


def test_how_sure_that_is_against_many_draws():
    """The standard deviations, to first order, are those of poses drawn from the covariance."""
    twist = torch.tensor([0.5, -0.3, 0.4, -9.0, -5.0, 7.0], dtype=torch.float64)
    generator = torch.Generator().manual_seed(3)
    factor = torch.randn(12, 12, generator=generator, dtype=torch.float64)
    spread = torch.tensor([2e-4] * 3 + [0.02] * 3, dtype=torch.float64).repeat(2)
    covariance = spread[:, None] * (factor @ factor.T) * spread
    found = found_of(twist, covariance)
    moved = moved_since_ct(found, "bone")
    root = torch.linalg.cholesky(covariance)
    turns, shifts = [], []
    for _ in range(2000):
        off = root @ torch.randn(12, generator=generator, dtype=torch.float64)
        bodies = tuple(
            Registration(
                one.world_from_camera.left_perturb(off[6 * n : 6 * n + 6], one.pivot), one.status, one.losses, (),
                one.pivot,
            )
            for n, one in enumerate(found.bodies)
        )  # fmt: skip
        other = moved_since_ct(BodiesRegistration(found.names, bodies), "bone")
        turns.append(other.turn_deg)
        shifts.append(other.shift_mm)
    # Of 2000 draws a standard deviation is known to 1.6 %.
    assert torch.tensor(turns).std().item() == pytest.approx(moved.turn_sd_deg, rel=0.06)
    assert torch.tensor(shifts).std().item() == pytest.approx(moved.shift_sd_mm, rel=0.06)
