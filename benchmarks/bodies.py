"""Bones that have moved since the CT: all together, and one after the other.

``python -m benchmarks bodies``: the built-in phantom with both femurs moved about their hips (5 degrees and 1.5 mm,
standard deviation per axis) by the simulator's own integrator, in one view and in two; every body starts where
the CT has it, the camera 5 mm and 3 degrees off. And the **real** biplane wrist: radius, ulna and third metacarpal together, from
starts that are 3, 6 and 10 mm and 3 degrees off; there is no independent truth (`wrist`). Every case is a line of
``results/bodies/<part>.jsonl``; run again to continue.
"""

import argparse
import dataclasses
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks import cases, report
from benchmarks.cases import PHANTOM, labels_of, seed_kind, volume_of
from benchmarks.scores import seen_mm
from benchmarks.wrist import BONES, bone_of, radiograph_of, start_twist
from napari_xreg.geometry import CArm, Detector, Pose
from napari_xreg.images import Radiograph, above_water
from napari_xreg.progress import run
from napari_xreg.registration import (
    Body,
    NearBone,
    RefineSettings,
    View,
    cut_bodies,
    refine,
    refine_bodies,
    refine_near_bone,
    step_between,
)
from napari_xreg.simulation import EVALUATION_SEEDS, SEVERITIES, simulate_radiograph
from napari_xreg.workflows import bone_body, middle_of

FEMURS = {"femur_left": 75, "femur_right": 76}
CAMERAS = ((5.0, -8.0, 2.0), (48.0, 6.0, -3.0))
MOVED_DEG, MOVED_MM = 5.0, 1.5
OFF_DEG, OFF_MM = 3.0, 5.0
VIEWS = ("cam1", "cam2")
WRIST_MM = (3.0, 6.0, 10.0)
RIGHT_MM = 2.0
SETTINGS = RefineSettings(keep_images=False, threads=1)
WAYS = ("together", "one by one")


def arm() -> CArm:
    """Oblong pixels, a principal point off the middle."""
    rows, columns = (72, 80) if cases.in_miniature() else (230, 256)
    return CArm(
        1020.0, 700.0,
        Detector((rows, columns), (299.0 / rows, 307.2 / columns), (0.44 * rows, 0.547 * columns)),
    )  # fmt: skip


def femurs(severity: str, cameras: int, seed: int) -> list[dict[str, Any]]:
    """One patient, both ways: a record each."""
    volume, labels = volume_of(PHANTOM), labels_of(PHANTOM)
    assert labels is not None
    quality = dataclasses.replace(
        SEVERITIES[severity], bone_motion_deg=MOVED_DEG, bone_motion_mm=MOVED_MM
    )
    camera = arm()
    poses = [
        camera.world_from_camera(*angles, isocenter=volume.center) for angles in CAMERAS[:cameras]
    ]
    rest, *bones = cut_bodies(volume, labels, [[label] for label in FEMURS.values()])
    names = ("patient", *FEMURS)
    made = {
        name: [
            simulate_radiograph(
                volume, labels, camera, pose, severity=quality, seed=seed,
                named_bone=None if name == "patient" else name, rays_per_side=1 if cases.in_miniature() else 2,
            )
            for pose in poses
        ]
        for name in names
    }  # fmt: skip
    radiographs = [each.radiograph for each in made["patient"]]
    truth = {
        name: [m.world_from_camera.to(dtype=torch.float64) for m in each]
        for name, each in made.items()
    }
    rng = np.random.default_rng([seed, 7])
    axis, direction = (v / np.linalg.norm(v) for v in rng.standard_normal((2, 3)))
    off = torch.from_numpy(np.r_[np.deg2rad(OFF_DEG) * axis, OFF_MM * direction])
    middle = volume.center.double()
    start = tuple(pose.to(dtype=torch.float64).left_perturb(off, middle) for pose in poses)
    structures = {"patient": [77, 78], **{name: [label] for name, label in FEMURS.items()}}
    points = {
        name: _seen(_points(labels.mask(ids), volume), truth[name], camera)
        for name, ids in structures.items()
    }
    bodies = [Body("patient", rest, start, middle, rest=True)]
    bodies += [
        Body(name, bone, start, middle_of(bone), 0.0)
        for name, bone in zip(FEMURS, bones, strict=True)
    ]
    found: dict[str, dict[str, Any]] = {}
    began = time.process_time()
    together = run(refine_bodies(bodies, radiographs, settings=SETTINGS))
    seconds = {"together": time.process_time() - began}
    found["together"] = {name: together[name] for name in names}
    views = [View(r, p) for r, p in zip(radiographs, start, strict=True)]
    began = time.process_time()
    found["one by one"] = {
        "patient": run(refine(volume, views, settings=SETTINGS, isocenter=middle))
    }
    for name, label in FEMURS.items():
        alone = above_water(volume.restrict(labels.mask([label])))
        # As today: each bone from where the patient was found.
        views = [
            View(r, p)
            for r, p in zip(radiographs, found["one by one"]["patient"].views, strict=True)
        ]
        found["one by one"][name] = run(
            refine_near_bone(alone, views, settings=SETTINGS, isocenter=middle_of(alone))
        )
    seconds["one by one"] = time.process_time() - began
    return [
        {
            "part": "femurs", "severity": severity, "cameras": cameras, "seed": seed, "way": way,
            "cpu_seconds": seconds[way],
            "bodies": {
                name: _row(found[way][name], truth[name][0], start[0], points[name], radiographs[0]) for name in names
            },
        }
        for way in WAYS
    ]  # fmt: skip


