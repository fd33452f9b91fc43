"""A moving patient, tracked: how far off, how often found, how sure, how fast. Simulated.

``python -m benchmarks sequences [--frames 200]``: the built-in phantom's pelvis turns and shifts by
committed sines in front of one camera, then of two, in radiographs of `severity` with their metal; some
frames are black, as dropped ones are. Each sequence is tracked from its first frame, 8 mm off. Beam, blades and
metal stay as they are from frame to frame, as in a cine, and only the noise is new (`steady`); or everything is
drawn anew for every frame (`new`), which no cine is like: errors are then independent.
"""

import argparse
import dataclasses
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks import report
from benchmarks.cases import PHANTOM, carm, committed_points, radiograph_of, seed_kind, volume_of
from napari_xreg.geometry import Pose
from napari_xreg.images import Cine
from napari_xreg.progress import run
from napari_xreg.registration import step_between
from napari_xreg.session import FrameState, Track
from napari_xreg.simulation import EVALUATION_SEEDS
from napari_xreg.workflows import TrackRequest, TrackSettings, frames_of, track

CAMERAS = ((12.0, 5.0), (98.0, -4.0))
"""Primary and secondary angle of each, degrees."""
DROPPED = 41
"""Every so many frames one is black."""
COVERED = 12.59
"""95 % of a chi-squared variable of 6 degrees of freedom."""


def motion(frame: int) -> Tensor:
    """The step to the next frame: up to 1.2 degrees and 1.6 mm a frame."""
    t = float(frame)
    return torch.tensor(
        [
            0.012 * math.cos(t / 9), 0.010 * math.sin(t / 14), 0.008 * math.cos(t / 23),
            1.1 * math.sin(t / 11), 0.8 * math.cos(t / 17), 0.9 * math.sin(t / 29),
        ],
        dtype=torch.float64,
    )  # fmt: skip


def truths(count: int, center: Tensor) -> list[Pose]:
    """``world_from_rig`` of every frame."""
    poses = [Pose.identity()]
    for frame in range(1, count):
        poses.append(poses[-1].left_perturb(motion(frame), center))
    return poses


def tracked(
    count: int, cameras: int, severity: str, seed: int, settings: TrackSettings, frame_by_frame: str
) -> dict[str, Any]:
    """One sequence and what became of it."""
    volume, (points, center) = volume_of(PHANTOM), committed_points(PHANTOM)
    arm = carm()
    rig = [arm.world_from_camera(p, s, 0.0, isocenter=center) for p, s in CAMERAS[:cameras]]
    moved = truths(count, center)
    cines = []
    for number, camera in enumerate(rig):
        images = {}
        for frame, pose in enumerate(moved, start=1):
            own = seed + 1000 * number
            image = (
                radiograph_of(PHANTOM, own, severity, arm, pose @ camera, frame)
                if frame_by_frame == "steady"
                else radiograph_of(PHANTOM, own + frame, severity, arm, pose @ camera)
            )
            black = frame % DROPPED == 0
            images[frame] = (
                dataclasses.replace(image, line_integrals=torch.zeros_like(image.line_integrals))
                if black
                else image
            )
        cines.append(Cine(tuple(images), images.__getitem__))
    off = torch.tensor([0.03, -0.02, 0.03, 4.0, 4.0, 6.0], dtype=torch.float64)
    frames = frames_of(cines, [pose.left_perturb(off, center) for pose in rig], 1, center)
    began, cpu = time.perf_counter(), time.process_time()
    found = run(track(TrackRequest(volume, frames, 1, isocenter=center, settings=settings)))
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    return {
        "cameras": cameras, "severity": severity, "frame_by_frame": frame_by_frame, "frames": count, "pixels": settings.pixels,
        "states": {state.value: number for state, number in found.counts.items()},
        "cpu_seconds_a_frame": cpu / count, "seconds_a_frame": seconds / count,
        "smooth": (found.smoothed.turn_deg, found.smoothed.way_mm) if found.smoothed else None,
        "rows": rows_of(found, moved, rig[0], points, center),
    }  # fmt: skip


