"""A network that speaks of a template: warps of every kind, and two CTs registered."""

import math
from dataclasses import replace

import pytest
import SimpleITK as sitk
import torch

from napari_xreg.files import ReadError
from napari_xreg.geometry import Pose
from napari_xreg.images import Volume
from napari_xreg.regression import PoseNetwork
from napari_xreg.regression.frame import Place, PoseFrame
from napari_xreg.simulation import phantom
from napari_xreg.training import FixedCamera
from napari_xreg.workflows import NoStart
from napari_xreg.workflows.starting import template as aligning
from napari_xreg.workflows.starting.by_regression import place_in_template
from napari_xreg.workflows.starting.template import align_to_template, read_warp

CT = Volume(
    torch.zeros(5, 7, 11),
    torch.tensor(
        [[2, 0, 0, -5], [0, 5, 0, 0], [0, 0, 10, -920], [0, 0, 0, 1]], dtype=torch.float64
    ),
)  # its middle at 5, 15, -900
CENTER = (7.0, -11.0, 200.0)
TURN = math.radians(10.0)


def rigid(transform):
    """10 degrees about z through the centre, then 3, -4, 5 mm."""
    transform.SetCenter(CENTER)
    transform.SetTranslation((3.0, -4.0, 5.0))
    return transform


def euler():
    made = rigid(sitk.Euler3DTransform())
    made.SetRotation(0.0, 0.0, TURN)
    return made


def versor():
    made = rigid(sitk.VersorRigid3DTransform())
    made.SetRotation((0.0, 0.0, 1.0), TURN)
    return made


def similarity():
    made = rigid(sitk.Similarity3DTransform())
    made.SetRotation((0.0, 0.0, 1.0), TURN)
    made.SetScale(1.05)
    return made


def affine():
    made = rigid(sitk.AffineTransform(3))
    c, s = math.cos(TURN), math.sin(TURN)
    made.SetMatrix((c, -s, 0, s, c, 0, 0, 0, 1))
    return made


@pytest.mark.parametrize("ending", ["tfm", "txt", "h5"])
@pytest.mark.parametrize("kind", [euler, versor, affine])
def test_a_warp_of_any_type_is_the_same_motion(tmp_path, kind, ending):
    path = tmp_path / f"warp.{ending}"
    sitk.WriteTransform(kind(), str(path))
    found = read_warp(path, CT)
    # The centre goes to the centre and the translation; x of it turns towards y.
    moved = found.world_from_template.apply(torch.tensor([CENTER, (17.0, -11.0, 200.0)]).double())
    assert moved[0].tolist() == pytest.approx([10.0, -15.0, 205.0], abs=1e-6)
    beside = [10.0 + 10 * math.cos(TURN), -15.0 + 10 * math.sin(TURN), 205.0]
    assert moved[1].tolist() == pytest.approx(beside, abs=1e-6)
    assert found.words == f"the template lies in the CT as warp.{ending} says"


def test_a_warp_that_scales_is_taken_as_rigid_and_that_is_said(tmp_path):
    path = tmp_path / "warp.tfm"
    sitk.WriteTransform(similarity(), str(path))
    found = read_warp(path, CT)
    assert "taken as rigid (it scales by +5 to +5 %)" in found.words
    rotation = found.world_from_template.rotation
    assert torch.allclose(rotation @ rotation.mT, torch.eye(3).double(), atol=1e-12)
    # As xvr, the middle of the CT comes from the same point of the template as with the scale. From there, 100 mm
    # along z of the template are 100 mm, not 105.
    warp = similarity()
    back = warp.GetInverse().TransformPoint((5.0, 15.0, -900.0))
    there = found.world_from_template.apply(
        torch.tensor([back, (*back[:2], back[2] + 100)]).double()
    )
    assert there[0].tolist() == pytest.approx([5.0, 15.0, -900.0], abs=1e-4)
    assert there[1].tolist() == pytest.approx([5.0, 15.0, -800.0], abs=1e-4)
    # By hand, along z: z -> 1.05 (z - 200) + 205, so -900 comes from 200 - 1105 / 1.05 = -852.381.
    assert found.world_from_template.apply(torch.zeros(3).double())[2] == pytest.approx(
        -900 + 852.3810, abs=1e-3
    )


def test_what_is_no_warp_is_refused(tmp_path):
    mirror = sitk.AffineTransform(3)
    mirror.SetMatrix((-1, 0, 0, 0, 1, 0, 0, 0, 1))
    sitk.WriteTransform(mirror, str(tmp_path / "m.tfm"))
    with pytest.raises(ReadError, match="mirrors or flattens"):
        read_warp(tmp_path / "m.tfm", CT)
    # Nine parameters are none of a rigid transform: xvr would read a six-parameter file as an affine one.
    text = (
        "#Insight Transform File V1.0\n#Transform 0\nTransform: Euler3DTransform_double_3_3\n"
        "Parameters: 1 0 0 0 1 0 0 0 1 1 2 3\nFixedParameters: 0 0 0 0\n"
    )
    (tmp_path / "e.tfm").write_text(text)
    with pytest.raises(ReadError, match="Euler3DTransform has 6 parameters: got 12"):
        read_warp(tmp_path / "e.tfm", CT)


