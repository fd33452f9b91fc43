"""The lines of text before the voxels of NRRD and MetaImage: each field once, numbers in bounds."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from napari_xreg.files import ReadError

# A header of text before the voxels; longer ones (Slicer segmentations) stay well below this.
_HEADER_BYTES = 2**20
# A series of slices as files of their own.
_MOST_FILES = 10_000
_PATTERN = re.compile(r"(\S*%0?\d{0,2}d\S*)\s+(-?\d{1,9})\s+(-?\d{1,9})\s+(-?\d{1,9})\s*\d?")

Choice = TypeVar("Choice")


class Fields(dict[str, str]):
    """Name to value as text.

    Parameters
    ----------
    path
        The file, for messages.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.listed: tuple[str, ...] = ()
        self._left = _HEADER_BYTES

    def line(self, stream: Any) -> bytes:
        """The next line of the header.

        Raises
        ------
        ReadError
            If the header goes on for more than a megabyte.
        """
        line = stream.readline(self._left)
        self._left -= len(line)
        if self._left <= 0:
            raise ReadError(
                f"{self.path}: the header does not end: the file is damaged, copy it again"
            )
        return line

    def add(self, name: str, value: str) -> None:
        """One more field.

        Raises
        ------
        ReadError
            If it is there already: nobody can say which one was meant.
        """
        if name in self and self[name] != value:
            raise ReadError(f"{self.path}: the field {name} stands twice in the header: remove one")
        self[name] = value

    def wholes(self, name: str, count: int) -> tuple[int, ...]:
        """As many numbers of voxels as asked for, 0 to 2^31.

        Raises
        ------
        ReadError
            If the field is missing or holds something else.
        """
        words = self._there(name).split()
        if len(words) != count or not all(re.fullmatch(r"\d{1,10}", word) for word in words):
            raise ReadError(
                f"{self.path}: {name} must hold {count} whole number(s): got {self[name][:60]}"
            )
        return tuple(int(word) for word in words)

    def whole(self, name: str, low: int, high: int) -> int:
        """One whole number within bounds.

        Raises
        ------
        ReadError
            If the field is missing or holds something else.
        """
        word = self._there(name)
        if not re.fullmatch(r"[+-]?\d{1,18}", word) or not low <= int(word) <= high:
            raise ReadError(
                f"{self.path}: {name} must be a whole number from {low} to {high}: got {word[:60]}"
            )
        return int(word)

    def one_of(self, name: str, known: Mapping[str, Choice]) -> Choice:
        """What the field's word stands for.

        Raises
        ------
        ReadError
            If the field is missing or the word is unknown.
        """
        word = " ".join(self._there(name).split())
        meaning = known.get(word.lower(), known.get(word))
        if meaning is None:
            raise ReadError(
                f"{self.path}: {name} {word[:60]!r} cannot be read; expected one of "
                f"{', '.join(list(known)[:12])}"
            )
        return meaning

    def _there(self, name: str) -> str:
        if not self.get(name):
            raise ReadError(f"{self.path}: the field {name} is missing: export the volume again")
        return self[name]


def numbered_files(fields: Fields, name: str) -> list[str]:
    """One file, or those of a pattern ``slice%03d.raw first last step``.

    Raises
    ------
    ReadError
        If the pattern names none, or more than a series has.
    """
    value = fields[name]
    found = _PATTERN.fullmatch(value)
    if found is None:
        return [value]
    first, last, step = (int(number) for number in found.groups()[1:])
    count = (last - first) // step + 1 if step else 0
    if not 1 <= count <= _MOST_FILES:
        raise ReadError(f"{fields.path}: {name} names {max(count, 0)} files: got {value}")
    return [found[1] % (first + step * k) for k in range(count)]


def flag(fields: Fields, name: str, otherwise: bool) -> bool:
    """A field that says true or false."""
    known: Mapping[str, Any] = {"true": 1, "t": 1, "1": 1, "false": -1, "f": -1, "0": -1}
    return otherwise if name not in fields else fields.one_of(name, known) > 0
