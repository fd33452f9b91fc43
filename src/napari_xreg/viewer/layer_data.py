"""Values as napari layer-data tuples, and back: a layer remembers what it was made from.

`metadata["xreg"]` of such a layer is a `Carried`: whoever adopts the layer need not read the file
again. World is patient LPS mm, napari's axes are (z, y, x); a radiograph lies flat, (row, column)
in mm at the detector, pixel (0, 0) at the origin.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from napari_xreg.geometry import reverse_axes
from napari_xreg.images import LabelMap, Landmark, Radiograph, Volume
from napari_xreg.session import SampleCase, Session, Source

LayerData = tuple[NDArray[Any], dict[str, Any], str]
Value = Volume | LabelMap | Radiograph | tuple[Landmark, ...]

KEY = "xreg"
"""Where a layer's metadata holds its `Carried`."""

_WORLD = {"units": ("mm",) * 3, "axis_labels": ("z", "y", "x")}


@dataclass(frozen=True, eq=False)
class Carried:
    """What a layer was made from.

    Parameters
    ----------
    value
        CT, label map, radiograph or landmarks.
    source
        Where it can be read again; None: it exists in memory only.
    notes
        Sentences for the user: a licence, what a reader was unsure of.
    session
        The session it was read with, where it came from a session file.
    case
        The sample it belongs to, whose true pose is known.
    home
        The session of the window that took it or shows it: what is saved with the layer is that
        session as it is by then. None: no window has it.
    """

    value: Value
    source: Source | None = None
    notes: tuple[str, ...] = ()
    session: Session | None = None
    case: SampleCase | None = None
    home: Session | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> "Carried":
        # It never changes: a duplicated layer shares it instead of copying a CT.
        return self


def carried(metadata: Mapping[str, Any]) -> Carried | None:
    """What a layer with this metadata was made from; None for anybody else's layer."""
    found = metadata.get(KEY)
    return found if isinstance(found, Carried) else None


def volume_layer(volume: Volume, *, name: str, carry: Carried | None = None) -> LayerData:
    """A CT as an image layer: HU if known, else attenuation (1/mm). Its array is read-only."""
    limits = (-200.0, 1200.0) if volume.hu is not None else (0.0, 0.05)
    options = {
        "name": name,
        "contrast_limits": limits,
        "metadata": {KEY: carry or Carried(volume)},
        **placement(volume.world_from_index),
    }
    return shown_pixels(volume), options, "image"


def labels_layer(labels: LabelMap, *, name: str, carry: Carried | None = None) -> LayerData:
    """A label map as a labels layer to paint on: its array is a copy.

    The names of its structures show in the status bar.
    """
    options = {
        "name": name,
        "features": _label_names(labels.names),
        "metadata": {KEY: carry or Carried(labels)},
        **placement(labels.world_from_index),
    }
    return shown_pixels(labels).copy(), options, "labels"


def landmarks_layer(
    landmarks: Sequence[Landmark], *, name: str, carry: Carried | None = None
) -> LayerData:
    """Landmarks that have a position as points in the patient.

    Raises
    ------
    ValueError
        If none has a position.
    """
    placed = [mark for mark in landmarks if mark.position is not None]
    if not placed:
        raise ValueError("none of the landmarks has a position in the patient (mm)")
    xyz = np.array([mark.position for mark in placed], dtype=np.float64)
    options = {
        "name": name,
        "features": {"name": [mark.name for mark in placed]},
        "text": "name",
        "size": 5.0,
        "metadata": {KEY: carry or Carried(tuple(placed))},
        **_WORLD,
    }
    return xyz[:, ::-1].copy(), options, "points"


def radiograph_layer(
    radiograph: Radiograph, *, name: str, carry: Carried | None = None
) -> LayerData:
    """A radiograph as a flat image layer of line integrals, in mm at the detector."""
    image = radiograph.line_integrals.detach().cpu()
    usable = image[radiograph.usable.cpu()]
    options: dict[str, Any] = {
        "name": name,
        "scale": radiograph.carm.detector.spacing,
        "units": ("mm", "mm"),
        "axis_labels": ("row", "column"),
        "metadata": {KEY: carry or Carried(radiograph)},
    }
    if usable.numel() and float(usable.max()) > float(usable.min()):
        options["contrast_limits"] = (float(usable.min()), float(usable.max()))
    return shown_pixels(radiograph).copy(), options, "image"


def shown_pixels(value: Volume | LabelMap | Radiograph) -> NDArray[Any]:
    """What the layer of a value shows before anybody edits it, as a read-only view.

    HU if known, else attenuation (1/mm); label ids; line integrals, 0 where they are not finite.
    """
    if isinstance(value, Volume):
        pixels = value.lac if value.hu is None else value.hu
    elif isinstance(value, LabelMap):
        pixels = value.ids
    else:
        pixels = torch.nan_to_num(value.line_integrals)
    array = pixels.detach().cpu().numpy()
    array.flags.writeable = False
    return array


def placement(world_from_index: Float[Tensor, "4 4"]) -> dict[str, Any]:
    """Where a layer lies: napari's keywords for an (x, y, z) index -> mm affine.

    Parameters
    ----------
    world_from_index
        As of a `Volume`.

    Returns
    -------
    dict
        ``scale`` and ``translate`` where the axes are the patient's, else ``affine``; always
        ``units`` (mm) and ``axis_labels``. In napari's order (z, y, x).
    """
    matrix = reverse_axes(world_from_index).double().cpu().numpy()
    spacing = matrix.diagonal()[:3]
    if (spacing > 0).all() and np.array_equal(matrix[:3, :3], np.diag(spacing)):
        return {"scale": tuple(spacing), "translate": tuple(matrix[:3, 3]), **_WORLD}
    return {"affine": matrix, **_WORLD}


def _label_names(names: Mapping[int, str]) -> dict[str, list[Any]]:
    """napari's table of a labels layer: shown in the status bar for the label under the mouse."""
    ids = [0, *sorted(names)]
    return {"index": ids, "name": ["background", *(names[i] for i in ids[1:])]}
