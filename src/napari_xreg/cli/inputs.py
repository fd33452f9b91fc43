"""What the commands read: CT, structures, radiograph, C-arm, pose."""

import math
from argparse import Namespace
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import CArm, CArmPose, Pose
from napari_xreg.images import (
    FrameUnknown,
    Landmark,
    Radiograph,
    ReadError,
    given_geometry,
    read_landmarks,
    read_radiograph,
)
from napari_xreg.records import describe_input, read_pose
from napari_xreg.workflows import Patient, StartingPose, header_pose, open_patient


def read_patient(arguments: Namespace) -> Patient:
    """The CT that was named, with its labels, structures and landmarks."""
    labels = getattr(arguments, "labels", None)
    structures = getattr(arguments, "structures", None)
    marks = getattr(arguments, "landmarks", None)
    if structures is not None and labels is None and arguments.ct.partition(":")[0] != "phantom":
        raise ValueError("--structures needs --labels, a label map on the grid of the CT")
    label_names = getattr(arguments, "label_names", None)
    if label_names is not None and labels is None:
        raise ValueError(
            "--label-names says what the labels of --labels are called: give --labels FILE, a label map "
            "on the grid of the CT"
        )
    patient = open_patient(
        arguments.ct,
        series_uid=arguments.series,
        values=said_values(arguments),
        energy_kev=arguments.energy_kev,
        ct_energy_kev=arguments.ct_energy_kev,
        spacing=said_spacing(arguments),
        flip=getattr(arguments, "ct_flip", None),
        labels=labels,
        label_names=label_names,
        structures=structures,
        landmarks=() if marks is None else placed_landmarks(arguments),
    )
    arguments.volume_center = patient.volume.center  # of poses in files of xvr
    attenuation = getattr(arguments, "attenuation", "auto").replace("-", " ")
    return replace(patient, attenuation=attenuation)


def described_inputs(arguments: Namespace) -> list[dict[str, Any]]:
    """Every file that was named beside the CT, as a result says it; each is read to its end for that.

    Raises
    ------
    ReadError
        If one is absent.
    """
    files = [(arguments.xray, "radiograph")]
    files += [(path, "radiograph") for path in arguments.radiograph]
    files += [(path, "mask") for path in arguments.mask]
    files += [(arguments.labels, "labels")]
    files += [(path, "start") for path in arguments.start or ()]
    files += [(path, "geometry") for path in arguments.geometry or () if isinstance(path, str)]
    files += [(path, "weights") for path in getattr(arguments, "weights", None) or ()]
    files += [(getattr(arguments, role, None), role) for role in ("trial", "truth", "landmarks")]
    return [dict(describe_input(path, role)) for path, role in files if path is not None]


def said_values(arguments: Namespace) -> str | None:
    """What the command line says that the numbers of the CT mean."""
    return None if arguments.ct_values is None else " ".join(arguments.ct_values)


def said_spacing(arguments: Namespace) -> tuple[float, float, float] | None:
    """The distance of voxels that the command line says, x, y, z in mm."""
    if arguments.ct_spacing is None:
        return None
    x, y, z = arguments.ct_spacing
    return x, y, z


def read_xray(arguments: Namespace, path: str | None = None, number: int = 0) -> Radiograph:
    """The radiograph (or the one of a number), with what the command line says about its geometry."""
    return read_radiograph(
        path or arguments.xray, **xray_options(arguments, number, _count(arguments))
    )


def xray_options(arguments: Namespace, number: int, count: int) -> dict[str, Any]:
    """What the command line says about one of `count` radiographs: keywords of `read_radiograph`.

    Raises
    ------
    ValueError
        If an option is given neither once nor once for each.
    """
    said = {
        "frame": arguments.frame,
        "mask_frame": arguments.mask_frame,
        "i0": arguments.i0,
        "geometry": arguments.geometry,
        "source_to_detector": arguments.sdd,
        "source_to_isocenter": arguments.source_to_isocenter,
        "pixel_spacing": arguments.pixel_spacing,
        "principal_point": arguments.principal_point,
        "field_diameter": arguments.field_diameter,
        "crop": arguments.crop,
    }
    options = {}
    for name, values in said.items():
        value = _of_view("sdd" if name == "source_to_detector" else name, values, number, count)
        options[name] = tuple(value) if isinstance(value, list) else value
    return options | {
        "read_as": arguments.read_as,
        "bone": arguments.bone,
        "find_collimator": not arguments.no_collimator,
        "mirrored": arguments.mirrored,
        "rotate180": arguments.rotate_180,
    }


def _of_view(name: str, values: list[Any] | None, number: int, count: int) -> Any:
    """Of an option that may be repeated: once holds for all, else each radiograph has its own."""
    if not values:
        return None
    if len(values) not in (1, count):
        views = "1 radiograph" if count == 1 else f"{count} radiographs"
        raise ValueError(
            f"--{name.replace('_', '-')} was given {len(values)} times for {views}: give it once for "
            "all, or once for each in their order"
        )
    return values[0 if len(values) == 1 else number]


