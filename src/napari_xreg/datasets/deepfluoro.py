"""DeepFluoro in full resolution: one HDF5 file, six specimens, 366 fluoroscopies of the hip.

Grupp et al., "Automatic annotation of hip anatomy in fluoroscopy for robust and efficient 2D/3D
registration", IJCARS 2020. Its cameras have the origin at the source, x along columns, y along rows and z
towards the source; its poses map the camera to the LPS of a specimen's CT.
"""

from pathlib import Path
from typing import Any

import torch

from napari_xreg.datasets import hdf5_file
from napari_xreg.datasets.case import Case, CaseEntry, CaseView, DataSet, Terms
from napari_xreg.datasets.view_geometry import assumed_isocenter, cropped, record_of, turned
from napari_xreg.files import ReadError
from napari_xreg.geometry import CArm, Pose, carm_from_deepfluoro
from napari_xreg.images import (
    StoredImage,
    radiograph_from_stored,
    read_labels,
    read_volume,
)

TERMS = Terms(
    "CC BY-NC 4.0: not for commercial use, and what is made from it neither (JHU Data Archive, "
    "doi:10.7281/T1/IFSXNV)",
    "R. Grupp, M. Unberath, C. Gao et al., Automatic annotation of hip anatomy in fluoroscopy for "
    "robust and efficient 2D/3D registration, Int. J. CARS 15, 759-769 (2020)",
)
_SPECIMEN = ("vol", "vol-seg", "vol-landmarks", "projections")
# Their published readers take the same for all images.
_I0 = 65487.0
# Of the 1536 rows and columns of an image 50 at each edge show the collimator.
_EDGE = 50 / 1536
_STRUCTURES = {"pelvis": (1, 2, 3, 4, 7), "left femur": (5,), "right femur": (6,)}
_POSES = {
    "pelvis": ("cam-to-pelvis-vol", None),
    "left femur": ("cam-to-left-femur-vol", "left-femur-good-fov"),
    "right femur": ("cam-to-right-femur-vol", "right-femur-good-fov"),
}
_DOUBTED = (
    "its published pose is in doubt (DeepFluoroLabeling, issue 8; xvr's evaluation leaves it out)"
)
EXCLUSIONS = {
    ("17-1882", "003"): _DOUBTED,
    ("17-1882", "050"): _DOUBTED,
    ("18-2799", "002"): _DOUBTED,
    ("18-2799", "004"): _DOUBTED,
}
"""(specimen, projection) -> why published evaluations leave it out."""


def is_one(path: Path) -> bool:
    """Whether it is this file, or the preprocessed one, by what it contains."""
    full = hdf5_file.holds(path, all_of=("proj-params",), below_any=_SPECIMEN)
    return full or _is_preprocessed(path)


def _is_preprocessed(path: Path) -> bool:
    return hdf5_file.holds(path, all_of=("land-names",), below_any=("projs", "segs", "lands"))


def read(path: Path) -> DataSet:
    """The set.

    Raises
    ------
    ReadError
        If it is the preprocessed file: pictures to train on, without CT, calibration and poses.
    """
    if _is_preprocessed(path):
        raise ReadError(
            f"{path.name}: is DeepFluoro preprocessed: smaller pictures with labels and landmarks, but no CT, "
            "calibration or pose, so nothing in it can be registered: open the file of full resolution"
        )
    with hdf5_file.opened(path) as file:
        entries = tuple(
            CaseEntry(
                name,
                views := tuple(file[name]["projections"]),
                {v: EXCLUSIONS[name, v] for v in views if (name, v) in EXCLUSIONS},
            )
            for name in hdf5_file.groups_with(file, _SPECIMEN)
        )
    by_name = {entry.name: entry for entry in entries}
    return DataSet(
        "DeepFluoro",
        "full resolution, HDF5",
        path,
        TERMS,
        entries,
        lambda name: _case(path, by_name[name]),
    )


