"""A DICOM file whose damaged lengths take no memory: no read goes beyond the file's end."""

import io
from pathlib import Path


class DicomStream(io.BufferedReader):
    """A file to give to pydicom, which asks for as many bytes as an element says it has.

    Python sets the memory for all of them aside before it looks how many there are: four bytes of
    damage ask for four gigabytes.
    """

    def __init__(self, file: Path) -> None:
        super().__init__(io.FileIO(file, "rb"))
        self._size = file.stat().st_size

    def read(self, size: int | None = -1, /) -> bytes:
        """At most `size` bytes, and no more than there are."""
        left = max(self._size - self.tell(), 0)
        return super().read(left if size is None or not 0 <= size <= left else size)