def _points(mask: Tensor, volume: Any) -> Tensor:
    """300 voxels of a structure, world mm."""
    places = torch.nonzero(mask).flip(1).double()
    some = places[torch.randperm(len(places), generator=torch.Generator().manual_seed(0))[:300]]
    matrix = volume.world_from_index.double()
    return some @ matrix[:3, :3].T + matrix[:3, 3]


def _seen(points: Tensor, truth: Sequence[Pose], camera: CArm) -> Tensor:
    """Those that every view shows: of a shaft that ends below the picture nobody can say where it is."""
    rows, columns = camera.detector.shape
    shown = torch.ones(len(points), dtype=torch.bool)
    for pose in truth:
        row, column = camera.project(points, pose).unbind(-1)
        shown &= (row > 0) & (row < rows) & (column > 0) & (column < columns)
    return points[shown]


def _row(
    found: Any, truth: Pose, start: Pose, points: Tensor, radiograph: Radiograph
) -> dict[str, Any]:
    pose = found.world_from_camera.to(dtype=torch.float64)
    there = truth.inverse().apply(points)
    aside = pose.inverse().apply(points) - there
    return {
        "start_mm": float((start.inverse().apply(points) - there).norm(dim=1).mean()),
        "mtre_mm": float(aside.norm(dim=1).mean()),
        "seen_mm": seen_mm(View(radiograph, pose), View(radiograph, truth), points),
        "probability": found.probability,
        "status": found.status.name,
        "trusted": bool(found),
    }


def wrist(millimetres: float, seed: int, cameras: Sequence[str]) -> dict[str, Any]:
    """The three bones together, from one start of each."""
    bones = [bone_of(name) for name in BONES]
    bodies = []
    for bone in bones:
        twist = start_twist(bone.name, millimetres, seed)
        poses = [bone.poses[camera].left_perturb(twist, bone.middle) for camera in cameras]
        bodies.append(bone_body(bone.name, above_water(bone.volume), poses))
    began = time.process_time()
    found = run(
        refine_bodies(
            bodies,
            [radiograph_of(camera) for camera in cameras],
            settings=SETTINGS,
            near=NearBone(),
        )
    )
    seconds = time.process_time() - began
    between, covariance = found.between("radius", "ulna")
    return {
        "part": "wrist", "cameras": len(cameras), "start_mm": millimetres, "seed": seed,
        "cpu_seconds": seconds,
        "radius_from_ulna": between.matrix().tolist(),
        "deviations": None if covariance is None else covariance.diagonal().sqrt().tolist(),
        "bodies": {
            bone.name: _row(found[bone.name], bone.poses[cameras[0]], bodies[n].world_from_camera[0], bone.points, radiograph_of(cameras[0]))
            for n, bone in enumerate(bones)
        },
    }  # fmt: skip


HEADER = (
    "what", "views", "way", "cases", "mTRE, mm", "75 %", "worst", "as seen, mm", "right", "trusted", "trusted and wrong",
    "CPU s",
)  # fmt: skip


