"""Every kind of file that is read: what it is called, how it is known, what reads it. One table.

The readers, the dialogs, drag and drop, the folders of trainings and napari's manifest (compared with it
by a test) take their endings from here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from napari_xreg.images.dicom.kind import DICOM_SUFFIXES, is_ct_file, is_xray_file
from napari_xreg.images.dicom.radiograph import read_dicom_image
from napari_xreg.images.dicom.series import read_dicom_series, series_files
from napari_xreg.images.formats.autoscoper import is_trial, read_trial
from napari_xreg.images.formats.film import FILMS
from napari_xreg.images.formats.hdf5 import read_hdf5
from napari_xreg.images.formats.landmark_files import read_landmarks
from napari_xreg.images.formats.meta_image import meta_image_files, read_meta_image
from napari_xreg.images.formats.nifti import is_nifti_pair, nifti_files, read_nifti
from napari_xreg.images.formats.nrrd import nrrd_files, read_nrrd
from napari_xreg.images.formats.raster import read_raster_image
from napari_xreg.images.formats.tiff_volume import read_tiff_volume

Kind = Literal["volume", "radiograph", "landmarks", "trial"]


@dataclass(frozen=True)
class Format:
    """One kind of file.

    Parameters
    ----------
    name
        For messages.
    kind
        What is in it: a volume is a CT or a label map, a trial names files that belong together.
    suffixes
        In lower case; a longer one may stand before a shorter.
    read
        Takes the path; gives a `StoredGrid`, a `StoredImage`, landmarks, a `TrialFile`.
    files
        All files that stand behind the one that was named.
    sniff
        Whether a file is one, by its contents; None: the name tells.
    shared
        Ours only where something says so (a sidecar, the user): other programs and napari itself
        read such files for many purposes.
    several
        `read` takes ``series``: which of several volumes of a file.
    asks
        The file does not say where its voxels lie: the reader takes `spacing` and `flip`.
    """

    name: str
    kind: Kind
    suffixes: tuple[str, ...]
    read: Callable[..., Any]
    files: Callable[[Path], tuple[Path, ...]] = lambda path: (path,)
    sniff: Callable[[Path], bool] | None = None
    shared: bool = False
    several: bool = False
    asks: bool = False

    def named(self, path: Path) -> bool:
        """Whether the file is called as those are."""
        return path.name.lower().endswith(self.suffixes)

    def fits(self, path: Path) -> bool:
        """Whether a file is one: by its contents where they tell, else by its name."""
        return self.named(path) if self.sniff is None else self.sniff(path)


FORMATS: list[Format] = [
    Format("NIfTI", "volume", (".nii", ".nii.gz"), read_nifti),
    Format("NIfTI pair", "volume", (".hdr", ".img"), read_nifti, nifti_files, is_nifti_pair),
    Format("NRRD", "volume", (".nrrd", ".nhdr"), read_nrrd, nrrd_files),
    Format("MetaImage", "volume", (".mha", ".mhd"), read_meta_image, meta_image_files),
    Format("HDF5", "volume", (".h5", ".hdf5"), read_hdf5, shared=True, several=True),
    Format("DICOM", "volume", DICOM_SUFFIXES, read_dicom_series, series_files, is_ct_file),
    Format("DICOM", "radiograph", DICOM_SUFFIXES, read_dicom_image, sniff=is_xray_file),
    Format("PNG", "radiograph", (".png",), read_raster_image, shared=True),
    Format("TIFF", "radiograph", (".tif", ".tiff"), read_raster_image, shared=True),
    Format("NPY", "radiograph", (".npy",), read_raster_image, shared=True),
    Format("NPZ", "radiograph", (".npz",), read_raster_image),
    Format("film", "radiograph", FILMS, read_raster_image, shared=True),
    Format("TIFF stack", "volume", (".tif", ".tiff"), read_tiff_volume, shared=True, asks=True),
    Format("3D Slicer", "landmarks", (".fcsv", ".mrk.json"), read_landmarks),
    Format("Autoscoper trial", "trial", (".cfg",), read_trial, sniff=is_trial),
    Format("CSV", "landmarks", (".csv",), read_landmarks, shared=True),
]


def named(path: Path, *kinds: Kind, dicom: bool = False) -> Format | None:
    """The format of one of the kinds that a file's name tells; DICOM, whose names vary, if asked."""
    for each in FORMATS:
        if each.kind in kinds and (dicom or each.name != "DICOM") and each.named(path):
            return each
    return None


def patterns(kind: Kind, *, dicom: bool = True) -> str:
    """The names of such files as dialogs want them: ``*.nii *.nii.gz ...``."""
    return " ".join(f"*{suffix}" for suffix in suffixes(kind, dicom=dicom))


def formats_in_words(kind: Kind) -> str:
    """Which formats there are, for messages: ``NIfTI (.nii, .nii.gz), ...``."""
    found = (each for each in FORMATS if each.kind == kind)
    return ", ".join(f"{each.name} ({', '.join(each.suffixes)})" for each in found)


def suffixes(kind: Kind, *, dicom: bool = True) -> tuple[str, ...]:
    """The endings of all formats of a kind, in lower case; without DICOM those that say enough alone."""
    found = (
        each
        for each in FORMATS
        if each.kind == kind and (dicom or not (each.name == "DICOM" or each.asks))
    )
    return tuple(suffix for each in found for suffix in each.suffixes)
