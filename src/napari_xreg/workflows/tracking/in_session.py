"""Tracking from the frame that a session shows, one bone or several, with the poses that its user has kept."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.images import LabelMap, ReadError, Volume
from napari_xreg.progress import Control
from napari_xreg.registration import Body, NearBone
from napari_xreg.session import (
    ALONE,
    BodiesTrack,
    Kept,
    Rendering,
    SequenceTrack,
    TrackedFrame,
)
from napari_xreg.workflows.bodies import PATIENT
from napari_xreg.workflows.bones_folder import bone_folders
from napari_xreg.workflows.bones_in_session import bone_words
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
from napari_xreg.workflows.tracking.moving import (
    bodies_cut_out,
    bodies_of_trial,
    bones_of_trial,
    digest_of,
    kept_at,
    kept_of_trial,
    starts_of,
    voxels_of,
)
from napari_xreg.workflows.tracking.of_session import (
    SessionSequence,
    sequence_of,
)
from napari_xreg.workflows.tracking.own_bones import (
    OwnBone,
    trial_of,
)
from napari_xreg.workflows.tracking.session_request import TrackSessionRequest
from napari_xreg.workflows.tracking.so_far import reached_any, with_earlier
from napari_xreg.workflows.tracking.together import BodiesTrackRequest, track_bodies
from napari_xreg.workflows.tracking.tracking import track
from napari_xreg.workflows.tracking.tracks import TrackRequest

_UNUSED = "Kept poses of other radiographs, not used: {}."


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
    own: Mapping[str, OwnBone] = field(default_factory=dict)
    """Bones of a trial, by the names of the track's bones; none: the CT is of no trial."""
    nowhere: tuple[str, ...] = ()
    """Bones of which nobody knows where they are in the frame that is shown."""

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

    def bone_of(self, volume: Volume | None) -> str | None:
        """The name of the bone of a trial that has this CT; None: none has."""
        return next((name for name, own in self.own.items() if own.volume is volume), None)


def find_sequence(request: TrackSessionRequest) -> SequenceFound:
    """Find the frames that go with the radiographs of a session, and cut bones out of the CT; in any thread.

    Raises
    ------
    ReadError, ValueError
        As `sequence_of`, `bodies_of_ct`, `own_bone` and `body_of_trial`.
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
    own: dict[str, OwnBone] = {}
    bones, chosen = {ALONE: structures}, ALONE
    try:
        trial = None if any(request.bones.values()) else trial_of(request.source)
        if trial is not None:
            own, chosen = bones_of_trial(request, found, trial)
            bones = dict.fromkeys(own, ())
            kept = kept_of_trial(kept, trial, alone=not request.bones)
        elif request.bones:
            bones, chosen = {PATIENT: (), **request.bones}, request.chosen
    except ReadError as error:
        if request.bones:
            raise
        notes += (f"Its trial is not used: {error}.",)
    known = SequenceTrack(
        found.ids, tuple(source(found.number) for source in found.sources), found.number,
        found.frames.numbers, bones, kept=kept, chosen=chosen,
        volumes={name: bone.source for name, bone in own.items()},
    )  # fmt: skip
    first = found.ids[0]
    if not request.bones:
        given = {number: poses[first] for number, poses in known.keys(ALONE).items()}
        one = TrackRequest(
            what, found.frames, found.number, given, request.settings, request.radiographs.pivot,
            request.device,
        )  # fmt: skip
        return SequenceFound(found, one, known, notes=notes, own=own)
    keys = {
        number: tuple(kept_at(known, name, number, first) for name in known.bones)
        for number in sorted({n for name in known.bones for n in known.keys(name)})
    }
    starts = starts_of(request, found, known, before, own)
    bodies = bodies_of_trial(own, found, starts) if own else bodies_cut_out(request, found, starts)
    voxels = digest_of(own) if own else voxels_of(request.labels, request.bones)
    several = BodiesTrackRequest(
        bodies, found.frames, found.number, keys, request.settings, NearBone() if own else None
    )
    lost = (name for name in own if name != chosen and name not in starts)
    return SequenceFound(
        found, several, replace(known, voxels=voxels), request.labels, notes, own, tuple(lost)
    )


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
        As `find_sequence`, `track` and `track_bodies`, or if nobody knows where a bone of a trial is in the frame that is started from.
    """
    found = find_sequence(request)
    if found.nowhere:
        bones = " and ".join(map(bone_words, found.nowhere))
        raise ValueError(
            f"in frame {found.sequence.number} no pose of {bones} is known: choose it in the list, bring it to where it is and "
            "keep that pose, or leave it out"
        )
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
    lead
        `Exposure.id` of the radiograph that the poses are of: whose camera a trial knows.
    """

    folder: Path
    of: SequenceFound | None
    found: BodiesTrack
    lead: str = ""


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
    own = [bone for name in found.names if (bone := asked.of.own.get(name)) is not None]
    camera = own[0].cameras.get(asked.lead) if own else None
    trials = [None] * len(found.names) if camera is None else [bone.files for bone in own]
    if isinstance(request, BodiesTrackRequest):
        bone_folders(asked.folder, found.names)
        return export_bodies_track(
            BodiesTrackExport(
                asked.folder,
                found,
                request.bodies,
                request.frames,
                tuple(trials),
                camera=camera or 0,
            )
        )
    return export_track(
        TrackExport(
            asked.folder, found.tracks[0], request.frames, request.volume, trials[0],
            camera=camera or 0,
        )
    )  # fmt: skip


def poses_in(
    track: SequenceTrack,
    tracked: TrackedFrame | None,
    bone: str,
    number: int,
    rig: Mapping[str, Pose],
    said: Pose | None = None,
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
    said
        ``world_from_camera`` of the first radiograph where a trial has the bone in this frame: for frames that were not tracked.
    """
    kept = track.keys(bone).get(number)
    if kept is not None:
        return dict(kept)
    pose = said if tracked is None else tracked.world_from_camera
    if pose is None:
        return {}
    lead = track.radiographs[0]
    ids = (lead, *(id for id in rig if id != lead))
    return rig_poses(ids, [rig[id] for id in ids], pose)
