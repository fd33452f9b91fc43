"""What a data set in HDF5 says, part by part; what is absent or of another shape is named."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from napari_xreg.files import ReadError, check_file, claim
from napari_xreg.images import Landmark

_SUFFIXES = (".h5", ".hdf5")
_BYTES_OF_A_PIXEL = 48


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """The file, open for reading; whatever the library says of a damaged one becomes a `ReadError`."""
    import h5py  # a tenth of a second, for some layouts

    check_file(path)
    try:
        with h5py.File(path, "r") as file:
            yield file
    except ReadError:
        raise
    except (OSError, RuntimeError, ValueError, TypeError, KeyError) as error:
        raise ReadError(f"{path.name}: this HDF5 file cannot be read: {error}") from error


def holds(path: Path, *, all_of: tuple[str, ...] = (), below_any: tuple[str, ...] = ()) -> bool:
    """Whether a file has all of some members, and some group of it all of others."""
    if path.suffix.lower() not in _SUFFIXES or not path.is_file():
        return False
    try:
        with opened(path) as file:
            whole = all(name in file for name in all_of)
            return whole and (not below_any or bool(groups_with(file, below_any)))
    except ReadError:
        return False


def groups_with(group: Any, members: tuple[str, ...]) -> tuple[str, ...]:
    """Names of the groups of a group that have all these members, in their order in the file."""
    return tuple(
        name
        for name, each in group.items()
        if hasattr(each, "items") and all(member in each for member in members)
    )


def part(path: Path, group: Any, name: str) -> Any:
    """A member of a group.

    Raises
    ------
    ReadError
        If it is absent.
    """
    if name not in group:
        raise ReadError(f"{path.name}: {_place(group, name)} is absent")
    return group[name]


def numbers(path: Path, group: Any, name: str, *shape: int) -> Float[Tensor, "..."]:
    """So many finite numbers, in float64.

    Raises
    ------
    ReadError
        If it is absent or holds another number of values, or one that is not finite.
    """
    stored = part(path, group, name)
    size = int(np.prod(shape)) if shape else 1
    if not hasattr(stored, "dtype") or stored.dtype.kind not in "fiub" or stored.size != size:
        came = getattr(stored, "shape", "a group")
        raise ReadError(f"{path.name}: {_place(group, name)}: expected {size} numbers, got {came}")
    values = np.asarray(stored[()], np.float64).reshape(shape)
    if not np.isfinite(values).all():
        raise ReadError(f"{path.name}: {_place(group, name)}: expected finite numbers")
    return torch.from_numpy(np.array(values))


def number(path: Path, group: Any, name: str) -> float:
    """One finite number."""
    return float(numbers(path, group, name))


def picture(path: Path, group: Any, name: str) -> Float[Tensor, "rows columns"]:
    """Pixels by rows, in float64."""
    stored = array(path, group, name, 2, _BYTES_OF_A_PIXEL)
    return torch.from_numpy(np.asarray(stored, np.float64))


def array(path: Path, group: Any, name: str, axes: int, bytes_each: int) -> NDArray[Any]:
    """Numbers on a grid, once they are known to fit into memory."""
    stored = part(path, group, name)
    if not hasattr(stored, "dtype") or stored.ndim != axes or stored.dtype.kind not in "fiub":
        raise ReadError(
            f"{path.name}: {_place(group, name)}: expected numbers on {axes} axes, got "
            f"{getattr(stored, 'shape', 'a group')}"
        )
    claim(stored.size * bytes_each, f"{path.name}: {_place(group, name)}")
    return np.asarray(stored[()])


def landmark_pixels(path: Path, group: Any, name: str) -> tuple[Landmark, ...]:
    """Landmarks of a group, each a dataset of (column, row)."""
    found = []
    for each in part(path, group, name):
        column, row = numbers(path, group[name], each, 2).tolist()
        found.append(Landmark(each, pixel=(row, column)))
    return tuple(found)


def landmark_positions(path: Path, group: Any, name: str) -> tuple[Landmark, ...]:
    """Landmarks of a group, each a dataset of (x, y, z) in LPS mm."""
    found = []
    for each in part(path, group, name):
        x, y, z = numbers(path, group[name], each, 3).tolist()
        found.append(Landmark(each, position=(x, y, z)))
    return tuple(found)


def _place(group: Any, name: str) -> str:
    return f"{group.name.rstrip('/')}/{name}"
