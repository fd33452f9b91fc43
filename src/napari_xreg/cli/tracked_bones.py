"""Several bones of one sequence, as the command line asks for them and as they are told."""

from argparse import Namespace
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from napari_xreg.cli.console import Console
from napari_xreg.cli.further_views import starting_views
from napari_xreg.cli.inputs import read_patient, starting_pose
from napari_xreg.cli.moving import moving_bodies
from napari_xreg.cli.refining import cancelled_by_interrupt
from napari_xreg.cli.trial import spelled_out
from napari_xreg.files import TRACKING, schema_head
from napari_xreg.images import Radiograph, is_trial
from napari_xreg.progress import Control, run as run_events
from napari_xreg.registration import Body, View
from napari_xreg.session import BodiesTrack, Track, TrackedFrame
from napari_xreg.workflows import (
    BodiesTrackRequest,
    Patient,
    TrialFiles,
    bodies_of_ct,
    body_of_trial,
    track_bodies,
)

Event = TypeVar("Event")
Answer = TypeVar("Answer")


@dataclass(frozen=True, eq=False)
class BonesAsked:
    """Several bones of a sequence, and the trial that each is of."""

    bodies: tuple[Body, ...]
    trials: tuple[TrialFiles | None, ...]


def names_of(arguments: Namespace) -> list[str]:
    """Of all bodies that were asked for, the rest of a CT first; none: one bone by itself.

    Raises
    ------
    ValueError
        If what was asked for does not go together.
    """
    moving: list[str] = arguments.move
    if not moving:
        return []
    if arguments.key:
        raise ValueError(
            "--key is the pose of one bone: with --move say which, --key-of NAME N FILE"
        )
    if arguments.structures:
        raise ValueError("--move takes bones out of the whole CT: leave --structures out")
    if is_trial(Path(arguments.ct)) and arguments.volume is not None:
        raise ValueError("--move names the bones of the trial: leave --volume out")
    return moving_bodies(arguments, moving)


def bones_asked(
    arguments: Namespace,
    patient: Patient,
    views: Sequence[View],
    radiographs: Sequence[Radiograph],
) -> BonesAsked:
    """The bodies, with the cameras of the frame that is started from.

    Parameters
    ----------
    arguments
        As they were typed, with the frame that is started from.
    patient, views
        The CT, or the first bone of a trial, and where the cameras stand about it.
    radiographs
        Of that frame.

    Raises
    ------
    ValueError
        If a structure or a bone is unknown, or the CT of a bone of a trial holds more than bone.
    """
    if not is_trial(Path(arguments.ct)):
        bones = {name: [name] for name in arguments.move}
        bodies = bodies_of_ct(patient, bones, views)
        return BonesAsked(bodies, (None,) * len(bodies))
    bodies_, trials = [], []
    for name in arguments.move:
        said, files = spelled_out(Namespace(**(vars(arguments) | {"volume": name})))
        own = read_patient(said)
        start = starting_pose(said, radiographs[0].carm, own.middle, radiographs[0])
        cameras = [view.world_from_camera for view in starting_views(said, start, radiographs)]
        bodies_.append(body_of_trial(name, own.rendering, cameras))
        trials.append(files)
    return BonesAsked(tuple(bodies_), tuple(trials))


def track_shown(request: BodiesTrackRequest, console: Console) -> BodiesTrack:
    """Ctrl-C ends it with the frames so far."""

    def states(frames: tuple[TrackedFrame, ...]) -> tuple[int, str]:
        told = (
            f"{body.name} {frame.state.value}"
            for body, frame in zip(request.bodies, frames, strict=True)
        )
        return frames[0].number, ", ".join(told)

    return frames_shown(
        lambda control: track_bodies(request, control=control), states,
        len(request.frames.numbers), console,
    )  # fmt: skip


def frames_shown(
    tracked: Callable[[Control], Generator[Event, None, Answer]],
    told: Callable[[Event], tuple[int, str]],
    total: int,
    console: Console,
) -> Answer:
    """Tracking, with the number and the words of every frame as it ends; Ctrl-C ends it with those so far."""
    control, seen = Control(), set[int]()

    def show(event: Event) -> None:
        number, words = told(event)
        seen.add(number)
        console.progress(len(seen) / total, f"frame {number}: {words}")

    console.step("tracking")
    with cancelled_by_interrupt(control):
        found = run_events(tracked(control), show)
    console.progress(1.0, f"{len(seen)} frames", last=True)
    return found


def say_bones(
    found: BodiesTrack,
    notes: Sequence[str],
    console: Console,
    files: Sequence[str] = (),
    missing: Mapping[str, str] | None = None,
) -> None:
    """How it went, and the answer."""
    console.say(found.words)
    own = [note for track in found.tracks for note in track.notes]
    console.notes(list(dict.fromkeys(own)))
    console.answer(
        {
            **schema_head(TRACKING),
            "simulated": found.simulated,
            "cancelled": found.cancelled,
            "bones": [
                {"name": name, **frames_told(track)}
                for name, track in zip(found.names, found.tracks, strict=True)
            ],
            "assumptions": [*notes, *dict.fromkeys(own)],
            "files": list(files),
            "missing": dict(missing or {}),
        }
    )


def frames_told(track: Track) -> dict[str, Any]:
    """How many frames are in each state, why those are not trusted that are not, and which one radiograph alone shows."""
    doubtful = [f for f in track.frames if not f.state.sure]
    return {
        "frames": {state.value: count for state, count in track.counts.items()},
        "not_trusted": [{"frame": f.number, "why": f.words} for f in doubtful],
        "as_seen_in": [
            {"frame": f.number, "radiograph": f.seen_by + 1}
            for f in track.frames
            if f.seen_by is not None
        ],
    }
