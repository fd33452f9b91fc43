"""HDF5: volumes as the DeepFluoro data set keeps them, several in a file.

A volume is a group with ``pixels`` (z, y, x), ``spacing``, ``origin`` and ``dir-mat``, patient LPS mm
(Grupp et al. 2020, full-resolution file: ``17-1882/vol``, ``17-1882/vol-seg/image``). What the ids of
a label map mean stands beside its group, in ``labels-def``.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from napari_xreg.files import ReadError
from napari_xreg.images.errors import SeveralSeries
from napari_xreg.images.stored_grid import StoredGrid, check_place, check_size

_PARTS = ("spacing", "origin", "dir-mat")


def read_hdf5(path: Path, series: str | None = None) -> StoredGrid:
    """The voxels of a group and their place in LPS mm.

    Parameters
    ----------
    path
        The file.
    series
        Which group; None: the only one that holds a volume.

    Raises
    ------
    SeveralSeries
        If there are several and none was chosen.
    ReadError
        If the file is damaged, or holds no volume, or not the chosen one.
    """
    import h5py  # a tenth of a second, for one format

    try:
        with h5py.File(path, "r") as file:
            groups: dict[str, Any] = {}

            def look(name: str, item: Any) -> None:
                if isinstance(item, h5py.Group) and all(part in item for part in _PARTS):
                    pixels = item.get("pixels")
                    if isinstance(pixels, h5py.Dataset) and pixels.ndim == 3:
                        groups[name] = item

            file.visititems(look)
            return _grid(path, groups[_chosen(path, groups, series)])
    except ReadError:
        raise
    except (OSError, RuntimeError, ValueError, TypeError, KeyError) as error:
        raise ReadError(f"{path}: this HDF5 file cannot be read: {error}") from error


def _chosen(path: Path, groups: dict[str, Any], series: str | None) -> str:
    words = {
        name: f"{name}: {' x '.join(str(n) for n in group['pixels'].shape[::-1])} voxels"
        for name, group in groups.items()
    }
    if not groups:
        raise ReadError(
            f"{path}: this HDF5 file holds no volume: expected a group with pixels (z, y, x), "
            f"{', '.join(_PARTS)}, as in the DeepFluoro data set"
        )
    if series is not None and series.strip("/") not in groups:
        raise ReadError(f"{path}: holds no volume {series!r}: choose one of {', '.join(groups)}")
    if series is None and len(groups) > 1:
        raise SeveralSeries(
            f"{path}: holds {len(groups)} volumes: choose one by its group: "
            f"{'; '.join(words.values())}", words,
        )  # fmt: skip
    return next(iter(groups)) if series is None else series.strip("/")


def _grid(path: Path, group: Any) -> StoredGrid:
    pixels = group["pixels"]
    check_size(path, pixels.shape[::-1], pixels.dtype.itemsize)
    spacing, origin = (np.asarray(group[name], np.float64).reshape(3) for name in _PARTS[:2])
    matrix = np.eye(4)
    matrix[:3, :3] = np.asarray(group["dir-mat"], np.float64).reshape(3, 3) * spacing
    matrix[:3, 3] = origin
    place = torch.from_numpy(matrix)
    check_place(path, place)
    return StoredGrid(pixels[()], place, _names(group.parent), (path,))


def _names(group: Any) -> dict[int, str]:
    """What the label map of a group beside says of its ids."""
    table = group.get("labels-def")
    if table is None:
        return {}
    found = {int(number): entry[()] for number, entry in table.items() if number.isdecimal()}
    return {
        number: text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
        for number, text in found.items()
    }
