"""``napari-xreg register``: CT and radiographs to a pose."""

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from napari_xreg.cli.case import opened_case
from napari_xreg.cli.console import Console
from napari_xreg.cli.further_views import (
    check_counts,
    further_radiographs,
    masked,
    starting_views,
)
from napari_xreg.cli.inputs import (
    described_inputs,
    read_patient,
    read_xray,
    starting_pose,
)
from napari_xreg.cli.outputs import export_shown, said_anyway, say_missing, say_result
from napari_xreg.cli.refining import begin_reading, prepare_renderer, refine_shown
from napari_xreg.cli.trial import spelled_out
from napari_xreg.files import check_folder
from napari_xreg.images import Radiograph
from napari_xreg.progress import ahead
from napari_xreg.records import read_truth
from napari_xreg.registration import (
    SOLVERS,
    Hypothesis,
    NearBone,
    Registration,
    Spread,
    Status,
    View,
    Wanted,
)
from napari_xreg.workflows import (
    INITIALISERS,
    ExportRequest,
    NoStart,
    OpenedCase,
    Patient,
    RefineRequest,
    StartingPose,
    check_film,
    described_ct,
    error_words,
    errors_against,
    errors_by_truth,
    hypothesis_of,
    predicted_landmarks,
    with_sagittal,
)

FROM_GIVEN = {"given", *(name for name, row in INITIALISERS.items() if "given" in row.needs)}
"""Those of --init that take a pose from the options, else from the header."""


def run(arguments: Namespace, console: Console) -> int:
    """Register and write the results; the exit code."""
    out = Path(arguments.out)
    check_settings(arguments)
    check_folder(out)
    case = opened_case(arguments, console)
    arguments, trial = spelled_out(arguments) if case is None else (arguments, None)
    check_counts(arguments)
    # What can be read wrongly is read before the minutes that a refinement takes.
    truth = None if arguments.truth is None else read_truth(arguments.truth)
    device = begin_reading(arguments, console)
    # Meanwhile files are hashed and kernels loaded; then, while a start is found, levels are made.
    described = ahead(lambda: _inputs(arguments, case))
    patient = read_patient(arguments) if case is None else _of_case(arguments, case)
    if device.type == "cpu":
        solver = SOLVERS[arguments.method]
        planned = solver.settings_for(Wanted(compare=arguments.compare))
        ahead(lambda: solver.prepare(patient.rendering.volume(), planned))
    unmasked = read_xray(arguments) if case is None else case.view.radiograph
    radiograph = masked(arguments, unmasked, 0)
    others = further_radiographs(arguments, radiograph)
    patient = patient.seen_in((radiograph, *others))
    console.say(f"CT: {patient.volume!r}")
    console.say(f"radiograph: {radiograph!r}")
    if patient.structures:
        console.say(f"structures: {', '.join(patient.structures.values())}")
    try:
        start, *beside = _starts_of(arguments, patient, (radiograph, *others), console)
    except NoStart as nothing:
        console.error(str(nothing))
        return 1
    views = starting_views(arguments, start, (radiograph, *others))
    for view in views[1:]:
        console.say(f"radiograph: {view.radiograph!r}")
    for each in (start, *beside):
        console.say(f"start: {each.origin}")
    of_views = tuple(note for view in views for note in view.radiograph.notes)
    of_trial = () if trial is None else trial.notes
    of_case = () if case is None else case.notes
    of_starts = tuple(note for each in (start, *beside) for note in each.notes)
    notes = of_trial + of_case + patient.volume.notes + of_views + of_starts
    console.notes(notes)
    inputs = described.result()
    prepare_renderer(console, arguments.threads)
    console.step("registering")
    settings = with_sagittal(chosen_settings(arguments, start, beside), patient.landmarks)
    request = RefineRequest(
        patient.rendering, views, settings, start.isocenter, device,
        cpu_instead=arguments.device == "auto",
        near=NearBone(arguments.near_bone) if arguments.near_bone else None, explain=True, whole_first=True,
    )  # fmt: skip
    registration = refine_shown(request, console)
    extra: dict[str, Any] = {
        "start_origin": start.origin,
        "assumptions": list(notes),
        "structures": dict(patient.structures) or None,
        **start.extra,
    }
    if beside:
        extra["init"] = [
            each.extra.get("init", {"method": each.origin}) for each in (start, *beside)
        ]
    if truth is not None:
        errors = errors_by_truth(
            truth, patient.structures, patient.rendering.volume(), radiograph.carm, start.pose,
            registration,
        )  # fmt: skip
        if isinstance(errors, str):
            console.notes((errors,))
            extra["assumptions"] = [*notes, errors]
        else:
            extra["truth"] = errors
    if case is not None:
        extra |= _beside_truth(case, radiograph, start, registration)
    if arguments.landmarks is not None:
        extra["landmarks"] = predicted_landmarks(patient.landmarks, radiograph.carm, registration)
    with said_anyway(lambda: _say_without_files(views[0], registration, console)):
        exported = export_shown(
            ExportRequest(
                out, patient.rendering, views, registration, f"{patient.name} to {radiograph.source}",
                settings, inputs, extra, arguments.film, xvr=arguments.xvr,
            ),
            console,
        )  # fmt: skip
    data, written = exported.data, exported.files
    say_result(views[0], registration, console)
    if not registration and patient.structures:
        console.say(
            "next: several bones that have moved are registered together by `napari-xreg bones --move`"
        )
    if "truth" in data:
        console.say(error_words(data["truth"]))
    console.say(f"written to {out}: {', '.join(written)}")
    answer = data or _pose_of(registration)
    console.answer(
        answer | {"files": [str(out / name) for name in written], "missing": exported.missing}
    )
    missing = say_missing(exported.missing, console)
    return exit_code(registration) or int(missing)


