"""Layers as files: radiographs, landmarks, whole sessions. Writers follow npe2.

A writer returns the paths it wrote, and raises ValueError with one sentence where a layer is not
what it writes: a picture without geometry is no radiograph.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_xreg.images import (
    LabelMap,
    Landmark,
    Radiograph,
    Volume,
    write_dicom_radiograph,
    write_landmarks,
    write_radiograph,
)
from napari_xreg.session import Session, write_session
from napari_xreg.viewer.layer_data import Carried, LayerData, carried


def write_radiograph_layer(path: str, data: Any, attributes: Mapping[str, Any]) -> list[str]:
    """A radiograph as .dcm (XA with its geometry) or .npz, .png, .tif: see `write_radiograph`.

    Raises
    ------
    ValueError
        If the layer was not made from a radiograph, or the ending is another.
    """
    carry = _made_from(attributes)
    if carry is None or not isinstance(carry.value, Radiograph):
        raise ValueError(
            f"the layer {attributes.get('name', '')!r} does not carry the geometry of a radiograph: "
            "open the X-ray image with napari-xreg and save that layer, or save as TIFF"
        )
    file = Path(path)
    if file.suffix.lower() in (".dcm", ".dicom"):
        return [str(write_dicom_radiograph(file, carry.value))]
    return [str(written) for written in write_radiograph(file, carry.value)]


def write_landmarks_layer(path: str, data: Any, attributes: Mapping[str, Any]) -> list[str]:
    """Points in world mm (z, y, x) as landmarks: .fcsv, .mrk.json (3D Slicer) or .csv.

    Names come from the column ``name`` (or ``label``) of the layer's features, else they are
    numbered. The layer's scale, rotation and translation are applied.

    Raises
    ------
    ValueError
        If the points are not three-dimensional or in mm, a name came twice, or the ending is
        another.
    """
    write_landmarks(path, landmarks_of_layer(data, attributes))
    return [str(path)]


def landmarks_of_layer(data: Any, attributes: Mapping[str, Any]) -> tuple[Landmark, ...]:
    """The landmarks that a points layer shows.

    Raises
    ------
    ValueError
        As `write_landmarks_layer`.
    """
    from napari.layers import Points

    layer = Points(np.asarray(data), **_points_placement(attributes))
    if layer.ndim != 3:
        raise ValueError(
            f"landmarks lie in the patient, in three dimensions: this layer has {layer.ndim}"
        )
    units = {str(unit) for unit in layer.units}
    if units != {"millimeter"}:
        raise ValueError(
            f"landmarks are written in mm: this layer's units are {', '.join(sorted(units))}; set "
            "layer.units = 'mm' if its coordinates are millimetres"
        )
    features = attributes.get("features")
    columns = {} if features is None else {str(key): list(features[key]) for key in features}
    names = columns.get("name") or columns.get("label") or []
    if len(names) != len(layer.data):
        names = [f"point {number}" for number in range(1, len(layer.data) + 1)]
    marks = []
    for name, point in zip(names, layer.data, strict=True):
        z, y, x = (float(v) for v in layer.data_to_world(point))
        marks.append(Landmark(str(name), (x, y, z)))
    if len({mark.name for mark in marks}) < len(marks):
        raise ValueError("two landmarks have the same name: rename one in the layer's features")
    return tuple(marks)


def write_session_layers(path: str, layers: Sequence[LayerData]) -> list[str]:
    """The session that the layers show, as ``*.xreg.json`` with what belongs beside it.

    Raises
    ------
    ValueError
        If no layer was made from a CT or a radiograph.
    """
    return [str(written) for written in write_session(path, session_of_layers(layers))]


def session_of_layers(layers: Sequence[LayerData]) -> Session:
    """The session that layers carry, else a new one of what they were made from.

    Raises
    ------
    ValueError
        If no layer was made from a CT or a radiograph.
    """
    found = [
        (carry, data, attributes, kind)
        for data, attributes, kind in layers
        if (carry := _made_from(attributes)) is not None
    ]
    for carry, *_ in found:
        if carry.session is not None:
            return carry.session
    session = Session()
    for carry, *_ in found:
        if isinstance(carry.value, Volume):
            session.set_volume(carry.value, carry.source)
            break
    for carry, data, attributes, kind in found:
        if isinstance(carry.value, LabelMap) and session.volume is not None:
            session.set_labels(carry.value, carry.source)
        elif kind == "points":
            session.set_landmarks(landmarks_of_layer(data, attributes))
        elif isinstance(carry.value, Radiograph):
            name = str(attributes.get("name", "radiograph"))
            session.add_radiograph(carry.value, name=name, source=carry.source)
    if session.volume is None and not session.exposures:
        raise ValueError(
            "a session holds a CT and radiographs: none of these layers was opened with "
            "napari-xreg; use the Data widget's Save session instead"
        )
    return session


def _made_from(attributes: Mapping[str, Any]) -> Carried | None:
    return carried(attributes.get("metadata") or {})


def _points_placement(attributes: Mapping[str, Any]) -> dict[str, Any]:
    keys = ("scale", "translate", "rotate", "shear", "affine", "units", "axis_labels")
    return {key: attributes[key] for key in keys if attributes.get(key) is not None}
