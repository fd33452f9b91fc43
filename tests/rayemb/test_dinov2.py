"""DINOv2 and the published RayEmb by the names and shapes of their tensors (METHODS A1, A9)."""

import math

import pytest
import torch
from torch.nn import functional

from napari_xreg.geometry import CArm, Detector
from napari_xreg.rayemb import DinoEncoder, encoder_from_dinov2, encoder_of_published, load_encoder
from napari_xreg.rayemb.network.vit import Attention, DinoV2
from napari_xreg.training import CheckpointError, save_network


def shapes(width: int, depth: int, grid: int) -> dict[str, tuple[int, ...]]:
    """Written out from METHODS A9, not from our network."""
    listed: dict[str, tuple[int, ...]] = {
        "cls_token": (1, 1, width),
        "pos_embed": (1, 1 + grid**2, width),
        "mask_token": (1, width),
        "patch_embed.proj.weight": (width, 3, 14, 14),
        "patch_embed.proj.bias": (width,),
        "norm.weight": (width,),
        "norm.bias": (width,),
    }
    for i in range(depth):
        listed |= {
            f"blocks.{i}.norm1.weight": (width,),
            f"blocks.{i}.norm1.bias": (width,),
            f"blocks.{i}.attn.qkv.weight": (3 * width, width),
            f"blocks.{i}.attn.qkv.bias": (3 * width,),
            f"blocks.{i}.attn.proj.weight": (width, width),
            f"blocks.{i}.attn.proj.bias": (width,),
            f"blocks.{i}.ls1.gamma": (width,),
            f"blocks.{i}.norm2.weight": (width,),
            f"blocks.{i}.norm2.bias": (width,),
            f"blocks.{i}.mlp.fc1.weight": (4 * width, width),
            f"blocks.{i}.mlp.fc1.bias": (4 * width,),
            f"blocks.{i}.mlp.fc2.weight": (width, 4 * width),
            f"blocks.{i}.mlp.fc2.bias": (width,),
            f"blocks.{i}.ls2.gamma": (width,),
        }
    return listed


def synthetic(width: int, depth: int, grid: int, dimensions: int = 32) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(7)
    weights = {
        f"model.dinov2_model.{name}": 0.05 * torch.randn(shape, generator=generator)
        for name, shape in shapes(width, depth, grid).items()
    }
    weights["model.linear.weight"] = torch.randn(dimensions, width, generator=generator)
    weights["model.linear.bias"] = torch.randn(dimensions, generator=generator)
    return weights


@pytest.mark.parametrize(("width", "tensors"), [(384, 177), (768, 177)])
def test_names_and_shapes_are_those_of_the_published_file(width, tensors, monkeypatch):
    # Random numbers without memory would be drawn by torch's compiler, which brings Triton.
    monkeypatch.setattr(torch.nn.init, "normal_", lambda tensor, **_: tensor)
    with torch.device("meta"):
        encoder = DinoEncoder(width)
    own = {name: tuple(value.shape) for name, value in encoder.state_dict().items()}
    listed = {f"model.dinov2_model.{n}": s for n, s in shapes(width, 12, 37).items()}
    listed |= {"model.linear.weight": (32, width), "model.linear.bias": (32,)}
    assert own == listed
    assert len(own) == tensors


def test_a_published_file_is_read_with_its_own_sizes(tmp_path):
    weights = synthetic(128, 2, 5, dimensions=16)
    file = tmp_path / "rayemb-synthetic.ckpt"
    torch.save({"state_dict": weights, "epoch": 1, "pytorch-lightning_version": "2.2"}, file)
    encoder, about = load_encoder(file)
    assert encoder.dimensions == 16
    assert encoder.align == "rayemb-v1"
    assert encoder.temperature.item() == pytest.approx(1e-4)
    assert math.isnan(encoder.outside_logit.item())
    assert about["source"] == "rayemb-synthetic.ckpt"
    for name, value in weights.items():
        assert torch.equal(encoder.state_dict()[name], value)
    images = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        embedding = encoder(images)
    assert embedding.shape == (1, 16, 16, 16)
    # And through our own format.
    save_network(tmp_path / "w.safetensors", encoder, {})
    again, _ = load_encoder(tmp_path / "w.safetensors")
    with torch.no_grad():
        assert torch.equal(again(images), embedding)


