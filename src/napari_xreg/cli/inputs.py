"""What the commands read: CT, structures, radiograph, C-arm, pose."""

import math
from argparse import Namespace
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import CArm, CArmPose
from napari_xreg.images import (
    FrameUnknown,
    LabelMap,
    Landmark,
    Radiograph,
    ReadError,
    UnknownValues,
    Volume,
    given_geometry,
    read_labels,
    read_landmarks,
    read_radiograph,
    read_volume,
)
from napari_xreg.records import read_pose
from napari_xreg.simulation import Phantom, phantom
from napari_xreg.workflows import StartingPose


@dataclass(frozen=True, eq=False)
class Patient:
    """A CT and what came with it.

    Parameters
    ----------
    volume
        The CT.
    name
        How messages call it.
    path
        Its file; None for the phantom.
    phantom
        The phantom it is, if it is one.
    """

    volume: Volume
    name: str
    path: Path | None
    phantom: Phantom | None = None


def read_patient(arguments: Namespace) -> Patient:
    """The CT that was named: a file, a folder, or ``phantom`` with an optional number."""
    name: str = arguments.ct
    path = Path(name)
    kind, _, number = name.partition(":")
    if kind == "phantom" and not path.exists():
        if number and not (number.isdecimal() and len(number) < 20):
            raise ValueError(f"a phantom's patient is a whole number: got {name!r}")
        made = phantom(seed=int(number) if number else None)
        return Patient(made.volume, name, None, made)
    volume = read_ct(path, arguments, energy_kev=arguments.energy_kev)
    # Half of all CTs are called ct.nii.gz: the folder tells them apart.
    shown = "/".join(path.absolute().parts[-2:])
    return Patient(volume, shown, path)


def read_ct(path: Path, arguments: Namespace, *, energy_kev: float = 70.0) -> Volume:
    """A CT, with what the command line says of its series and values."""
    said = None if arguments.ct_values is None else " ".join(arguments.ct_values)
    try:
        return read_volume(path, series_uid=arguments.series, energy_kev=energy_kev, values=said)
    except UnknownValues as error:
        raise UnknownValues(
            f"{error}: give --ct-values hu, or --ct-values linear AIR BONE",
            error.lowest, error.highest, error.shape,
        ) from error  # fmt: skip


def read_patient_labels(arguments: Namespace, patient: Patient) -> LabelMap | None:
    """The label map that was named; the phantom brings its own."""
    if arguments.labels is not None:
        return read_labels(arguments.labels).onto(patient.volume)
    return None if patient.phantom is None else patient.phantom.labels


def restricted(
    arguments: Namespace, patient: Patient
) -> tuple[Volume, dict[int, str] | None, LabelMap | None]:
    """The volume of the chosen structures alone, and what they are; None where all was kept."""
    if arguments.structures is None and arguments.labels is None:
        return patient.volume, None, None
    labels = read_patient_labels(arguments, patient)
    if labels is None:
        raise ValueError("--structures needs --labels, a label map on the grid of the CT")
    ids = labels.present() if arguments.structures is None else _ids(arguments.structures, labels)
    chosen = {i: labels.names.get(i, f"label {i}") for i in ids}
    return patient.volume.restrict(labels.mask(ids)), chosen, labels


def _ids(wanted: list[str], labels: LabelMap) -> list[int]:
    present = labels.present()
    by_name = {name: i for i, name in labels.names.items()}
    found = []
    for word in (part for text in wanted for part in text.replace(",", " ").split()):
        # (Python reads no number of more than 4300 digits.)
        number = int(word) if word.isdecimal() and len(word) < 20 else by_name.get(word)
        if number is None or number not in present:
            known = ", ".join(f"{i} {labels.names.get(i, '')}".strip() for i in present)
            raise ValueError(f"structure {word!r} does not occur in the labels, which hold {known}")
        found.append(number)
    if not found:
        raise ValueError("--structures names none: give ids or names")
    return found


def read_xray(arguments: Namespace, path: str | None = None) -> Radiograph:
    """The radiograph (or another one), with what the command line says about its geometry."""
    return read_radiograph(
        path or arguments.xray,
        frame=arguments.frame,
        read_as=arguments.read_as,
        bone=arguments.bone,
        i0=arguments.i0,
        find_collimator=not arguments.no_collimator,
        geometry=arguments.geometry,
        source_to_detector=arguments.sdd,
        source_to_isocenter=arguments.source_to_isocenter,
        pixel_spacing=_pair(arguments.pixel_spacing),
        principal_point=_pair(arguments.principal_point),
        mirrored=arguments.mirrored,
        field_diameter=arguments.field_diameter,
        crop=None if arguments.crop is None else tuple(arguments.crop),
        rotate180=arguments.rotate_180,
    )


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
    arguments: Namespace, carm: CArm, volume: Volume, radiograph: Radiograph | None = None
) -> StartingPose:
    """From --start, from C-arm angles, or from the header of the radiograph: the first there is.

    Raises
    ------
    ValueError
        If two of the first are given, or nothing says where the C-arm stands.
    """
    isocenter = given_isocenter(arguments, volume.center.double())
    angles = [arguments.primary, arguments.secondary, arguments.roll, arguments.offset]
    if arguments.start is not None:
        if any(value is not None for value in angles):
            raise ValueError("give either --start or C-arm angles, not both")
        try:
            pose = read_pose(arguments.start, frame=arguments.pose_frame)
        except FrameUnknown as unknown:
            raise ReadError(f"{unknown} (--pose-frame)") from unknown
        return StartingPose(pose, isocenter, f"{Path(arguments.start).name}")
    if arguments.pose_frame is not None:
        raise ValueError("--pose-frame says what the matrix of --start maps: give --start FILE")
    if any(value is not None for value in angles):
        return StartingPose(
            carm.pose_from(_given_angles(arguments, isocenter)), isocenter, "C-arm angles"
        )
    if radiograph is None:
        frontal = _given_angles(arguments, isocenter)
        return StartingPose(carm.pose_from(frontal), isocenter, "frontal view")
    found = header_start(arguments, radiograph, isocenter)
    if found is None:
        raise ValueError(
            f"{radiograph.source} does not say where the C-arm stood: give --primary and "
            "--secondary (degrees), or --start FILE"
        )
    return found


def header_start(
    arguments: Namespace, radiograph: Radiograph, isocenter: Float[Tensor, "3"]
) -> StartingPose | None:
    """Where a radiograph's own file says the C-arm stood; None where it does not."""
    nominal = radiograph.nominal
    if nominal is None:
        return None
    words = list(arguments.isocenter)
    record = radiograph.geometry
    said = record is not None and record.isocenter is not None
    notes: tuple[str, ...] = ()
    if words != ["center"] or not said:
        if words == ["center"]:
            assumed = (
                "the header does not say where the isocenter lies in the patient: the middle of "
                "the CT is assumed"
            )
            notes = (assumed,)
        x, y, z = isocenter.tolist()
        nominal = replace(nominal, isocenter=(x, y, z))
    isocenter = torch.tensor(nominal.isocenter, dtype=torch.float64)
    pose = radiograph.carm.pose_from(nominal)
    return StartingPose(pose, isocenter, "header of the radiograph", notes)


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
    if words == ["center"]:
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
