"""``napari-xreg bones``: several bones in the same radiographs."""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from napari_xreg.cli.console import Console
from napari_xreg.cli.further_views import (
    check_counts,
    further_radiographs,
    masked,
    starting_views,
)
from napari_xreg.cli.inputs import described_inputs, read_patient, read_xray, starting_pose
from napari_xreg.cli.moving import moving_bodies
from napari_xreg.cli.outputs import said_anyway, say_missing, short_verdict
from napari_xreg.cli.refining import begin_reading, cancelled_by_interrupt, prepare_renderer
from napari_xreg.cli.trial import spelled_out
from napari_xreg.files import BONES, schema_head
from napari_xreg.images import Radiograph, is_trial, read_trial
from napari_xreg.progress import Control, run as run_events
from napari_xreg.records import TruthFile, read_truth
from napari_xreg.registration import (
    BodiesRegistration,
    Body,
    NearBone,
    RefineSettings,
    Status,
    View,
    near_bone_words,
)
from napari_xreg.workflows import (
    BETWEEN,
    BodiesRequest,
    BonesExport,
    Patient,
    bodies_of_ct,
    body_of_trial,
    bone_folders,
    bones_progress,
    error_words,
    errors_by_truth,
    export_bones,
    refine_bodies,
    structure_ids,
)


@dataclass(frozen=True, eq=False)
class _Read:
    """What was read: the bodies, the radiographs, what is said of them, the files and the labels of each body."""

    bodies: tuple[Body, ...]
    radiographs: tuple[Radiograph, ...]
    notes: tuple[str, ...]
    inputs: tuple[list[dict[str, Any]], ...]
    labels: tuple[tuple[int, ...], ...] = ()
    near: NearBone | None = None


def run(arguments: Namespace, console: Console) -> int:
    """Register and write the results; the exit code."""
    out = Path(arguments.out)
    names = _names(arguments)
    truth = None if arguments.truth is None else read_truth(arguments.truth)
    bone_folders(out, names)
    begin_reading(arguments, console)
    read = _of_trial(arguments, names) if is_trial(Path(arguments.ct)) else _of_ct(arguments)
    for radiograph in read.radiographs:
        console.say(f"radiograph: {radiograph!r}")
    console.say(f"bones: {', '.join(body.name for body in read.bodies)}")
    console.notes(read.notes)
    prepare_renderer(console, arguments.threads)
    settings = RefineSettings(
        starts=arguments.multi_start, keep_images=False, threads=arguments.threads
    )
    request = BodiesRequest(read.bodies, read.radiographs, settings, read.near)
    found = _shown(request, console)
    errors = {} if truth is None else _errors(truth, read, request, found, console)
    console.step("drawing")
    with said_anyway(lambda: _say(found, errors, read.notes, console)):
        asked = BonesExport(out, request, found, read.inputs, read.notes, truth=errors)
        exported = run_events(export_bones(asked))
    console.progress(1.0, "drawn", last=True)
    _say(found, errors, read.notes, console, list(map(str, exported.files)), exported.missing)
    console.say(f"written to {out}: a folder for each bone; {BETWEEN}: how they lie to each other")
    missing = say_missing(exported.missing, console)
    if any(each.status is Status.CANCELLED for each in found.bodies):
        return 130
    return 1 if missing or not found else 0


def _errors(
    truth: TruthFile,
    read: _Read,
    request: BodiesRequest,
    found: BodiesRegistration,
    console: Console,
) -> dict[str, dict[str, Any]]:
    """Of the bones that the first radiograph shows."""
    errors: dict[str, dict[str, Any]] = {}
    for body, each, labels in zip(request.bodies, found.bodies, read.labels, strict=True):
        known = errors_by_truth(
            truth, labels, body.volume, request.radiographs[0].carm, body.world_from_camera[0], each
        )
        if isinstance(known, str):
            console.notes((f"{body.name}: {known}",))
        else:
            errors[body.name] = known
    return errors


def _say(
    found: BodiesRegistration,
    errors: Mapping[str, Mapping[str, Any]],
    notes: Sequence[str],
    console: Console,
    files: Sequence[str] = (),
    missing: Mapping[str, str] | None = None,
) -> None:
    """The verdict on every bone, and the answer."""
    first, *others = found.bodies
    of_all = [note for note in first.notes if others and all(note in o.notes for o in others)]
    console.notes(of_all)
    for name, each in zip(found.names, found.bodies, strict=True):
        verdict = "not judged" if each.probability is None else short_verdict(each)
        # Why it is not trusted, or trusted as seen in one radiograph alone.
        told = not each or each.seen_by is not None
        own = tuple(note for note in each.notes if told and note not in of_all)
        console.say(f"{name}: {verdict}. {replace(each, notes=own).words}")
        if name in errors:
            console.say(f"{name}: {error_words(errors[name])}")
    console.answer({**_answer(found, errors, notes, list(files)), "missing": dict(missing or {})})


