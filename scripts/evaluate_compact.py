"""Evaluate a RayEmb encoder on patients it has never seen; prints the figures of its model card.

    python scripts/evaluate_compact.py weights.safetensors out.json

Phantoms held out by seed (10000, ...), and, as transfer, the real CT of ``pelvis_totalseg`` beside
the repository (or in NAPARI_XREG_DATA). Images are simulated radiographs (``typical``) over the
poses of training. Errors are camera-frame mTRE over 50 bone points.
"""

import argparse
import json
import os
import time
from pathlib import Path

import torch

from napari_xreg.geometry import Pose
from napari_xreg.images import read_labels, read_volume
from napari_xreg.metrics import mean_target_registration_error
from napari_xreg.rayemb import (
    CaseResult,
    CorrespondSettings,
    TemplateSettings,
    ValidationPatient,
    evaluate,
    load_encoder,
    validation_patient,
)
from napari_xreg.rendering import set_thread_count
from napari_xreg.simulation import phantom
from napari_xreg.training import STANDARD_CARM, PoseRange


def figures(results: list[CaseResult], frontal: list[float]) -> dict[str, float]:
    """Localisation, sureness and pose errors of some cases."""
    inside = torch.cat([r.scatter.truly_in_image for r in results])
    errors = torch.cat([r.scatter.error_mm for r in results])[inside]
    told = torch.cat([r.scatter.in_image for r in results])
    chosen = torch.cat([r.chosen_error_mm for r in results])
    mtre = torch.tensor([r.mtre_mm for r in results], dtype=torch.float64)
    quartiles = torch.tensor([0.25, 0.5, 0.95], dtype=torch.float64)
    low, median, high = mtre.quantile(quartiles).tolist()
    return {
        "cases": len(results),
        "localisation_median_mm": float(errors.median()),
        "localisation_within_10mm": float((errors < 10).double().mean()),
        "chosen_median_mm": float(chosen.nanmedian()),
        "in_image_accuracy": float(((told > 0.5) == inside).double().mean()),
        "in_image_base_rate": float(inside.double().mean()),
        "mtre_25_mm": low,
        "mtre_median_mm": median,
        "mtre_95_mm": high,
        "under_30mm": float((mtre < 30).double().mean()),
        "gfr_10mm": float((mtre > 10).double().mean()),
        "gfr_5mm": float((mtre > 5).double().mean()),
        "no_pose": float((mtre >= 200).double().mean()),
        "frontal_start_median_mm": float(torch.tensor(frontal).median()),
    }


def frontal_errors(patient: ValidationPatient) -> list[float]:
    """Of the start without any method: the frontal view of the isocenter."""
    isocenter = patient.isocenter
    start: Pose = STANDARD_CARM.world_from_camera(0.0, 0.0, isocenter=isocenter)
    return [
        float(mean_target_registration_error(start, truth, patient.fiducials))
        for truth in patient.truths
    ]


def main() -> None:
    """Evaluate and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("weights", type=Path)
    parser.add_argument("file", type=Path)
    parser.add_argument("--phantoms", type=int, default=10)
    parser.add_argument("--images", type=int, default=4, help="of each phantom")
    parser.add_argument("--real-images", type=int, default=24)
    parser.add_argument("--severity", default="typical")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    set_thread_count(1)
    encoder, about = load_encoder(arguments.weights)
    settings = CorrespondSettings()
    poses = PoseRange()
    templates = TemplateSettings()
    groups: dict[str, tuple[list[CaseResult], list[float]]] = {}
    held_out: tuple[list[CaseResult], list[float]] = ([], [])
    began = time.process_time()
    for number in range(arguments.phantoms):
        made = phantom(spacing_mm=2.0, seed=10_000 + number)
        seeds = range(20_000 + 100 * number, 20_000 + 100 * number + arguments.images)
        patient = validation_patient(
            made.volume, made.labels, encoder.framing, seeds=seeds, poses=poses,
            severity=arguments.severity, templates=templates, points=3000,
        )  # fmt: skip
        held_out[0].extend(evaluate(encoder, patient, settings))
        held_out[1].extend(frontal_errors(patient))
        print(f"phantom {10_000 + number}: {time.process_time() - began:.0f} CPU s", flush=True)
    groups["phantoms held out"] = held_out
    data = Path(os.environ.get("NAPARI_XREG_DATA", Path(__file__).parents[2] / "shared" / "data"))
    folder = data / "pelvis_totalseg"
    if folder.is_dir() and arguments.real_images:
        volume, labels = read_volume(folder / "ct.nii.gz"), read_labels(folder / "labels.nii.gz")
        seeds = range(30_000, 30_000 + arguments.real_images)
        patient = validation_patient(
            volume, labels, encoder.framing, seeds=seeds, poses=poses,
            severity=arguments.severity, templates=templates, points=3000,
        )  # fmt: skip
        groups["pelvis_totalseg"] = (evaluate(encoder, patient, settings), frontal_errors(patient))
    report = {name: figures(results, frontal) for name, (results, frontal) in groups.items()}
    print(json.dumps(report, indent=1))
    content = {"weights": dict(about), "severity": arguments.severity, "report": report}
    arguments.file.write_text(json.dumps(content, indent=1))


if __name__ == "__main__":
    main()
