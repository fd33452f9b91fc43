"""``napari-xreg track``: where a bone was in every frame of a sequence."""

from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_xreg.cli.arguments.options import given
from napari_xreg.cli.console import Console
from napari_xreg.cli.further_views import check_counts, masked, starting_views
from napari_xreg.cli.inputs import read_patient, starting_pose, xray_options
from napari_xreg.cli.outputs import said_anyway, say_missing
from napari_xreg.cli.refining import begin_reading, prepare_renderer
from napari_xreg.cli.tracked_bones import (
    BonesAsked,
    bones_asked,
    frames_shown,
    frames_told,
    names_of,
    say_bones,
    track_shown,
)
from napari_xreg.cli.trial import spelled_out
from napari_xreg.files import TRACKING, check_folder, schema_head
from napari_xreg.geometry import Pose
from napari_xreg.images import Cine, is_trial, open_cine, read_trial
from napari_xreg.records import (
    JOINTTRACK_ENDINGS,
    read_jointtrack,
    read_pose,
    read_track,
    viewer_from_camera,
)
from napari_xreg.registration import NearBone
from napari_xreg.session import BodiesTrack, Track, TrackedFrame
from napari_xreg.workflows import (
    BETWEEN,
    BodiesTrackExport,
    BodiesTrackRequest,
    Frames,
    TrackExport,
    TrackRequest,
    TrackSettings,
    bone_folders,
    export_bodies_track,
    export_track,
    frames_of,
    only,
    track,
    trial_cines,
    trial_frames,
)


def run(arguments: Namespace, console: Console) -> int:
    """Track and write the results; the exit code."""
    out = Path(arguments.out)
    check_folder(out)
    names = names_of(arguments)
    bone_folders(out, names)
    device = begin_reading(arguments, console)
    typed = _started(arguments)
    # Of several bones of a trial each has a CT: the sequence is told by that of the first.
    first = names[0] if names and is_trial(Path(typed.ct)) else typed.volume
    arguments, trial = spelled_out(Namespace(**(vars(typed) | {"volume": first})))
    check_counts(arguments)
    cines = _cines(arguments)
    numbers = cines[0].numbers
    keys, keys_of = _keys(arguments, numbers), _keys_of(arguments, names, numbers)
    patient = read_patient(arguments)
    start = arguments.start_frame if arguments.start_frame is not None else cines[0].numbers[0]
    radiographs = [
        masked(arguments, cine.read(_known(cine, start)), camera)
        for camera, cine in enumerate(cines)
    ]
    pose = starting_pose(
        arguments, radiographs[0].carm, patient.middle, radiographs[0],
        middle_of=patient.registered,
    )  # fmt: skip
    views = starting_views(arguments, pose, radiographs)
    frames = only(
        frames_of(
            cines, [view.world_from_camera for view in views], start, pose.isocenter,
            lambda radiograph, camera: masked(arguments, radiograph, camera),
        ),
        arguments.first, arguments.last, arguments.every,
    )  # fmt: skip
    console.say(f"CT: {patient.volume!r}")
    console.say(
        f"frames: {len(frames.numbers)} of {frames.source}, from frame {start} ({pose.origin})"
    )
    notes = (() if trial is None else trial.notes) + patient.volume.notes + pose.notes
    console.notes(notes)
    prepare_renderer(console, arguments.threads)
    if names:
        bones = bones_asked(typed, patient, views, radiographs)
        return _together(typed, bones, frames, start, keys_of, notes, console)
    request = TrackRequest(
        patient.rendering, frames, start, keys, given(arguments, TrackSettings()), pose.isocenter, device,
        NearBone(arguments.near_bone) if arguments.near_bone else None,
    )  # fmt: skip
    found = _shown(request, console)
    console.step("writing")
    asked = TrackExport(out, found, frames, patient.rendering, trial, not arguments.no_film)
    with said_anyway(lambda: _say(found, notes, console)):
        exported = export_track(asked)
    _say(found, notes, console, [str(out / name) for name in exported.files], exported.missing)
    console.say(f"written to {out}: {', '.join(exported.files)}")
    return _code(found, exported.missing, console)


def _together(
    arguments: Namespace,
    asked: BonesAsked,
    frames: Frames,
    start: int,
    keys: Mapping[int, tuple[Pose | None, ...]],
    notes: Sequence[str],
    console: Console,
) -> int:
    """Several bones; the exit code."""
    out = Path(arguments.out)
    console.say(f"bones: {', '.join(body.name for body in asked.bodies)}")
    near = None
    if asked.trials[0] is not None and arguments.near_bone:
        near = NearBone(arguments.near_bone)
    settings = given(arguments, TrackSettings())
    request = BodiesTrackRequest(asked.bodies, frames, start, keys, settings, near)
    found = track_shown(request, console)
    console.step("writing")
    export = BodiesTrackExport(
        out, found, asked.bodies, frames, asked.trials, not arguments.no_film
    )
    with said_anyway(lambda: say_bones(found, notes, console)):
        exported = export_bodies_track(export)
    files = [str(out / name) for name in exported.files]
    say_bones(found, notes, console, files, exported.missing)
    console.say(f"written to {out}: a folder for each bone; {BETWEEN}: how they lie to each other")
    return _code(found, exported.missing, console)