def _names(arguments: Namespace) -> list[str]:
    """Of all bodies, as they were asked for."""
    moving: list[str] = arguments.move
    if not is_trial(Path(arguments.ct)):
        if not moving:
            raise ValueError("--move NAME says which structure of --labels moves by itself")
        if arguments.near_bone is not None:
            raise ValueError("--near-bone is for the bones of a trial: a CT is compared as a whole")
        return moving_bodies(arguments, moving)
    if arguments.truth is not None:
        raise ValueError("--truth is of a simulated radiograph of one CT, not of a trial")
    # A trial without --move: all of its bones.
    every = [volume.name for volume in read_trial(Path(arguments.ct)).volumes]
    return moving_bodies(arguments, moving or every)


def _of_trial(arguments: Namespace, names: Sequence[str]) -> _Read:
    """The bones of a trial, each with its own CT."""
    bodies, inputs = [], []
    notes: list[str] = []
    radiographs: tuple[Radiograph, ...] = ()
    for name in names:
        said, files = spelled_out(Namespace(**(vars(arguments) | {"volume": name})))
        assert files is not None
        patient, views, told = _opened(said)
        cameras = [view.world_from_camera for view in views]
        bodies.append(body_of_trial(name, patient.rendering, cameras))
        # The radiographs are the same for all: what is assumed of their distances is of the first bone's depth.
        told = patient.volume.notes if radiographs else told
        radiographs = radiographs or tuple(view.radiograph for view in views)
        notes += [note for note in (*files.notes, *told) if note not in notes]
        inputs.append([patient.described(), *described_inputs(said)])
    reach_mm = NearBone().reach_mm if arguments.near_bone is None else arguments.near_bone
    near = NearBone(reach_mm) if reach_mm else None
    notes += [near_bone_words(near)] if near is not None else []
    return _Read(tuple(bodies), radiographs, tuple(notes), tuple(inputs), near=near)


def _of_ct(arguments: Namespace) -> _Read:
    """Bones of a label map, and the rest of the CT."""
    arguments = Namespace(**(vars(arguments) | {"volume": None, "structures": None}))
    said, _ = spelled_out(arguments)
    patient, views, notes = _opened(said)
    if said.labels is not None:
        notes = (*notes, f"bones were cut out of the CT by {Path(said.labels).name}")
    bones = {name: [name] for name in said.move}
    bodies = bodies_of_ct(patient, bones, views)
    inputs = [patient.described(), *described_inputs(said)]
    assert patient.labels is not None
    moved = [tuple(structure_ids([name], patient.labels)) for name in said.move]
    return _Read(
        bodies, tuple(view.radiograph for view in views), notes, (inputs,) * len(bodies),
        ((), *moved),
    )  # fmt: skip


def _opened(said: Namespace) -> tuple[Patient, tuple[View, ...], tuple[str, ...]]:
    """CT and radiographs, and where these start."""
    check_counts(said)
    patient = read_patient(said)
    radiograph = masked(said, read_xray(said), 0)
    others = further_radiographs(said, radiograph)
    middle, of = patient.middle, patient.registered
    if patient.labels is not None and said.move:
        # The rest of the CT moves too, but these are what the radiographs were taken of.
        middle, of = patient.labels.middle(structure_ids(said.move, patient.labels)), "these bones"
    start = starting_pose(said, radiograph.carm, middle, radiograph, middle_of=of)
    views = starting_views(said, start, (radiograph, *others))
    of_views = tuple(note for view in views for note in view.radiograph.notes)
    return patient, views, (*patient.volume.notes, *of_views, *start.notes)


def _shown(request: BodiesRequest, console: Console) -> BodiesRegistration:
    """Ctrl-C ends it with what was found so far."""
    control = Control()
    console.step("registering")
    with cancelled_by_interrupt(control):
        found = run_events(
            refine_bodies(request, control=control),
            lambda event: console.progress(*bones_progress(request, event)),
        )
    together = len(found.trajectory)
    console.progress(1.0, f"{together} iterations of all bones together", last=True)
    return found


def _answer(
    found: BodiesRegistration,
    errors: Mapping[str, Mapping[str, Any]],
    notes: Sequence[str],
    files: list[str],
) -> dict[str, Any]:
    return {
        **schema_head(BONES),
        "simulated": any(each.simulated for each in found.bodies),
        "bones": [
            {
                "name": name,
                "trusted": bool(each),
                "status": each.status.name,
                "probability": each.probability,
                "as_seen_in": None if each.as_seen_in is None else each.as_seen_in + 1,
                "shown": list(each.shown),
                "notes": list(each.notes),
                "truth": errors.get(name),
                "world_from_camera": each.world_from_camera.to(dtype=torch.float64)
                .matrix()
                .tolist(),
            }
            for name, each in zip(found.names, found.bodies, strict=True)
        ],
        "assumptions": list(notes),
        "files": files,
    }
