"""What a CT or a radiograph is called: by its DICOM header, else by its file."""

import re
from collections.abc import Iterable
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

from napari_xreg.images.dicom.ct import VOLUME_CLASSES
from napari_xreg.images.dicom.kind import is_ct_file
from napari_xreg.images.formats.table import named

_TAGS = [
    *("PatientName", "SeriesDescription", "StudyDescription", "SeriesDate", "StudyDate"),
    *("SOPClassUID", "SeriesInstanceUID"),
]
_NOBODY = re.compile(r"\W*(anon|unknown|de-?identified|no ?name|none$|$)", re.IGNORECASE)
_NO_NAME = re.compile(r"[\d.]+|ct|series", re.IGNORECASE)
_ENDING = re.compile(r"(\.nii\.gz|\.mrk\.json|\.(?!\d+$)[^.]*)$", re.IGNORECASE)
# Not what is all digits: the last part of a UID, as which DICOM files are often called.


def image_title(path: str | Path, *, series_uid: str | None = None) -> str:
    """Patient, description and date, as far as a DICOM header has them; else the file's name.

    An anonymous radiograph is called as its file; an anonymous slice of a CT, whose file has the
    name of one slice, by description and date. Reads one header and never fails.

    Parameters
    ----------
    path
        A file, or the folder of a CT.
    series_uid
        Which series of the folder.
    """
    path = Path(path)
    return _told(path, series_uid) or file_title(path)


def file_title(path: str | Path) -> str:
    """A file's name without its ending; with its folder where the name alone says nothing.

    Half of all CTs are called ct.nii.gz, and frames of every camera 0001.tif.
    """
    path = Path(path)
    stem = path.name if path.is_dir() else _ENDING.sub("", path.name) or path.name
    return f"{path.absolute().parent.name}/{stem}" if _NO_NAME.fullmatch(stem) else stem


def _told(path: Path, series_uid: str | None) -> str:
    header = _header(path, series_uid)
    if header is None:
        return ""
    try:
        # Of a name in several scripts the first is alphabetic.
        patient = " ".join(str(header.get("PatientName") or "").split("=")[0].split("^"))
        what = str(header.get("SeriesDescription") or header.get("StudyDescription") or "")
        date = str(header.get("SeriesDate") or header.get("StudyDate") or "")
    except Exception:  # a damaged header: whatever is wrong with it, the reader says
        return ""
    patient, what = ("" if _NOBODY.match(p) else " ".join(p.split()) for p in (patient, what))
    if not patient and (not what or header.get("SOPClassUID") not in VOLUME_CLASSES):
        return ""
    if len(date) == 8:
        date = f"{date[:4]}-{date[4:6]}-{date[6:]}"
    return ", ".join(filter(None, (patient, what, date)))


def _header(path: Path, series_uid: str | None) -> Dataset | None:
    """Of a file, or of the first slice of a CT in a folder; None where there is none."""
    files: Iterable[Path] = [path]
    if path.is_dir():
        files = (file for file in sorted(path.rglob("*")) if is_ct_file(file))
    elif named(path, "volume") is not None:
        return None
    for file in files:
        try:
            header = dcmread(file, specific_tags=_TAGS, stop_before_pixels=True)
            if series_uid is None or str(header.get("SeriesInstanceUID")) == series_uid:
                return header
        except Exception:  # a damaged file makes pydicom raise almost anything
            continue
    return None