def _code(found: Track | BodiesTrack, missing: Mapping[str, str], console: Console) -> int:
    """The exit code, once it is said what could not be written."""
    unwritten = say_missing(missing, console)
    if found.cancelled:
        return 130
    return 1 if unwritten or not found.complete else 0


def _say(
    found: Track,
    notes: Sequence[str],
    console: Console,
    files: Sequence[str] = (),
    missing: Mapping[str, str] | None = None,
) -> None:
    """How it went, and the answer."""
    console.say(found.words)
    console.notes(found.notes)
    console.answer({**_answer(found, notes, files), "missing": dict(missing or {})})


def _started(arguments: Namespace) -> Namespace:
    """The one frame that is started from; of a trial it must be known before anything is opened.

    Raises
    ------
    ValueError
        If --frame does not name one frame.
    """
    said = arguments.frame or []
    if len(said) > 1 or "mean" in said:
        raise ValueError("--frame is the number of the frame that is started from: give it once")
    start = said[0] if said else None
    path = Path(arguments.ct)
    if start is None and is_trial(path):
        numbers = trial_frames(read_trial(path))
        start = numbers[0] if numbers else None
    frame = None if start is None else [start]
    return Namespace(**(vars(arguments) | {"frame": frame, "start_frame": start}))


def _known(cine: Cine, number: int) -> int:
    if number not in cine.numbers:
        raise ValueError(
            f"{cine.source} has no frame {number}: its frames are {cine.numbers[0]} to {cine.numbers[-1]}"
        )
    return number


def _keys(arguments: Namespace, numbers: Sequence[int]) -> dict[int, Pose]:
    found = {}
    for text, path in arguments.key:
        number = _number_in("--key is the number of a frame and a file", text)
        if number in found:
            raise ValueError(f"--key {number} was given twice")
        found[number] = _pose_in(path, number, arguments, numbers)
    return found


def _keys_of(
    arguments: Namespace, names: Sequence[str], numbers: Sequence[int]
) -> dict[int, tuple[Pose | None, ...]]:
    """By the number of the frame the pose of every body that was given; None: this one is looked for."""
    found: dict[int, tuple[Pose | None, ...]] = {}
    for name, text, path in arguments.key_of:
        if name not in names:
            tracked = f"there are {', '.join(names)}" if names else "give --move, or use --key"
            raise ValueError(
                f"--key-of names a bone that is tracked with others: {tracked}; got {name!r}"
            )
        number = _number_in("--key-of is a bone, the number of a frame and a file", text)
        poses = list(found.get(number, (None,) * len(names)))
        if poses[names.index(name)] is not None:
            raise ValueError(f"--key-of {name} {number} was given twice")
        poses[names.index(name)] = _pose_in(path, number, arguments, numbers)
        found[number] = tuple(poses)
    return found


def _number_in(what: str, text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ValueError(f"{what}: got {text!r}")
    return int(text)


def _pose_in(path: str, number: int, arguments: Namespace, numbers: Sequence[int]) -> Pose:
    """Of a file of poses, of a frame in the table of an earlier run, or of its line in JointTrack's."""
    ending = Path(path).suffix.lower()
    if ending in JOINTTRACK_ENDINGS:
        poses = dict(zip(numbers, read_jointtrack(path), strict=False))
        viewer_from_body = poses.get(number)
        pose = None
        if viewer_from_body is not None:
            pose = viewer_from_body.inverse() @ viewer_from_camera()
    elif ending == ".csv":
        pose = {row.frame: row.world_from_camera for row in read_track(path).rows}.get(number)
    else:
        return read_pose(path, frame=arguments.pose_frame)
    if pose is None:
        raise ValueError(f"{Path(path).name}: has no pose of frame {number}")
    return pose


def _cines(arguments: Namespace) -> tuple[Cine, ...]:
    """Of every camera, as the command line says that they are to be read."""
    paths = [arguments.xray, *arguments.radiograph]
    plain = Namespace(**(vars(arguments) | {"frame": None}))
    options: list[dict[str, Any]] = []
    for number in range(len(paths)):
        said = xray_options(plain, number, len(paths))
        del said["frame"]
        options.append(said)
    if getattr(arguments, "trial", None) is not None:
        return trial_cines(Path(arguments.trial), options)
    return tuple(open_cine(path, **said) for path, said in zip(paths, options, strict=True))


def _shown(request: TrackRequest, console: Console) -> Track:
    """Ctrl-C ends it with the frames so far."""

    def state(frame: TrackedFrame) -> tuple[int, str]:
        chance = "" if frame.probability is None else f", right: {100 * frame.probability:.0f} %"
        return frame.number, f"{frame.state.value}{chance}"

    return frames_shown(
        lambda control: track(request, control=control), state,
        len(request.frames.numbers), console,
    )  # fmt: skip


def _answer(found: Track, notes: Sequence[str], files: Sequence[str]) -> dict[str, Any]:
    return {
        **schema_head(TRACKING),
        "simulated": found.simulated,
        "cancelled": found.cancelled,
        **frames_told(found),
        "assumptions": [*notes, *found.notes],
        "files": list(files),
    }