def lines_of(records: Sequence[dict[str, Any]]) -> list[list[object]]:
    """A line for each body, number of views and way."""
    groups: dict[tuple[Any, ...], list[tuple[dict[str, Any], float]]] = {}
    for record in records:
        for name, body in record["bodies"].items():
            kind = "femur" if name in FEMURS else name
            what = kind if record["part"] == "wrist" else f"{kind}, {record['severity']}"
            key = (
                what,
                record["cameras"],
                record.get("way", f"together, from {record.get('start_mm', 0):g} mm"),
            )
            groups.setdefault(key, []).append((body, record["cpu_seconds"]))
    lines: list[list[object]] = []
    for (what, cameras, way), found in groups.items():
        errors = sorted(body["mtre_mm"] for body, _ in found)
        # What the verdict is about: with one view, what is seen in it.
        told = "seen_mm" if cameras == 1 else "mtre_mm"
        wrong = [body[told] > RIGHT_MM for body, _ in found]
        sure = [off for off, (body, _) in zip(wrong, found, strict=True) if body["trusted"]]
        lines.append(
            [
                what, cameras, way, len(found), report.number(report.median(errors)),
                report.number(float(np.percentile(errors, 75))), report.number(errors[-1]),
                report.number(report.median([body["seen_mm"] for body, _ in found])),
                len(wrong) - sum(wrong), len(sure), sum(sure),
                report.number(report.median([s for _, s in found]), 1),
            ]
        )  # fmt: skip
    return lines


def scatter_of(records: Sequence[dict[str, Any]]) -> str:
    """How alike the motion of radius against ulna comes out of different starts."""
    said = []
    for cameras in sorted({r["cameras"] for r in records}):
        poses = [
            Pose.from_matrix(torch.tensor(r["radius_from_ulna"], dtype=torch.float64))
            for r in records
            if r["cameras"] == cameras
        ]
        middle = bone_of("radius").middle.double()
        steps = torch.stack([step_between(poses[0], pose, middle) for pose in poses])
        turn, way = (steps[:, part].std(0).norm() for part in (slice(0, 3), slice(3, 6)))
        said.append(
            f"{cameras} view{'s' * (cameras > 1)}: {math.degrees(float(turn)):.3f} degrees and {float(way):.3f} mm over {len(poses)} starts"
        )
    return "; ".join(said)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command line may choose."""
    parser.add_argument("--patients", type=int, default=8)
    parser.add_argument("--severity", nargs="+", default=["typical"])
    parser.add_argument("--cameras", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--wrist-starts", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=EVALUATION_SEEDS[0] + 700)


def main(options: argparse.Namespace, folder: Path = report.RESULTS) -> None:
    """Register, and write the table."""
    report.one_thread()
    kept = folder / "bodies"
    seeds = range(options.first_seed, options.first_seed + options.patients)
    file = kept / "femurs.jsonl"
    done = {(r["severity"], r["cameras"], r["seed"]) for r in report.records(file)}
    for severity in options.severity:
        for seed in seeds:
            for cameras in options.cameras:
                if (severity, cameras, seed) not in done:
                    for record in femurs(severity, cameras, seed):
                        report.append(file, record)
    real = kept / "wrist.jsonl"
    before = {(r["cameras"], r["start_mm"], r["seed"]) for r in report.records(real)}
    for seed in range(options.wrist_starts):
        for millimetres in WRIST_MM:
            if (len(VIEWS), millimetres, seed) not in before:
                report.append(real, wrist(millimetres, seed, VIEWS))
    of_phantom, of_wrist = list(report.records(file)), list(report.records(real))
    env = report.environment()
    markdown = (
        f"# Bones that moved, together and one by one\n\n**Simulated radiographs** of the built-in phantom, both femurs moved about "
        f"their hips by {MOVED_DEG:g} degrees and {MOVED_MM:g} mm (standard deviation per axis), by the simulator's own integrator; "
        f"{seed_kind(options.first_seed, options.patients)}; the camera {OFF_MM:g} mm and {OFF_DEG:g} degrees off, the femurs "
        f"where the CT has them. Errors are of those of 300 voxels of each bone that lie in the pictures; right is within {RIGHT_MM:g} mm, with one view as seen in it. One thread. {report.described(env)}\n\n"
        f"{report.table(HEADER, lines_of(of_phantom))}\n\n"
    )
    if of_wrist:
        markdown += (
            "**Real radiographs** of a wrist, two views; errors are distances to the poses of `reference.json`, which this software "
            "found with other settings: repeatability, not accuracy.\n\n"
            f"{report.table(HEADER, lines_of(of_wrist))}\n\nRadius against ulna, scatter over starts: {scatter_of(of_wrist)}.\n"
        )
    report.write(
        "bodies", markdown, {"environment": env, "femurs": of_phantom, "wrist": of_wrist}, folder
    )


def smoke(folder: Path) -> None:
    """Everything, in miniature."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    words = ["--patients", "1", "--cameras", "1", "--wrist-starts", "0"]
    main(parser.parse_args(words), folder)
