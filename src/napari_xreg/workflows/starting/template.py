"""A network that speaks in the frame of a template: where that lies in this CT.

Several patients' networks of xvr are trained in the frame of one template CT (its ``warp``). What they say is
brought to the patient by a rigid motion: of a file, as a registration of the two CTs leaves it, or found here.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from napari_xreg.files import ReadError
from napari_xreg.geometry import Pose, nearest_rotation
from napari_xreg.images import Volume
from napari_xreg.records import read_itk_transform

_GRID_MM = 4.0
"""Of the grid that two CTs are compared on: bones are centimetres, and a start is meant."""
_AIR_HU, _BONE_HU = -500.0, 1200.0
_SHRINK, _SMOOTH_MM = (4, 2, 1), (8.0, 4.0, 0.0)
_ALIKE = 0.6
"""Least correlation of two CTs that are aligned: seen once each, a pelvis on a hip 0.65 and 0.74, a chest on a
pelvis 0.57."""
_SCALED = 0.02
"""A share of its size by which a warp may scale before that is said."""


@dataclass(frozen=True, eq=False)
class Alignment:
    """Where a template lies in a CT.

    Parameters
    ----------
    world_from_template
        World LPS mm of the CT from that of the template.
    words
        How it was found, and how good it is.
    """

    world_from_template: Pose
    words: str


def read_warp(path: Path | str, volume: Volume) -> Alignment:
    """The motion of a file: any linear ITK transform from the template's points to the CT's (LPS, mm).

    As ANTs, elastix and ITK write it of a registration with the template fixed. Of an affine one the nearest
    rotation is taken, and the shift with which both bring the same point to the middle of the CT, as xvr does:
    anywhere else they differ by how far that is from there, times the scale.

    Parameters
    ----------
    path
        Of the file.
    volume
        The CT.

    Raises
    ------
    ReadError
        If it is none, is damaged, or mirrors.
    """
    path = Path(path)
    matrix = torch.from_numpy(read_itk_transform(path))
    linear = matrix[:3, :3]
    if float(torch.linalg.det(linear)) <= 0:
        raise ReadError(f"{path.name}: mirrors or flattens space: a warp is nearly a rigid motion")
    rotation = nearest_rotation(linear)
    middle = volume.center.double().cpu()
    translation = middle + rotation @ torch.linalg.solve(linear, matrix[:3, 3] - middle)
    scales = torch.linalg.svdvals(linear)
    words = f"the template lies in the CT as {path.name} says"
    if float((scales - 1).abs().max()) > _SCALED:
        low, high = (100 * (float(s) - 1) for s in (scales.min(), scales.max()))
        words += f", taken as rigid (it scales by {low:+.0f} to {high:+.0f} %)"
    return Alignment(Pose(rotation, translation), words)


def align_to_template(volume: Volume, template: Volume) -> Alignment:
    """Register a template to a CT, rigidly, by the correlation of their HU on a coarse grid.

    From their middles, which is also the answer where the registration makes it no better. The words say
    the correlation of both.

    Parameters
    ----------
    volume, template
        With HU.

    Raises
    ------
    ValueError
        If one of them has no HU.
    """
    import SimpleITK as sitk  # a quarter of a second, for few runs

    fixed, moving = _image(sitk, template, "template"), _image(sitk, volume, "CT")
    centred = sitk.Euler3DTransform()
    middle = template.center.double().cpu()
    centred.SetCenter(middle.tolist())
    centred.SetTranslation((volume.center.double().cpu() - middle).tolist())
    before = _correlation(sitk, fixed, moving, centred)
    found, failed = sitk.Euler3DTransform(centred), ""
    method = sitk.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)  # sums of several would not be the same each time
    method.SetMetricAsCorrelation()
    method.SetInterpolator(sitk.sitkLinear)
    method.SetShrinkFactorsPerLevel(list(_SHRINK))
    method.SetSmoothingSigmasPerLevel(list(_SMOOTH_MM))
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    method.SetOptimizerAsRegularStepGradientDescent(4.0, 0.01, 100, relaxationFactor=0.6)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(found, inPlace=True)
    try:
        method.Execute(fixed, moving)
        after = _correlation(sitk, fixed, moving, found)
    except RuntimeError as error:  # ITK's, of volumes that do not overlap
        after, failed = -1.0, f" ({str(error).strip().splitlines()[-1][:80]})"
    scores = f"correlation {after:.2f}, with the middles alone {before:.2f}"
    if after >= max(before, _ALIKE):
        turn = _matrix(found)
        degrees = float(torch.rad2deg(turn.log()[:3].norm()))
        words = f"the template was registered to the CT, turned by {degrees:.1f}° ({scores})"
        return Alignment(turn, words)
    if before >= _ALIKE:
        words = (
            "the template's middle was put at that of the CT: that fits, and registering it made it no better "
            f"({scores}){failed}"
        )
        return Alignment(_matrix(centred), words)
    words = (
        f"the template could not be registered to the CT ({scores}){failed}: its middle was put at that of the CT, "
        "which is good for a start only if they show the same part of the body"
    )
    return Alignment(_matrix(centred), words)


def _image(sitk: Any, volume: Volume, called: str) -> Any:
    """HU between fat and bone, on a coarse grid."""
    if volume.hu is None:
        raise ValueError(f"the {called} has no HU to be compared")
    matrix = volume.world_from_index.double().cpu()
    spacing = matrix[:3, :3].norm(dim=0)
    image = sitk.GetImageFromArray(
        volume.hu.cpu().float().clamp(_AIR_HU, _BONE_HU).numpy().astype(np.float32)
    )
    image.SetSpacing(spacing.tolist())
    image.SetDirection((matrix[:3, :3] / spacing).flatten().tolist())
    image.SetOrigin(matrix[:3, 3].tolist())
    shrink = [max(1, int(_GRID_MM / s)) for s in spacing.tolist()]
    return sitk.BinShrink(image, shrink)


def _correlation(sitk: Any, fixed: Any, moving: Any, transform: Any) -> float:
    """Of two CTs where both are; -1 where less than a tenth of the template is covered."""
    outside = -3000.0
    there: NDArray[np.float32] = sitk.GetArrayFromImage(
        sitk.Resample(moving, fixed, transform, sitk.sitkLinear, outside)
    )
    here: NDArray[np.float32] = sitk.GetArrayFromImage(fixed)
    both = there > outside / 2
    if both.mean() < 0.1:
        return -1.0
    one, other = here[both].astype(np.float64), there[both].astype(np.float64)
    spread = float(one.std() * other.std())
    return float(((one - one.mean()) * (other - other.mean())).mean() / spread) if spread else -1.0


def _matrix(transform: Any) -> Pose:
    rotation: Float[Tensor, "3 3"] = torch.tensor(transform.GetMatrix(), dtype=torch.float64)
    origin = torch.tensor(transform.TransformPoint((0.0, 0.0, 0.0)), dtype=torch.float64)
    return Pose(nearest_rotation(rotation.reshape(3, 3)), origin)
