"""Real X-rays: single bones of a wrist registered to two calibrated radiographs of one moment.

``python -m benchmarks wrist`` takes radius, ulna and third metacarpal of ``wrist_bvr`` through the
refinement of the program, as its command and its window call it, from starts that are 3, 6 and 10 mm and 3 deg off, with both views and with each
alone. **These radiographs are real**; nothing in them is simulated. There is no independent truth:
errors are distances to the biplane poses that this software found with other settings, so they
show repeatability and agreement of settings, not accuracy. Every case is a line of
``results/wrist/<bone>.jsonl``; run again to continue.
"""

import argparse
import functools
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import chi2
from torch import Tensor

from benchmarks import report
from benchmarks.cases import data_folder
from benchmarks.refinement import digest, newest_code, source_digest, stamp
from benchmarks.scores import seen_mm
from benchmarks.single_bones import points_of
from napari_xreg.geometry import Pose
from napari_xreg.images import Radiograph, Volume, read_radiograph, read_volume
from napari_xreg.metrics import mean_target_registration_error, submillimeter_success_rate
from napari_xreg.progress import run
from napari_xreg.registration import NearBone, RefineSettings, View, landmark_uncertainty
from napari_xreg.session import Rendering
from napari_xreg.workflows import RefineRequest, refine

BONES = ("radius", "ulna", "mc3")
VARIANTS: dict[str, tuple[str, NearBone | None]] = {
    "defaults": ("auto", NearBone()),
    "whole image": ("auto", None),
    "as read": ("as read", None),
    "white squares": ("auto", NearBone()),
    "black squares": ("auto", NearBone()),
}
"""What is rendered, and where it is compared: what the program does by itself; above water in the
whole image; HU with air in the whole image; by itself, but with half of the pixels, those of one colour
of a chess board, and with the other half."""
SQUARES = 16
"""Of that board, along the shorter side of a radiograph."""

VIEWS = {"both": ("cam1", "cam2"), "1": ("cam1",), "2": ("cam2",)}
DISTANCES_MM = (3.0, 6.0, 10.0)
ROTATION_DEG = 3.0
RIGHT_MM = 1.0


def folder_of_case() -> Path:
    """Where the case lies."""
    folder = data_folder() / "wrist_bvr"
    if not folder.is_dir():
        raise SystemExit(f"the real wrist case is not in {folder.parent}: wrist_bvr is missing")
    return folder


@functools.cache
def reference() -> dict[str, Any]:
    """Calibration and poses."""
    content: dict[str, Any] = json.loads((folder_of_case() / "reference.json").read_text())
    return content


@functools.cache
def radiograph_of(camera: str) -> Radiograph:
    """A radiograph as the program reads it, with the camera's calibration."""
    known = reference()["carm"][camera]
    images = folder_of_case() / "trial" / "Radiographs" / camera.replace("cam", "cam0")
    return read_radiograph(
        next(images.glob("*.tif")),
        read_as="intensity",
        bone="dark",
        source_to_detector=known["source_to_detector_mm"],
        source_to_isocenter=known["source_to_isocenter_mm"],
        pixel_spacing=tuple(known["pixel_spacing_mm_row_column"]),
        principal_point=tuple(known["principal_point_row_column"]),
        mirrored=known["mirrored"],
    )


