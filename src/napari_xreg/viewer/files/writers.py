"""Layers as files: radiographs, landmarks, whole sessions. Writers follow npe2.

A writer returns the paths it wrote, and raises `LayerRefused` with one sentence where a layer is
not what it writes: a picture without geometry is no radiograph.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec

from napari_xreg.images import (
    LabelMap,
    Landmark,
    Radiograph,
    Volume,
    write_dicom_radiograph,
    write_landmarks,
    write_radiograph,
)
from napari_xreg.session import Session, SessionState, Source, write_session
from napari_xreg.viewer.edits import as_edited, landmarks_of
from napari_xreg.viewer.layer_data import Carried, LayerData, Value, carried

P = ParamSpec("P")


class LayerRefused(RuntimeError):
    """A layer cannot be written as asked; the message is shown to the user as is.

    Not a ValueError: napari (0.9) takes one for "is not a valid writer" and drops its sentence.
    """


def _refusing(write: Callable[P, list[str]]) -> Callable[P, list[str]]:
    @wraps(write)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> list[str]:
        try:
            return write(*args, **kwargs)
        except ValueError as error:
            raise LayerRefused(f"{error}.") from error

    return wrapped


@_refusing
def write_radiograph_layer(path: str, data: Any, attributes: Mapping[str, Any]) -> list[str]:
    """A radiograph as .dcm (XA with its geometry) or .npz, .png, .tif: see `write_radiograph`.

    Its pixels are those of the layer, edited or not.

    Raises
    ------
    LayerRefused
        If the layer was not made from a radiograph, or was cropped, moved, scaled or turned since,
        or the ending is another.
    """
    carry = _made_from(attributes)
    if carry is None or not isinstance(carry.value, Radiograph):
        raise ValueError(
            f"the layer {attributes.get('name', '')!r} does not carry the geometry of a radiograph: "
            "open the X-ray image with napari-xreg and save that layer, or save as TIFF"
        )
    radiograph = as_edited(carry, data, attributes)
    assert isinstance(radiograph, Radiograph)
    file = Path(path)
    if file.suffix.lower() in (".dcm", ".dicom"):
        return [str(write_dicom_radiograph(file, radiograph))]
    return [str(written) for written in write_radiograph(file, radiograph)]


@_refusing
def write_landmarks_layer(path: str, data: Any, attributes: Mapping[str, Any]) -> list[str]:
    """Points in world mm (z, y, x) as landmarks: .fcsv, .mrk.json (3D Slicer) or .csv.

    Names come from the column ``name`` (or ``label``) of the layer's features, else they are
    numbered. The layer's scale, rotation and translation are applied.

    Raises
    ------
    LayerRefused
        If the points are not three-dimensional or in mm, a name came twice, or the ending is
        another.
    """
    carry = _made_from(attributes)
    marks = None if carry is None else as_edited(carry, data, attributes)
    write_landmarks(path, marks if isinstance(marks, tuple) else landmarks_of(data, attributes))
    return [str(path)]


@_refusing
def write_session_layers(path: str, layers: Sequence[LayerData]) -> list[str]:
    """The session that the layers show, as ``*.xreg.json`` with what belongs beside it.

    Where that is the window's own, unchanged by its layers, its work is saved then.

    Raises
    ------
    LayerRefused
        If no layer was made from a CT or a radiograph.
    """
    session = session_of_layers(layers)
    mark = session.mark()
    files = [str(written) for written in write_session(path, session)]
    session.saved(mark)
    return files


def session_of_layers(layers: Sequence[LayerData]) -> Session:
    """The session that layers carry, else a new one of what they were made from.

    Layers of a window's session carry it as it is now, whatever they were opened with. What was
    edited in napari is in it: pixels, painted labels, landmarks that were moved, added or deleted. A
    radiograph that does not belong to the session is added to it.

    Raises
    ------
    ValueError
        If no layer was made from a CT or a radiograph, a layer was cropped, moved, scaled or
        turned, the layers belong to several sessions or patients, or one was edited that the session
        no longer holds.
    """
    shown = [
        _Shown(str(attributes.get("name", "")), carry, as_edited(carry, data, attributes))
        for data, attributes, kind in layers
        if (carry := _made_from(attributes)) is not None
        # A radiograph converted to labels is none any more.
        if kind != "labels" or isinstance(carry.value, LabelMap)
    ]
    sessions = {id(one.session): one.session for one in shown if one.session}
    if len(sessions) > 1:
        raise ValueError("these layers belong to several sessions: save those of one at a time")
    (carried_session,) = sessions.values() or (None,)
    known = set()
    if carried_session is not None:
        patient = carried_session.patient
        there: list[Value | None] = [patient.volume, patient.labels]
        there += [entry.radiograph for entry in carried_session.exposures.all]
        known = {id(one) for one in there}
    strangers = [one for one in shown if one.session is None and id(one.carry.value) not in known]
    session = Session()
    if carried_session is not None:
        if not strangers and not any(one.edited for one in shown):
            return carried_session
        session.restore(_edited_state(carried_session.capture()(), shown))
    _add_strangers(session, strangers)
    if session.patient.volume is None and not session.exposures.all:
        raise ValueError(
            "a session holds a CT and radiographs: none of these layers was opened with "
            "napari-xreg; use the Data widget's Save session instead"
        )
    return session


@dataclass(frozen=True, eq=False)
class _Shown:
    """A layer that was made from something, and what it shows now."""

    name: str
    carry: Carried
    value: Value

    @property
    def edited(self) -> bool:
        return self.value is not self.carry.value

    @property
    def session(self) -> Session | None:
        """That it belongs to: the window's, not the one that the window opened."""
        return self.carry.home or self.carry.session

    @property
    def source(self) -> Source | None:
        """Where this very value can be read again."""
        return None if self.edited else self.carry.source


