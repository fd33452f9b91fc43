"""What the ids of a label map mean, from a file beside it.

ITK-SNAP's label descriptions, colour tables of 3D Slicer and FreeSurfer, tables with a line of column
names (BIDS, spreadsheets), JSON (nnU-Net's ``labels``, or ids and names), and lines like ``1 radius``.
"""

import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from napari_xreg.files import ReadError, json_of_text, read_text

SUFFIXES = (".label", ".ctbl", ".tsv", ".txt", ".json", ".csv")
"""Endings that such a file has beside its label map, the surest first."""
_LIMIT = 4 * 2**20
_ID_COLUMNS = ("index", "id", "value", "labelvalue", "idx", "label")
_NAME_COLUMNS = ("name", "structure", "labelname", "label")
_LARGEST = 2**31 - 1
_SHORT = 60  # letters of a line in a message
# Red, green, blue, opacity after the name: 3D Slicer, FreeSurfer.
_COLOUR = re.compile(r"(\s+\d+){4}$", re.ASCII)
# Red, green, blue, opacity, visibility, mesh before it: ITK-SNAP.
_ITK_SNAP = re.compile(r"(?:[\d.]+\s+){6}\"(.*)\"$", re.ASCII)
_WORDS = re.compile(r"[\s,;]+")
_NUMBER = re.compile(r"[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|nan|inf)$", re.ASCII | re.IGNORECASE)
_LINE = re.compile(r"(\d{1,10})(?:\s*[,;:=]\s*|\s+)(\S.*)$", re.ASCII)


def read_label_names(path: Path | str) -> dict[int, str]:
    """Names of the ids of a label map; 0 is the background and has none.

    Parameters
    ----------
    path
        A label description of ITK-SNAP, a colour table of 3D Slicer or FreeSurfer, a table (comma,
        semicolon or tab) with columns such as ``index`` and ``name``, JSON (``{"1": "radius"}``,
        ``{"radius": 1}``, either also as ``labels`` of a larger object), or lines ``1 radius``.

    Raises
    ------
    ReadError
        If it is absent, a line is none of these, an id is named twice, or a name has no letter: it would be
        taken for an id, and three numbers are a point.
    """
    path = Path(path)
    text = read_text(path, limit=_LIMIT, legacy=True)
    if text.lstrip()[:1] in ("{", "["):
        pairs = list(_of_json(path, json_of_text(text, path.name)))
    else:
        pairs = list(_of_lines(path, text))
    names: dict[int, str] = {}
    for number, name in pairs:
        name = " ".join(name.split())
        if not 0 <= number <= _LARGEST:
            raise ReadError(f"{path.name}: a label is a whole number from 0: got {number}")
        if number in names and names[number] != name:
            raise ReadError(f"{path.name}: label {number} is named twice")
        names[number] = name
    names = {number: name for number, name in names.items() if number and name}
    for number, name in names.items():
        if not has_letter(name):
            raise ReadError(
                f"{path.name}: a name has letters: got {name[:_SHORT]!r} of label {number}"
            )
    if not names:
        raise ReadError(f"{path.name}: names no label: expected lines such as '1 radius'")
    return names


def has_letter(name: str) -> bool:
    """Whether there is a word that is no number."""
    return any(
        any(map(str.isalpha, word)) and not _NUMBER.match(word) for word in _WORDS.split(name)
    )


def _of_json(path: Path, value: Any) -> Iterator[tuple[int, str]]:
    if isinstance(value, dict) and isinstance(value.get("labels"), dict):
        value = value["labels"]
    if not isinstance(value, dict):
        raise ReadError(f'{path.name}: expected an object such as {{"1": "radius"}}')
    for key, entry in value.items():
        if isinstance(entry, int) and not isinstance(entry, bool):
            yield entry, key
        elif key.isascii() and key.isdecimal() and len(key) <= 10 and isinstance(entry, str):
            yield int(key), entry
        elif not isinstance(entry, list):  # several labels as one, of nnU-Net
            raise ReadError(
                f"{path.name}: expected ids and names of labels: got {f'{key}: {entry}'[:_SHORT]!r}"
            )


def _of_lines(path: Path, text: str) -> Iterator[tuple[int, str]]:
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1)]
    lines = [(number, line) for number, line in lines if line and not line.startswith("#")]
    if lines and not lines[0][1][0].isdigit():
        yield from _of_table(path, lines)
        return
    for number, line in lines:
        found = _LINE.match(line)
        if found is None:
            raise ReadError(
                f"{path.name}: line {number} should be a label and its name, such as '1 radius': got "
                f"{line[:_SHORT]!r}"
            )
        rest = found[2]
        snap = _ITK_SNAP.match(rest)
        yield int(found[1]), snap[1] if snap else _COLOUR.sub("", rest).strip().strip("\"'")


def _of_table(path: Path, lines: list[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    head = lines[0][1]
    mark = next((mark for mark in "\t;," if mark in head), None)
    columns = [re.sub(r"[^a-z]", "", word.lower()) for word in _cells(path, head, mark)]
    named = next((columns.index(name) for name in _NAME_COLUMNS if name in columns), None)
    ids = [columns.index(name) for name in _ID_COLUMNS if name in columns]
    numbered = next((column for column in ids if column != named), None)
    if mark is None or named is None or numbered is None:
        raise ReadError(
            f"{path.name}: expected lines such as '1 radius', or a table with the columns index and "
            f"name: got {head[:_SHORT]!r}"
        )
    for number, line in lines[1:]:
        cells = _cells(path, line, mark)
        word = cells[numbered] if max(named, numbered) < len(cells) else ""
        if not (word.isascii() and word.isdecimal() and len(word) <= 10):
            raise ReadError(
                f"{path.name}: line {number} should hold a label and its name: got {line[:_SHORT]!r}"
            )
        yield int(word), cells[named]


def _cells(path: Path, line: str, mark: str | None) -> list[str]:
    """Of one line; a quoted cell may hold the mark."""
    if mark is None:
        return line.split()
    try:
        cells = next(csv.reader([line], delimiter=mark, skipinitialspace=True))
    except csv.Error as error:
        raise ReadError(f"{path.name}: is no table: {error}") from error
    return [cell.strip() for cell in cells]
