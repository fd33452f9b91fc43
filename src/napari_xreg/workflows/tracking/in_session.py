"""Tracking from the frame that a session shows, one bone or several, with the poses that its user has kept."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.images import LabelMap, Volume
from napari_xreg.progress import Control
from napari_xreg.registration import Body
from napari_xreg.session import (
    ALONE,
    BodiesTrack,
    Kept,
    Rendering,
    SequenceTrack,
    Session,
    TrackedFrame,
)
from napari_xreg.workflows.bodies import PATIENT, bodies_of_ct
from napari_xreg.workflows.bones_folder import bone_folders
from napari_xreg.workflows.opening.patients import Patient
from napari_xreg.workflows.refining import rig_poses
from napari_xreg.workflows.tracking.exporting import (
    TrackExport,
    TrackExported,
    export_table,
    export_track,
)
from napari_xreg.workflows.tracking.exporting_together import (
    BodiesTrackExport,
    export_bodies_tables,
    export_bodies_track,
)
from napari_xreg.workflows.tracking.of_session import (
    SequenceRequest,
    SessionSequence,
    sequence_of,
    sequence_request,
)
from napari_xreg.workflows.tracking.settings import TrackSettings
from napari_xreg.workflows.tracking.so_far import reached_any, with_earlier
from napari_xreg.workflows.tracking.together import BodiesTrackRequest, track_bodies
from napari_xreg.workflows.tracking.tracking import track
from napari_xreg.workflows.tracking.tracks import CPU, TrackRequest

_UNUSED = "Kept poses of other radiographs, not used: {}."


@dataclass(frozen=True, eq=False)
class TrackSessionRequest:
    """What a session is tracked with, captured.

    Parameters
    ----------
    radiographs
        One frame of the sequence; its pivot is that of the body where there is one.
    volume
        The body; of several bones the CT that they are cut out of.
    settings
        How.
    before
        What is known: poses to take as they are, and where several bones were found, where it is of the same sequence.
    device
        Where to refine one body; several are refined on the processor.
    bones
        Of several bones, by their names, the ids of their structures; none: one body.
    labels
        That several bones are cut out by.
    chosen
        Of several bones that were tracked the one that the radiographs are posed about.
    registered
        ``world_from_camera`` of the first radiograph about bones that were registered in this frame.
    """

    radiographs: SequenceRequest
    volume: Volume | Rendering
    settings: TrackSettings
    before: SequenceTrack | None = None
    device: torch.device = CPU
    bones: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    labels: LabelMap | None = None
    chosen: str = PATIENT
    registered: Mapping[str, Pose] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class SequenceFound:
    """The files were looked at: what is tracked, and what is known of it: the poses that were kept."""

    sequence: SessionSequence
    request: TrackRequest | BodiesTrackRequest
    track: SequenceTrack
    labels: LabelMap | None = None
    """That several bones were cut out by."""
    notes: tuple[str, ...] = ()
    """What the user should know."""

    def is_of(self, track: SequenceTrack) -> bool:
        """Whether these are the radiographs, the files and the bones that were tracked, voxel by voxel."""
        same = self.sequence.is_of(track) and list(self.track.bones) == list(track.bones)
        return same and (not track.voxels or track.voxels == self.track.voxels)

    @property
    def rendering(self) -> Volume | Rendering | None:
        """What is tracked as one body; None: several bones."""
        return self.request.volume if isinstance(self.request, TrackRequest) else None

    @property
    def pivot(self) -> Float[Tensor, "3"] | None:
        """Of the one body, world mm; None: several, each with its own."""
        return self.request.isocenter if isinstance(self.request, TrackRequest) else None

    @property
    def bodies(self) -> tuple[Body, ...]:
        """Of several bones; of one alone none."""
        return self.request.bodies if isinstance(self.request, BodiesTrackRequest) else ()


def track_request(
    session: Session,
    settings: TrackSettings,
    bones: Mapping[str, tuple[int, ...]] | None = None,
    *,
    chosen: str = PATIENT,
    device: torch.device = CPU,
) -> TrackSessionRequest:
    """Capture a session as it is.

    Parameters
    ----------
    session
        Its CT, the radiographs that are ticked, their poses, what is known of the sequence.
    settings, bones, chosen, device
        As of `TrackSessionRequest`.

    Raises
    ------
    ValueError
        If there is nothing to track, in words for the user.
    """
    patient = session.patient
    what: Volume | Rendering | None = patient.volume if bones else patient.rendering
    if what is None:
        raise ValueError("tracking needs a CT: load one in the Data widget")
    if bones and patient.labels is None:
        raise ValueError("bones are cut out of a CT by a label map: load one first")
    radiographs = sequence_request(session)
    first = radiographs.exposures[0].id
    registered = {
        result.bone: result.poses[first]
        for result in session.results.all
        if result.bone is not None and first in result.poses
    }
    return TrackSessionRequest(
        radiographs, what, settings, session.sequence.track, device, dict(bones or {}), patient.labels,
        chosen, registered,
    )  # fmt: skip


def find_sequence(request: TrackSessionRequest) -> SequenceFound:
    """Find the frames that go with the radiographs of a session, and cut bones out of the CT; in any thread.

    Raises
    ------
    ReadError, ValueError
        As `sequence_of` and `bodies_of_ct`.
    """
    found = sequence_of(request.radiographs)
    before = request.before
    notes: tuple[str, ...] = ()
    kept: Kept = {} if before is None else before.kept
    if before is not None and not found.is_of(before):
        kept, unused = found.kept_in(before)
        notes = (_UNUSED.format(unused),) if unused else ()
        before = None
    what = request.volume
    structures = what.structures if isinstance(what, Rendering) else ()
    known = SequenceTrack(
        found.ids, tuple(source(found.number) for source in found.sources), found.number,
        found.frames.numbers, {PATIENT: (), **request.bones} if request.bones else {ALONE: structures},
        kept=kept, chosen=request.chosen if request.bones else ALONE,
    )  # fmt: skip
    first = found.ids[0]
    if not request.bones:
        given = {number: poses[first] for number, poses in known.keys(ALONE).items()}
        one = TrackRequest(
            what, found.frames, found.number, given, request.settings, request.radiographs.pivot,
            request.device,
        )  # fmt: skip
        return SequenceFound(found, one, known, notes=notes)
    keys = {
        number: tuple(_kept_at(known, name, number, first) for name in known.bones)
        for number in sorted({n for name in known.bones for n in known.keys(name)})
    }
    bodies = _bodies(request, found, known, before)
    known = replace(known, voxels=_voxels(request.labels, request.bones))
    several = BodiesTrackRequest(bodies, found.frames, found.number, keys, request.settings)
    return SequenceFound(found, several, known, request.labels, notes)


def _voxels(labels: LabelMap | None, bones: Mapping[str, tuple[int, ...]]) -> str:
    """A digest of which voxels are those of each bone; empty: of none."""
    if labels is None or not bones:
        return ""
    digest = sha256(labels.world_from_index.double().cpu().numpy().tobytes())
    for name, ids in bones.items():
        mask = labels.mask(ids).cpu().numpy()
        digest.update(f"{name} {mask.shape} ".encode())
        digest.update(np.packbits(mask).tobytes())
    return digest.hexdigest()


def track_session(
    request: TrackSessionRequest, *, control: Control | None = None
) -> Generator[SequenceFound | tuple[TrackedFrame, ...], None, SequenceTrack]:
    """Find the frames that go with the radiographs of a session, and track through them.

    Cancelled, frames that were not reached are as they were before (`with_earlier`); where none was, it is `before` itself.

    Yields
    ------
    SequenceFound, then tuples of TrackedFrame
        As of `track_bodies`; of one body alone as of `track`.

    Raises
    ------
    ReadError, ValueError
        As `find_sequence`, `track` and `track_bodies`.
    """
    found = find_sequence(request)
    yield found
    asked = found.request
    if isinstance(asked, BodiesTrackRequest):
        tracked = yield from track_bodies(asked, control=control)
        return _ended(found, tracked, request)
    frames = track(asked, control=control)
    while True:
        try:
            frame = next(frames)
        except StopIteration as end:
            return _ended(found, BodiesTrack((ALONE,), (end.value,)), request)
        yield (frame,)


def _ended(
    found: SequenceFound, tracked: BodiesTrack, request: TrackSessionRequest
) -> SequenceTrack:
    """What is known afterwards."""
    before = request.before
    if before is not None and before.found is not None and tracked.cancelled:
        if not reached_any(tracked):
            return before
        same_camera = before.radiographs[0] == found.track.radiographs[0]
        if same_camera and found.is_of(before) and before.bones == found.track.bones:
            tracked = with_earlier(
                tracked, before.found, found.sequence.number, request.settings.smooth
            )
    return replace(found.track, found=tracked)


@dataclass(frozen=True, eq=False)
class SequenceExport:
    """What is written, and where: of several bones a folder for each, and how they lie to each other.

    Parameters
    ----------
    of
        With the pictures; None: they are not there, and tables alone are written.
    """

    folder: Path
    of: SequenceFound | None
    found: BodiesTrack


def export_sequence(asked: SequenceExport) -> TrackExported:
    """Write what was tracked as `napari-xreg track` does.

    Raises
    ------
    ValueError, WriteError
        As `export_track` and `export_bodies_track`.
    """
    found = asked.found
    if asked.of is None:
        if found.names == (ALONE,):
            return export_table(asked.folder, found.tracks[0])
        return export_bodies_tables(asked.folder, found)
    request = asked.of.request
    if isinstance(request, BodiesTrackRequest):
        bone_folders(asked.folder, found.names)
        none = (None,) * len(request.bodies)
        return export_bodies_track(
            BodiesTrackExport(asked.folder, found, request.bodies, request.frames, none)
        )
    return export_track(TrackExport(asked.folder, found.tracks[0], request.frames, request.volume))


def poses_in(
    track: SequenceTrack,
    tracked: TrackedFrame | None,
    bone: str,
    number: int,
    rig: Mapping[str, Pose],
) -> dict[str, Pose]:
    """``world_from_camera`` of every radiograph about a bone in a frame, by `Exposure.id`; empty: it has no pose there.

    Parameters
    ----------
    track
        Whose kept poses come first.
    tracked
        What was found of the bone in this frame.
    number
        Of the frame.
    rig
        How the cameras stand to each other in it, by `Exposure.id`.
    """
    kept = track.keys(bone).get(number)
    if kept is not None:
        return dict(kept)
    if tracked is None or tracked.world_from_camera is None:
        return {}
    lead = track.radiographs[0]
    ids = (lead, *(id for id in rig if id != lead))
    return rig_poses(ids, [rig[id] for id in ids], tracked.world_from_camera)


def _kept_at(track: SequenceTrack, bone: str, number: int, id: str) -> Pose | None:
    kept = track.keys(bone).get(number)
    return None if kept is None else kept[id]


def _bodies(
    request: TrackSessionRequest,
    found: SessionSequence,
    known: SequenceTrack,
    before: SequenceTrack | None,
) -> tuple[Body, ...]:
    """What moves, each where it is thought to be in the frame that is shown: kept, posed, found before, registered, or as the CT
    has it."""
    views = found.frames.views(found.number)
    what = request.volume
    whole = what.whole if isinstance(what, Rendering) else what
    groups = {name: [str(id) for id in ids] for name, ids in request.bones.items()}
    bodies = bodies_of_ct(Patient(whole, "", labels=request.labels), groups, views)
    rig = [view.world_from_camera for view in views]
    first, lead = found.ids[0], None if before is None else before.radiographs[0]
    placed = []
    for body in bodies:
        start = _kept_at(known, body.name, found.number, first)
        earlier = _found_before(before, body.name, found.number)
        if start is None and (earlier is None or lead is None):
            start = request.registered.get(body.name)
        elif start is None and earlier is not None and body.name != request.chosen:
            # Of another camera, if that was the first then: they move together.
            start = earlier @ rig[found.ids.index(str(lead))].inverse() @ rig[0]
        if start is not None:
            carried = rig_poses(found.ids, rig, start.to(dtype=torch.float64))
            body = replace(body, world_from_camera=tuple(carried[id] for id in found.ids))
        placed.append(body)
    return tuple(placed)


def _found_before(before: SequenceTrack | None, bone: str, number: int) -> Pose | None:
    if before is None or before.found is None or bone not in before.found.names:
        return None
    frames = before.found[bone].frames
    return next((f.world_from_camera for f in frames if f.number == number), None)
