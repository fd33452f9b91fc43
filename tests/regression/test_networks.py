"""The trunks: names and shapes of the published weights, sums by hand, and what a file gives back."""

import pytest
import torch

from napari_xreg.geometry import CArm, Detector, Pose
from napari_xreg.metrics import rotation_error_deg
from napari_xreg.regression import (
    BLOCKS,
    CompactTrunk,
    Look,
    Place,
    PoseFrame,
    PoseNetwork,
    ResNet,
    load_pose_network,
)
from napari_xreg.training import CheckpointError, FixedCamera, save_network

CARM = CArm(1000.0, 700.0, Detector((40, 56), (3.0, 2.5), (15.0, 31.0)))


def numbers(network):
    return sum(value.numel() for value in network.parameters())


@pytest.mark.parametrize(
    ("name", "norm", "tensors", "count"),
    [
        ("resnet18", "group", 60, 11_170_240),
        ("resnet34", "group", 108, 21_278_400),
        ("resnet18", "batch", 120, 11_170_240),
        ("resnet34", "batch", 216, 21_278_400),
    ],
)
def test_tensors_and_parameters_of_timm(name, norm, tensors, count):
    with torch.device("meta"):
        network = ResNet(BLOCKS[name], norm)
    state = network.state_dict()
    assert len(state) == tensors
    assert numbers(network) == count
    assert state["layer2.0.downsample.0.weight"].shape == (128, 64, 1, 1)
    assert state["layer4.1.bn2.bias"].shape == (512,)
    assert "layer1.0.downsample.0.weight" not in state


@torch.no_grad()
def test_a_trunk_whose_convolutions_are_nought_adds_up_its_shortcuts():
    network = ResNet(BLOCKS["resnet18"], "batch").eval()
    for name, value in network.state_dict().items():
        if name.endswith("running_var"):
            value.fill_(1 - 1e-5)  # the norm's own epsilon makes it one
        else:
            value.zero_() if value.dtype.is_floating_point else None
    network.bn1.bias.fill_(2.0)  # ReLU and the maximum leave it
    network.layer1[0].bn2.bias.fill_(1.5)
    network.layer1[1].bn2.bias.fill_(-0.5)
    for stage in (2, 3, 4):
        network.get_submodule(f"layer{stage}.0.downsample.1").bias.fill_(0.25)
    network.layer2[0].downsample[0].weight.fill_(1 / 64)
    network.layer2[0].downsample[1].weight.fill_(1.0)
    image = torch.zeros(1, 1, 64, 96)
    at4 = network.layer1(network.maxpool(network.act1(network.bn1(network.conv1(image)))))
    assert at4.shape == (1, 64, 16, 24)
    torch.testing.assert_close(at4, torch.full_like(at4, 2.0 + 1.5 - 0.5))
    at8 = network.layer2(at4)  # the mean of 64 maps of 3, and 1/4
    torch.testing.assert_close(at8, torch.full((1, 128, 8, 12), 3.25))
    maps = network.maps(image)
    assert maps.shape == (1, 512, 2, 3)
    torch.testing.assert_close(network.pooled(maps), torch.full((1, 512), 0.25))


def test_the_compact_trunk_knows_where_something_was():
    generator = torch.Generator().manual_seed(3)
    trunk = CompactTrunk(32, (8, 8, 8, 32), 16)
    image = torch.zeros(1, 5, 32, 32)
    image[0, :, 4:10, 4:10] = torch.rand(5, 6, 6, generator=generator)
    moved = image.roll((16, 16), (2, 3))
    with torch.no_grad():
        near, far = (trunk.pooled(trunk.maps(each)) for each in (image, moved))
    assert float((near - far).abs().max()) > 1e-4
    with pytest.raises(ValueError, match="multiple of 16 pixels: got 40"):
        CompactTrunk(40)


def test_what_a_residual_network_sees_is_hand_computed():
    images = torch.tensor([[[1.0, 3.0], [2.0, 99.0]]])
    masks = torch.tensor([[[True, True], [True, False]]])
    # 0 to 3, what is masked counts as 0; (v - 0.5) / 0.25.
    found = Look(0.5, 0.25).channel(images, masks)[0, 0]
    torch.testing.assert_close(
        found, torch.tensor([[-2 / 3, 2.0], [2 / 3, -2.0]]), atol=1e-5, rtol=0
    )


