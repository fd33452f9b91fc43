"""A folder of one's own: ``sub-NAME`` folders of files that this program reads anyway.

::

    terms.txt                     optional: licence, in its second line whom to cite
    sub-01/ct.nii.gz              or any other volume called ct, or a folder ct of DICOM files
    sub-01/labels.nii.gz          optional, on the grid of the CT
    sub-01/landmarks.fcsv         optional; .mrk.json, .csv
    sub-01/xrays/NAME.dcm         or any other radiograph, with the sidecar that it needs
    sub-01/truth/NAME.json        optional: world from camera; .tfm, .txt
    sub-01/excluded.txt           optional: a radiograph's name, a colon and the reason, in each line
"""

from pathlib import Path

from napari_xreg.datasets.case import Case, CaseEntry, CaseView, DataSet, Terms
from napari_xreg.files import ReadError, read_text
from napari_xreg.images import (
    Landmark,
    of_one_picture,
    read_labels,
    read_landmarks,
    read_radiograph,
    read_volume,
    suffixes,
)
from napari_xreg.records import read_pose

_CT, _LABELS, _LANDMARKS = "ct", "labels", "landmarks"
_XRAYS, _TRUTH, _EXCLUDED, _TERMS = "xrays", "truth", "excluded.txt", "terms.txt"
_POSES = (".json", ".tfm", ".txt")
_UNSTATED = Terms("not stated: no terms.txt lies in the folder", "not stated")
_LABELLED, _WHOLE = "all labels", "the whole CT"


def is_one(path: Path) -> bool:
    """Whether a folder in it is called ``sub-`` something and holds radiographs."""
    return path.is_dir() and bool(_subjects(path))


def read(path: Path) -> DataSet:
    """The set."""
    entries = tuple(_entry(folder) for folder in _subjects(path))
    return DataSet(
        path.absolute().name,
        "folders sub-*",
        path,
        _terms(path / _TERMS),
        entries,
        lambda name: _case(path / name, next(e for e in entries if e.name == name)),
    )


def _subjects(path: Path) -> list[Path]:
    return sorted(each for each in path.glob("sub-*") if (each / _XRAYS).is_dir())


def _terms(file: Path) -> Terms:
    if not file.is_file():
        return _UNSTATED
    lines = [line.strip() for line in read_text(file).splitlines() if line.strip()]
    licence, citation = (*lines[:2], *("not stated",) * 2)[:2]
    return Terms(licence, citation)


def _entry(folder: Path) -> CaseEntry:
    views = tuple(_xrays(folder))
    return CaseEntry(folder.name, views, _exclusions(folder / _EXCLUDED, views))


def _xrays(folder: Path) -> dict[str, Path]:
    """Name -> file.

    Raises
    ------
    ReadError
        If two files have the same name before the ending.
    """
    found: dict[str, Path] = {}
    for file in sorted((folder / _XRAYS).iterdir()):
        if file.name.lower().endswith(of_one_picture()):
            if file.stem in found:
                raise ReadError(
                    f"{folder.name}: {found[file.stem].name} and {file.name} have one name: rename one"
                )
            found[file.stem] = file
    return found


def _exclusions(file: Path, views: tuple[str, ...]) -> dict[str, str]:
    if not file.is_file():
        return {}
    found = {}
    for line in filter(str.strip, read_text(file).splitlines()):
        name, colon, reason = (word.strip() for word in line.partition(":"))
        if name not in views or not colon or not reason:
            raise ReadError(
                f"{file.parent.name}/{file.name}: expected the name of a radiograph, a colon and the "
                f"reason, got {line!r}"
            )
        found[name] = reason
    return found


def _case(folder: Path, entry: CaseEntry) -> Case:
    ct = _one(folder, _CT, suffixes("volume", dicom=False))
    if ct is None:
        raise ReadError(
            f"{folder.name}: holds no CT: expected ct.nii.gz or another volume called ct"
        )
    volume = read_volume(ct)
    mapped = _one(folder, _LABELS, suffixes("volume", dicom=False))
    marks = _one(folder, _LANDMARKS, suffixes("landmarks"))
    try:
        labels = None if mapped is None else read_labels(mapped).onto(volume)
    except ReadError:
        raise
    except ValueError as error:
        raise ReadError(f"{mapped}: {error}") from error
    target = _WHOLE if labels is None else _LABELLED
    return Case(
        entry,
        volume,
        "Hounsfield units",
        target,
        lambda name: _view(folder, entry, name, target),
        labels,
        {} if labels is None else {target: tuple(labels.present())},
        () if marks is None else _placed(marks),
        tuple(file for file in (ct, mapped, marks) if file is not None),
    )


def _placed(file: Path) -> tuple[Landmark, ...]:
    return tuple(mark for mark in read_landmarks(file) if mark.position is not None)


def _one(folder: Path, called: str, endings: tuple[str, ...]) -> Path | None:
    """The one file of a name, whatever its ending, or a folder of that name."""
    found = [
        each
        for each in sorted(folder.iterdir())
        if each.name.lower() in {called, *(called + ending for ending in endings)}
    ]
    if len(found) > 1:
        names = ", ".join(each.name for each in found)
        raise ReadError(f"{folder.name}: expected one of {names}: which is meant?")
    return found[0] if found else None


def _view(folder: Path, entry: CaseEntry, name: str, target: str) -> CaseView:
    file = _xrays(folder)[name]
    radiograph = read_radiograph(file)
    truth = next(
        (f for ending in _POSES if (f := folder / _TRUTH / f"{name}{ending}").is_file()), None
    )
    return CaseView(
        name,
        radiograph,
        {} if truth is None else {target: read_pose(truth)},
        excluded=entry.exclusions.get(name, ""),
        files=(file, *([] if truth is None else [truth])),
    )
