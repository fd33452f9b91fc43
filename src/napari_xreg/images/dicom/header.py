"""Values of a DICOM header as numbers, with errors that name file, attribute and tag."""

import math
from dataclasses import dataclass
from typing import Any

from pydicom.datadict import dictionary_description, tag_for_keyword
from pydicom.dataset import Dataset

from napari_xreg.images.errors import ReadError


@dataclass(frozen=True, eq=False)
class FrameHeader:
    """The attributes that hold for one frame, looked up by DICOM keyword.

    In enhanced multi-frame objects (PS3.3 C.7.6.16) they lie in the functional groups of the
    frame, else in those shared by all frames, else in the data set itself.

    Parameters
    ----------
    file
        Name used in messages.
    levels
        Data sets, most specific first.
    """

    file: str
    levels: tuple[Dataset, ...]

    def get(self, keyword: str) -> Any:
        """The value of an attribute; None where it is absent or empty.

        Raises
        ------
        ReadError
            If the stored text is not of its value representation, as "0,3" for a decimal number.
        """
        for level in self.levels:
            if keyword not in level:
                continue
            try:
                value = level[keyword].value
            except Exception as error:  # pydicom raises whatever the conversion raised
                raise ReadError(
                    f"{self.file}: {name(keyword)} is malformed ({error}): correct it in the header"
                ) from error
            if value is None or (hasattr(value, "__len__") and len(value) == 0):
                continue
            return value
        return None

    def text(self, keyword: str) -> str | None:
        """A code string in upper case."""
        value = self.get(keyword)
        return None if value is None else str(value).strip().upper() or None

    def numbers(self, keyword: str, count: int | None = None) -> tuple[float, ...] | None:
        """Finite numbers, as many as asked for; None where the attribute is absent or empty.

        Raises
        ------
        ReadError
            If there are more or fewer, or one is not a finite number.
        """
        value = self.get(keyword)
        if value is None:
            return None
        items = (
            list(value)
            if hasattr(value, "__iter__") and not isinstance(value, str | bytes)
            else [value]
        )
        try:
            found = tuple(float(item) for item in items)
        except (TypeError, ValueError) as error:
            raise ReadError(f"{self.file}: {name(keyword)} is not a number: {value!r}") from error
        if (count is not None and len(found) != count) or not all(map(math.isfinite, found)):
            expected = "finite numbers" if count is None else f"{count} finite number(s)"
            raise ReadError(f"{self.file}: {name(keyword)} should hold {expected}: got {value!r}")
        return found

    def number(self, keyword: str) -> float | None:
        """One finite number; None where the attribute is absent or empty."""
        found = self.numbers(keyword, 1)
        return None if found is None else found[0]

    def usable_numbers(
        self, keyword: str, notes: list[str], count: int | None = None
    ) -> tuple[float, ...] | None:
        """As `numbers`, for what an image can be used without: a malformed value becomes a note."""
        try:
            return self.numbers(keyword, count)
        except ReadError as error:
            notes.append(f"{str(error).removeprefix(f'{self.file}: ')}: not used")
            return None

    def usable_number(self, keyword: str, notes: list[str]) -> float | None:
        """As `number`, for what an image can be used without: a malformed value becomes a note."""
        found = self.usable_numbers(keyword, notes, 1)
        return None if found is None else found[0]

    def items(self, keyword: str) -> list[Dataset]:
        """The items of a sequence; none where it is absent or no sequence."""
        value = self.get(keyword)
        found = list(value) if hasattr(value, "__iter__") else []
        return [item for item in found if isinstance(item, Dataset)]


def name(keyword: str) -> str:
    """An attribute as people look it up: ``Distance Source to Detector (0018,1110)``."""
    number = tag_for_keyword(keyword)
    if number is None:
        return keyword
    return f"{dictionary_description(number)} {tag(keyword)}"


def tag(keyword: str) -> str:
    """``(0018,1110)``."""
    number = tag_for_keyword(keyword) or 0
    return f"({number >> 16:04X},{number & 0xFFFF:04X})"


def frame_header(dataset: Dataset, frame: int, file: str) -> FrameHeader:
    """The header of one frame, counted from 1."""
    levels: list[Dataset] = []
    whole = FrameHeader(file, (dataset,))
    per_frame = whole.items("PerFrameFunctionalGroupsSequence")
    if len(per_frame) >= frame:
        levels.append(_flat(per_frame[frame - 1]))
    levels.extend(_flat(item) for item in whole.items("SharedFunctionalGroupsSequence")[:1])
    return FrameHeader(file, (*levels, dataset))


def _flat(group: Dataset) -> Dataset:
    """The attributes of the macros in a functional group, without their sequences."""
    flat = Dataset()
    for element in group:
        if element.VR == "SQ" and len(element.value) > 0:
            for inner in element.value[0]:
                flat.add(inner)
    return flat
