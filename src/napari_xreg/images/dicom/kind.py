"""What a DICOM file holds, by a short look at its header: a slice of a CT, or another image."""

from pathlib import Path
from typing import Literal

from pydicom import dcmread

from napari_xreg.images.dicom.ct import VOLUME_CLASSES

DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
"""Many DICOM files have none."""


def is_ct_file(path: Path) -> bool:
    """Whether it is a slice (or all) of a CT; never fails."""
    return _kind(path) == "ct"


def is_xray_file(path: Path) -> bool:
    """Whether it is any other image, or at least is called as DICOM files are; never fails."""
    return _kind(path) == "xray"


def _kind(path: Path) -> Literal["ct", "xray"] | None:
    try:
        with path.open("rb") as stream:
            marked = stream.read(132)[128:] == b"DICM"
        if not marked:
            return "xray" if path.suffix.lower() in DICOM_SUFFIXES else None
        header = dcmread(path, specific_tags=["SOPClassUID", "Rows"], stop_before_pixels=True)
        kind = str(header.get("SOPClassUID") or "")
    except Exception:  # a damaged file makes pydicom raise almost anything
        return None
    if kind in VOLUME_CLASSES:
        return "ct"
    return "xray" if "Rows" in header else None
