"""What the sequence of a session is tracked with, captured."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch

from napari_xreg.geometry import Pose
from napari_xreg.images import LabelMap, Volume
from napari_xreg.session import Rendering, SequenceTrack, Session, Source
from napari_xreg.workflows.bodies import PATIENT
from napari_xreg.workflows.tracking.of_session import SequenceRequest, sequence_request
from napari_xreg.workflows.tracking.own_bones import OwnBone
from napari_xreg.workflows.tracking.settings import TrackSettings
from napari_xreg.workflows.tracking.tracks import CPU


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
    source
        Of the CT; where that is a bone of a trial, so are `bones` without ids: each has a CT of its own.
    known
        Bones of the trial that were read before, by their names.
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
    source: Source | None = None
    known: Mapping[str, OwnBone] = field(default_factory=dict)


def track_request(
    session: Session,
    settings: TrackSettings,
    bones: Mapping[str, tuple[int, ...]] | None = None,
    *,
    chosen: str = PATIENT,
    device: torch.device = CPU,
    known: Mapping[str, OwnBone] | None = None,
) -> TrackSessionRequest:
    """Capture a session as it is.

    Parameters
    ----------
    session
        Its CT, the radiographs that are ticked, their poses, what is known of the sequence.
    settings, bones, chosen, device, known
        As of `TrackSessionRequest`.

    Raises
    ------
    ValueError
        If there is nothing to track, in words for the user.
    """
    patient = session.patient
    source = patient.volume_source
    trial = source is not None and bool(source.trial) and not any((bones or {}).values())
    what = patient.volume if bones and not trial else patient.rendering
    if what is None:
        raise ValueError("tracking needs a CT: load one in the Data widget")
    if bones and patient.labels is None and not trial:
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
        chosen, registered, source, known or {},
    )  # fmt: skip
