"""A CT as a folder of DICOM files: which files belong together, in which order, and where."""

import os
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from napari_xreg.files import ReadError, check_file
from napari_xreg.images.dicom.ct import Header, Plane, hounsfield, planes_of, read_header
from napari_xreg.images.dicom.kind import DICOM_SUFFIXES
from napari_xreg.images.errors import SeveralSeries
from napari_xreg.images.stored_grid import StoredGrid, check_place, check_size

# Of the elements that can be the first of a file.
_EARLY_REPRESENTATIONS = (b"UL", b"OB", b"UI", b"CS", b"DA", b"TM", b"LO", b"SH")
# Closer than this two slices lie at the same position, mm.
_SAME_PLACE = 1e-3
# Positions are often rounded to 0.1 mm; a slice may lie this far from an even row of slices, mm.
_UNEVEN = 0.1


def is_dicom(path: Path) -> bool:
    """Whether the file carries the mark of DICOM files, ``DICM`` after 128 bytes, or begins as one.

    Some systems write a file without the mark: it begins with an element of group 2 or 8.
    """
    with path.open("rb") as file:
        start = file.read(132)
    if start[128:] == b"DICM":
        return True
    if start[:2] not in (b"\x02\0", b"\x08\0") or len(start) < 132:
        return False
    # Element number, then a value representation, or a length of four bytes.
    element, length = int.from_bytes(start[2:4], "little"), int.from_bytes(start[4:8], "little")
    return element <= 0x70 and (start[4:6] in _EARLY_REPRESENTATIONS or length <= 512)


def read_dicom_series(path: Path, *, series_uid: str | None = None) -> StoredGrid:
    """One CT series in Hounsfield units, sorted by position.

    Slices are sorted along the normal of their plane, never by file name or instance number; their
    positions give the third axis of the affine, so a tilted gantry shears the grid. Copies of a
    slice are dropped, localizers (scouts), DICOMDIR and files that are not DICOM are passed over.
    What is damaged or does not say where it belongs is passed over too, with a note; where slices
    are missing in between it is named. Padding outside the field of view becomes air.

    Parameters
    ----------
    path
        A folder, searched with its subfolders, one file of the series, or a DICOMDIR.
    series_uid
        SeriesInstanceUID, needed where the folder holds several CT series.

    Raises
    ------
    ReadError
        If there is no CT, there are several and none was named, or slices are missing, unevenly
        spaced, doubled with other contents, or do not say where they lie.
    """
    folder = path if path.is_dir() else path.parent
    if not path.is_dir():
        header = read_header(path)
        if not header.is_ct and not header.is_directory:
            raise ReadError(
                f"{path}: expected a CT, got {header.kind}: choose a file of the CT series"
            )
        series_uid = series_uid or header.series_uid
        if header.is_ct and header.series_uid is None:
            raise ReadError(
                f"{path}: SeriesInstanceUID (0020,000E) is missing, so nobody can say which slices "
                "belong together: export the series again with it"
            )
    headers, passed = _ct_headers(folder)
    series = _choose(folder, headers, series_uid)
    planes = _planes(series, passed)
    first = planes[0]
    _check_alike(folder, planes)
    check_size(folder, (first.columns, first.rows, len(planes)), 4)
    planes = _sorted(folder, planes, passed)
    world_from_index = _world_from_index(folder, planes)
    files = tuple(dict.fromkeys(plane.file for plane in planes))
    notes: tuple[str, ...] = ()
    if passed:
        notes = (f"passed over {_listed(passed)}: a slice at an end of the CT may be lost",)
    units = sorted({plane.unit for plane in planes})
    return StoredGrid(
        hounsfield(planes), world_from_index, {}, files, unit=" and ".join(units), notes=notes
    )


def series_files(path: Path) -> tuple[Path, ...]:
    """The files of the series that a file is of, by name; only itself if it is no CT.

    A DICOMDIR is of all series in its folder.

    Raises
    ------
    ReadError
        If the file is damaged.
    """
    header = read_header(path)
    if not header.is_ct and not header.is_directory:
        return (path,)
    headers, _ = _ct_headers(path.parent)
    found = {h.file for h in headers if header.is_directory or h.series_uid == header.series_uid}
    return tuple(sorted(found | {path}))


def _planes(series: list[Header], passed: list[str]) -> list[Plane]:
    """The slices that say where they are; the others join what is passed over."""
    planes: list[Plane] = []
    first: ReadError | None = None
    for header in series:
        try:
            planes += planes_of(header)
        except ReadError as error:
            first = first or error
            passed.append(str(error))
    if first is not None and len(planes) < 2:
        raise first
    return planes


def _listed(passed: list[str]) -> str:
    more = f" and {len(passed) - 3} more" if len(passed) > 3 else ""
    return "; ".join(passed[:3]) + more


def _ct_headers(folder: Path) -> tuple[list[Header], list[str]]:
    """Headers of the CT images in the folder, localizers left out; and what could not be read."""
    headers: list[Header] = []
    passed: list[str] = []
    others: dict[str, int] = {}
    strangers = 0
    for file in _files(folder):
        if file.name.upper() == "DICOMDIR":
            continue
        try:
            check_file(file)
            header = read_header(file) if is_dicom(file) else None
        except (ReadError, OSError) as error:
            # Of a text or a picture that cannot be read nobody wants to know.
            if file.suffix.lower() in ("", *DICOM_SUFFIXES):
                passed.append(str(error))
            strangers += 1
            continue
        if header is None:
            strangers += 1
        elif header.is_ct and not header.is_localizer:
            if header.series_uid is None:
                passed.append(f"{file}: SeriesInstanceUID (0020,000E) is missing")
            else:
                headers.append(header)
        elif not header.is_directory:
            kind = f"{header.kind} (localizer)" if header.is_localizer else header.kind
            others[kind] = others.get(kind, 0) + 1
    if not headers:
        found = [f"{count} x {kind}" for kind, count in others.items()]
        if strangers:
            found.append(f"{strangers} files that are not DICOM or cannot be read")
        found += passed[:3]
        raise ReadError(
            f"{folder}: expected the slices of a CT series, found {', '.join(found) or 'no files'}: "
            "choose the folder that holds the CT"
        )
    return headers, passed


