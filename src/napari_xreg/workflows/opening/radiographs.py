"""Open: masks for radiographs, and where further radiographs of a patient stand."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.images import Radiograph, read_mask
from napari_xreg.registration import View
from napari_xreg.workflows.starting.starting import StartingPose


def with_mask_file(radiograph: Radiograph, path: Path | str) -> Radiograph:
    """The radiograph without what a mask excludes.

    Parameters
    ----------
    radiograph
        As it is used: cropped, turned.
    path
        An image or ``.npy``; white (anything but 0) is what may be used.

    Raises
    ------
    ValueError
        If the mask cannot be read, has another shape, or leaves nothing.
    """
    path = Path(path)
    mask = read_mask(path)
    shape = radiograph.carm.detector.shape
    if tuple(mask.shape) != shape:
        raise ValueError(
            f"{path.name} has {mask.shape[0]} x {mask.shape[1]} pixels, the radiograph "
            f"{shape[0]} x {shape[1]}: a mask belongs to the radiograph as it is used (cropped)"
        )
    limited = radiograph.with_mask(mask, path.name)
    if not limited.usable.any():
        raise ValueError(f"{path.name} leaves no pixel: white (anything but 0) is what is used")
    return limited


class PoseUnknown(ValueError):
    """A radiograph does not say where the C-arm stood, and nobody else has."""


def header_pose(
    radiograph: Radiograph,
    isocenter: Float[Tensor, "3"],
    *,
    overrule: bool = False,
    middle_of: str = "the CT",
) -> StartingPose:
    """Where a radiograph's own file says that the C-arm stood.

    Parameters
    ----------
    radiograph
        As read from a file.
    isocenter
        World, mm: holds where the file does not say where it lies in the patient.
    overrule
        `isocenter` holds whatever the file says.
    middle_of
        What `isocenter` is the middle of, in words.

    Raises
    ------
    PoseUnknown
        If the file has no angles.
    """
    nominal = radiograph.nominal
    if nominal is None:
        raise PoseUnknown(f"{radiograph.source} does not say where the C-arm stood")
    geometry = radiograph.geometry
    said = geometry is not None and geometry.isocenter is not None
    if geometry is not None and geometry.world_from_camera is not None:
        stood = isocenter if overrule else torch.tensor(nominal.isocenter, dtype=torch.float64)
        return StartingPose(
            radiograph.carm.pose_from(nominal), stood, "4 x 4 pose of the radiograph"
        )
    notes: tuple[str, ...] = ()
    of_rig = geometry is not None and geometry.rig_from_camera is not None
    if overrule or not said:
        if not overrule:
            assumed = (
                f"a calibration does not say where the patient lies: the middle of {middle_of} is put at "
                "its origin, the axes of the CT along the calibration's"
                if of_rig
                else "the header does not say where the isocenter lies in the patient: the middle of "
                f"{middle_of} is assumed"
            )
            notes = (assumed,)
        x, y, z = isocenter.tolist()
        nominal = replace(nominal, isocenter=(x, y, z))
    stood = torch.tensor(nominal.isocenter, dtype=torch.float64)
    pose = radiograph.carm.pose_from(nominal)
    origin = "calibration of the radiograph" if of_rig else "header of the radiograph"
    return StartingPose(pose, stood, origin, notes)


def further_views(
    first: View,
    others: Sequence[Radiograph],
    isocenter: Float[Tensor, "3"],
    *,
    overrule: bool = False,
) -> tuple[View, ...]:
    """Further radiographs of a patient, where their headers put them relative to the first.

    What is wrong with the first header is taken to be wrong with all: the patient lay there.

    Parameters
    ----------
    first
        With the pose that it starts from.
    others
        Of the same patient, lying still.
    isocenter, overrule
        As of `header_pose`.

    Raises
    ------
    PoseUnknown
        If a header does not say where the C-arm stood.
    """
    if not others:
        return ()
    stood = header_pose(first.radiograph, isocenter, overrule=overrule).pose
    moved = first.world_from_camera @ stood.inverse()
    return tuple(
        View(other, moved @ header_pose(other, isocenter, overrule=overrule).pose)
        for other in others
    )
