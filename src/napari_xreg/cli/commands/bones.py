"""``napari-xreg bones``: several bones in the same radiographs."""

import re
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
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
from napari_xreg.cli.outputs import export_shown
from napari_xreg.cli.refining import begin_reading, cancelled_by_interrupt, prepare_renderer
from napari_xreg.cli.trial import spelled_out
from napari_xreg.files import BONES, check_folder, schema_head
from napari_xreg.images import Radiograph, is_trial, read_trial
from napari_xreg.progress import Control, run as run_events
from napari_xreg.records import bones_in, write_bones
from napari_xreg.registration import (
    BodiesIterate,
    BodiesRegistration,
    Body,
    BodyIterate,
    NearBone,
    RefineSettings,
    Status,
    View,
    likelihood_of,
    near_bone_words,
)
from napari_xreg.workflows import (
    PATIENT,
    BodiesRequest,
    ExportRequest,
    Patient,
    bodies_of_ct,
    bone_body,
    refine_bodies,
)

BETWEEN = "between.csv"
"""How the bones lie to each other."""


@dataclass(frozen=True, eq=False)
class _Read:
    """What was read: the bodies, the radiographs, what is said of them, and the files of each body."""

    bodies: tuple[Body, ...]
    radiographs: tuple[Radiograph, ...]
    notes: tuple[str, ...]
    inputs: Sequence[list[dict[str, Any]]]
    near: NearBone | None = None


def run(arguments: Namespace, console: Console) -> int:
    """Register and write the results; the exit code."""
    out = Path(arguments.out)
    names = _names(arguments)
    folders = _folders(out, names)
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
    found = _shown(BodiesRequest(read.bodies, read.radiographs, settings, read.near), console)
    written = []
    for folder, body, registration, inputs in zip(
        folders, read.bodies, found.bodies, read.inputs, strict=True
    ):
        views = tuple(map(View, read.radiographs, body.world_from_camera))
        request = ExportRequest(
            folder, body.volume, views, registration, f"{body.name}, one of {len(found.names)} bones",
            settings, inputs, {"assumptions": list(read.notes)}, "none", kind="bones",
        )  # fmt: skip
        written += [str(folder / name) for name in export_shown(request, console).files]
        verdict = (
            "not judged" if registration.probability is None else likelihood_of(registration).short
        )
        console.say(f"{body.name}: {verdict}. {registration.status.value}")
    write_bones(out / BETWEEN, found)
    console.say(f"written to {out}: a folder for each bone; {BETWEEN}: how they lie to each other")
    console.answer(_answer(found, read.notes, [*written, str(out / BETWEEN)]))
    if any(each.status is Status.CANCELLED for each in found.bodies):
        return 130
    return 0 if found else 1


def _names(arguments: Namespace) -> list[str]:
    """Of all bodies, as they were asked for."""
    moving: list[str] = arguments.move
    twice = next((name for name in moving if moving.count(name) > 1), None)
    if twice is not None:
        raise ValueError(f"--move {twice} was given twice")
    if not is_trial(Path(arguments.ct)):
        if not moving:
            raise ValueError("--move NAME says which structure of --labels moves by itself")
        if PATIENT in moving:
            raise ValueError(f"{PATIENT!r} is the rest of the CT: give the structure by its number")
        if arguments.near_bone is not None:
            raise ValueError("--near-bone is for the bones of a trial: a CT is compared as a whole")
        return [PATIENT, *moving]
    if arguments.labels is not None:
        raise ValueError("the bones of a trial have a CT each: leave --labels out")
    names = moving or [volume.name for volume in read_trial(Path(arguments.ct)).volumes]
    if len(names) > 1 and arguments.start:
        raise ValueError(
            "--start is the pose of one bone: the bones of a trial start at their own in its folder of poses"
        )
    if any("," in name for name in moving):
        raise ValueError(
            "a comma joins structures of a label map: give each bone of a trial by itself"
        )
    return names


def _folders(out: Path, names: Sequence[str]) -> list[Path]:
    """Where the results of every bone shall stand; found out now whether they can.

    Raises
    ------
    ValueError
        If two would stand in one, or the folder holds those of other bones.
    WriteError
        If one cannot be written.
    """
    folders = [out / re.sub(r"[^\w-]+", "-", name) for name in names]
    alike = [folder.name.casefold() for folder in folders]
    if len(set(alike)) < len(alike):
        raise ValueError(f"results of two bones would stand in one folder: got {', '.join(names)}")
    table = out / BETWEEN
    others = sorted(bones_in(table) - set(names)) if table.is_file() else []
    if others:
        raise ValueError(
            f"{out} holds results of other bones ({', '.join(others)}): name another folder, or remove it"
        )
    for folder in folders:
        check_folder(folder)
    return folders


