"""Several bones of a session's CT, registered together in its radiographs."""

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

from napari_xreg.geometry import Pose
from napari_xreg.images import LabelMap, Volume
from napari_xreg.options import Option
from napari_xreg.progress import Control
from napari_xreg.registration import (
    BodiesIterate,
    BodiesRegistration,
    BodyIterate,
    RefineSettings,
    View,
)
from napari_xreg.session import Session
from napari_xreg.workflows.bodies import PATIENT, BodiesRequest, bodies_of_ct, refine_bodies
from napari_xreg.workflows.bones_folder import BonesExport
from napari_xreg.workflows.exporting import described_sources
from napari_xreg.workflows.opening.patients import Patient
from napari_xreg.workflows.refining import refine_request, rig_poses


@dataclass(frozen=True)
class BonesSettings:
    """How bones are looked for.

    Parameters
    ----------
    starts
        Ways in which each bone is turned as it is looked for by itself; 0: as many as it takes.
    """

    starts: Annotated[
        int,
        Option(
            "Starts of each bone",
            "Ways in which each bone is turned as it is looked for; 0: as many as it takes.",
            "",
            0,
            256,
        ),
    ] = 0


@dataclass(frozen=True, eq=False)
class SessionBonesRequest:
    """What is registered, captured: `register_bones` may run in any thread.

    Parameters
    ----------
    volume, labels
        The CT, and the label map that bones are cut out of it by.
    bones
        For every bone the ids of its structures.
    views
        Radiographs, masked, where their cameras are thought to stand about the whole CT.
    ids
        Of the radiographs (`Exposure.id`), in the order of `views`.
    settings
        How.
    inputs, notes
        The files that all this came from, and what was assumed, for `BonesExport`.
    in_files
        Whether the radiographs are as their files have them.
    """

    volume: Volume
    labels: LabelMap
    bones: Mapping[str, tuple[int, ...]]
    views: tuple[View, ...]
    ids: tuple[str, ...]
    settings: BonesSettings = field(default_factory=BonesSettings)
    inputs: Sequence[Mapping[str, Any]] = ()
    notes: tuple[str, ...] = ()
    in_files: bool = True

    def poses_at(self, first: Pose) -> dict[str, Pose]:
        """Of every radiograph, by its id, where a bone has the first camera there: they move together."""
        return rig_poses(self.ids, [view.world_from_camera for view in self.views], first)


@dataclass(frozen=True, eq=False)
class SessionBones:
    """What was found of the bones of a session."""

    asked: SessionBonesRequest
    request: BodiesRequest
    found: BodiesRegistration

    def poses_of(self, name: str) -> dict[str, Pose]:
        """``world_from_camera`` of every radiograph about a bone, by `Exposure.id`."""
        return dict(zip(self.asked.ids, self.found[name].views, strict=True))

    def export(self, out: Path) -> BonesExport:
        """Into which folder."""
        return BonesExport(
            out, self.request, self.found, (self.asked.inputs,) * len(self.found.names),
            self.asked.notes, not self.asked.in_files,
        )  # fmt: skip


def bones_of_structures(
    labels: LabelMap, groups: Iterable[Sequence[int]]
) -> dict[str, tuple[int, ...]]:
    """A bone of each group of structures, called as the label map says, commas between several.

    By numbers where that is no name of its own: "7"; "label 7" where another is called "7".
    """
    bones: dict[str, tuple[int, ...]] = {}
    for ids in groups:
        name = ",".join(labels.names.get(id, "") or str(id) for id in ids)
        if name == PATIENT or name in bones:
            name = ",".join(map(str, ids))
        while name in bones:
            name = f"label {name}"
        bones[name] = tuple(ids)
    return bones


def bone_words(name: str) -> str:
    """A bone as a user reads it: "hip left + sacrum"."""
    return name.replace("_", " ").replace(",", " + ")


def session_bones(
    session: Session,
    bones: Mapping[str, Sequence[int]],
    settings: BonesSettings | None = None,
) -> SessionBonesRequest:
    """Capture a session as it is: all bones start where its radiographs stand about the whole CT.

    Parameters
    ----------
    session
        Its CT with a label map, and the radiographs that are ticked; the active one comes first.
    bones
        For every bone the ids of its structures.
    settings
        How; None: as usual.

    Raises
    ------
    ValueError
        If there is nothing to register, in words for the user.
    """
    asked = refine_request(session)
    volume, labels = session.patient.volume, session.patient.labels
    assert volume is not None
    if labels is None:
        raise ValueError("bones are cut out of a CT by a label map: load one first")
    if not bones:
        raise ValueError("no bone is ticked: tick at least one that moves by itself")
    entries = [session.exposures[id] for id in asked.ids]
    sources = [("ct", session.patient.volume_source)]
    sources += [("radiograph", entry.source) for entry in entries]
    sources += [("labels", session.patient.labels_source)]
    notes = [*volume.notes, *(note for view in asked.views for note in view.radiograph.notes)]
    labels_source = session.patient.labels_source
    if labels_source is not None:
        notes.append(f"bones were cut out of the CT by {Path(labels_source.path).name}")
    return SessionBonesRequest(
        volume, labels, {name: tuple(ids) for name, ids in bones.items()}, asked.views, asked.ids,
        BonesSettings() if settings is None else settings, described_sources(sources), tuple(notes),
        all(entry.source is not None and not entry.edited for entry in entries),
    )  # fmt: skip


def register_bones(
    asked: SessionBonesRequest, *, control: Control | None = None
) -> Generator[BodiesRequest | BodyIterate | BodiesIterate, None, SessionBones]:
    """Cut the bones out of the CT and register all of them, and the rest, together.

    Yields
    ------
    BodiesRequest, then BodyIterate and BodiesIterate
        What was cut, and as of `registration.refine_bodies`.

    Raises
    ------
    ValueError
        As `bodies_of_ct` and `registration.refine_bodies`.
    """
    patient = Patient(asked.volume, "", labels=asked.labels)
    groups = {name: [str(id) for id in ids] for name, ids in asked.bones.items()}
    settings = RefineSettings(starts=asked.settings.starts, keep_images=False)
    request = BodiesRequest(
        bodies_of_ct(patient, groups, asked.views),
        tuple(view.radiograph for view in asked.views),
        settings,
    )
    yield request
    found = yield from refine_bodies(request, control=control)
    return SessionBones(asked, request, found)