def _edited_state(state: SessionState, shown: Sequence[_Shown]) -> SessionState:
    """A session with what was edited in its layers."""
    for one in shown:
        old, new = one.carry.value, one.value
        if not one.edited:
            continue
        if old is state.volume and isinstance(new, Volume):
            state = replace(state, volume=new, volume_source=None)
        elif old is state.labels and isinstance(new, LabelMap):
            state = replace(state, labels=new, labels_source=None)
        elif isinstance(new, Radiograph) and any(e.radiograph is old for e in state.exposures):
            exposures = tuple(
                entry.with_radiograph(new) if entry.radiograph is old else entry
                for entry in state.exposures
            )
            state = replace(state, exposures=exposures)
        elif isinstance(new, tuple) and isinstance(old, tuple):
            state = replace(state, landmarks=_edited_marks(state.landmarks, old, new))
        elif one.session is not None:
            raise ValueError(
                f"the layer {one.name!r} was edited, but its session has another in its place by "
                "now: leave that layer out"
            )
    return state


def _edited_marks(
    marks: Sequence[Landmark], old: Sequence[Landmark], new: Sequence[Landmark]
) -> tuple[Landmark, ...]:
    """Landmarks with what was changed from `old` to `new`; the others may have moved since."""
    gone = {mark.name for mark in old} - {mark.name for mark in new}
    changed = {mark.name: mark for mark in new if mark not in old}
    kept = [changed.pop(mark.name, mark) for mark in marks if mark.name not in gone]
    return (*kept, *changed.values())


def _add_strangers(session: Session, shown: Sequence[_Shown]) -> None:
    """What belongs to no session goes into this one."""
    for kind, words in ((Volume, "CTs"), (LabelMap, "label maps")):
        found = [one for one in shown if isinstance(one.value, kind)]
        held = session.patient.volume if kind is Volume else session.patient.labels
        if len(found) + (held is not None) > 1:
            names = ", ".join(repr(one.name) for one in found)
            raise ValueError(f"a session holds one patient: select one of the {words} ({names})")
        for one in found:
            if isinstance(one.value, Volume):
                session.patient.set_volume(one.value, one.source)
            elif isinstance(one.value, LabelMap):
                session.patient.set_labels(one.value, one.source)
    here = session.landmarks.all
    marks = [m for one in shown if isinstance(one.value, tuple) for m in one.value if m not in here]
    if marks:
        session.landmarks.set(
            [*session.landmarks.all, *(m for m in marks if m.position is not None)]
        )
    for one in shown:
        if isinstance(one.value, Radiograph):
            case = one.carry.case
            session.exposures.add(
                one.value,
                name=one.name or "radiograph",
                source=one.carry.source,
                edited=one.edited,
                truth=None if case is None else case.truth,
            )


def _made_from(attributes: Mapping[str, Any]) -> Carried | None:
    return carried(attributes.get("metadata") or {})
