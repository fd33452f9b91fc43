"""One door for CT volumes and label maps in files: looks at what it is given and asks the right reader."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_xreg.files import ReadError, check_file, is_number
from napari_xreg.images.dicom.series import is_dicom, read_dicom_series
from napari_xreg.images.formats.table import formats_in_words, named
from napari_xreg.images.intensity.attenuation import CT_ENERGY_KEV
from napari_xreg.images.intensity.value_scale import ValueScale
from napari_xreg.images.labels import LabelMap
from napari_xreg.images.stored_grid import StoredGrid, labels_from_grid, volume_from_grid
from napari_xreg.images.volume import Volume


def read_volume(
    path: str | Path,
    *,
    series_uid: str | None = None,
    energy_kev: float = 70.0,
    values: ValueScale | str | None = None,
    spacing: tuple[float, float, float] | None = None,
    flip: tuple[int, int, int] | None = None,
    ct_energy_kev: float = CT_ENERGY_KEV,
) -> Volume:
    """Read a CT.

    Parameters
    ----------
    path
        NIfTI (``.nii``, ``.nii.gz``, ``.hdr`` with ``.img``), NRRD (``.nrrd``, ``.nhdr``), MetaImage (``.mha``, ``.mhd``),
        HDF5 as of DeepFluoro (``.h5``, ``.hdf5``), a stack of slices in one TIFF file, a DICOM file, or
        a folder that holds a DICOM series.
    series_uid
        Which series, where a folder holds several; of HDF5, which group.
    energy_kev
        Effective energy of the X-ray that the attenuation is meant for, see `lac_from_hu`.
    values
        What the numbers mean, see `ValueScale`: ``"hu"``, ``"hu SLOPE INTERCEPT"`` where HU is slope
        times value plus intercept, or ``"linear AIR BONE"`` with the file's values of nothing and of
        cortical bone. It overrules the file. None: Hounsfield units, if the file says so or they look
        like it.
    spacing, flip
        Of a TIFF stack, which says neither where its voxels lie nor, mostly, how far apart: see
        `read_tiff_volume`.
    ct_energy_kev
        Effective energy of the CT, which says what its Hounsfield units mean for bone.

    Returns
    -------
    Volume
        In the order and orientation stored, placed in the patient (LPS, mm), with its HU.

    Raises
    ------
    ReadError
        If the file is missing, damaged, or does not say where its voxels lie. The message names the
        file and says what to do.
    UnknownSpacing
        If it is not said how far apart the voxels are.
    UnknownValues
        If it is not said in which unit the values are, and they do not look like Hounsfield units.
    """
    file = Path(path)
    try:
        scale = ValueScale.parse(values) if isinstance(values, str) else values
    except ValueError as error:
        raise ReadError(f"{file}: {error}") from error
    grid = _read(file, series_uid, spacing, flip)
    return volume_from_grid(
        file, grid, energy_kev=energy_kev, scale=scale, ct_energy_kev=ct_energy_kev
    )


def read_labels(
    path: str | Path,
    *,
    names: Mapping[int, str] | None = None,
    series_uid: str | None = None,
) -> LabelMap:
    """Read a label map: NIfTI, NRRD, MetaImage or HDF5 with a whole number per voxel, 0 = background.

    Parameters
    ----------
    path
        The file.
    names
        What the ids mean; kept for the ids that occur. By default as the file says (the label table
        that TotalSegmentator writes, a segmentation of 3D Slicer), else as a file beside it says
        that is called alike (see `read_label_names`), else the classes of TotalSegmentator 2 where
        the name of file or folder, or the ids, say that it is one of that.
    series_uid
        Of HDF5, which group.

    Raises
    ------
    ReadError
        As `read_volume`, and if a voxel is not a whole number.
    """
    file = Path(path)
    return labels_from_grid(file, _read(file, series_uid), names)


def _read(
    path: Path,
    series_uid: str | None,
    spacing: tuple[float, float, float] | None = None,
    flip: tuple[int, int, int] | None = None,
) -> StoredGrid:
    place: dict[str, Any] = {}
    if spacing is not None:
        place["spacing"] = _positive(path, spacing)
    if flip is not None:
        place["flip"] = flip
    found = None if path.is_dir() else named(path, "volume")
    if place and not (found is not None and found.asks):
        raise ReadError(f"{path}: its header says where its voxels lie: leave the spacing out")
    if path.is_dir():
        return read_dicom_series(path, series_uid=series_uid)
    check_file(path)
    if found is not None:
        options = place | ({"series": series_uid} if found.several else {})
        grid: StoredGrid = found.read(path, **options)
        return grid
    if is_dicom(path):
        return read_dicom_series(path, series_uid=series_uid)
    raise ReadError(
        f"{path}: unknown kind of file; expected {formats_in_words('volume')}, or a folder"
    )


def _positive(path: Path, spacing: tuple[float, float, float]) -> tuple[float, float, float]:
    if len(spacing) != 3 or not all(is_number(v) and 0 < v < math.inf for v in spacing):
        raise ReadError(
            f"{path}: the spacing of voxels is three numbers above 0, in mm: got {spacing}"
        )
    x, y, z = map(float, spacing)
    return x, y, z
