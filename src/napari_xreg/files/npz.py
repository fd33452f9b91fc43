"""Archives of arrays (.npz) and single arrays (.npy), read with every declared size checked first."""

import contextlib
import math
import zipfile
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from napari_xreg.files.errors import ReadError
from napari_xreg.files.memory import claim
from napari_xreg.files.place import check_file


def read_npz(path: Path | str, *, only: Collection[str] | None = None) -> dict[str, NDArray[Any]]:
    """The arrays of an archive by name. No Python object is ever unpickled.

    Parameters
    ----------
    path
        The archive.
    only
        Names to read; what else is in the archive is left alone. None reads all.

    Raises
    ------
    ReadError
        If there is no such file, it is damaged, or a member is no array of numbers or text.
    TooLarge
        If the arrays together do not fit into memory.
    """
    file = Path(path)
    check_file(file)
    with _translated(file, ".npz archive"), zipfile.ZipFile(file) as archive:
        members = {_name(info): info for info in archive.infolist()}
        if only is not None:
            members = {name: info for name, info in members.items() if name in only}
        total = 0
        for name, info in members.items():
            with archive.open(info) as stream:
                total += _declared(stream, f"{file}: {name}", info.file_size)[0]
        claim(total, f"{file}: the archive")
        found = {}
        for name, info in members.items():
            with archive.open(info) as stream:
                found[name] = _array(stream)
        return found


def read_npy(
    path: Path | str, *, page: Callable[[tuple[int, ...]], int | None] | None = None
) -> NDArray[Any]:
    """The array of a ``.npy`` file, or a page of it.

    Parameters
    ----------
    path
        The file.
    page
        Given the shape: which index along the first axis is wanted, the rest being left unread; None: all.

    Raises
    ------
    ReadError, TooLarge
        As `read_npz`.
    """
    file = Path(path)
    check_file(file)
    with _translated(file, ".npy array"), file.open("rb") as stream:
        size, shape, by_columns, dtype = _declared(stream, str(file), file.stat().st_size)
        first = stream.tell()
        wanted = None if page is None or by_columns else page(shape)
        if wanted is None:
            claim(size, f"{file}: the array")
            stream.seek(0)
            return _array(stream)
        each = size // shape[0]
        claim(each, f"{file}: a page of the array")
        stream.seek(first + wanted * each)
        return np.frombuffer(bytearray(stream.read(each)), dtype).reshape(shape[1:])


def _name(info: zipfile.ZipInfo) -> str:
    return info.filename.removesuffix(".npy")


def _declared(
    stream: Any, what: str, there: int
) -> tuple[int, tuple[int, ...], bool, np.dtype[Any]]:
    """Bytes of an array by its own header, which is what numpy allocates before it reads; shape, whether it is
    stored by columns, and type.

    `there` are the bytes that follow by the table of contents or the disk: not fewer.
    """
    try:
        version = npy.read_magic(stream)
    except ValueError as error:
        raise ReadError(f"{what} is no array: expected numbers saved by NumPy") from error
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise ReadError(f"{what} is in version {version} of the format: save it with NumPy again")
    shape, by_columns, dtype = read(stream)
    if dtype.hasobject:
        raise ReadError(f"{what} holds Python objects, which are never loaded: save plain numbers")
    if any(n < 0 for n in shape):
        raise ReadError(f"{what} declares a shape of {shape}: the file is damaged")
    size = math.prod(shape) * dtype.itemsize
    if size > there:
        raise ReadError(f"{what} ends early ({there} bytes of {size}): copy or save it again")
    return size, shape, by_columns, dtype


def _array(stream: Any) -> NDArray[Any]:
    return np.asarray(npy.read_array(stream, allow_pickle=False))


@contextlib.contextmanager
def _translated(file: Path, kind: str) -> Iterator[None]:
    try:
        yield
    except ReadError:
        raise
    except MemoryError as error:
        raise ReadError(f"{file}: not enough memory for what the file holds") from error
    except Exception as error:
        # zipfile, zlib and NumPy's header parser raise a dozen kinds on damage, tokenize's included.
        raise ReadError(
            f"{file}: is not a readable {kind}, or is damaged ({_brief(error)}): copy or save it again"
        ) from error


def _brief(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
