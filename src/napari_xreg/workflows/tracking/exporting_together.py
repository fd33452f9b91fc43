"""What a track of several bones leaves behind: a folder for each, and how they lie to each other in every frame."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from napari_xreg.files import EachFile
from napari_xreg.records import BetweenRow, write_between
from napari_xreg.registration import Body
from napari_xreg.session import BodiesTrack, FrameState
from napari_xreg.workflows.bones_folder import BETWEEN, bone_folders
from napari_xreg.workflows.opening.trials import TrialFiles
from napari_xreg.workflows.tracking.exporting import (
    TrackExport,
    TrackExported,
    export_table,
    export_track,
)
from napari_xreg.workflows.tracking.frames import Frames

_WORST = [FrameState.KEY, FrameState.TRACKED, FrameState.DOUBTFUL, FrameState.OPEN]


@dataclass(frozen=True, eq=False)
class BodiesTrackExport:
    """What is written, and where.

    Parameters
    ----------
    out
        The folder of the folders, as of `bone_folders`.
    found, bodies, frames
        The answer, and what was asked.
    trials
        Of each body, as of `TrackExport`.
    film
        Whether films are drawn.
    camera
        As of `TrackExport`.
    """

    out: Path
    found: BodiesTrack
    bodies: tuple[Body, ...]
    frames: Frames
    trials: tuple[TrialFiles | None, ...]
    film: bool = True
    camera: int = 0


def export_bodies_track(asked: BodiesTrackExport) -> TrackExported:
    """Write the folder of every bone, as `export_track`, and `BETWEEN`; names are as from `out`.

    Raises
    ------
    ValueError, WriteError
        As `bone_folders`, or if no file of a bone could be written.
    """
    found = asked.found
    folders = bone_folders(asked.out, found.names)
    written = [
        export_track(
            TrackExport(
                folder, track, asked.frames, body.volume, trial, asked.film, camera=asked.camera
            )
        )
        for folder, body, track, trial in zip(
            folders, asked.bodies, found.tracks, asked.trials, strict=True
        )
    ]
    return _with_between(asked.out, found, folders, written)


def export_bodies_tables(out: Path, found: BodiesTrack) -> TrackExported:
    """As `export_bodies_track`, without what pictures are needed for: they are not there.

    Raises
    ------
    ValueError, WriteError
        As `export_bodies_track`.
    """
    folders = bone_folders(out, found.names)
    written = [
        export_table(folder, track) for folder, track in zip(folders, found.tracks, strict=True)
    ]
    return _with_between(out, found, folders, written)


def _with_between(
    out: Path, found: BodiesTrack, folders: Sequence[Path], written: Sequence[TrackExported]
) -> TrackExported:
    names: list[str] = []
    missing: dict[str, str] = {}
    for folder, exported in zip(folders, written, strict=True):
        names += [f"{folder.name}/{name}" for name in exported.files]
        missing |= {f"{folder.name}/{name}": why for name, why in exported.missing.items()}
    each = EachFile(out)
    with each.file(BETWEEN) as path:
        write_between(path, between_rows(found), simulated=found.simulated)
    return TrackExported((*names, *each.files), missing | each.missing)


def between_rows(found: BodiesTrack) -> Sequence[BetweenRow]:
    """A row for each frame and pair of bodies, as they were registered."""
    rows = []
    for place in range(len(found.tracks[0].frames)):
        for one, other in combinations(found.names, 2):
            frames = [found[name].frames[place] for name in (one, other)]
            state = max((frame.state for frame in frames), key=_WORST.index)
            pose, covariance = found.between(one, other, place) or (None, None)
            rows.append(
                BetweenRow(
                    frames[0].number, frames[0].time_s, one, other, state.value, state.sure, pose,
                    covariance,
                )
            )  # fmt: skip
    return rows
