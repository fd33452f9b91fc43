"""What a track leaves behind: a table, a film, and the poses as JointTrack and Autoscoper read them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from napari_xreg.files import EachFile, written_folder
from napari_xreg.geometry import Pose
from napari_xreg.images import ReadError, Volume
from napari_xreg.records import (
    FrameShown,
    TrackRow,
    track_pictures,
    viewer_from_camera,
    write_gif,
    write_jointtrack,
    write_track,
)
from napari_xreg.session import Rendering, Track, TrackedFrame
from napari_xreg.workflows.opening.trials import TrialFiles
from napari_xreg.workflows.tracking.frames import Frames
from napari_xreg.workflows.tracking.trial import write_autoscoper

TRACK_TABLE, FILM, AUTOSCOPER = "track.csv", "track.gif", "autoscoper.tra"
JOINTTRACK = "jointtrack.jts"
FILM_FRAMES = 60
"""At most: of a longer sequence, as many spread over it."""


@dataclass(frozen=True, eq=False)
class TrackExport:
    """What is written, and where.

    Parameters
    ----------
    folder
        The files are `TRACK_TABLE`, `JOINTTRACK`, `FILM` and, of a trial, `AUTOSCOPER`.
    track, frames, volume
        The answer, and what was asked.
    trial
        Of Autoscoper that was tracked; None: no ``.tra`` file.
    film
        Whether a film is drawn.
    camera
        Place in the trial of the camera that the track's poses are of.
    """

    folder: Path
    track: Track
    frames: Frames
    volume: Volume | Rendering
    trial: TrialFiles | None = None
    film: bool = True
    camera: int = 0


@dataclass(frozen=True)
class TrackExported:
    """The names of the files, and those that could not be written, with why."""

    files: tuple[str, ...]
    missing: Mapping[str, str]


def export_track(request: TrackExport) -> TrackExported:
    """Write a track; a file that cannot be written costs the others nothing.

    Raises
    ------
    WriteError
        If no file could be written; what an earlier run left is then untouched.
    """
    what = request.volume
    volume = what.volume() if isinstance(what, Rendering) else what
    with written_folder(request.folder, "track") as part:
        each = EachFile(part)
        _write_table(each, request.track, request.frames.numbers)
        if request.trial is not None:
            with each.file(AUTOSCOPER) as path:
                write_autoscoper(
                    path, request.track, request.trial, volume.shape, camera=request.camera
                )
        if request.film:
            with each.file(FILM) as path:
                pictures = list(track_pictures(volume, _shown(request)))
                if pictures:
                    write_gif(path, pictures)
            if not path.exists():  # no frame has a picture
                each.files.pop(FILM, None)
        each.check()
    return TrackExported(tuple(each.files), each.missing)


def export_table(folder: Path, track: Track) -> TrackExported:
    """Write the table of a track alone: its pictures are not there.

    Raises
    ------
    WriteError
        As `export_track`.
    """
    with written_folder(folder, "track") as part:
        each = EachFile(part)
        _write_table(each, track, [frame.number for frame in track.frames])
        each.check()
    return TrackExported(tuple(each.files), each.missing)


def _write_table(each: EachFile, track: Track, numbers: Sequence[int]) -> None:
    """JointTrack puts a line to the picture of its place: a frame that was not reached has one, too."""
    with each.file(TRACK_TABLE) as path:
        write_track(path, rows_of(track), track.carm, track.pivot, simulated=track.simulated)
    with each.file(JOINTTRACK) as path:
        found = {frame.number: _for_jointtrack(frame) for frame in track.frames}
        write_jointtrack(path, [found.get(number) for number in numbers])


def _for_jointtrack(frame: TrackedFrame) -> Pose | None:
    """Of the first camera; what is not trusted is none there."""
    if frame.world_from_camera is None or not frame.state.sure:
        return None
    return viewer_from_camera() @ frame.world_from_camera.to(dtype=torch.float64).inverse()


def rows_of(track: Track) -> list[TrackRow]:
    """A row for each frame."""
    smooth = track.smoothed
    return [
        TrackRow(
            frame.number,
            frame.time_s,
            frame.state.value,
            frame.probability,
            frame.loss,
            frame.world_from_camera,
            frame.covariance,
            track.smooth_pose(place),
            None if smooth is None else smooth.covariances[place],
        )
        for place, frame in enumerate(track.frames)
    ]


def _shown(request: TrackExport) -> Iterator[FrameShown]:
    frames = request.track.frames
    count = min(len(frames), FILM_FRAMES)
    for number in range(count):
        frame = frames[round(number * (len(frames) - 1) / max(1, count - 1))]
        moved = frame.world_from_rig
        try:
            seen = request.frames.views(frame.number)
        except ReadError:  # such a frame is open, and has no picture
            continue
        views = tuple(
            (view.radiograph, None if moved is None else moved @ view.world_from_camera)
            for view in seen
        )
        when = "" if frame.time_s is None else f"   {frame.time_s:.2f} s"
        chance = "" if frame.probability is None else f"   right: {100 * frame.probability:.0f} %"
        words = f"frame {frame.number}{when}   {frame.state.value}{chance}"
        yield FrameShown(views, words, frame.state.sure)