def _case(path: Path, entry: CaseEntry) -> Case:
    volume = read_volume(path, series_uid=f"{entry.name}/vol")
    labels = read_labels(path, series_uid=f"{entry.name}/vol-seg/image").onto(volume)
    present = set(labels.present())
    with hdf5_file.opened(path) as file:
        landmarks = hdf5_file.landmark_positions(path, file[entry.name], "vol-landmarks")
    structures = {name: tuple(i for i in ids if i in present) for name, ids in _STRUCTURES.items()}
    return Case(
        entry,
        volume,
        "Hounsfield units",
        "pelvis",
        lambda name: _view(path, entry, name),
        labels,
        {name: ids for name, ids in structures.items() if ids},
        landmarks,
        (path,),
    )


def _view(path: Path, entry: CaseEntry, name: str) -> CaseView:
    with hdf5_file.opened(path) as file:
        projection = file[entry.name]["projections"][name]
        pixels = hdf5_file.picture(path, hdf5_file.part(path, projection, "image"), "pixels")
        rows, columns = pixels.shape
        poses, notes = _poses(path, projection)
        carm, truths = _cameras(
            path, hdf5_file.part(path, file, "proj-params"), poses, (rows, columns)
        )
        marks = hdf5_file.landmark_pixels(path, projection, "gt-landmarks")
        upside_down = bool(hdf5_file.number(path, projection, "rot-180-for-up"))
    where = f"{path.name}: {entry.name}, projection {name}"
    radiograph = radiograph_from_stored(
        StoredImage(
            pixels, where, record_of(carm, f"{path.name}: proj-params"), "intensity", i0=_I0
        ),
        i0=None, find_collimator=False, source=f"{entry.name}/{name}",
    )  # fmt: skip
    edge = round(rows * _EDGE), round(columns * _EDGE)
    radiograph, marks = cropped(radiograph, edge, marks)
    if upside_down:
        radiograph, truths, marks = turned(radiograph, truths, marks)
    return CaseView(name, radiograph, truths, marks, entry.exclusions.get(name, ""), (path,), notes)


def _poses(path: Path, projection: Any) -> tuple[dict[str, torch.Tensor], tuple[str, ...]]:
    """Structure -> camera to CT; a femur that is not in the field has none that could be trusted."""
    stored = hdf5_file.part(path, projection, "gt-poses")
    found, notes = {}, []
    for structure, (name, good) in _POSES.items():
        if good is not None and good in stored and not hdf5_file.number(path, stored, good):
            notes.append(f"{structure}: too little of it is in the field for a pose")
        elif structure == "pelvis" or name in stored:
            found[structure] = hdf5_file.numbers(path, stored, name, 4, 4)
    return found, tuple(notes)


def _cameras(
    path: Path, said: Any, poses: dict[str, torch.Tensor], shape: tuple[int, int]
) -> tuple[CArm, dict[str, Pose]]:
    """The C-arm of an image as stored, and where it stood about each structure."""
    intrinsic = hdf5_file.numbers(path, said, "intrinsic", 3, 3)
    extrinsic = hdf5_file.numbers(path, said, "extrinsic", 4, 4)
    spacing = (
        hdf5_file.number(path, said, "pixel-row-spacing"),
        hdf5_file.number(path, said, "pixel-col-spacing"),
    )
    told = tuple(int(hdf5_file.number(path, said, f"num-{axis}")) for axis in ("rows", "cols"))
    if told != shape:
        raise ReadError(
            f"{path.name}: proj-params says {told[0]} x {told[1]} pixels (rows, columns), the image "
            f"has {shape[0]} x {shape[1]}"
        )
    distance = (
        abs(float(intrinsic[0, 0])) * spacing[1] + abs(float(intrinsic[1, 1])) * spacing[0]
    ) / 2
    placed = {}
    try:
        for structure, cam_to_volume in poses.items():
            carm, placed[structure] = carm_from_deepfluoro(
                intrinsic, extrinsic, cam_to_volume, shape=shape, spacing=spacing,
                source_to_isocenter=assumed_isocenter(distance),
            )  # fmt: skip
    except (ValueError, RuntimeError) as error:
        raise ReadError(f"{path.name}: the camera cannot be used: {error}") from error
    return carm, placed