def rows_of(
    found: Track, moved: Sequence[Pose], camera: Pose, points: Tensor, center: Tensor
) -> list[dict[str, Any]]:
    """A row for each frame and motion: errors as seen from the first camera, and in its own covariance."""
    rows = []
    for place, (frame, motion_) in enumerate(zip(found.frames, moved, strict=True)):
        truth = motion_ @ camera
        smooth, smoothed = found.smooth_pose(place), found.smoothed
        spread = None if smoothed is None else smoothed.covariances[place]
        for kind, pose, covariance in (
            ("registered", frame.world_from_camera, frame.covariance),
            ("smooth", smooth, spread),
        ):
            if pose is None:
                continue
            beside = step_between(truth, pose, center)
            ray = truth.rotation[:, 2]
            depth = beside[3:] @ ray
            # In standard deviations along six independent directions.
            whitened = None
            if covariance is not None:
                factor = torch.linalg.cholesky(covariance)
                whitened = torch.linalg.solve_triangular(factor, beside[:, None], upper=False)[:, 0]
            moved_points = (pose @ truth.inverse()).apply(points) - points
            rows.append(
                {
                    "frame": frame.number, "state": frame.state.value, "kind": kind,
                    "in_plane_mm": float((beside[3:] - depth * ray).norm()),
                    "depth_mm": abs(float(depth)),
                    "turn_deg": math.degrees(float(beside[:3].norm())),
                    "mtre_mm": float(moved_points.norm(dim=1).mean()),
                    "squared": None if whitened is None else float(whitened @ whitened),
                    "whitened": None if whitened is None else whitened.tolist(),
                }
            )  # fmt: skip
    return rows


def summary(result: dict[str, Any]) -> list[list[object]]:
    """Two lines of the table."""
    lines = []
    trusted = (FrameState.TRACKED.value, FrameState.KEY.value)
    for kind in ("registered", "smooth"):
        rows = [r for r in result["rows"] if r["kind"] == kind]
        sure = [r for r in rows if kind == "smooth" or r["state"] in trusted]
        inside = [r["squared"] < COVERED for r in sure if r["squared"] is not None]
        lines.append(
            [
                result["severity"], result["frame_by_frame"], result["cameras"], kind, len(sure),
                *(report.number(report.median([r[n] for r in sure]), 3)
                  for n in ("in_plane_mm", "depth_mm", "turn_deg", "mtre_mm")),
                report.number(max(r["mtre_mm"] for r in sure), 2),
                sum(r["mtre_mm"] > 2.0 for r in sure),
                f"{100 * sum(inside) / len(inside):.0f} %",
            ]
        )  # fmt: skip
    return lines


HEADER = (
    "severity", "frame by frame", "cameras", "motion", "frames", "in plane, mm", "depth, mm", "turn, deg", "mTRE, mm", "worst mTRE",
    "beyond 2 mm", "in the 95 % region",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what the command line may choose."""
    parser.add_argument("--frames", type=int, default=200)
    parser.add_argument("--cameras", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--severity", nargs="+", default=["typical"])
    parser.add_argument(
        "--frame-by-frame", nargs="+", default=["steady", "new"], choices=["steady", "new"]
    )
    parser.add_argument("--pixels", type=int, default=TrackSettings().pixels)
    parser.add_argument("--first-seed", type=int, default=EVALUATION_SEEDS[0] + 600)


def main(options: argparse.Namespace, folder: Path = report.RESULTS) -> None:
    """Track, and write the table."""
    report.one_thread()
    results = [
        tracked(
            options.frames,
            cameras,
            severity,
            options.first_seed,
            TrackSettings(pixels=options.pixels),
            how,
        )
        for severity in options.severity
        for how in options.frame_by_frame
        for cameras in options.cameras
    ]
    lines = [line for result in results for line in summary(result)]
    states = [
        f"* {r['severity']}, {r['frame_by_frame']}, {r['cameras']} camera{'s' * (r['cameras'] > 1)}: "
        + ", ".join(f"{n} {state}" for state, n in r["states"].items() if n)
        + f"; {r['cpu_seconds_a_frame']:.2f} CPU seconds a frame and {r['seconds_a_frame']:.2f} s by the clock, smoothing included"
        for r in results
    ]
    kind = seed_kind(options.first_seed, options.frames)
    env = report.environment()
    markdown = (
        f"# A moving patient, tracked\n\n**Simulated radiographs** of the built-in phantom "
        f"({options.frames} frames of 256 pixels, one in {DROPPED} black, {kind}), by the simulator's own "
        f"integrator; compared at {options.pixels} pixels. Medians over the frames called tracked; of the smooth "
        f"motion over all. One thread of torch and OpenCV, frames in flight on all processors. {report.described(env)}\n\n{report.table(HEADER, lines)}\n\n"
        + "\n".join(states)
        + "\n"
    )
    report.write("sequences", markdown, {"environment": env, "results": results}, folder)


def smoke(folder: Path) -> None:
    """Four frames of one camera."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    main(parser.parse_args(["--frames", "4", "--cameras", "1", "--pixels", "96"]), folder)
