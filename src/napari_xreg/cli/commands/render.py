"""``napari-xreg render``: a DRR of a CT."""

import re
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import numpy as np

from napari_xreg.cli.console import Console
from napari_xreg.cli.inputs import given_carm, read_patient, starting_pose
from napari_xreg.cli.refining import prepare_renderer
from napari_xreg.files import RENDERING, check_writable, schema_head, written
from napari_xreg.images import (
    ABOVE_WATER,
    Radiograph,
    geometry_of,
    write_geometry,
    write_radiograph,
)
from napari_xreg.records import carm_pose_to_json, carm_to_json, carm_words
from napari_xreg.rendering import choose_device, render_drr, render_structures, volume_on


def run(arguments: Namespace, console: Console) -> int:
    """Render and write; the exit code."""
    out = Path(arguments.out)
    suffix = out.suffix.lower()
    if suffix not in (".npy", ".npz", ".png", ".tif", ".tiff"):
        raise ValueError(
            f"the ending of --out chooses the format, .png, .tif, .npy or .npz: got {out.name}"
        )
    check_writable(out)
    console.step("reading")
    patient = read_patient(arguments)
    if arguments.separate and (patient.labels is None or not patient.structures):
        raise ValueError("--separate needs the structures to render: give --labels or --structures")
    console.notes(patient.volume.notes)
    carm = given_carm(arguments)
    start = starting_pose(arguments, carm, patient.volume.center.double())
    device = choose_device(arguments.device)
    if device.type == "cpu":
        prepare_renderer(console, arguments.threads)
    console.step("rendering")
    if patient.rendering.above_water:
        console.notes([ABOVE_WATER])
    there = volume_on(patient.rendering.volume(), device)
    drr = render_drr(there, carm, start.pose, method=arguments.integrator).cpu()
    terms = carm.carm_pose(start.pose, start.isocenter)
    radiograph = Radiograph(
        drr, carm, nominal=terms, simulated=True, source=f"DRR of {patient.name}"
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    made = _write(out, radiograph)
    if arguments.separate:
        assert patient.labels is not None  # asked for above
        shares = render_structures(
            volume_on(patient.volume, device), patient.labels, [{i} for i in patient.structures],
            carm, start.pose,
        )[1:].cpu()  # fmt: skip
        for (number, name), share in zip(patient.structures.items(), shares, strict=True):
            plain = re.sub(r"[^\w-]+", "_", name)
            file = out.with_name(f"{out.stem}.{number}_{plain}{out.suffix}")
            made += _write(file, replace(radiograph, line_integrals=share, source=name))
    low, high = float(drr.min()), float(drr.max())
    if high <= 0:
        console.say("note: the CT does not appear in this view: every line integral is 0")
    if patient.structures:
        console.say(f"structures: {', '.join(patient.structures.values())}")
    console.say(f"view: {carm_words(terms)}")
    console.say(f"line integrals from {low:.3f} to {high:.3f}")
    console.say(f"written: {', '.join(str(path) for path in made)}")
    console.answer(
        {
            **schema_head(RENDERING),
            "files": [str(path) for path in made],
            "carm": carm_pose_to_json(terms),
            "world_from_camera": start.pose.matrix().tolist(),
            "geometry": carm_to_json(carm),
            "integrator": arguments.integrator,
            "structures": dict(patient.structures) or None,
            "line_integral_range": [low, high],
        }
    )
    return 0


def _write(out: Path, radiograph: Radiograph) -> tuple[Path, ...]:
    """The files: an image, and its geometry where the image cannot hold it."""
    if out.suffix.lower() != ".npy":
        return write_radiograph(out, radiograph)
    sidecar = out.with_name(out.name + ".json")
    # Both or neither: values beside another image's geometry would be read wrongly.
    with written(out) as beside:
        np.save(beside, radiograph.line_integrals.numpy())
        write_geometry(sidecar, geometry_of(radiograph.carm, radiograph.nominal, "rendered"))
    return out, sidecar
