"""One door for CT volumes and label maps in files: looks at what it is given and asks the right reader."""

from collections.abc import Mapping
from pathlib import Path

from napari_xreg.files import ReadError, check_file
from napari_xreg.images.dicom.series import is_dicom, read_dicom_series
from napari_xreg.images.formats.table import formats_in_words, named
from napari_xreg.images.intensity.value_scale import ValueScale
from napari_xreg.images.labels import LabelMap
from napari_xreg.images.stored_grid import StoredGrid, labels_from_grid, volume_from_grid
from napari_xreg.images.totalsegmentator import TOTALSEGMENTATOR_NAMES
from napari_xreg.images.volume import Volume


def read_volume(
    path: str | Path,
    *,
    series_uid: str | None = None,
    energy_kev: float = 70.0,
    values: ValueScale | str | None = None,
) -> Volume:
    """Read a CT.

    Parameters
    ----------
    path
        NIfTI (``.nii``, ``.nii.gz``, ``.hdr`` with ``.img``), NRRD (``.nrrd``, ``.nhdr``), MetaImage (``.mha``, ``.mhd``),
        HDF5 as of DeepFluoro (``.h5``, ``.hdf5``), a DICOM file, or a folder that holds a DICOM series.
    series_uid
        Which series, where a folder holds several; of HDF5, which group.
    energy_kev
        Effective energy of the X-ray that the attenuation is meant for, see `lac_from_hu`.
    values
        What the numbers mean, see `ValueScale`: ``"hu"``, or ``"linear AIR BONE"`` with the file's
        values of nothing and of cortical bone. It overrules the file. None: Hounsfield units, if the
        file says so or they look like it.

    Returns
    -------
    Volume
        In the order and orientation stored, placed in the patient (LPS, mm), with its HU.

    Raises
    ------
    ReadError
        If the file is missing, damaged, or does not say where its voxels lie. The message names the
        file and says what to do.
    UnknownValues
        If it is not said in which unit the values are, and they do not look like Hounsfield units.
    """
    file = Path(path)
    try:
        scale = ValueScale.parse(values) if isinstance(values, str) else values
    except ValueError as error:
        raise ReadError(f"{file}: {error}") from error
    grid = _read(file, series_uid)
    return volume_from_grid(file, grid, energy_kev=energy_kev, scale=scale)


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
        that TotalSegmentator writes, a segmentation of 3D Slicer); where it does not say, the
        classes of TotalSegmentator 2. Pass ``{}`` for labels of another origin.
    series_uid
        Of HDF5, which group.

    Raises
    ------
    ReadError
        As `read_volume`, and if a voxel is not a whole number.
    """
    file = Path(path)
    return labels_from_grid(file, _read(file, series_uid), names, TOTALSEGMENTATOR_NAMES)


def _read(path: Path, series_uid: str | None) -> StoredGrid:
    if path.is_dir():
        return read_dicom_series(path, series_uid=series_uid)
    check_file(path)
    found = named(path, "volume")
    if found is not None:
        grid: StoredGrid = (
            found.read(path, series=series_uid) if found.several else found.read(path)
        )
        return grid
    if is_dicom(path):
        return read_dicom_series(path, series_uid=series_uid)
    raise ReadError(
        f"{path}: unknown kind of file; expected {formats_in_words('volume')}, or a folder"
    )