def _say_without_files(view: View, registration: Registration, console: Console) -> None:
    say_result(view, registration, console)
    console.answer(_pose_of(registration) | {"files": []})


def _pose_of(registration: Registration) -> dict[str, Any]:
    """The least that is said of a result."""
    pose = registration.world_from_camera.to(dtype=torch.float64).matrix().tolist()
    return {"trusted": bool(registration), "pose": {"world_from_camera": pose}}


def exit_code(registration: Registration) -> int:
    """0 trusted, 130 cancelled, 1 anything else."""
    if registration.status is Status.CANCELLED:
        return 130
    return 0 if registration else 1


def check_settings(arguments: Namespace) -> None:
    """Say what does not go together before anything is read.

    Raises
    ------
    ValueError
        If an option does not belong to the chosen method or start.
    """
    found = [name for name in arguments.init if name not in ("given", "manual", "dicom")]
    twice = {name for name in arguments.init if arguments.init.count(name) > 1}
    if twice:
        raise ValueError(f"--init {', '.join(sorted(twice))} stands twice")
    angles = (arguments.primary, arguments.secondary, arguments.roll, arguments.offset)
    by_hand = arguments.start is not None or any(value is not None for value in angles)
    if by_hand and not FROM_GIVEN & set(arguments.init):
        raise ValueError(
            f"give either --init {','.join(arguments.init)} or a start, not both; or --init manual too"
        )
    if "manual" in arguments.init and not by_hand:
        raise ValueError("--init manual needs a start: --start FILE, or --primary and --secondary")
    networks = [name for name, row in INITIALISERS.items() if row.recipe]
    if arguments.weights is not None and not found:
        raise ValueError(f"--weights belong to --init {' or '.join(networks)}")
    given = [f"--{name}" for name in ("warp", "template") if getattr(arguments, name) is not None]
    if given and "regression" not in arguments.init:
        raise ValueError(f"{' and '.join(given)} belong to --init regression")
    check_film(arguments.film)
    solver = SOLVERS.get(arguments.method)
    if solver is None:
        raise ValueError(f"--method is one of {', '.join(SOLVERS)}: got {arguments.method!r}")
    if arguments.compare is not None and arguments.compare not in solver.compares():
        raise ValueError(
            f"--compare is, with --method {solver.name}, one of "
            f"{'; '.join(solver.compares())}: got {arguments.compare!r}"
        )
    if len(arguments.init) > 1 and arguments.lock:
        raise ValueError("--lock holds a pose that is known: give one --init with it")
    if len(arguments.init) > 1 and not solver.several_starts:
        raise ValueError(f"several --init belong to --method {_names_of('several_starts')}")
    several = arguments.multi_start not in (None, 1) or arguments.spread
    if several and not solver.several_starts:
        raise ValueError(
            f"--multi-start and --spread belong to --method {_names_of('several_starts')}"
        )
    if arguments.lock and not solver.locks:
        raise ValueError(f"--lock belongs to --method {_names_of('locks')}")
    if arguments.spread and arguments.multi_start in ((1,) if found else (1, None)):
        raise ValueError("--spread spreads the starts of --multi-start N: give N above 1, or auto")


