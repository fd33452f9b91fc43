"""A small trial of Autoscoper that was tracked in part, opened in a session."""

from dataclasses import replace

import numpy as np
from trial_maker import TRACKED, write_trial

from napari_xreg.images import read_radiograph, read_volume
from napari_xreg.session import Session, file_source
from napari_xreg.workflows import TrialRequest, trial_files

BONES = ("rad", "uln", "mc3")
# The ulna a quarter turn about z and a little aside.
ULNA = np.array(
    [[0.0, -1.0, 0.0, 24.0], [1.0, 0.0, 0.0, -13.0], [0.0, 0.0, 1.0, 33.0], [0.0, 0.0, 0.0, 1.0]]
)


def shifted(matrix, number):
    """Two mm further along x in every frame."""
    moved = matrix.copy()
    moved[0, 3] += 2.0 * (number - 7)
    return moved


def write_poses(folder, name, matrix, numbers, frames=(6, 7, 8)):
    folder.mkdir(exist_ok=True)
    lines = [shifted(matrix, n).flatten() if n in numbers else np.full(16, np.nan) for n in frames]
    np.savetxt(folder / f"{name}.tra", lines, delimiter=",", fmt="%.12f")


def tracked_trial(folder):
    """Of three bones in three frames: the radius was tracked in two, the ulna in one, the metacarpal nowhere."""
    path = write_trial(folder, frames=(6, 7, 8), bones=BONES)
    write_poses(folder / "Tracking", "rad", TRACKED, (7, 8))
    write_poses(folder / "Tracking", "uln", ULNA, (7,))
    return path


def opened(trial, bone="rad", frame=7, first=0, session=None):
    """As the Data widget opens it; the radiograph of that place is the active one."""
    files = trial_files(TrialRequest(trial, frame, bone))
    session = session or Session()
    volume = read_volume(files.volume.path, **files.volume.options)
    source = replace(file_source(files.volume.path, **files.volume.options), trial=str(trial))
    session.patient.set_volume(volume, source)
    ids = [
        session.exposures.add(
            read_radiograph(each.path, **each.options),
            source=file_source(each.path, **each.options),
        )
        for each in files.radiographs
    ]
    session.exposures.activate(ids[first])
    return session, ids
