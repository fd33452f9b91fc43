"""A trial of Autoscoper in place of CT and radiographs: the command line that it stands for."""

from argparse import Namespace
from pathlib import Path

from napari_xreg.images import is_trial
from napari_xreg.workflows import TrialFiles, TrialRequest, trial_files


def spelled_out(arguments: Namespace) -> tuple[Namespace, TrialFiles | None]:
    """The arguments with the files of a trial in their places; as they are where CT is none.

    Raises
    ------
    ValueError
        If a radiograph is missing, or one or its geometry is given beside a trial.
    """
    path = Path(arguments.ct)
    if not is_trial(path):
        if arguments.volume is not None:
            raise ValueError(
                "--volume names a bone of a trial (trial.cfg): give that in place of CT"
            )
        if arguments.xray is None:
            raise ValueError(
                "give XRAY, a radiograph (a trial of Autoscoper, trial.cfg, names its own)"
            )
        return arguments, None
    if arguments.xray is not None or arguments.radiograph or arguments.geometry:
        raise ValueError(
            f"{path.name} names its radiographs and calibrations: leave XRAY, --radiograph and "
            "--geometry out"
        )
    frames = arguments.frame or [None]
    if len(frames) > 1 or frames[0] == "mean":
        raise ValueError("--frame is one number of a frame of the trial")
    starts = arguments.start or []
    poses = [start for start in starts if start.lower().endswith(".tra")]
    if poses and len(starts) > 1:
        raise ValueError("a .tra file has the pose of the bone: give --start once")
    files = trial_files(
        TrialRequest(
            path,
            frames[0],
            arguments.volume,
            None if arguments.ct_values is None else " ".join(arguments.ct_values),
            Path(poses[0]) if poses else None,
        )
    )
    first, *others = files.radiographs
    volume = files.volume.options
    said = vars(arguments) | {
        "ct": str(files.volume.path),
        "ct_spacing": volume["spacing"],
        "ct_flip": volume["flip"],
        "ct_values": volume["values"].split() if "values" in volume else None,
        "xray": str(first.path),
        "radiograph": [str(other.path) for other in others],
        "geometry": [each.options["geometry"] for each in files.radiographs],
        "read_as": arguments.read_as or first.options["read_as"],
        "bone": arguments.bone or first.options["bone"],
        "frame": None,
        "start": [start for start in starts if start not in poses] or None,
        "trial": str(path),
    }
    return Namespace(**said), files
