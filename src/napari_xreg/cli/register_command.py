"""``napari-xreg register``: CT and radiograph to a pose."""

from argparse import Namespace
from pathlib import Path
from typing import Any

from napari_xreg.cli.checking import errors_against, predicted_landmarks, read_truth
from napari_xreg.cli.console import Console
from napari_xreg.cli.inputs import read_patient, read_xray, restricted, starting_pose
from napari_xreg.cli.outputs import error_words, write_registration
from napari_xreg.cli.refining import prepare_renderer, refine_shown
from napari_xreg.registration import RefineSettings, Registration, Spread, Status, View
from napari_xreg.registration.adam import AdamSettings
from napari_xreg.registration.result_files import describe_input


def run(arguments: Namespace, console: Console) -> int:
    """Register and write the results; the exit code."""
    settings = chosen_settings(arguments)
    out = Path(arguments.out)
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out {out} is a file: name a folder for the results")
    console.step("reading")
    patient = read_patient(arguments)
    radiograph = read_xray(arguments)
    volume, structures, _ = restricted(arguments, patient)
    start = starting_pose(arguments, radiograph.carm, patient.volume, radiograph)
    truth = None if arguments.truth is None else read_truth(arguments.truth)
    files = [(patient.path, "ct"), (arguments.xray, "radiograph"), (arguments.labels, "labels")]
    files += [(arguments.start, "start"), (arguments.truth, "truth")]
    inputs = [describe_input(path, role) for path, role in files if path is not None]
    if patient.path is None:
        inputs.append({"role": "ct", "path": patient.name, "built_in": True})
    notes = (*radiograph.notes, *start.notes)
    console.say(f"CT: {patient.volume!r}")
    console.say(f"radiograph: {radiograph!r}")
    console.say(f"start: {start.origin}")
    if structures:
        console.say(f"structures: {', '.join(structures.values())}")
    for note in notes:
        console.say(f"note: {note}")
    prepare_renderer(console, arguments.threads)
    console.step("registering")
    view = View(radiograph, start.pose)
    registration = refine_shown(volume, view, settings, start.isocenter, console)
    extra: dict[str, Any] = {
        "start_origin": start.origin,
        "assumptions": list(notes),
        "structures": structures,
    }
    if truth is not None:
        true_pose, fiducials, _ = truth
        extra["truth"] = errors_against(
            true_pose, fiducials, radiograph.carm, start.pose, registration
        )
    if arguments.landmarks is not None:
        extra["landmarks"] = predicted_landmarks(arguments.landmarks, radiograph.carm, registration)
    data, written = write_registration(
        out,
        volume,
        view,
        registration,
        title=f"{patient.name} to {radiograph.source}",
        settings=settings,
        inputs=inputs,
        extra=extra,
        film=arguments.film,
        console=console,
    )
    if "truth" in data:
        console.say(error_words(data["truth"]))
    console.say(f"written to {out}: {', '.join(written)}")
    console.answer(data | {"files": [str(out / name) for name in written]})
    return exit_code(registration)


def exit_code(registration: Registration) -> int:
    """0 trusted, 130 cancelled, 1 anything else."""
    if registration.status is Status.CANCELLED:
        return 130
    return 0 if registration else 1


def chosen_settings(arguments: Namespace) -> RefineSettings | AdamSettings:
    """The settings that the command line describes.

    Raises
    ------
    ValueError
        If an option does not belong to the chosen method.
    """
    if arguments.method == "adam":
        if arguments.multi_start > 1 or arguments.lock or arguments.spread:
            raise ValueError("--multi-start, --spread and --lock belong to --method lm")
        return AdamSettings(keep_images=False)
    if arguments.spread and arguments.multi_start == 1:
        raise ValueError("--spread spreads the starts of --multi-start N: give N above 1")
    return RefineSettings(
        starts=arguments.multi_start,
        spread=Spread(*arguments.spread) if arguments.spread else Spread(),
        locked=tuple(arguments.lock),
        seed=arguments.seed,
        keep_images=False,
        threads=arguments.threads,
    )
