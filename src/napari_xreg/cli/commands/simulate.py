"""``napari-xreg simulate``: a radiograph with a known answer."""

import dataclasses
import json
from argparse import Namespace
from pathlib import Path
from typing import Any

import torch

from napari_xreg.cli.arguments.options import given
from napari_xreg.cli.console import Console
from napari_xreg.cli.inputs import given_carm, read_patient, starting_pose
from napari_xreg.files import TRUTH, check_writable, schema_head, set_thread_count, written
from napari_xreg.geometry import CArm
from napari_xreg.images import write_dicom_radiograph, write_radiograph
from napari_xreg.records import carm_pose_to_json, carm_to_json, carm_words, versions
from napari_xreg.simulation import SimulatedRadiograph
from napari_xreg.workflows import (
    Patient,
    SampleSettings,
    SimulateRequest,
    body_points,
    bone_points,
    simulate,
)


def run(arguments: Namespace, console: Console) -> int:
    """Simulate and write; the exit code."""
    out = Path(arguments.out)
    as_dicom = arguments.dicom or out.suffix.lower() in (".dcm", ".dicom")
    if not as_dicom and out.suffix.lower() not in (".npz", ".png", ".tif", ".tiff"):
        raise ValueError(
            f"the ending of --out chooses the format, .npz, .png, .tif or .dcm: got {out.name}"
        )
    check_writable(out)
    truth_path = out.with_name(out.name + ".truth.json")
    check_writable(truth_path)
    if arguments.threads is not None:
        set_thread_count(arguments.threads)
    console.step("reading")
    patient = read_patient(arguments)
    console.notes(patient.volume.notes)
    carm = given_carm(arguments)
    start = starting_pose(arguments, carm, patient.volume.center.double())
    console.step(f"simulating ({arguments.severity}, seed {arguments.seed})")
    settings = given(arguments, SampleSettings(), ("severity", "seed", "start_error"))
    made = simulate(
        SimulateRequest(patient.volume, patient.labels, start.isocenter, settings, carm, start.pose)
    )
    radiograph, simulated = made.radiograph, made.simulated
    out.parent.mkdir(parents=True, exist_ok=True)
    data = truth_to_json(simulated, patient, carm, start.isocenter, arguments.start_error)
    # Both or neither: an image beside the truth of another would be judged wrongly.
    with written(truth_path) as beside:
        beside.write_text(json.dumps(data, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        if as_dicom:
            files = [write_dicom_radiograph(out, radiograph)]
        else:
            files = list(write_radiograph(out, radiograph))
    files.append(truth_path)
    assert radiograph.nominal is not None
    true_terms = carm.carm_pose(simulated.world_from_camera, start.isocenter)
    console.say(f"SIMULATED radiograph of {patient.name} ({arguments.severity})")
    console.say(f"truth:   {carm_words(true_terms)}")
    console.say(f"header:  {carm_words(radiograph.nominal)}")
    console.say(f"written: {', '.join(str(path) for path in files)}")
    console.say(f"next:    napari-xreg register {arguments.ct} {out} --truth {truth_path}")
    console.answer({**data, "files": [str(path) for path in files]})
    return 0


def truth_to_json(
    simulated: SimulatedRadiograph,
    patient: Patient,
    carm: CArm,
    isocenter: torch.Tensor,
    start_error: float,
) -> dict[str, Any]:
    """The contents of a truth file; `read_truth` reads it back."""
    pose = simulated.world_from_camera.to(dtype=torch.float64)
    points = bone_points(patient.volume, carm, pose, count=50, seed=simulated.seed)
    return {
        **schema_head(TRUTH),
        "simulated": True,
        "world_from_camera": pose.matrix().tolist(),
        "carm": carm_pose_to_json(carm.carm_pose(pose, isocenter)),
        "named_bone": simulated.named_bone,
        "geometry": carm_to_json(carm),
        "severity": dataclasses.asdict(simulated.severity),
        "seed": simulated.seed,
        "start_error": start_error,
        "fiducials_mm": points.tolist(),
        "fiducials_are": "points in bone that the view shows, world LPS",
        "bones": _moved_bones(simulated, patient, carm),
        "inputs": [patient.described()],
        "versions": versions(),
    }


def _moved_bones(
    simulated: SimulatedRadiograph, patient: Patient, carm: CArm
) -> dict[str, dict[str, Any]]:
    """Where the camera stood about every bone that had moved since the CT."""
    found = {}
    for name, motion in simulated.bone_motions.items():
        assert patient.labels is not None
        pose = motion.world_from_rest.inverse() @ simulated.world_from_camera.to(
            dtype=torch.float64
        )
        bone = patient.volume.restrict(patient.labels.mask([motion.label]))
        points = body_points(bone, carm, pose, count=50, seed=simulated.seed)
        found[name] = {
            "label": motion.label,
            "world_from_camera": pose.matrix().tolist(),
            "fiducials_mm": points.tolist(),
        }
    return found
