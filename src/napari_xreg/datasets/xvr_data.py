"""xvr-data: folders of subjects, each a NIfTI with fiducials and DICOM files with their poses (``.pt``).

Gopalakrishnan et al.'s conversion of DeepFluoro, of the Ljubljana vessels and of a femur study. A path may
be the whole of it, one of its three sets, or one subject.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import torch

from napari_xreg.datasets.case import Case, CaseEntry, DataSet, Terms
from napari_xreg.datasets.pose_file import centred_points
from napari_xreg.datasets.xvr_view import XRAYS, Subject, read_view
from napari_xreg.files import ReadError
from napari_xreg.images import LabelMap, Landmark, UnknownValues, Volume, read_labels, read_volume

_XVR = (
    "V. Gopalakrishnan, N. Dey et al., Rapid patient-specific neural networks for intraoperative X-ray to "
    "volume registration (xvr), whose conversion this is"
)
_TERMS = {
    "deepfluoro": Terms(
        "CC BY-NC 4.0 (DeepFluoro): not for commercial use",
        f"R. Grupp et al., Int. J. CARS 15, 759-769 (2020); {_XVR}",
    ),
    "ljubljana": Terms(
        "CC BY-NC-ND 4.0 (Ljubljana): not for commercial use, and nothing made from it may be passed on",
        f"U. Mitrovic et al., 3D-2D registration of cerebral angiograms, IEEE Trans. Med. Imaging 32 (2013); {_XVR}",
    ),
    "femur": Terms(
        "as its owners state it: Zenodo, record 15753063",
        f"R. Flepp et al., IPCAI 2025, arXiv:2506.13292; {_XVR}",
    ),
}
_UNKNOWN = Terms("not stated: see the card of the data set eigenvivek/xvr-data", _XVR)
_NAMES = {
    1: "left hemipelvis", 2: "right hemipelvis", 3: "vertebrae", 4: "upper sacrum",
    5: "left femur", 6: "right femur", 7: "lower sacrum",
}  # fmt: skip
_STRUCTURES: Mapping[str, Mapping[str, tuple[int, ...]]] = {
    "deepfluoro": {"pelvis": (1, 2, 3, 4, 7), "left femur": (5,), "right femur": (6,)},
    "femur": {"femur": (1, 2, 3, 4)},
}
_TARGETS = {"deepfluoro": "pelvis", "femur": "femur", "ljubljana": "vessels"}
_DOUBTED = (
    "its published pose is in doubt (DeepFluoroLabeling, issue 8; xvr's evaluation leaves it out)"
)
_MAXIMUM = "the maximum over time of another radiograph; xvr's evaluation leaves it out"
_EXCLUSIONS = {
    ("subject01", "003"): _DOUBTED,
    ("subject01", "050"): _DOUBTED,
    ("subject04", "002"): _DOUBTED,
    ("subject04", "004"): _DOUBTED,
}
_VOLUME, _MASKS = "volume.nii.gz", ("mask.nii.gz", "mask_all.nii.gz")


def is_one(path: Path) -> bool:
    """Whether some folder of it is a subject."""
    return path.is_dir() and next(_subjects(path), None) is not None


def read(path: Path) -> DataSet:
    """The set."""
    entries, subjects, notes = [], {}, []
    for folder in _subjects(path):
        name = folder.relative_to(path).as_posix() if folder != path else folder.absolute().name
        kind = folder.absolute().parent.name.lower()
        views, without = _views(folder)
        if without:
            notes.append(f"{name}: no pose file (.pt) lies beside {', '.join(without)}: left out")
        entries.append(CaseEntry(name, views, _exclusions(kind, folder.absolute().name, views)))
        subjects[name] = Subject(folder, kind)
    kinds = sorted({subject.kind for subject in subjects.values()})
    terms = [_TERMS.get(kind, _UNKNOWN) for kind in kinds]
    by_name = {entry.name: entry for entry in entries}
    return DataSet(
        f"xvr-data: {', '.join(kinds)}",
        "NIfTI, DICOM and .pt in a folder for each subject",
        path,
        Terms(
            "; ".join(dict.fromkeys(each.licence for each in terms)),
            "; ".join(dict.fromkeys(each.citation for each in terms)),
        ),
        tuple(entries),
        lambda name: _case(subjects[name], by_name[name]),
        tuple(notes),
    )


def _subjects(path: Path) -> Iterator[Path]:
    """The folder itself, those in it, or those in the folders in it that are subjects."""
    for pattern in (".", "*", "*/*"):
        found = [
            each
            for each in sorted(path.glob(pattern) if pattern != "." else [path])
            if (each / _VOLUME).is_file() and (each / XRAYS).is_dir()
        ]
        if found:
            yield from found
            return


def _views(folder: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the radiographs with and without a pose beside them."""
    names = sorted(file.stem for file in (folder / XRAYS).glob("*.dcm"))
    posed = {file.stem for file in (folder / XRAYS).glob("*.pt")}
    return tuple(n for n in names if n in posed), tuple(n for n in names if n not in posed)


def _exclusions(kind: str, subject: str, views: tuple[str, ...]) -> dict[str, str]:
    if kind == "deepfluoro":
        return {v: _EXCLUSIONS[subject, v] for v in views if (subject, v) in _EXCLUSIONS}
    return {v: _MAXIMUM for v in views if kind == "ljubljana" and v.endswith("_max")}


def _case(subject: Subject, entry: CaseEntry) -> Case:
    volume, numbers = _volume(subject.folder / _VOLUME)
    mask = next((f for name in _MASKS if (f := subject.folder / name).is_file()), None)
    labels = None if mask is None else _labels(subject, mask, volume)
    present = set() if labels is None else set(labels.present())
    structures = {
        name: found
        for name, ids in _STRUCTURES.get(subject.kind, {}).items()
        if (found := tuple(i for i in ids if i in present))
    }
    points = subject.folder / "fiducials.pt"
    landmarks = _fiducials(points, volume) if points.is_file() else ()
    target = _TARGETS.get(subject.kind, "the whole CT")
    return Case(
        entry,
        volume,
        numbers,
        target,
        lambda name: read_view(subject, entry, name, volume.center.double(), landmarks, target),
        labels,
        structures,
        landmarks,
        tuple(file for file in (subject.folder / _VOLUME, mask) if file is not None),
        "as read" if target == "vessels" else "auto",
    )


def _volume(file: Path) -> tuple[Volume, str]:
    """Hounsfield units; a rotational angiography has numbers in no unit, 0 where nothing is."""
    try:
        return read_volume(file), "Hounsfield units"
    except UnknownValues as unknown:
        if unknown.lowest < 0:
            raise
        values = f"linear 0 {unknown.highest:.17g}"
        said = f"no unit: 0 was taken for nothing, {unknown.highest:g} for the densest"
        return read_volume(file, values=values), said


def _labels(subject: Subject, file: Path, volume: Volume) -> LabelMap:
    names = _NAMES if subject.kind == "deepfluoro" else {}
    try:
        return read_labels(file, names=names).onto(volume)
    except ReadError:
        raise
    except ValueError as error:
        raise ReadError(f"{file}: {error}") from error


def _fiducials(file: Path, volume: Volume) -> tuple[Landmark, ...]:
    """Stored in RAS mm from the middle of the CT."""
    points = volume.center.double() + centred_points(file) * torch.tensor([-1.0, -1.0, 1.0])
    return tuple(
        Landmark(f"fiducial {number}", position=(x, y, z))
        for number, (x, y, z) in enumerate(points.tolist(), start=1)
    )
