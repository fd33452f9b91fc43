"""The Ljubljana cerebral angiograms: one HDF5 file, ten patients, a frontal and a lateral view of vessels.

Mitrovic et al., IEEE Trans. Med. Imaging 2013, packed in HDF5 by DiffPose. A camera is what its matrices say, with
negative focal lengths: (column, row, 1) ~ intrinsic extrinsic (x, y, z, 1), and points are of the same (x, y, z).
Two things no matrix says, and are taken as the field's reader (diffdrrdata) takes them: the first axis of the
voxels runs against x, and x, y, z point to the right, front and head of the patient.
"""

from pathlib import Path

import numpy as np
import torch

from napari_xreg.datasets import hdf5_file
from napari_xreg.datasets.angiogram import subtracted
from napari_xreg.datasets.case import Case, CaseEntry, CaseView, DataSet, Terms
from napari_xreg.datasets.view_geometry import assumed_isocenter, record_of
from napari_xreg.files import ReadError
from napari_xreg.geometry import carm_from_camera_matrices
from napari_xreg.images import (
    Landmark,
    StoredGrid,
    StoredImage,
    ValueScale,
    check_place,
    radiograph_from_stored,
    volume_from_grid,
)

TERMS = Terms(
    "CC BY-NC-ND 4.0: not for commercial use, and nothing made from it may be passed on",
    "U. Mitrovic, Z. Spiclin, B. Likar, F. Pernus, 3D-2D registration of cerebral angiograms: a method and evaluation on clinical images, "
    "IEEE Trans. Med. Imaging 32 (2013)",
)
_PROJECTION = "proj-"
_SUBJECT = ("volume", "proj-ap", "proj-lat")
_MAXIMUM = "the maximum over time of another radiograph; published evaluations leave it out"
# What the published readers take for no vessel.
_LEAST = 1000
_LPS_FROM_RAS = torch.diag(torch.tensor([-1.0, -1.0, 1.0, 1.0], dtype=torch.float64))
_BYTES_OF_A_VOXEL = 24


def is_one(path: Path) -> bool:
    """Whether it is this file, by what it contains."""
    return hdf5_file.holds(path, below_any=_SUBJECT)


def read(path: Path) -> DataSet:
    """The set."""
    with hdf5_file.opened(path) as file:
        entries = {}
        for name in hdf5_file.groups_with(file, _SUBJECT):
            views = tuple(
                each.removeprefix(_PROJECTION)
                for each in file[name]
                if each.startswith(_PROJECTION)
            )
            excluded = {view: _MAXIMUM for view in views if view.endswith("-max")}
            entries[name] = CaseEntry(name, views, excluded)
    return DataSet(
        "Ljubljana cerebral angiograms",
        "HDF5",
        path,
        TERMS,
        tuple(entries.values()),
        lambda name: _case(path, entries[name]),
    )


def _case(path: Path, entry: CaseEntry) -> Case:
    with hdf5_file.opened(path) as file:
        subject = file[entry.name]
        stored = subject["volume"]
        voxels = hdf5_file.array(path, stored, "pixels", 3, _BYTES_OF_A_VOXEL)
        sx, sy, sz = hdf5_file.numbers(path, stored, "spacing", 3).tolist()
        origin = hdf5_file.numbers(path, stored, "origin", 3)
        points = (
            hdf5_file.array(path, subject, "points", 2, 8)
            if "points" in subject
            else np.zeros((0, 3))
        )
    matrix = torch.diag(torch.tensor([-sx, sy, sz, 1.0], dtype=torch.float64))
    matrix[:3, 3] = origin
    matrix[0, 3] += sx * (voxels.shape[0] - 1)
    place = _LPS_FROM_RAS @ matrix
    check_place(path, place)
    vessels = np.where(voxels < _LEAST, 0, voxels).transpose(2, 1, 0)
    densest = float(vessels.max())
    if not 0 < densest < float("inf"):
        raise ReadError(
            f"{path.name}: {entry.name}: no voxel reaches {_LEAST}: there is no vessel in it"
        )
    numbers = f"no unit: below {_LEAST} nothing, then in proportion up to {densest:g}"
    volume = volume_from_grid(
        path, StoredGrid(vessels, place), energy_kev=70.0, scale=ValueScale(0.0, densest)
    )
    note = (
        "the first axis of the voxels was taken to run against x, and x, y, z to point right, front and "
        "head, as the field's reader does: the file does not say it"
    )
    return Case(
        entry, volume, numbers, "vessels", lambda name: _view(path, entry, name),
        landmarks=_landmarks(path, points), files=(path,), attenuation="as read",
        notes=(note,),
    )  # fmt: skip


def _landmarks(
    path: Path, points: "np.ndarray[tuple[int, ...], np.dtype[np.generic]]"
) -> tuple[Landmark, ...]:
    if points.shape[1] != 3 or not np.isfinite(points).all():
        raise ReadError(f"{path.name}: points: expected finite numbers, N x 3, got {points.shape}")
    placed = np.asarray(points, np.float64) * [-1, -1, 1]
    return tuple(
        Landmark(f"point {number}", position=(x, y, z))
        for number, (x, y, z) in enumerate(placed.tolist(), start=1)
    )


def _view(path: Path, entry: CaseEntry, name: str) -> CaseView:
    with hdf5_file.opened(path) as file:
        shot = file[entry.name][_PROJECTION + name]
        pixels = hdf5_file.picture(path, shot, "pixels")
        intrinsic = hdf5_file.numbers(path, shot, "intrinsic", 3, 3)
        extrinsic = hdf5_file.numbers(path, shot, "extrinsic", 4, 4)
        spacing = (
            hdf5_file.number(path, shot, "row-spacing"),
            hdf5_file.number(path, shot, "col-spacing"),
        )
    rows, columns = pixels.shape
    try:
        carm, truth = carm_from_camera_matrices(
            intrinsic,
            extrinsic @ _LPS_FROM_RAS,
            shape=(rows, columns),
            spacing=spacing,
            source_to_isocenter=assumed_isocenter(abs(float(intrinsic[0, 0])) * spacing[1]),
            z_to_source=_behind(path, entry, name, extrinsic),
        )
    except (ValueError, RuntimeError) as error:
        raise ReadError(
            f"{path.name}: {entry.name}, {name}: the camera cannot be used: {error}"
        ) from error
    where = f"{path.name}: {entry.name}, {name}"
    stored, note = subtracted(StoredImage(pixels, where, record_of(carm, where)))
    radiograph = radiograph_from_stored(
        stored, i0=None, find_collimator=False, source=f"{entry.name}/{name}"
    )
    return CaseView(
        name, radiograph, {"vessels": truth}, excluded=entry.exclusions.get(name, ""), files=(path,),
        notes=(note,),
    )  # fmt: skip


def _behind(path: Path, entry: CaseEntry, name: str, extrinsic: torch.Tensor) -> bool:
    """Whether the patient has negative depths: the camera's z runs to the source."""
    with hdf5_file.opened(path) as file:
        stored = file[entry.name]["volume"]
        sizes = torch.tensor([*hdf5_file.part(path, stored, "pixels").shape], dtype=torch.float64)
        spacing = hdf5_file.numbers(path, stored, "spacing", 3)
        middle = hdf5_file.numbers(path, stored, "origin", 3) + spacing * (sizes - 1) / 2
    return float(extrinsic[2, :3] @ middle + extrinsic[2, 3]) < 0