def _names_of(ability: str) -> str:
    return " or ".join(name for name, solver in SOLVERS.items() if getattr(solver, ability))


def chosen_settings(
    arguments: Namespace, start: StartingPose, beside: Sequence[StartingPose] = ()
) -> Any:
    """The settings that the command line describes; a start that was found brings its own."""
    solver = SOLVERS[arguments.method]
    return solver.settings_for(
        Wanted(
            compare=arguments.compare,
            starts=_starts(arguments, start) if solver.several_starts else 1,
            spread=Spread(*arguments.spread) if arguments.spread else start.spread,
            beside=tuple(_beside(arguments, each) for each in beside),
            origin=start.origin if beside else "",
            locked=tuple(arguments.lock),
            seed=arguments.seed,
            keep_images=False,
            threads=arguments.threads,
            attention=start.attention,
        )
    )


def _starts(arguments: Namespace, start: StartingPose) -> int:
    if arguments.multi_start is not None:
        return int(arguments.multi_start)
    # A spread would move what is locked.
    return 1 if arguments.lock and start.starts else start.starts


def _beside(arguments: Namespace, start: StartingPose) -> Hypothesis:
    """A start beside the first; what the command line says of starts holds for all."""
    proposed = hypothesis_of(start)
    if arguments.multi_start:
        proposed = replace(proposed, starts=arguments.multi_start)
    return replace(proposed, spread=Spread(*arguments.spread)) if arguments.spread else proposed


def _starts_of(
    arguments: Namespace, patient: Patient, radiographs: Sequence[Radiograph], console: Console
) -> tuple[StartingPose, ...]:
    """Every pose that --init finds, in its order: at least one."""
    given = None
    if FROM_GIVEN & set(arguments.init):
        first = radiographs[0]
        given = starting_pose(
            arguments, first.carm, patient.middle, first, middle_of=patient.registered
        )
        if arguments.init in (["given"], ["manual"]):
            return (given,)
    from napari_xreg.cli.finding_start import find_every_start  # networks, which few runs need

    return find_every_start(arguments, patient, radiographs, given, console)


def _of_case(arguments: Namespace, case: OpenedCase) -> Patient:
    arguments.volume_center = case.patient.volume.center  # of poses in files of xvr
    said = arguments.attenuation.replace("-", " ")
    return case.patient if said == "auto" else replace(case.patient, attenuation=said)


def _beside_truth(
    case: OpenedCase, radiograph: Radiograph, start: StartingPose, registration: Registration
) -> dict[str, Any]:
    """Set and case, and how far off start and result are at its landmarks, where the truth is known."""
    found: dict[str, Any] = {"data_set": case.described()}
    places = [mark.position for mark in case.patient.landmarks if mark.position is not None]
    if case.truth is not None and places:
        points = torch.tensor(places, dtype=torch.float64)
        found["truth"] = errors_against(
            case.truth, points, radiograph.carm, start.pose, registration
        )
    return found


def _inputs(arguments: Namespace, case: OpenedCase | None) -> list[dict[str, Any]]:
    own = [described_ct(arguments.ct)] if case is None else case.inputs()
    return [*own, *described_inputs(arguments)]
