"""What was done to a radiograph since it was read, as values; in words only where they are shown."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeAlias

from napari_xreg.images.errors import ReadError

Shape = tuple[int, int]


@dataclass(frozen=True)
class Crop:
    """A rectangle of an image of `of` rows and columns."""

    row: int
    column: int
    rows: int
    columns: int
    of: Shape

    def __str__(self) -> str:
        part = f"rows {self.row}+{self.rows}, columns {self.column}+{self.columns}"
        return f"crop {part} of {self.of[0]}x{self.of[1]}"


@dataclass(frozen=True)
class Resize:
    """Resampled from `of` rows and columns, over the same area."""

    rows: int
    columns: int
    of: Shape

    def __str__(self) -> str:
        return f"resize {self.of[0]}x{self.of[1]} to {self.rows}x{self.columns}"


@dataclass(frozen=True)
class Turn:
    """Turned clockwise on the screen by 1, 2 or 3 quarter turns."""

    turns: int

    def __post_init__(self) -> None:
        if self.turns not in (1, 2, 3):
            raise ValueError(f"an image is turned by 1, 2 or 3 quarter turns: got {self.turns!r}")

    def __str__(self) -> str:
        return f"rotate {90 * self.turns} degrees clockwise"


@dataclass(frozen=True)
class Flip:
    """Left and right exchanged."""

    def __str__(self) -> str:
        return "flip left and right"


@dataclass(frozen=True)
class Invert:
    """Bright and dark exchanged."""

    def __str__(self) -> str:
        return "invert bright and dark"


@dataclass(frozen=True)
class Mask:
    """Fewer pixels are usable, for this reason."""

    reason: str

    def __str__(self) -> str:
        return f"mask: {self.reason}"


@dataclass(frozen=True)
class Note:
    """Something said of the values, which moved no pixel."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Other:
    """Something that may have moved pixels: a new geometry cannot follow it."""

    text: str

    def __str__(self) -> str:
        return self.text


Operation: TypeAlias = Crop | Resize | Turn | Flip | Invert | Mask | Note | Other

_KINDS: Mapping[str, type[Operation]] = {
    "crop": Crop,
    "resize": Resize,
    "turn": Turn,
    "flip": Flip,
    "invert": Invert,
    "mask": Mask,
    "note": Note,
    "other": Other,
}


def operation_to_json(operation: Operation) -> dict[str, Any]:
    """Its kind and its fields, for `operation_from_json`."""
    kind = next(name for name, one in _KINDS.items() if type(operation) is one)
    values = {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(operation).items()}
    return {"kind": kind, **values}


def operation_from_json(data: object) -> Operation:
    """What `operation_to_json` made; or the words that files of version 0.x hold instead.

    Raises
    ------
    ReadError
        If it is neither.
    """
    if isinstance(data, str):
        return _from_words(data)
    kind = data.get("kind") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(kind, str) or kind not in _KINDS:
        raise ReadError(f"an operation is one of {', '.join(_KINDS)}: got {data!r}")
    values: dict[str, Any] = {}
    for field in fields(_KINDS[kind]):
        value = data.get(field.name)
        if field.name == "of" and isinstance(value, list) and len(value) == 2:
            value = tuple(value)
        parts = value if field.name == "of" and isinstance(value, tuple) else (value,)
        wanted = str if field.type is str else int
        if not all(type(part) is wanted for part in parts):
            raise ReadError(f"{field.name} of the operation {kind!r} cannot be {value!r}")
        values[field.name] = value
    try:
        return _KINDS[kind](**values)
    except ValueError as error:
        raise ReadError(str(error)) from error


# The words of earlier versions, as they stand in their files. They are not those of today.
_CROP = re.compile(r"crop rows (\d+)\+(\d+), columns (\d+)\+(\d+) of (\d+)x(\d+)")
_RESIZE = re.compile(r"resize (\d+)x(\d+) to (\d+)x(\d+)")
_TURN = re.compile(r"rotate (90|180|270) degrees clockwise")
_NOTE = re.compile(r"\d+ of \d+ pixels masked: .*|i0 was not known: .*")


def _from_words(text: str) -> Operation:
    if crop := _CROP.fullmatch(text):
        row, height, column, width, rows, columns = (int(v) for v in crop.groups())
        return Crop(row, column, height, width, (rows, columns))
    if resize := _RESIZE.fullmatch(text):
        rows, columns, new_rows, new_columns = (int(v) for v in resize.groups())
        return Resize(new_rows, new_columns, (rows, columns))
    if turn := _TURN.fullmatch(text):
        return Turn(int(turn.group(1)) // 90)
    if text == "flip left and right":
        return Flip()
    if text == "invert bright and dark":
        return Invert()
    if text.startswith("mask: "):
        return Mask(text.removeprefix("mask: "))
    return Note(text) if _NOTE.fullmatch(text) else Other(text)