def _of_trial(arguments: Namespace, names: Sequence[str]) -> _Read:
    """The bones of a trial, each with its own CT."""
    bodies, inputs = [], []
    notes: list[str] = []
    radiographs: tuple[Radiograph, ...] = ()
    for name in names:
        said, files = spelled_out(Namespace(**(vars(arguments) | {"volume": name})))
        assert files is not None
        patient, views, told = _opened(said)
        volume = patient.rendering.volume()
        if not patient.rendering.above_water:
            raise ValueError(
                f"{name}: its CT holds more than bone: several bodies of a trial are bones alone"
            )
        bodies.append(bone_body(name, volume, [view.world_from_camera for view in views]))
        # The radiographs are the same for all: what is assumed of their distances is of the first bone's depth.
        told = patient.volume.notes if radiographs else told
        radiographs = radiographs or tuple(view.radiograph for view in views)
        notes += [note for note in (*files.notes, *told) if note not in notes]
        inputs.append([patient.described(), *described_inputs(said)])
    reach_mm = NearBone().reach_mm if arguments.near_bone is None else arguments.near_bone
    near = NearBone(reach_mm) if reach_mm else None
    notes += [near_bone_words(near)] if near is not None else []
    return _Read(tuple(bodies), radiographs, tuple(notes), inputs, near)


def _of_ct(arguments: Namespace) -> _Read:
    """Bones of a label map, and the rest of the CT."""
    arguments = Namespace(**(vars(arguments) | {"volume": None, "structures": None}))
    said, _ = spelled_out(arguments)
    labels = said.labels
    patient, views, notes = _opened(said)
    if labels is not None:
        notes = (*notes, f"bones were cut out of the CT by {Path(labels).name}")
    bones = {name: name.split(",") for name in said.move}
    bodies = bodies_of_ct(patient, bones, views)
    inputs = [patient.described(), *described_inputs(said)]
    return _Read(bodies, tuple(view.radiograph for view in views), notes, [inputs for _ in bodies])


def _opened(said: Namespace) -> tuple[Patient, tuple[View, ...], tuple[str, ...]]:
    """CT and radiographs, and where these start."""
    check_counts(said)
    patient = read_patient(said)
    radiograph = masked(said, read_xray(said), 0)
    others = further_radiographs(said, radiograph)
    start = starting_pose(said, radiograph.carm, patient.volume, radiograph)
    views = starting_views(said, start, (radiograph, *others))
    of_views = tuple(note for view in views for note in view.radiograph.notes)
    return patient, views, (*patient.volume.notes, *of_views, *start.notes)


def _shown(request: BodiesRequest, console: Console) -> BodiesRegistration:
    """Ctrl-C ends it with what was found so far."""
    control = Control()
    names = [body.name for body in request.bodies]
    together = 0

    def show(event: BodyIterate | BodiesIterate) -> None:
        nonlocal together
        if isinstance(event, BodyIterate):
            share = (names.index(event.name) + 0.5) / (len(names) + 1)
            words = f"{event.name}  iteration {event.iterate.index}  loss {event.iterate.loss:.4f}"
        else:
            together += 1
            last = request.settings.is_last(event.level)
            share = (len(names) if last else 0.0) / (len(names) + 1)
            words = f"all  iteration {event.index}  loss {event.losses['loss']:.4f}"
        console.progress(share, words)

    console.step("registering")
    with cancelled_by_interrupt(control):
        found = run_events(refine_bodies(request, control=control), show)
    console.progress(1.0, f"{together} iterations of all bones together", last=True)
    return found


def _answer(found: BodiesRegistration, notes: Sequence[str], files: list[str]) -> dict[str, Any]:
    return {
        **schema_head(BONES),
        "simulated": any(each.simulated for each in found.bodies),
        "bones": [
            {
                "name": name,
                "trusted": bool(each),
                "status": each.status.name,
                "probability": each.probability,
                "world_from_camera": each.world_from_camera.to(dtype=torch.float64)
                .matrix()
                .tolist(),
            }
            for name, each in zip(found.names, found.bodies, strict=True)
        ],
        "assumptions": list(notes),
        "files": files,
    }