def test_what_a_network_says_of_a_template_is_brought_to_the_ct():
    moved = Pose.exp(torch.tensor([0.1, -0.2, 0.05, 30.0, -20.0, 10.0]).double())
    frame = PoseFrame("euler_angles", "ZXY", 1.0, "AP", False, "volume")
    said = torch.tensor([[0.1, 0.2, 0.3]]), torch.tensor([[5.0, 800.0, -7.0]])
    template = Place(torch.tensor([4.0, 5.0, 6.0]).double())
    there = frame.world_from_camera(*said, template)
    here = replace(template, world_from_template=moved)
    found = frame.world_from_camera(*said, here)
    assert torch.allclose(found.matrix()[0], (moved @ there[0]).matrix(), atol=1e-12)
    # And back: what it would have to say.
    rotation, translation = frame.numbers(found, here)
    assert torch.allclose(rotation, said[0].double(), atol=1e-6)
    assert torch.allclose(translation, said[1].double(), atol=1e-4)


def asked_about(center, meant="xvr"):
    frame = PoseFrame(center=center, meant=meant)
    return PoseNetwork(framing=FixedCamera(pixels=32), frame=frame)


@pytest.mark.parametrize(
    ("center", "of_template", "with_template", "expected"),
    [
        ("volume", False, True, (5.0, 15.0, -900.0)),  # of one CT: the middle of its grid
        (
            "volume",
            True,
            True,
            (0.0, 0.0, 0.0),
        ),  # of many, by warps: the origin of the template's world
        ("volume", True, False, (0.0, 0.0, 0.0)),
        ("volume", False, False, (0.0, 0.0, 0.0)),  # xvr's rule of a warp
        ((-3.0, 28.0, -881.0), False, True, (-3.0, 28.0, -881.0)),  # ours, of one CT
        ((-3.0, 28.0, -881.0), False, False, (-3.0, 28.0, -881.0)),
        ("bone", False, True, (10.0, 17.5, -910.0)),
    ],
)
def test_where_a_network_means_its_poses_in_a_template(
    center, of_template, with_template, expected
):
    hu = torch.full((5, 7, 11), -1000.0)
    hu[1, 3:5, 6:10] = 900.0  # x 7, 9, 11, 13, y 15, 20, z -910
    ct = replace(CT, hu=hu) if with_template else None
    found = place_in_template(asked_about(center), ct, of_template=of_template)
    assert found.center.tolist() == pytest.approx(expected)
    assert found.extent_mm == ((22.0, 35.0, 50.0) if with_template else (0.0, 0.0, 0.0))


def test_a_template_that_cannot_be_the_one_meant_is_refused():
    with pytest.raises(NoStart, match="trained on another CT than this template"):
        place_in_template(asked_about((5.0, 15.0, -870.0)), CT, of_template=False)
    with pytest.raises(NoStart, match=r"size of its grid, .* give the template itself too"):
        place_in_template(asked_about("volume", "diffpose"), None, of_template=False)
    with pytest.raises(NoStart, match=r"middle of its bones, .* give the template itself too"):
        place_in_template(asked_about("bone"), None, of_template=False)


@pytest.fixture(scope="module")
def template():
    return phantom(spacing_mm=6.0, seed=3)


@pytest.mark.slow
def test_two_cts_are_registered(template):
    moved = Pose.exp(torch.tensor([0.06, -0.1, 0.12, 0.0, 0.0, 0.0]).double())
    moved = Pose(moved.rotation, torch.tensor([25.0, -40.0, 60.0]).double())
    volume = template.volume
    patient = replace(volume, world_from_index=moved.matrix() @ volume.world_from_index.double())
    found = align_to_template(patient, volume)
    points = torch.tensor(list(template.landmarks.values()), dtype=torch.float64)
    off = (found.world_from_template.apply(points) - moved.apply(points)).norm(dim=1)
    assert float(off.max()) < 1.0
    assert "was registered to the CT, turned by 9.6" in found.words
    assert "with the middles alone 0." in found.words
    # Another patient of the same kind: bones within a centimetre or two.
    other = phantom(spacing_mm=6.0, seed=8)
    found = align_to_template(other.volume, volume)
    theirs = torch.tensor(list(other.landmarks.values()), dtype=torch.float64)
    assert float((found.world_from_template.apply(points) - theirs).norm(dim=1).median()) < 25.0


def test_middles_that_fit_better_than_what_was_registered_are_kept(template, monkeypatch):
    scores = iter((0.97, 0.96))
    monkeypatch.setattr(aligning, "_correlation", lambda *of: next(scores))
    found = align_to_template(template.volume, template.volume)
    assert found.words == (
        "the template's middle was put at that of the CT: that fits, and registering it made it no better "
        "(correlation 0.96, with the middles alone 0.97)"
    )
    assert torch.equal(found.world_from_template.rotation, torch.eye(3).double())


@pytest.mark.slow
def test_what_cannot_be_registered_has_its_middle_put_there(template):
    noise = torch.randint(-800, 800, (20, 22, 24), generator=torch.Generator().manual_seed(5))
    place = torch.diag(torch.tensor([8.0, 9.0, 10.0, 1.0], dtype=torch.float64))
    volume = replace(template.volume, lac=noise.float(), hu=noise.float(), world_from_index=place)
    found = align_to_template(volume, template.volume)
    middle = found.world_from_template.apply(template.volume.center.double())
    assert torch.allclose(middle, volume.center.double(), atol=1e-9)
    assert torch.equal(found.world_from_template.rotation, torch.eye(3).double())
    assert "could not be registered to the CT (correlation" in found.words
    with pytest.raises(ValueError, match="the CT has no HU"):
        align_to_template(replace(volume, hu=None), template.volume)
