"""What moves in the sequence of a session: bones that are cut out of its CT, or the bones of a trial."""

import json
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256

import numpy as np
import torch

from napari_xreg.geometry import Pose
from napari_xreg.images import LabelMap
from napari_xreg.registration import Body
from napari_xreg.session import ALONE, Kept, Rendering, SequenceTrack
from napari_xreg.workflows.bodies import bodies_of_ct, body_of_trial
from napari_xreg.workflows.opening.patients import Patient
from napari_xreg.workflows.refining import rig_poses
from napari_xreg.workflows.tracking.of_session import SessionSequence
from napari_xreg.workflows.tracking.own_bones import (
    OwnBone,
    OwnBonesRequest,
    TrialOfSession,
    own_bone,
)
from napari_xreg.workflows.tracking.session_request import TrackSessionRequest


def bones_of_trial(
    request: TrackSessionRequest, found: SessionSequence, trial: TrialOfSession
) -> tuple[dict[str, OwnBone], str]:
    """Those that are tracked, by their names in the track, the one that is the CT among them; and which that is."""
    assert request.source is not None
    assert isinstance(request.volume, Rendering)
    asked = OwnBonesRequest(
        trial.present, request.volume, request.source,
        {id: at(found.number) for id, at in zip(found.ids, found.sources, strict=True)}, found.number,
        request.known,
    )  # fmt: skip
    if not request.bones:
        return {ALONE: own_bone(trial.present, asked)}, ALONE
    wanted = {trial.present, *request.bones}
    return {n: own_bone(n, asked) for n in trial.names if n in wanted}, trial.present


def kept_of_trial(kept: Kept, trial: TrialOfSession, *, alone: bool) -> Kept:
    """Poses that were kept while one bone was tracked alone are of that bone, and the other way round."""
    before, now = (trial.present, ALONE) if alone else (ALONE, trial.present)
    others = {name: frames for name, frames in kept.items() if name != before}
    return {**others, now: {**kept.get(before, {}), **kept.get(now, {})}}


def starts_of(
    request: TrackSessionRequest,
    found: SessionSequence,
    known: SequenceTrack,
    before: SequenceTrack | None,
    own: Mapping[str, OwnBone],
) -> dict[str, tuple[Pose, ...]]:
    """The cameras about each bone in the frame that is shown, where that is known otherwise than from the session's poses: it was
    kept, found before, registered, or a trial says it."""
    rig = [view.world_from_camera for view in found.frames.views(found.number)]
    first, lead = found.ids[0], None if before is None else before.radiographs[0]
    posed = known.chosen if own else request.chosen
    starts = {}
    for name in known.bones:
        start = kept_at(known, name, found.number, first)
        earlier = _found_before(before, name, found.number)
        if start is None and (earlier is None or lead is None):
            said = own[name].said(found.number, first) if own and name != posed else None
            start = said if own else request.registered.get(name)
        elif start is None and earlier is not None and name != posed:
            # Of another camera, if that was the first then: they move together.
            start = earlier @ rig[found.ids.index(str(lead))].inverse() @ rig[0]
        if start is not None:
            carried = rig_poses(found.ids, rig, start.to(dtype=torch.float64))
            starts[name] = tuple(carried[id] for id in found.ids)
    return starts


def bodies_cut_out(
    request: TrackSessionRequest,
    found: SessionSequence,
    starts: Mapping[str, tuple[Pose, ...]],
) -> tuple[Body, ...]:
    """What moves of a CT, each where it is thought to be in the frame that is shown, else as the CT has it."""
    views = found.frames.views(found.number)
    what = request.volume
    whole = what.whole if isinstance(what, Rendering) else what
    groups = {name: [str(id) for id in ids] for name, ids in request.bones.items()}
    bodies = bodies_of_ct(Patient(whole, "", labels=request.labels), groups, views)
    return tuple(
        replace(body, world_from_camera=starts.get(body.name, body.world_from_camera))
        for body in bodies
    )


def bodies_of_trial(
    own: Mapping[str, OwnBone], found: SessionSequence, starts: Mapping[str, tuple[Pose, ...]]
) -> tuple[Body, ...]:
    """The bones of a trial, each where it is thought to be, else where the session has its cameras."""
    rig = tuple(view.world_from_camera for view in found.frames.views(found.number))
    return tuple(
        body_of_trial(name, bone.rendering, starts.get(name, rig)) for name, bone in own.items()
    )


def _found_before(before: SequenceTrack | None, bone: str, number: int) -> Pose | None:
    if before is None or before.found is None or bone not in before.found.names:
        return None
    frames = before.found[bone].frames
    return next((f.world_from_camera for f in frames if f.number == number), None)


def voxels_of(labels: LabelMap | None, bones: Mapping[str, tuple[int, ...]]) -> str:
    """A digest of which voxels are those of each bone; empty: of none."""
    if labels is None or not bones:
        return ""
    digest = sha256(labels.world_from_index.double().cpu().numpy().tobytes())
    for name, ids in bones.items():
        mask = labels.mask(ids).cpu().numpy()
        digest.update(f"{name} {mask.shape} ".encode())
        digest.update(np.packbits(mask).tobytes())
    return digest.hexdigest()


def digest_of(own: Mapping[str, OwnBone]) -> str:
    """Of the CTs of bones of a trial."""
    digest = sha256()
    for name, bone in own.items():
        said = json.dumps(dict(bone.source.options), sort_keys=True)
        digest.update(f"{name} {bone.source.sha256} {said} ".encode())
    return digest.hexdigest()


def kept_at(track: SequenceTrack, bone: str, number: int, id: str) -> Pose | None:
    """``world_from_camera`` of a radiograph that was kept of a bone in a frame; None: none was."""
    kept = track.keys(bone).get(number)
    return None if kept is None else kept[id]
