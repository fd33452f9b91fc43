"""What the ids of a label map are called: as its file says, a file beside it, or TotalSegmentator's classes.

Whoever drew label 1 themselves must not read "spleen": the classes are taken only where something says
that the map is TotalSegmentator's.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from napari_xreg.images.errors import ReadError
from napari_xreg.images.formats.label_table import SUFFIXES, has_letter, read_label_names
from napari_xreg.images.totalsegmentator import TOTALSEGMENTATOR_NAMES

TOTALSEGMENTATOR = "totalsegmentator"
"""In place of a file of names: the classes of TotalSegmentator 2."""
_IN_NAMES = "totalseg"
# Schemes by hand, and of vertebrae (VerSe, 1 to 28), use smaller numbers than this.
_SMALL = 28
_MANY = 100  # ids that nobody draws by hand
_FEW = 10  # fewer may be anybody's: they have to be of both sides
_VERTEBRAE = [i for i, name in TOTALSEGMENTATOR_NAMES.items() if name.startswith("vertebrae_")]
"""S1 to C1, in order."""


def label_names(
    path: Path, in_file: Mapping[int, str], present: Collection[int]
) -> tuple[dict[int, str], str]:
    """Names of the ids that occur, and where they come from, in words; none where nobody says any.

    Parameters
    ----------
    path
        Of the label map.
    in_file
        What it says itself.
    present
        Ids that occur, with or without 0.
    """
    beside = {} if in_file else _beside(path, present)
    if in_file:
        names, origin = in_file, "the file"
    elif beside:
        (file, names), *_ = beside.items()
        origin = file
    elif any(_IN_NAMES in part.lower() for part in path.absolute().parts[-2:]):
        names, origin = TOTALSEGMENTATOR_NAMES, "TotalSegmentator's classes, as the file is called"
    elif _numbered_alike(present):
        names, origin = (
            TOTALSEGMENTATOR_NAMES,
            "TotalSegmentator's classes, as it is numbered alike",
        )
    else:
        names, origin = {}, ""
    # A name that is a number would be taken for an id.
    found = {i: names[i] for i in sorted(present) if i in names and has_letter(names[i])}
    return found, origin if found else ""


def said_names(said: Path | str) -> Mapping[int, str]:
    """The names that a user says: a file of `read_label_names`, or the word "totalsegmentator".

    Raises
    ------
    ReadError
        As `read_label_names`.
    """
    if str(said).lower() == TOTALSEGMENTATOR:
        return TOTALSEGMENTATOR_NAMES
    return read_label_names(said)


def _beside(path: Path, present: Collection[int]) -> dict[str, dict[int, str]]:
    """The first file called as the label map that names one of its ids, by its name."""
    stem = path.name[:-3] if path.name.lower().endswith(".gz") else path.name
    for suffix in SUFFIXES:
        file = path.with_name(stem).with_suffix(suffix)
        try:
            # Whatever else is called so is not meant.
            names = read_label_names(file) if file.is_file() else {}
        except ReadError:
            continue
        if any(i in present for i in names):
            return {file.name: names}
    return {}


def _numbered_alike(present: Collection[int]) -> bool:
    """Whether ids are such as TotalSegmentator leaves: nearly all its own, with gaps, not only small ones.

    A person counts 1, 2, 3 or 10, 20, 30, and one label may be anything. What the ids would mean has to be
    found together in a patient: FreeSurfer's, which are nearly all below 100 too, would be L4 and L2 without L3.
    """
    ids = sorted(i for i in present if i)
    classes = sum(i in TOTALSEGMENTATOR_NAMES for i in ids)
    if not ids or 10 * (len(ids) - classes) > len(ids) or ids[-1] <= _SMALL:
        return False
    counted = ids == [ids[0] * number for number in range(1, len(ids) + 1)]
    return (len(ids) >= _MANY or not counted) and _of_one_patient(ids)


def _of_one_patient(ids: Sequence[int]) -> bool:
    """Whether at most one vertebra is left out between others and, of few classes, both sides are there."""
    spine = [i for i in _VERTEBRAE if i in ids]
    if spine and spine[-1] - spine[0] - len(spine) + 1 > 1:
        return False
    if len(ids) >= _FEW:
        return True
    names = {TOTALSEGMENTATOR_NAMES.get(i, "") for i in ids}
    sided = {name for name in names if "left" in name or "right" in name}
    return bool(sided) and all(_other_side(name) in names for name in sided)


def _other_side(name: str) -> str:
    if "left" in name:
        return name.replace("left", "right")
    return name.replace("right", "left")
