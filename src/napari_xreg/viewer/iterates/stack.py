"""The pictures of a refinement in one preallocated buffer, as an array that napari can slice."""

import math
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float
from numpy import ndarray

LARGEST_BYTES = 400_000_000
"""Of the buffer; where more pictures come than fit, every k-th is kept."""


class PictureStack:
    """A stack (iteration, ..., row, column) that grows without being copied.

    Frame i holds the picture of iterate ``i * every``; `every` is doubled, and every other frame
    given up, each time the buffer is full. Between the iteration and the rows stand `flat` axes of
    length one, for layers that are deeper than a picture.

    Parameters
    ----------
    shape
        Rows and columns of a frame; pictures of another size are resized to it.
    expected
        How many pictures may come.
    largest_bytes
        Of the buffer.
    """

    dtype = np.dtype(np.float32)

    def __init__(
        self, shape: tuple[int, int], expected: int, largest_bytes: int = LARGEST_BYTES
    ) -> None:
        frame_bytes = 4 * shape[0] * shape[1]
        frames = max(2, min(max(1, expected), largest_bytes // frame_bytes))
        self.every = (
            1  # of starting poses "auto" far more may come than mostly do: thinned only then
        )
        self._buffer = np.zeros((frames, *shape), np.float32)
        self._came = 0
        self._pending: set[int] = set()
        self.flat = 0

    # What napari asks of an array.

    @property
    def ndim(self) -> int:
        return 3 + self.flat

    @property
    def shape(self) -> tuple[int, ...]:
        """Frames there are (one, empty, before the first), ones, rows, columns."""
        rows, columns = self._buffer.shape[1:]
        return max(1, -(-self._came // self.every)), *(1,) * self.flat, rows, columns

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Of the whole buffer."""
        return self._buffer.nbytes

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Any:
        return self._there[key]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> ndarray:
        there = self._there
        return np.array(there, dtype=dtype) if copy else np.asarray(there, dtype=dtype)

    @property
    def _there(self) -> Float[ndarray, "frames *flat rows columns"]:
        """A view."""
        return self._buffer[: len(self)].reshape(self.shape)

    # What fills it.

    @property
    def came(self) -> int:
        """Pictures that were offered so far."""
        return self._came

    @property
    def pending(self) -> tuple[int, ...]:
        """Iterates whose frame waits for a picture: none came with them."""
        return tuple(sorted(number for number in self._pending if not number % self.every))

    def append(self, picture: Float[ndarray, "rows columns"] | None) -> bool:
        """The next iterate's picture; None repeats the last. True where it made a new frame."""
        number, self._came = self._came, self._came + 1
        if number % self.every:
            return False
        if number // self.every == len(self._buffer):
            self._thin()
            if number % self.every:
                return False
        at = number // self.every
        if picture is None:
            self._pending.add(number)
            self._buffer[at] = self._buffer[at - 1] if at else 0.0
        else:
            self._put(at, picture)
        return True

    def fill(self, number: int, picture: Float[ndarray, "rows columns"]) -> None:
        """The picture of an iterate that came without one; nothing where it has its own."""
        if number in self.pending:
            self._pending.discard(number)
            self._put(number // self.every, picture)

    def _put(self, at: int, picture: Float[ndarray, "rows columns"]) -> None:
        rows, columns = self._buffer.shape[1:]
        if picture.shape == (rows, columns):
            self._buffer[at] = picture
        else:  # outer edges stay in place
            self._buffer[at] = cv2.resize(
                np.ascontiguousarray(picture, np.float32),
                (columns, rows),
                interpolation=cv2.INTER_LINEAR,
            )

    def frame(self, number: int) -> Float[ndarray, "rows columns"] | None:
        """The picture of an iterate, not copied; None where it was given up."""
        at, beside = divmod(number, self.every)
        return None if beside or not 0 <= number < self._came else self._buffer[at]

    def _thin(self) -> None:
        """Keep every other frame, moved forward one by one: a copy would double the memory."""
        for at in range(1, -(-len(self._buffer) // 2)):
            self._buffer[at] = self._buffer[2 * at]
        self.every *= 2