def test_one_block_against_the_formula():
    # Everything of one block and the head written out with plain matrices.
    weights = synthetic(64, 1, 3, dimensions=4)
    encoder = encoder_of_published(weights)
    w = {name.removeprefix("model.dinov2_model."): v for name, v in weights.items()}
    image = torch.rand(1, 3, 42, 42, generator=torch.Generator().manual_seed(2))
    patches = torch.nn.functional.unfold(image, 14, stride=14)[0].T
    x = patches @ w["patch_embed.proj.weight"].reshape(64, -1).T + w["patch_embed.proj.bias"]
    x = torch.cat([w["cls_token"][0], x]) + w["pos_embed"][0]

    def normed(x, name):
        centred = x - x.mean(1, keepdim=True)
        scale = (centred.square().mean(1, keepdim=True) + 1e-6).sqrt()
        return centred / scale * w[f"{name}.weight"] + w[f"{name}.bias"]

    b = "blocks.0."
    q, k, v = (normed(x, b + "norm1") @ w[b + "attn.qkv.weight"].T + w[b + "attn.qkv.bias"]).split(
        64, 1
    )
    mixed = (q @ k.T / 8.0).softmax(1) @ v
    x = x + w[b + "ls1.gamma"] * (mixed @ w[b + "attn.proj.weight"].T + w[b + "attn.proj.bias"])
    h = normed(x, b + "norm2") @ w[b + "mlp.fc1.weight"].T + w[b + "mlp.fc1.bias"]
    h = h * 0.5 * (1 + torch.erf(h / math.sqrt(2)))
    x = x + w[b + "ls2.gamma"] * (h @ w[b + "mlp.fc2.weight"].T + w[b + "mlp.fc2.bias"])
    out = normed(x, "norm")[1:] @ weights["model.linear.weight"].T + weights["model.linear.bias"]
    with torch.no_grad():
        ours = encoder(image)[0]
    torch.testing.assert_close(ours, out.T.reshape(4, 3, 3), rtol=1e-4, atol=1e-4)


def test_heads_are_blocks_of_64_channels():
    attention = Attention(128)
    with torch.no_grad():
        attention.qkv.weight.zero_()
        attention.qkv.bias.zero_()
        # Head 0 looks at everybody alike, head 1 at token 1 alone.
        attention.qkv.weight[64 + 128, 0] = 40.0
        attention.qkv.bias[64] = 40.0
        attention.qkv.weight[256, 1] = 1.0
        attention.qkv.weight[256 + 64, 1] = 1.0
        attention.proj.weight.copy_(torch.eye(128))
        attention.proj.bias.zero_()
        x = torch.zeros(1, 3, 128)
        x[0, 1, 0] = 1.0
        x[0, :, 1] = torch.tensor([3.0, 7.0, 11.0])
        mixed = attention(x)[0]
    torch.testing.assert_close(mixed[:, 0], torch.full((3,), 7.0))
    torch.testing.assert_close(mixed[:, 64], torch.full((3,), 7.0))
    x[0, 1, 1] = 2.0
    with torch.no_grad():
        mixed = attention(x)[0]
    torch.testing.assert_close(mixed[:, 0], torch.full((3,), 16 / 3))
    torch.testing.assert_close(mixed[:, 64], torch.full((3,), 2.0))


def test_positions_are_resized_by_the_offset_factor():
    network = DinoV2(64, 1, 37)
    with torch.no_grad():
        network.pos_embed.copy_(
            torch.randn(1, 1370, 64, generator=torch.Generator().manual_seed(3))
        )
    positions = network.positions(16, 16)
    grid = network.pos_embed[:, 1:].reshape(1, 37, 37, 64).permute(0, 3, 1, 2)
    expected = functional.interpolate(grid, scale_factor=16.1 / 37, mode="bicubic")
    torch.testing.assert_close(positions[0, 1:].reshape(16, 16, 64), expected[0].permute(1, 2, 0))
    plain = functional.interpolate(grid, size=(16, 16), mode="bicubic")
    assert (plain - expected).abs().max() > 0.01
    assert torch.equal(positions[:, 0], network.pos_embed[:, 0])
    assert network.positions(37, 37) is network.pos_embed


def test_plain_dinov2_weights_begin_a_training():
    weights = {
        name.removeprefix("model.dinov2_model."): v
        for name, v in synthetic(64, 2, 4).items()
        if "linear" not in name
    }
    encoder = encoder_from_dinov2(weights, dimensions=8)
    assert encoder.align == "centers"
    assert encoder.calibration.requires_grad
    assert torch.equal(encoder.model.dinov2_model.pos_embed, weights["pos_embed"])


@pytest.mark.parametrize("change", ["missing", "unknown", "shape", "other"])
def test_weights_that_do_not_fit_are_refused_in_words(change):
    weights = synthetic(64, 2, 4)
    if change == "missing":
        del weights["model.dinov2_model.blocks.1.ls2.gamma"]
    elif change == "unknown":
        weights["model.dinov2_model.register_tokens"] = torch.zeros(1, 4, 64)
    elif change == "shape":
        weights["model.dinov2_model.norm.weight"] = torch.zeros(65)
    else:
        weights = {"conv1.weight": torch.zeros(3, 3)}
    words = {
        "missing": "missing: model.dinov2_model.blocks.1.ls2.gamma",
        "unknown": "unknown: model.dinov2_model.register_tokens",
        "shape": r"\(65,\); expected \(64,\)",
        "other": "no weights of RayEmb",
    }
    with pytest.raises(CheckpointError, match=words[change]):
        encoder_of_published(weights)


def test_input_is_eight_bits_between_the_extremes_bone_bright():
    encoder = DinoEncoder(64, 1, 4)
    carm = CArm(1020.0, 750.0, Detector((2, 2), (1.0, 1.0)))
    image = torch.tensor([[[2.0, 4.0], [3.0, 99.0]]])
    mask = torch.tensor([[[True, True], [True, False]]])
    inputs = encoder.inputs(image, mask, carm)
    expected = torch.tensor([[0.0, 1.0], [127 / 255, 0.0]])
    torch.testing.assert_close(inputs, expected.expand(1, 3, 2, 2))
