"""Simulated radiographs of known pose, and how far off what a network finds on them is."""

from collections.abc import Iterable, Iterator, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import CArm, Pose
from napari_xreg.images import LabelMap, Radiograph, Volume
from napari_xreg.metrics import mean_target_registration_error
from napari_xreg.simulation import simulate_radiograph
from napari_xreg.training.patients.patient import bone_mask, no_bone, points_in
from napari_xreg.training.patients.pose_range import PoseRange

LOST_MM = 200.0
"""Written where there is no pose at all, or a worse one."""


def points_in_bone(
    volume: Volume, labels: LabelMap | None, bone_above_hu: float, seed: int
) -> Float[Tensor, "n 3"]:
    """Points in bone, world mm, in random order; a C-arm turns about their mean.

    Raises
    ------
    ValueError
        If the CT holds no bone.
    """
    generator = torch.Generator().manual_seed(seed)
    inside = bone_mask(volume, labels, None, bone_above_hu)
    points = points_in(volume, inside, 100_000, generator)
    if not len(points):
        raise no_bone("the CT", bone_above_hu)
    return points


def radiographs_at_random(
    volume: Volume,
    labels: LabelMap | None,
    carm: CArm,
    poses: PoseRange,
    isocenter: Float[Tensor, "3"],
    seeds: Iterable[int],
    *,
    severity: str = "typical",
    step_mm: float = 0.5,
    rays_per_side: int = 2,
) -> list[tuple[Radiograph, Pose]]:
    """Simulated radiographs of a CT, each with its ``world_from_camera``.

    Parameters
    ----------
    seeds
        One radiograph each: its pose and the simulator's seed. The caller says whether they are
        for tuning or for reports (`simulation.TUNING_SEEDS`, `EVALUATION_SEEDS`).
    severity, step_mm, rays_per_side
        Of `simulate_radiograph`.
    """
    made = []
    for seed in seeds:
        truth = poses.sample(carm, isocenter, 1, torch.Generator().manual_seed(seed))[0]
        image = simulate_radiograph(
            volume, labels, carm, truth, severity=severity, seed=seed, step_mm=step_mm,
            rays_per_side=rays_per_side,
        )  # fmt: skip
        made.append((image.radiograph, truth))
    return made


def images_of_one(count: int) -> range:
    """The seeds of the validation images of a patient that is learned."""
    return range(800, 800 + count)


def images_of_phantoms(phantoms: Sequence[int], each: int) -> Iterator[tuple[int, range]]:
    """The seed of every phantom with those of its `each` validation images; no image has another's."""
    for number, phantom in enumerate(phantoms):
        yield phantom, range(900 + each * number, 900 + each * (number + 1))


def pose_error_mm(pose: Pose | None, truth: Pose, points: Float[Tensor, "n 3"]) -> float:
    """mTRE, mm, over points of the world; at most `LOST_MM`, which stands for no pose too."""
    if pose is None:
        return LOST_MM
    return min(LOST_MM, float(mean_target_registration_error(pose, truth, points)))


def scores_of(error_mm: Float[Tensor, "n"], mtre_mm: Sequence[float]) -> dict[str, float]:
    """The scores that `FindsPoints.words` puts into words.

    Parameters
    ----------
    error_mm
        Of the points that are in the image.
    mtre_mm
        Of the poses that follow, one for each image.
    """
    return {
        "median_error_mm": float(error_mm.median()),
        "within_10mm_share": float((error_mm < 10).double().mean()),
        "median_mtre_mm": float(torch.tensor(mtre_mm).median()),
    }