def of_squares(radiograph: Radiograph, colour: int) -> Radiograph:
    """With the pixels of one colour (0 or 1) of a chess board alone."""
    rows, columns = radiograph.carm.detector.shape
    side = min(rows, columns) // SQUARES
    board = (torch.arange(rows)[:, None] // side + torch.arange(columns) // side) % 2
    return radiograph.with_mask(board == colour, "half of the squares of a chess board")


@dataclass(frozen=True, eq=False)
class Bone:
    """A bone with its reference.

    Parameters
    ----------
    name
        Of its file.
    volume
        As read.
    points, middle
        20 points of it, and its middle, world mm.
    poses
        ``world_from_camera`` of every camera.
    """

    name: str
    volume: Volume
    points: Tensor
    middle: Tensor
    poses: dict[str, Pose]


@functools.cache
def bone_of(name: str) -> Bone:
    """A bone of the case."""
    volume = read_volume(folder_of_case() / f"{name}.nii.gz")
    points, middle = points_of(volume)
    entry = next(pose for pose in reference()["poses"] if pose["bone"] == name)
    return Bone(
        name,
        volume,
        points,
        middle,
        {camera: _pose(matrix) for camera, matrix in entry["world_from_camera"].items()},
    )


def _pose(rows: list[list[float]]) -> Pose:
    matrix = torch.tensor(rows, dtype=torch.float64)
    return Pose(matrix[:3, :3], matrix[:3, 3])


def start_twist(bone: str, millimetres: float, seed: int) -> Tensor:
    """A turn about and a shift of the bone's middle, of the given sizes, in random directions."""
    rng = np.random.default_rng([seed, BONES.index(bone)])
    axis, direction = (v / np.linalg.norm(v) for v in rng.standard_normal((2, 3)))
    return torch.from_numpy(np.r_[axis * np.deg2rad(ROTATION_DEG), direction * millimetres])


def register(
    bone: Bone, cameras: tuple[str, ...], variant: str, millimetres: float, seed: int
) -> dict[str, Any]:
    """One start: where it ended, what it says of itself, how long it took."""
    twist = start_twist(bone.name, millimetres, seed)
    pictures = [radiograph_of(camera) for camera in cameras]
    if variant.endswith("squares"):
        pictures = [of_squares(picture, int(variant.startswith("black"))) for picture in pictures]
    views = tuple(
        View(picture, bone.poses[camera].left_perturb(twist, bone.middle))
        for picture, camera in zip(pictures, cameras, strict=True)
    )
    settings = RefineSettings(keep_images=False, threads=1)
    attenuation, near = VARIANTS[variant]
    rendering = Rendering(bone.volume, None, attenuation=attenuation)
    request = RefineRequest(rendering, views, settings, bone.middle, near=near)
    began = time.process_time()
    result = run(refine(request))
    seconds = time.process_time() - began
    found, true = result.world_from_camera.to(dtype=torch.float64), bone.poses[cameras[0]]
    moved = found.inverse().apply(bone.points) - true.inverse().apply(bone.points)
    depth_sigma = inside = None
    if result.covariance is not None:
        predicted = landmark_uncertainty(
            bone.points,
            radiograph_of(cameras[0]).carm,
            found,
            result.covariance,
            result.pivot,
            result.scale,
        ).camera_covariance
        depth_sigma = float(predicted[:, 2, 2].sqrt().mean())
        lengths = (moved * torch.linalg.solve(predicted, moved[..., None])[..., 0]).sum(-1)
        inside = float((lengths < chi2.ppf(0.95, 3)).double().mean())
    return {
        "final_mm": float(mean_target_registration_error(found, true, bone.points)),
        "seen_mm": seen_mm(View(pictures[0], found), View(pictures[0], true), bone.points),
        "depth_mm": float(moved[:, 2].mean()),
        "depth_sigma_mm": depth_sigma,
        "inside_95": inside,
        "probability": result.probability,
        "status": result.status.name,
        "trusted": bool(result),
        "pose": found.matrix().tolist(),
        "loss": result.losses["loss"],
        "cpu_s": seconds,
    }


def run_all(options: argparse.Namespace, folder: Path) -> None:
    """All missing cases."""
    for name in options.bones:
        file = folder / f"{name}.jsonl"
        done = {
            (r["variant"], r["views"], r["start_mm"], r["seed"])
            for r in report.records(file)
            if r["code"] == _code()
        }
        bone, warm = bone_of(name), False
        for seed in range(options.first_seed, options.first_seed + options.starts):
            for variant in options.variants:
                for views in options.views:
                    for millimetres in options.distances:
                        if (variant, views, millimetres, seed) in done:
                            continue
                        if not warm:
                            register(bone, VIEWS[views], variant, millimetres, seed)
                            warm = True
                        record = register(bone, VIEWS[views], variant, millimetres, seed)
                        case = {
                            "bone": name, "variant": variant, "views": views, "seed": seed,
                            "start_mm": millimetres, "code": _code(),
                        }  # fmt: skip
                        report.append(file, {**case, **record, **stamp()})
                        print(
                            f"{name} {variant}, views {views}, {millimetres:g} mm, seed {seed}: "
                            f"{record['final_mm']:.2f} mm, {record['status']}, "
                            f"{record['cpu_s']:.1f} CPU s",
                            flush=True,
                        )


def _code() -> str:
    return digest(source_digest() + Path(__file__).read_text())


def tables(options: argparse.Namespace, folder: Path) -> tuple[list[list[Any]], list[Any]]:
    """A row for every bone, variant, choice of views and distance."""
    rows, data = [], []
    for name in options.bones:
        records = list(report.records(folder / f"{name}.jsonl"))
        code = newest_code(records)
        for variant in options.variants:
            for views in options.views:
                for millimetres in options.distances:
                    wanted = (code, variant, views, millimetres)
                    group = [
                        r
                        for r in records
                        if (r["code"], r["variant"], r["views"], r["start_mm"]) == wanted
                    ]
                    if group:
                        summary = summarised(group)
                        case = {"bone": name, "variant": variant, "views": views}
                        data.append({**case, "start_mm": millimetres, **summary})
                        rows.append([name, variant, views, f"{millimetres:g}", *_cells(summary)])
    return rows, data


def summarised(group: list[dict[str, Any]]) -> dict[str, Any]:
    """Of the records of one row."""
    errors = [r["final_mm"] for r in group]
    return {
        "cases": len(group),
        "within_1mm": submillimeter_success_rate(errors).share,
        "median_mm": report.median(errors),
        "worst_mm": max(errors),
        "seen_mm": report.median([r["seen_mm"] for r in group]),
        "depth_mm": report.median([r["depth_mm"] for r in group]),
        "depth_sigma_mm": report.median([r["depth_sigma_mm"] or math.nan for r in group]),
        "inside_95": float(np.mean([r["inside_95"] or 0.0 for r in group])),
        "verdict_right": float(np.mean([r["trusted"] == _right(r) for r in group])),
        "trusted": float(np.mean([r["trusted"] for r in group])),
        "loss": report.median([r["loss"] for r in group]),
        "cpu_s": report.median([r["cpu_s"] for r in group]),
    }


def _right(record: dict[str, Any]) -> bool:
    """In space; of one view as the radiograph shows it."""
    measured = "final_mm" if record["views"] == "both" else "seen_mm"
    return bool(record[measured] < RIGHT_MM)


def _cells(summary: dict[str, Any]) -> list[Any]:
    count = summary["cases"]
    shares = [
        f"{round(summary[name] * count)} of {count}"
        for name in ("within_1mm", "trusted", "verdict_right")
    ]
    numbers = (
        "median_mm",
        "worst_mm",
        "seen_mm",
        "depth_mm",
        "depth_sigma_mm",
        "loss",
        "cpu_s",
    )
    inside = f"{100 * summary['inside_95']:.0f} %"
    return [*shares, *(report.number(summary[name]) for name in numbers), inside]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``python -m benchmarks wrist``."""
    add = parser.add_argument
    add("--bones", nargs="+", choices=BONES, default=list(BONES))
    add("--variants", nargs="+", choices=VARIANTS, default=["defaults"])
    add("--views", nargs="+", choices=VIEWS, default=list(VIEWS))
    add("--distances", nargs="+", type=float, default=list(DISTANCES_MM), metavar="MM")
    add("--starts", type=int, default=10)
    add("--first-seed", type=int, default=0)
    add("--report-only", action="store_true", help="tables from what is there")


def main(options: argparse.Namespace, folder: Path = report.RESULTS) -> None:
    """Run what is missing, then write the table."""
    report.one_thread()
    if not options.report_only:
        run_all(options, folder / "wrist")
    rows, data = tables(options, folder / "wrist")
    env = report.environment()
    header = [
        "bone", "variant", "views", "start, mm", "within 1 mm", "trusted", "verdict right",
        "median, mm", "worst, mm", "as seen, mm", "depth, mm", "its s.d.", "loss", "CPU s", "in the 95 % region",
    ]  # fmt: skip
    markdown = f"""# Real radiographs of a wrist

**Real X-rays**, two calibrated views of one moment (Autoscoper sample data, Brown University); single-bone CTs. There is no
independent truth: errors are mTRE over 20 bone points against biplane poses found by this software
with other settings (agreement, not accuracy). Starts are off by the given shift and {ROTATION_DEG:g} deg, in random directions
about the bone's middle. A verdict is right where what is trusted is within 1 mm (of one view: as seen in it), and what is not is not. Depth of
a single view carries the CT's scale (its voxels are probably 1.4 % too large). One thread.
{report.described(env)}

{report.table(header, rows)}
"""
    report.write("wrist", markdown, {"environment": env, "rows": data}, folder)


def smoke(folder: Path) -> None:
    """One start of one bone."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    options = parser.parse_args([])
    options.bones, options.views, options.distances, options.starts = ["ulna"], ["both"], [3.0], 1
    main(options, folder)