def test_the_tone_of_xvr_is_hand_computed():
    from napari_xreg.images import Radiograph

    carm = CArm(1000.0, 700.0, Detector((1, 3), (1.0, 1.0)))
    # Intensities 1, 1/2 and 1/4 of I0: 1, 1/3 and 0 between their extremes.
    integrals = -torch.tensor([[1.0, 0.5, 0.25]]).log()
    shown = Look(tone="xvr").toned(Radiograph(integrals, carm, read_as="intensity"))
    # ln 2 - ln(1 + I)
    wanted = torch.tensor([1.0, 1.5, 2.0]).log()
    torch.testing.assert_close(shown.line_integrals[0], wanted, atol=1e-5, rtol=0)
    kept = Look(tone="xvr").toned(Radiograph(integrals, carm, read_as="line_integral"))
    assert kept.line_integrals is integrals


def test_a_new_network_begins_at_the_pose_it_is_told_and_survives_its_file(tmp_path):
    torch.manual_seed(5)
    center = torch.tensor([20.0, -30.0, 140.0], dtype=torch.float64)
    frame = PoseFrame("quaternion_adjugate", center=(20.0, -30.0, 140.0))
    network = PoseNetwork("compact", framing=FixedCamera(1000.0, 32, 4.0), frame=frame)
    wanted = CARM.world_from_camera(12.0, -7.0, 3.0, isocenter=center, offset_mm=(4.0, -6.0, 20.0))
    network.begin_at(wanted, Place(center))
    for head in (network.rot_regression, network.xyz_regression):
        torch.nn.init.zeros_(head.weight)
    network.errors = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
    save_network(tmp_path / "pose.safetensors", network, {"trained_on": "nothing"})
    read, about = load_pose_network(tmp_path / "pose.safetensors")
    assert about == {"trained_on": "nothing"}
    assert read.configuration() == network.configuration()
    image = torch.rand(1, 32, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        said = read(read.inputs(image, image > 0.2, read.framing.carm(CARM)))
        found = read.poses(said, Place(center))[0]
    assert float(rotation_error_deg(found, wanted)) < 1e-4
    assert float((found.translation - wanted.translation).norm()) < 1e-3


@pytest.mark.parametrize(
    ("words", "changes"),
    [
        ("compact or resnet18 or resnet34: got 'convnextv2_femto'", {"trunk": "convnextv2_femto"}),
        ("six standard deviations", {"errors": (1.0, 2.0)}),
        ("mirrored as the frame", {"framing": FixedCamera(mirrored=False)}),
    ],
)
def test_what_cannot_be_is_refused(words, changes):
    with pytest.raises(ValueError, match=words):
        PoseNetwork(**changes)


def test_a_file_of_another_kind_is_refused(tmp_path):
    from napari_xreg.landmarks import CompactDetector

    save_network(tmp_path / "marks.safetensors", CompactDetector(), {})
    with pytest.raises(
        CheckpointError, match="kind 'compact-landmarks': pose networks are of kind pose"
    ):
        load_pose_network(tmp_path / "marks.safetensors")


def test_all_rotations_are_said_and_meant(tmp_path):
    from napari_xreg.geometry import PARAMETERIZATIONS

    wanted = Pose.exp(torch.tensor([[1.4, -0.2, 0.3, 10.0, -700.0, 20.0]], dtype=torch.float64))
    place = Place(torch.tensor([5.0, 6.0, 7.0], dtype=torch.float64))
    for name in (*PARAMETERIZATIONS, "se3_log_map"):
        for orientation in ("AP", "PA", None):
            frame = PoseFrame(name, orientation=orientation, unit_mm=10.0)
            rotation, xyz = frame.numbers(wanted, place)
            found = frame.world_from_camera(rotation, xyz, place)
            assert float(rotation_error_deg(found, wanted).max()) < 1e-5, name
            torch.testing.assert_close(found.translation, wanted.translation, atol=1e-6, rtol=0)