def _count(arguments: Namespace) -> int:
    return 1 + len(getattr(arguments, "radiograph", ()))


def read_marks(arguments: Namespace, path: str) -> list[Landmark]:
    """Landmarks of a file, in the axes of --landmark-frame where the file does not say them."""
    try:
        return read_landmarks(path, frame=arguments.landmark_frame)
    except FrameUnknown as unknown:
        raise ReadError(f"{unknown} (--landmark-frame)") from unknown


def placed_landmarks(arguments: Namespace) -> list[Landmark]:
    """Those of --landmarks that lie in the CT.

    Raises
    ------
    ReadError
        If there is none.
    """
    marks = [m for m in read_marks(arguments, arguments.landmarks) if m.position is not None]
    if not marks:
        raise ReadError(f"{Path(arguments.landmarks).name}: holds no landmark with a 3D position")
    return marks


def given_carm(arguments: Namespace) -> CArm:
    """The C-arm of ``render`` and ``simulate``."""
    rows, columns = arguments.pixels
    record = given_geometry(
        source_to_detector=arguments.sdd,
        source_to_isocenter=arguments.source_to_isocenter,
        pixel_spacing=_pair(arguments.pixel_spacing),
        principal_point=_pair(arguments.principal_point),
        mirrored=arguments.mirrored,
    )
    return record.carm((rows, columns))


def starting_pose(
    arguments: Namespace,
    carm: CArm,
    middle: Float[Tensor, "3"],
    radiograph: Radiograph | None = None,
    *,
    middle_of: str = "the CT",
) -> StartingPose:
    """From --start, from C-arm angles, or from the header of the radiograph: the first there is.

    Parameters
    ----------
    middle, middle_of
        Where the isocenter lies if nothing says it, world mm, and what that is the middle of.

    Raises
    ------
    ValueError
        If two of the first are given, or nothing says where the C-arm stands.
    """
    isocenter = given_isocenter(arguments, middle)
    angles = [arguments.primary, arguments.secondary, arguments.roll, arguments.offset]
    if arguments.start is not None:
        if any(value is not None for value in angles):
            raise ValueError("give either --start or C-arm angles, not both")
        pose = read_start(arguments, 0)
        return StartingPose(pose, isocenter, f"{Path(arguments.start[0]).name}")
    if arguments.pose_frame is not None:
        raise ValueError("--pose-frame says what the matrix of --start maps: give --start FILE")
    if any(value is not None for value in angles):
        return StartingPose(
            carm.pose_from(_given_angles(arguments, isocenter)), isocenter, "C-arm angles"
        )
    if radiograph is None:
        frontal = _given_angles(arguments, isocenter)
        return StartingPose(carm.pose_from(frontal), isocenter, "frontal view")
    return header_pose(
        radiograph, isocenter, overrule=isocenter_given(arguments), middle_of=middle_of
    )


def read_start(arguments: Namespace, number: int) -> Pose:
    """The pose of one of the files of --start.

    Raises
    ------
    ReadError
        If it is none, or does not say what its matrix maps.
    """
    path = Path(arguments.start[number])
    if path.suffix.lower() in (".pth", ".pt"):
        if arguments.pose_frame is not None:
            raise ValueError("a result of xvr says what its poses map: leave --pose-frame out")
        from napari_xreg.datasets import read_xvr_result  # files of torch, which few runs need

        return read_xvr_result(path).pose(arguments.volume_center)
    try:
        return read_pose(path, frame=arguments.pose_frame)
    except FrameUnknown as unknown:
        raise ReadError(f"{unknown} (--pose-frame)") from unknown


def isocenter_given(arguments: Namespace) -> bool:
    """Whether --isocenter says where it is."""
    return list(arguments.isocenter) != ["center"]


def _given_angles(arguments: Namespace, isocenter: Tensor) -> CArmPose:
    x, y, z = arguments.offset or (0.0, 0.0, 0.0)
    i, j, k = isocenter.tolist()
    return CArmPose(
        arguments.primary or 0.0,
        arguments.secondary or 0.0,
        arguments.roll or 0.0,
        (x, y, z),
        (i, j, k),
    )


def given_isocenter(arguments: Namespace, center: Float[Tensor, "3"]) -> Float[Tensor, "3"]:
    """--isocenter; `center` where that says so."""
    said = said_isocenter(arguments)
    return center if said is None else said


def said_isocenter(arguments: Namespace) -> Float[Tensor, "3"] | None:
    """--isocenter, or None where that says ``center``."""
    words = list(arguments.isocenter)
    if not isocenter_given(arguments):
        return None
    try:
        values = [float(word) for word in words]
    except ValueError:
        values = []
    if len(values) != 3 or not all(map(math.isfinite, values)):
        raise ValueError(f"--isocenter is three numbers in mm, or `center`: got {' '.join(words)}")
    return torch.tensor(values, dtype=torch.float64)


def _pair(values: list[float] | None) -> tuple[float, float] | None:
    return None if values is None else (values[0], values[1])
