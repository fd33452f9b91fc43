"""RayEmb's folders of simulated images and of templates: PNG files with the poses that its command wrote beside them.

::

    NAME/images/0000.png     8 bits, line integrals stretched from 0 to 255
    NAME/cameras/0000.json   of images: ``params``, ``pose``
    NAME/info.json           of templates: ``params``, and a ``pose`` for each name
    NAME/vol_landmarks.npy   of images: points of the CT, mm

A path may be NAME or the folder that it lies in. The authors' code (rayemb/commands/generate.py, and the DiffDRR it
holds) is followed: its world is mm from the corner of the CT along the axes of the NIfTI, the first of which runs backwards; a
pose takes points of a camera to it whose source lies at half the distance along x, whose rows run along y and whose
columns run against z. The picture is one that is seen through the middle of the detector.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from napari_xreg.datasets.case import Case, CaseEntry, CaseView, DataSet, Terms
from napari_xreg.datasets.view_geometry import assumed_isocenter, record_of
from napari_xreg.files import ReadError, json_of_text, read_npy, read_text
from napari_xreg.geometry import CArm, Pose, carm_from_camera_matrices
from napari_xreg.images import (
    Landmark,
    Volume,
    radiograph_from_stored,
    read_stored_image,
    read_volume,
)

TERMS = Terms(
    "not stated by RayEmb: that of the CT it was made from holds (CTPelvic1K, or your own)",
    "P. Shrestha et al., RayEmb: Arbitrary Landmark Detection in X-Ray Images Using Ray Embedding Subspace, ACCV 2024",
)
_IMAGES, _CAMERAS, _INFO, _POINTS = "images", "cameras", "info.json", "vol_landmarks.npy"
_WHOLE = "the whole CT"
# Camera coordinates of theirs with x to the detector's columns, y along its rows, z to the source.
_CAMERA = torch.tensor([[0.0, 0, -1, 0], [0, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]]).double()


def is_one(path: Path) -> bool:
    """Whether it or a folder in it holds images and what its command wrote beside them."""
    return path.is_dir() and bool(_folders(path))


def read(path: Path) -> DataSet:
    """The set."""
    folders = _folders(path)
    notes, entries = [], {}
    for name, folder in folders.items():
        pictures = sorted(file.stem for file in (folder / _IMAGES).glob("*.png"))
        posed = set(_poses(folder))
        without = [each for each in pictures if each not in posed]
        if without:
            notes.append(f"{name}: no pose is known of {', '.join(without[:5])}: left out")
        entries[name] = CaseEntry(name, tuple(each for each in pictures if each in posed))
    return DataSet(
        "RayEmb", "folders of images or templates", path, TERMS, tuple(entries.values()),
        lambda name: _case(folders[name], entries[name]), tuple(notes),
    )  # fmt: skip


def _folders(path: Path) -> dict[str, Path]:
    if _is_folder(path):
        return {path.absolute().name: path}
    return {each.name: each for each in sorted(path.glob("*")) if _is_folder(each)}


def _is_folder(path: Path) -> bool:
    return (path / _IMAGES).is_dir() and ((path / _CAMERAS).is_dir() or (path / _INFO).is_file())


def _poses(folder: Path) -> dict[str, Path]:
    """Name of an image -> the file that has its pose."""
    info = folder / _INFO
    if info.is_file():
        return {name: info for name in _json(info) if name != "params"}
    return {file.stem: file for file in (folder / _CAMERAS).glob("*.json")}


def _json(file: Path) -> Mapping[str, Any]:
    found = json_of_text(read_text(file), str(file))
    if not isinstance(found, dict) or not isinstance(found.get("params"), dict):
        raise ReadError(f"{file}: expected an object with params, as RayEmb's generate writes it")
    return found


@dataclass(frozen=True, eq=False)
class _Said:
    """One camera: size in pixels, distances in mm, theirs from camera (4 x 4), and the CT it names."""

    rows: int
    columns: int
    pixel: float
    distance: float
    pose: Tensor
    ct: str


def _said(file: Path, name: str) -> _Said:
    found = _json(file)
    params, entry = found["params"], found.get(name) if file.name == _INFO else found
    try:
        pose = np.asarray(entry["pose"], np.float64).reshape(4, 4)  # type: ignore[index]
        said = _Said(
            int(params["sensor_height"]),
            int(params["sensor_width"]),
            float(params["pixel_size"]),
            float(params["source_to_detector_distance"]),
            torch.from_numpy(pose),
            str(params["vol_path"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ReadError(
            f"{file}: {name}: expected a pose of 4 x 4 numbers, and in params sensor_height, sensor_width, "
            f"pixel_size, source_to_detector_distance and vol_path ({error})"
        ) from error
    if not (np.isfinite(pose).all() and said.pixel > 0 and math.isfinite(said.distance)):
        raise ReadError(f"{file}: {name}: pose, pixel_size and distance should be finite numbers")
    return said


def _case(folder: Path, entry: CaseEntry) -> Case:
    if not entry.views:
        raise ReadError(f"{folder}: holds no image whose pose is known")
    poses = _poses(folder)
    file = _ct(folder, _said(poses[entry.views[0]], entry.views[0]).ct)
    volume = read_volume(file)
    to_world = _lps_from_theirs(volume)
    points = folder / _POINTS
    marks = _landmarks(points, to_world) if points.is_file() else ()
    note = "poses are taken as the authors' code renders; no file of theirs was at hand"
    return Case(
        entry, volume, "Hounsfield units", _WHOLE,
        lambda name: _view(folder, name, poses[name], to_world),
        landmarks=marks, files=(file,), notes=(note,),
    )  # fmt: skip


def _ct(folder: Path, said: str) -> Path:
    """The CT as it was named where the command ran: from there, from a folder above, or beside the images."""
    named = Path(said.replace("\\", "/"))
    if named.suffix.lower() in (".h5", ".hdf5"):
        raise ReadError(
            f"{folder}: was made from DeepFluoro's own file, of which these files do not say the principal point: open "
            f"{named.name} itself"
        )
    above = folder.absolute().parents
    places = [named, *(each / named for each in above), folder / named.name]
    places += [each / named.name for each in above[:2]]
    found = next((each for each in places if each.is_file()), None)
    if found is None:
        raise ReadError(f"{folder}: its CT is not there: put {named.name} beside the images folder")
    return found


def _lps_from_theirs(volume: Volume) -> Tensor:
    """World (LPS mm) from their mm: voxel (i, j, k) has its middle at (n - i - 1/2, j + 1/2, k + 1/2) voxels."""
    matrix = volume.world_from_index.double().cpu()
    x, y, z = matrix[:3, :3].norm(dim=0).tolist()
    theirs = torch.diag(torch.tensor([-x, y, z, 1.0], dtype=torch.float64))
    theirs[:3, 3] = torch.tensor([x * (volume.shape[-1] - 0.5), y / 2, z / 2])
    return matrix @ theirs.inverse()


def _landmarks(file: Path, to_world: Tensor) -> tuple[Landmark, ...]:
    points = np.asarray(read_npy(file), np.float64)
    if points.ndim != 2 or points.shape[1] != 3 or not np.isfinite(points).all():
        raise ReadError(f"{file}: expected finite numbers, N x 3, got {points.shape}")
    placed = torch.from_numpy(points) @ to_world[:3, :3].mT + to_world[:3, 3]
    return tuple(
        Landmark(f"point {n}", position=(x, y, z))
        for n, (x, y, z) in enumerate(placed.tolist(), start=1)
    )


def _view(folder: Path, name: str, posed: Path, to_world: Tensor) -> CaseView:
    said = _said(posed, name)
    image = folder / _IMAGES / f"{name}.png"
    stored = read_stored_image(image)
    if tuple(stored.pixels.shape) != (said.rows, said.columns):
        raise ReadError(
            f"{image}: has {' x '.join(map(str, stored.pixels.shape))} pixels, {posed.name} says {said.rows} x {said.columns}"
        )
    carm, truth = _camera(said, to_world, f"{posed}: {name}")
    stored = replace(
        stored, geometry=record_of(carm, posed.name), meaning="line_integral", bone="bright", simulated=True
    )  # fmt: skip
    radiograph = radiograph_from_stored(
        stored, i0=None, find_collimator=False, source=f"{folder.name}/{name}"
    )
    return CaseView(name, radiograph, {_WHOLE: truth}, files=(image, posed))


def _camera(said: _Said, to_world: Tensor, where: str) -> tuple[CArm, Pose]:
    focal = -said.distance / said.pixel  # z runs to the source
    middle = (said.columns - 1) / 2, (said.rows - 1) / 2
    intrinsic = torch.tensor([[focal, 0, middle[0]], [0, focal, middle[1]], [0, 0, 1.0]]).double()
    from_source = torch.eye(4, dtype=torch.float64)
    from_source[0, 3] = -said.distance / 2
    try:
        extrinsic = _CAMERA @ from_source @ torch.linalg.inv(said.pose) @ to_world.inverse()
        if torch.linalg.det(extrinsic[:3, :3]) < 0:  # their first axis mirrors the patient
            mirror = torch.diag(torch.tensor([-1.0, 1, 1, 1], dtype=torch.float64))
            extrinsic, intrinsic = mirror @ extrinsic, intrinsic @ mirror[:3, :3]
        return carm_from_camera_matrices(
            intrinsic,
            extrinsic,
            shape=(said.rows, said.columns),
            spacing=(said.pixel, said.pixel),
            source_to_isocenter=assumed_isocenter(said.distance),
            z_to_source=True,
        )
    except (ValueError, RuntimeError) as error:
        raise ReadError(f"{where}: the camera cannot be used: {error}") from error
