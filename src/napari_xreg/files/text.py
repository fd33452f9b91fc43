"""A text file, read whole: of a bounded size, in an encoding that is known and not guessed wrongly."""

import codecs
import os
import stat
from pathlib import Path

from napari_xreg.files.errors import ReadError

LIMIT = 64 << 20
"""Bytes of the largest text file that is read unless more is allowed: ours have a few megabytes."""

# The longer mark first: UTF-32's begins like UTF-16's.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_bytes(path: Path | str, *, limit: int = LIMIT, called: str | None = None) -> bytes:
    """The contents of a file.

    Parameters
    ----------
    path
        Of a file; a folder, a device and a pipe are refused, because reading them may never end.
    limit
        Largest size, bytes.
    called
        How messages call it (default: its name).

    Raises
    ------
    ReadError
        If it cannot be opened or read, or is larger.
    """
    called = called or Path(path).name
    try:
        # Opening a pipe waits for its writer unless told not to.
        number = os.open(path, os.O_RDONLY | _AT_ONCE)
        try:
            regular = stat.S_ISREG(os.fstat(number).st_mode)
            data = _read(number, limit + 1) if regular else b""
        finally:
            os.close(number)
    except OSError as error:
        raise ReadError(f"{called}: cannot be opened ({error.strerror}): check the path") from error
    except ValueError as error:
        raise ReadError(f"{called}: is not a path of this system ({error})") from error
    if not regular:
        raise ReadError(f"{called}: is not a file but a folder, a device or a pipe")
    if len(data) > limit:
        raise ReadError(
            f"{called}: is larger than {limit >> 20} MB, more than a text file of this kind has: "
            "is it the right file?"
        )
    return data


# Windows has neither pipes in folders nor the first flag, and translates line ends without the second.
_AT_ONCE = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def _read(number: int, most: int) -> bytes:
    blocks, left = [], most
    while left > 0 and (block := os.read(number, min(left, 1 << 20))):
        blocks.append(block)
        left -= len(block)
    return b"".join(blocks)


def read_text(
    path: Path | str, *, limit: int = LIMIT, legacy: bool = False, called: str | None = None
) -> str:
    """The text of a file: UTF-8, or what its byte order mark says.

    Parameters
    ----------
    legacy
        Text that is neither is read as Windows-1252, in which older spreadsheets of western Europe
        save.

    Raises
    ------
    ReadError
        As `read_bytes`, or if it is not text.
    """
    return decoded(read_bytes(path, limit=limit, called=called), called or Path(path).name, legacy)


def decoded(data: bytes, called: str, legacy: bool = False) -> str:
    """The text of bytes, as `read_text`.

    Raises
    ------
    ReadError
        If they are not text.
    """
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8":
            raise ReadError(f"{called}: is not a text file ({error.reason})") from error
        if not legacy:
            # Letters were saved in many ways; bytes that no keyboard has are in no text.
            words = all(byte >= 32 or byte in b"\t\n\f\r" for byte in data)
            what = "a text, but not in UTF-8: save it as UTF-8" if words else "not a text file"
            raise ReadError(f"{called}: is {what} ({error.reason})") from error
        text = _windows_1252(data, called)
    if "\0" in text:
        raise ReadError(f"{called}: is not a text file: it holds binary data")
    return text


def _windows_1252(data: bytes, called: str) -> str:
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError as error:
        raise ReadError(f"{called}: is not a text file: it holds binary data") from error
