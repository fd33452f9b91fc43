"""The two networks: what they take and give, and the names of the published weights."""

from pathlib import Path

import pytest
import torch

from napari_xreg.geometry import CArm, Detector
from napari_xreg.landmarks import (
    DEEPFLUORO_NAMES,
    CompactDetector,
    ResNetUNet,
    load_detector,
    resnet_unet_of_published,
)
from napari_xreg.training import CheckpointError, Framing, save_network

CARM = CArm(1000.0, 700.0, Detector((64, 96), (2.0, 2.0)))


def small(**changes: object) -> ResNetUNet:
    torch.manual_seed(1)
    return ResNetUNet(
        ("a-l", "a-r"),
        (1, 2, 1, 1),
        4,
        (16, 8, 8, 4, 4),
        framing=Framing(shape=(64, 96)),
        **changes,
    )  # type: ignore[arg-type]


def compact() -> CompactDetector:
    torch.manual_seed(2)
    return CompactDetector(("a-l", "a-r"), (8, 8, 8, 16))


def images(count: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(7)
    masks = torch.ones(count, 64, 96, dtype=torch.bool)
    masks[:, :, :5] = False
    return 3 * torch.rand(count, 64, 96, generator=generator), masks


@pytest.mark.slow
@pytest.mark.parametrize("make", [small, compact])
def test_a_batch_is_its_images_one_by_one(make) -> None:
    network = make().eval()
    values, masks = images()
    with torch.no_grad():
        together = network(network.inputs(values, masks, CARM))
        sides = (64 // network.stride, 96 // network.stride)
        assert together.logits.shape == (3, 2, *sides)
        assert together.visible.shape == (3, 2)
        for i in range(3):
            alone = network(network.inputs(values[i : i + 1], masks[i : i + 1], CARM))
            assert torch.allclose(together.logits[i], alone.logits[0], atol=1e-4)
            assert torch.allclose(together.visible[i], alone.visible[0], atol=1e-4)
    assert (together.logits[0] - together.logits[1]).abs().max() > 1e-3


def test_names_and_shapes_of_the_published_network() -> None:
    with torch.device("meta"):
        network = ResNetUNet()
    weights = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    assert len(weights) == 686
    assert sum(p.numel() for p in network.parameters()) == 51_515_118
    assert weights["encoder.conv1.weight"] == (64, 3, 7, 7)
    assert weights["encoder.layer1.0.downsample.0.weight"] == (256, 64, 1, 1)
    assert weights["encoder.layer3.22.conv2.weight"] == (256, 256, 3, 3)
    assert weights["encoder.layer4.2.bn3.num_batches_tracked"] == ()
    inputs = [weights[f"decoder.blocks.{i}.conv1.0.weight"][1] for i in range(5)]
    assert inputs == [3072, 768, 384, 128, 32]
    assert weights["decoder.blocks.4.conv2.1.running_var"] == (16,)
    assert weights["segmentation_head.0.weight"] == (14, 16, 3, 3)
    assert weights["segmentation_head.0.bias"] == (14,)
    assert DEEPFLUORO_NAMES[:4] == ("ASIS-l", "ASIS-r", "FH-l", "FH-r")


def test_a_published_state_dict_loads_and_another_is_refused(tmp_path: Path) -> None:
    network = small().eval()
    weights = {f"module.{name}": value for name, value in network.state_dict().items()}
    read = resnet_unet_of_published(weights, ("x", "y"))
    assert read.blocks == (1, 2, 1, 1)
    assert read.names == ("x", "y")
    assert not read.training
    values, masks = images(1)
    given = network.inputs(values, masks, CARM)
    with torch.no_grad():
        assert torch.allclose(read(given).logits, network(given).logits, atol=1e-5)
    with pytest.raises(CheckpointError, match="has 2 heatmaps: got 14 names"):
        resnet_unet_of_published(weights)
    with pytest.raises(CheckpointError, match="not the weights of a U-Net"):
        resnet_unet_of_published({"a": torch.zeros(1)})
    del weights["module.decoder.blocks.2.conv1.0.weight"]
    with pytest.raises(CheckpointError, match="do not fit a U-Net on a ResNet"):
        resnet_unet_of_published(weights, ("x", "y"))


def test_grey_values_as_the_authors_prepare_them() -> None:
    values, masks = images(1)
    low, high = values[masks].min(), values[masks].max()
    drr = small().inputs(values, masks, CARM)
    grey = (values[0, 20, 30] - low) / (high - low)
    # 1 minus the value normalised with ImageNet's mean and deviation; bone dark.
    expected = [1 - (grey - m) / s for m, s in ((0.485, 0.229), (0.456, 0.224), (0.406, 0.225))]
    assert drr[0, :, 20, 30].tolist() == pytest.approx([float(e) for e in expected], abs=1e-5)
    fluoroscopy = small(inputs="fluoroscopy").inputs(values, masks, CARM)
    order = values[0][masks[0]].argsort()
    flat = fluoroscopy[0, 0][masks[0]]
    assert float(flat[order[0]]) < float(flat[order[-1]])  # inverted intensities: bone bright


def test_a_flipped_network_gives_its_heatmaps_back_unflipped() -> None:
    straight, flipped = small().eval(), small(flipped=True).eval()
    flipped.load_state_dict(straight.state_dict())
    values, masks = images(1)
    given = straight.inputs(values, masks, CARM)
    with torch.no_grad():
        a = straight(given.flip(-1)).logits
        b = flipped(given).logits
    assert torch.allclose(a, b.flip(-1), atol=1e-6)
    assert (a - b).abs().max() > 1e-4


def test_dropout_follows_every_step_up() -> None:
    for network, count in ((small(), 5), (compact(), 4)):
        layers = [m for m in network.modules() if isinstance(m, torch.nn.Dropout2d)]
        assert len(layers) == count
        assert {layer.p for layer in layers} == {0.1}


@pytest.mark.slow
@pytest.mark.parametrize("make", [small, compact])
def test_files_bring_back_network_and_names(make, tmp_path: Path) -> None:
    network = make().eval()
    network.trusted_mm = 3.25
    file = tmp_path / "detector.safetensors"
    save_network(file, network, {"trained_on": "nothing"})
    read, about = load_detector(file)
    assert type(read) is type(network)
    assert read.names == network.names
    assert read.trusted_mm == 3.25
    assert read.framing == network.framing
    assert about["trained_on"] == "nothing"
    values, masks = images(1)
    given = network.inputs(values, masks, CARM)
    with torch.no_grad():
        assert torch.allclose(read(given).logits, network(given).logits, atol=1e-6)


def test_a_file_of_another_network_is_refused(tmp_path: Path) -> None:
    from napari_xreg.training import Checkpoint, write_checkpoint

    file = tmp_path / "other.safetensors"
    write_checkpoint(file, Checkpoint("compact", {}, {"a": torch.zeros(2)}, {}))
    with pytest.raises(CheckpointError, match="kind 'compact': landmark detectors are"):
        load_detector(file)
    with pytest.raises(ValueError, match="multiples of 32"):
        small()(torch.zeros(1, 3, 48, 64))