def _files(folder: Path) -> Iterable[Path]:
    for root, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if not name.startswith("."):
                yield Path(root) / name


def _choose(folder: Path, headers: list[Header], series_uid: str | None) -> list[Header]:
    series: dict[str, list[Header]] = {}
    for header in headers:
        series.setdefault(str(header.series_uid), []).append(header)
    if series_uid is None and len(series) == 1:
        return headers
    if series_uid in series:
        return series[series_uid]
    about = {
        uid: f"{len(members)} files, {members[0].description or 'no description'}"
        for uid, members in series.items()
    }
    listing = "; ".join(f"{uid} ({words})" for uid, words in about.items())
    if series_uid is None:
        raise SeveralSeries(
            f"{folder}: {len(series)} CT series in one folder, name one by series_uid: {listing}",
            about,
        )
    raise ReadError(f"{folder}: no CT series {series_uid}; the folder holds {listing}")


def _check_alike(folder: Path, planes: list[Plane]) -> None:
    """All slices of a grid have the same size, spacing and orientation."""
    first = planes[0]
    for plane in planes[1:]:
        for what, unit, this, that in (
            ("Rows and Columns", "", (plane.rows, plane.columns), (first.rows, first.columns)),
            ("PixelSpacing", " mm", plane.spacing, first.spacing),
            ("ImageOrientationPatient", "", tuple(plane.axes.flat), tuple(first.axes.flat)),
        ):
            if not np.allclose(this, that, rtol=1e-4, atol=1e-4):
                raise ReadError(
                    f"{folder}: the slices of a series must be alike in {what}: {first.name} has "
                    f"{_numbers(that)}{unit}, {plane.name} has {_numbers(this)}{unit}; keep the "
                    "slices of one scan in the folder"
                )


def _numbers(values: Iterable[float]) -> str:
    return "\\".join(f"{value:g}" for value in values)


def _sorted(folder: Path, planes: list[Plane], passed: list[str]) -> list[Plane]:
    """Slices by position along their normal, copies dropped, evenly spaced or refused."""
    if len(planes) < 2:
        raise ReadError(
            f"{folder}: the series has a single slice ({planes[0].name}); registration needs the "
            "whole CT: choose the folder with all slices"
        )
    normal = np.cross(*planes[0].axes)
    planes = sorted(planes, key=lambda plane: float(plane.position @ normal))
    kept = [planes[0]]
    for plane in planes[1:]:
        if np.linalg.norm(plane.position - kept[-1].position) > _SAME_PLACE:
            kept.append(plane)
        elif not np.array_equal(hounsfield([plane]), hounsfield([kept[-1]])):
            raise ReadError(
                f"{folder}: {kept[-1].name} and {plane.name} lie at the same position with "
                "different contents: the series holds several scans or reconstructions, keep one "
                "of them in the folder"
            )
    if len(kept) < 2:
        raise ReadError(f"{folder}: all slices of the series lie at the same position")
    _check_even(folder, kept, normal, passed)
    return kept


def _check_even(
    folder: Path, planes: list[Plane], normal: NDArray[np.float64], passed: list[str]
) -> None:
    positions = np.stack([plane.position for plane in planes])
    gaps = np.diff(positions @ normal)
    usual = float(np.median(gaps))
    wide = [
        f"{before.name} and {after.name} ({gap:.4g} mm)"
        for (before, after), gap in zip(pairwise(planes), gaps, strict=True)
        if gap > 1.5 * usual
    ]
    if wide:
        more = f" and {len(wide) - 3} more" if len(wide) > 3 else ""
        lost = f" Not read: {_listed(passed)}." if passed else ""
        raise ReadError(
            f"{folder}: slices are missing between {', '.join(wide[:3])}{more}; the others are "
            f"{usual:.4g} mm apart: copy the series again, complete.{lost}"
        )
    even = np.linspace(positions[0], positions[-1], len(planes))
    off = float(np.linalg.norm(positions - even, axis=1).max())
    if off > min(_UNEVEN, usual / 5):
        raise ReadError(
            f"{folder}: slices are {gaps.min():.4g} to {gaps.max():.4g} mm apart and up to "
            f"{off:.2g} mm off an even row: resample the series to even slices first"
        )


def _world_from_index(folder: Path, planes: list[Plane]) -> Float[Tensor, "4 4"]:
    """DICOM PS3.3 C.7.6.2.1.1, with the third column from the positions of the outer slices."""
    first, last = planes[0], planes[-1]
    row_spacing, column_spacing = first.spacing
    matrix = np.eye(4)
    # ImageOrientationPatient lists the direction in which the column index grows first.
    matrix[:3, 0] = first.axes[0] * column_spacing
    matrix[:3, 1] = first.axes[1] * row_spacing
    matrix[:3, 2] = (last.position - first.position) / (len(planes) - 1)
    matrix[:3, 3] = first.position
    world_from_index = torch.from_numpy(matrix)
    check_place(folder, world_from_index)
    return world_from_index
