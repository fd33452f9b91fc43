"""`hardening` for a batch of radiographs on a device."""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.registration.refinement.batched.problem import DeviceProblem
from napari_xreg.registration.refinement.batched.tone import ToneFit, deviation, robust_fit
from napari_xreg.registration.refinement.host.hardening import HIGHEST, LOWEST, ROUNDS


def fit_gains(
    fit: ToneFit,
    image: Float[Tensor, "s rows columns"],
    bone: Float[Tensor, "s rows columns"],
) -> tuple[Float[Tensor, "s"], Bool[Tensor, "s"]]:
    """The gain of every radiograph, and whether bone and the rest can be told apart in it.

    Parameters
    ----------
    fit
        Of the radiographs.
    image, bone
        DRRs of the CT and of the excess of its attenuation over water.
    """
    extra = bone.flatten(1).gather(1, fit.pixels).double()
    known = deviation(extra, fit.valid) >= 1e-3
    gain = torch.zeros_like(extra[:, 0])
    going = torch.ones_like(known)
    for _ in range(ROUNDS):
        sample = fit.sample(image + gain.float()[:, None, None] * bone)
        basis = torch.cat([sample.powers(), fit.place, extra[..., None]], -1)
        beta = robust_fit(basis, fit.values, rounds=3, valid=fit.valid)
        # What the bone adds in target units, over the slope of f there.
        slope = beta[:, 1] / sample.width
        known = known & (~going | (sample.there & (slope > 0)))
        change = torch.where(going & known, beta[:, -1] / slope, 0.0).clamp(-0.5, 0.5)
        gain = (gain + change).clamp(LOWEST, HIGHEST)
        going = going & known & (change.abs() >= 0.01)
        # The one question to the device; a round costs more than its answer.
        if not bool(going.any()):
            break
    return torch.where(known, gain, 0.0), known


def bone_gains(problem: DeviceProblem, poses: Sequence[Pose]) -> Float[Tensor, "cases"]:
    """`hardening.bone_gain` of every case, at one pose of each (a batch for every view).

    Parameters
    ----------
    problem
        Of one pose a case, its bone as it is.
    """
    gains, known = [], []
    for part, (image, bone) in zip(problem.parts, images_and_bone(problem, poses), strict=True):
        assert part.tone is not None
        gain, sure = fit_gains(part.tone, image, bone)
        gains.append(gain)
        known.append(sure)
    return torch.stack(gains).sum(0) / torch.stack(known).sum(0).clamp_min(1)


def images_and_bone(
    problem: DeviceProblem, poses: Sequence[Pose]
) -> list[tuple[Float[Tensor, "s rows columns"], Float[Tensor, "s rows columns"]]]:
    """Of every view, DRRs of all cases and of the excess of their attenuation over water; as of `bone_gains`."""
    found = []
    for part, pose in zip(problem.parts, poses, strict=True):
        image = part.observe(pose, problem.pivot, None).image
        one = torch.ones(len(image), device=image.device)
        found.append((image, part.observe(pose, problem.pivot, one).image - image))
    return found
