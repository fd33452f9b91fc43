"""Checkpoints as xvr saves them with seeded weights, and images of odd C-arms: shared with the script that froze xvr's answers."""

import datetime

import torch

from napari_xreg.geometry import (
    CArm,
    Detector,
    matrix_from_rotation_vector,
    parameters_from_matrix,
)
from napari_xreg.regression import PoseFrame, PoseNetwork, network_of_published
from napari_xreg.training import FixedCamera

# model, norm_layer, rotation, unit, orientation, reverse_x_axis, pixels, mm, sdd, images
KINDS = {
    "foundation": (
        "resnet18", "groupnorm", "quaternion_adjugate", 1000.0, "AP", False, 128, 2.1764375, 1020.0, 50,
    ),
    "deep": ("resnet34", "groupnorm", "rotation_9d", 1000.0, "PA", False, 96, 2.31, 1150.0, 4),
    "first": ("resnet18", "default", "euler_angles", 1.0, "PA", True, 96, 1.9, 977.0, 4),
    "twist": ("resnet18", "groupnorm", "se3_log_map", 1000.0, "AP", True, 64, 3.5, 1020.0, 4),
}  # fmt: skip


def config_of(kind):
    """As xvr 0.1.0 keeps it."""
    name, norm, rotation, unit, orientation, reverse, height, delx, sdd, _ = KINDS[kind]
    return {
        "model_name": name, "norm_layer": norm, "parameterization": rotation, "convention": "ZXY",
        "unit_conversion_factor": unit, "orientation": orientation, "reverse_x_axis": reverse,
        "height": height, "delx": delx, "sdd": sdd, "geodesic_only": False, "warp": None,
        "volpath": "/data/someone/patient/volume.nii.gz",
        "alphamin": -45.0, "alphamax": 45.0, "betamin": -30.0, "betamax": 30.0, "gammamin": -15.0,
        "gammamax": 15.0, "txmin": -50.0, "txmax": 50.0, "tymin": 600.0, "tymax": 900.0,
        "tzmin": -50.0, "tzmax": 50.0,
    }  # fmt: skip


def seed_weights(kind, weights):
    """Fill a state dict, in the order of its names; the heads say poses a C-arm could have."""
    generator = torch.Generator().manual_seed(list(KINDS).index(kind))
    unit = KINDS[kind][3]
    # Statistics drawn at random let values grow from block to block.
    gain = {"first": 0.01, "deep": 0.15}.get(kind, 0.3)
    for name in sorted(weights):
        value = weights[name]
        if not value.dtype.is_floating_point:
            continue
        drawn = torch.randn(value.shape, generator=generator)
        if name.endswith("running_var"):
            drawn = 1 + 0.2 * drawn.tanh()
        elif name.endswith("weight") and value.ndim == 1:
            drawn = 1 + 0.1 * drawn
        elif name == "xyz_regression.bias":
            drawn = torch.tensor([20.0, 750.0, -15.0]) / unit
        elif name == "xyz_regression.weight":
            drawn = drawn * gain * 2.0 / unit
        elif name == "rot_regression.weight":
            drawn = 0.003 * gain * drawn
        elif name == "rot_regression.bias":
            drawn = rotation_of(kind)
        elif value.ndim > 1:
            drawn = drawn * (2 / value[0].numel()) ** 0.5
        else:
            drawn = 0.1 * drawn
        value.copy_(drawn)
    return weights


def rotation_of(kind):
    """Numbers of a rotation, so that no image is near where two branches meet."""
    vector = torch.tensor([0.5, -0.3, 0.2])
    name = KINDS[kind][2]
    if name == "se3_log_map":
        return vector
    convention = "ZXY" if name == "euler_angles" else None
    matrix = matrix_from_rotation_vector(vector)
    return parameters_from_matrix(matrix, name, convention=convention)


def image_of(kind, index):
    """Pixels (rows, columns), and sdd, pixel, x0, y0 as xvr takes them."""
    generator = torch.Generator().manual_seed(1000 * list(KINDS).index(kind) + index)
    drawn = torch.rand(6, generator=generator).tolist()
    rows, columns = 90 + int(110 * drawn[0]), 90 + int(110 * drawn[1])
    coarse = torch.rand(1, 1, 8, 8, generator=generator)
    image = torch.nn.functional.interpolate(coarse, (rows, columns), mode="bilinear")[0, 0]
    return image, {
        "sdd": 900 + 400 * drawn[2], "pixel": 0.8 + 1.6 * drawn[3],
        "x0": 50 * drawn[4] - 25, "y0": 50 * drawn[5] - 25,
    }  # fmt: skip


def carm_of(kind, index, network):
    """The C-arm of an image."""
    image, odd = image_of(kind, index)
    rows, columns = image.shape
    pixel = odd["pixel"]
    center = (rows - 1) / 2 + odd["y0"] / pixel, (columns - 1) / 2 + odd["x0"] / pixel
    mirrored = network.frame.mirrored
    return CArm(odd["sdd"], 700.0, Detector((rows, columns), (pixel, pixel), center, mirrored))


def weights_of(kind):
    """Of the network's own names and shapes."""
    name, norm, rotation = KINDS[kind][:3]
    norms = {"groupnorm": "group", "default": "batch"}
    frame = PoseFrame(rotation, orientation="PA", reverse_x_axis=True)
    network = PoseNetwork(name, norms[norm], FixedCamera(pixels=32), frame)
    return seed_weights(kind, network.state_dict())


def checkpoint_of(kind):
    """What `torch.save` of xvr 0.1.0 is given."""
    return {
        "model_state_dict": weights_of(kind), "optimizer_state_dict": {},
        "scheduler_state_dict": {}, "itr": 1500, "model_number": 1,
        "date": datetime.datetime(2026, 9, 1), "config": config_of(kind),
    }  # fmt: skip


def network_of(kind):
    """Read as a checkpoint is."""
    return network_of_published(checkpoint_of(kind), f"{kind}.pth")[0]
