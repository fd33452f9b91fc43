"""Voxels as a run of numbers in one or several files, behind a header that says how many there are.

Read here and not by a C library, so that nothing a header says reaches one unchecked.
"""

import bz2
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from napari_xreg.files import ReadError, check_file, claim

Encoding = Literal["raw", "deflate", "bzip2", "text"]
_BLOCK = 1 << 20
# What zlib calls: either, told apart by the first bytes.
_ZLIB_OR_GZIP = 47
# Bytes of a number as text and as Python keeps it while it is read.
_TEXT_BYTES = 80


@dataclass(frozen=True)
class Piece:
    """Where some of the voxels are.

    Parameters
    ----------
    file
        Which file.
    start
        Bytes before them; None: they are the end of the file.
    unpacked_start
        Bytes before them after decompression.
    """

    file: Path
    start: int | None = 0
    unpacked_start: int = 0


def read_voxels(
    path: Path, pieces: Sequence[Piece], count: int, dtype: np.dtype[Any], encoding: Encoding
) -> NDArray[Any]:
    """`count` numbers in the order stored, in memory of their own; the caller has claimed it.

    Parameters
    ----------
    path
        The file the user named, for messages.
    pieces
        Files that hold equally many of the numbers, in order.
    encoding
        "deflate" is zlib or gzip; "text" is numbers between spaces.

    Raises
    ------
    ReadError
        If a file is missing, no file, damaged or holds fewer.
    """
    if count % len(pieces):
        raise ReadError(
            f"{path}: {count} voxels cannot be spread evenly over {len(pieces)} data files"
        )
    values = np.empty(count, dtype)
    each = count // len(pieces)
    for number, piece in enumerate(pieces):
        part = values[number * each : (number + 1) * each]
        where = "" if piece.file == path else f" ({piece.file.name})"
        if where and not piece.file.exists():
            raise ReadError(f"{path}: its data file is missing ({piece.file}): copy both")
        check_file(piece.file)
        try:
            if encoding == "text":
                _fill_with_text(part, piece)
            else:
                _fill(part, piece, encoding)
        except (OSError, EOFError, ValueError, zlib.error) as error:
            if isinstance(error, ReadError):
                raise
            raise ReadError(
                f"{path}: the voxels{where} are damaged, or too short for the {count} that the "
                f"header announces ({error}): copy or export it again"
            ) from error
    return values


def _fill(part: NDArray[Any], piece: Piece, encoding: Encoding) -> None:
    # A view as bytes: the numbers are filled in as they come, nothing is held twice.
    target: Any = part.view(np.uint8)
    size = piece.file.stat().st_size
    start = size - len(target) if piece.start is None else piece.start
    if start < 0 or (encoding == "raw" and size - start < len(target)):
        raise ValueError(f"{size} bytes, expected {max(start, 0) + len(target)}")
    filled = -piece.unpacked_start
    for block in _blocks(piece.file, start, encoding, len(target) + piece.unpacked_start):
        wanted = block[max(-filled, 0) : max(len(target) - filled, 0)]
        begin = max(filled, 0)
        target[begin : begin + len(wanted)] = np.frombuffer(wanted, np.uint8)
        filled += len(block)
    if filled < len(target):
        raise ValueError(f"{max(filled, 0)} bytes, expected {len(target)}")


def _blocks(file: Path, start: int, encoding: Encoding, most: int) -> Iterator[bytes]:
    """The bytes from `start`, decompressed; a little more than `most` at the longest."""
    with file.open("rb") as stream:
        stream.seek(start)
        if encoding == "raw":
            while most > 0 and (block := stream.read(min(_BLOCK, most))):
                most -= len(block)
                yield block
            return
        if encoding == "bzip2":
            with bz2.open(stream) as unpacked:
                while most > -_BLOCK and (block := unpacked.read(_BLOCK)):
                    most -= len(block)
                    yield block
            return
        unpack, waiting = zlib.decompressobj(_ZLIB_OR_GZIP), b""
        # A little further than what is wanted, so that the check sum behind it is looked at.
        while most > -_BLOCK and (waiting := waiting or stream.read(_BLOCK)):
            block = unpack.decompress(waiting, _BLOCK)
            most -= len(block)
            yield block
            waiting = unpack.unconsumed_tail
            if unpack.eof:
                # Compressed files may stand behind each other.
                waiting = unpack.unused_data
                if most <= 0:
                    return
                unpack = zlib.decompressobj(_ZLIB_OR_GZIP)


def _fill_with_text(part: NDArray[Any], piece: Piece) -> None:
    count = part.size
    claim(count * _TEXT_BYTES, f"{piece.file}: {count} numbers written as text")
    with piece.file.open("rb") as stream:
        stream.seek(piece.start or 0)
        words = stream.read(count * _TEXT_BYTES).split(None, count)[:count]
    if len(words) < count:
        raise ValueError(f"{len(words)} numbers, expected {count}")
    numbers = np.array([float(word) for word in words])
    with np.errstate(all="ignore"):
        part[:] = numbers
    if part.dtype.kind in "iu" and not np.array_equal(part, numbers):
        raise ValueError(f"a number is none of {part.dtype}")
