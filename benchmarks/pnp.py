"""Poses from landmarks: against two other solvers, coverage of the covariance, and time."""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from scipy import stats
from scipy.optimize import least_squares

from benchmarks import report
from napari_xreg.geometry import CArm, Detector, Pose, opencv_from_carm, opencv_points_from_pixels
from napari_xreg.registration import Correspondences, PnPSettings, solve_pnp

PIVOT = torch.tensor([25.0, -105.0, 630.0], dtype=torch.float64)
ALL = PnPSettings(selection="none")


def view(mirrored: bool) -> CArm:
    """A detector with nothing centred or square."""
    detector = Detector((700, 640), (0.41, 0.53), (371.3, 290.6), mirrored=mirrored)
    return CArm(1021.0, 655.0, detector)


def problem(
    seed: int, n: int, *, outliers: float, sigma: float
) -> tuple[CArm, Correspondences, Pose, np.ndarray]:
    """Points over 18 cm, pixels with Gaussian noise of known covariances, some replaced at random."""
    random = np.random.default_rng(seed)
    carm = view(seed % 2 == 0)
    world = torch.from_numpy(random.uniform(-90, 90, (n, 3)) + [20, -110, 640])
    primary, secondary, roll = random.uniform([-50, -30, -90], [50, 30, 90])
    x, y, z = random.uniform(-15, 15, 3)
    true = carm.world_from_camera(
        float(primary), float(secondary), float(roll), isocenter=PIVOT, offset_mm=(x, y, z)
    )
    roots = random.uniform(-0.4, 0.4, (n, 2, 2)) + np.eye(2)
    roots *= sigma * random.uniform(0.3, 1.0, (n, 1, 1))
    pixels = carm.project(world, true).numpy()
    pixels = pixels + np.einsum("nij,nj->ni", roots, random.normal(size=(n, 2)))
    bad = random.choice(n, int(outliers * n), replace=False)
    pixels[bad] = random.uniform(0, 640, (len(bad), 2))
    covariances = torch.from_numpy(roots @ roots.transpose(0, 2, 1))
    seen = Correspondences(world, torch.from_numpy(pixels), covariances)
    return carm, seen, true, bad


def reference_cost(carm: CArm, seen: Correspondences, used: np.ndarray, start: Pose) -> float:
    """Lowest Mahalanobis cost by scipy (float64, its own derivatives), from a start."""
    assert seen.covariances is not None
    world, pixels = seen.points.numpy()[used], seen.pixels.numpy()[used]
    root = np.linalg.cholesky(np.linalg.inv(seen.covariances.numpy()[used])).transpose(0, 2, 1)
    inverse = start.inverse()
    turn0, shift0 = inverse.rotation.numpy(), inverse.translation.numpy()
    k = carm.camera_matrix().numpy()

    def residuals(x: np.ndarray) -> np.ndarray:
        camera = world @ (cv2.Rodrigues(x[:3])[0] @ turn0).T + x[3:]
        column = k[0, 0] * camera[:, 0] / camera[:, 2] + k[0, 2]
        row = k[1, 1] * camera[:, 1] / camera[:, 2] + k[1, 2]
        return np.einsum("nij,nj->ni", root, np.stack([row, column], 1) - pixels).ravel()

    x0 = np.concatenate([np.zeros(3), shift0])
    return float(least_squares(residuals, x0, method="lm", xtol=1e-15, ftol=1e-15, gtol=1e-15).cost)


def opencv_pose(carm: CArm, seen: Correspondences, used: np.ndarray) -> Pose:
    """OpenCV: SQPnP, then its own refinement (which knows no weights)."""
    camera = opencv_from_carm(carm, Pose.identity())
    uv = opencv_points_from_pixels(carm.detector, seen.pixels).numpy()[used]
    world, k = seen.points.numpy()[used], camera.k.numpy()
    _, turn, shift = cv2.solvePnP(world, uv, k, None, flags=cv2.SOLVEPNP_SQPNP)
    turn, shift = cv2.solvePnPRefineLM(world, uv, k, None, turn, shift)
    rotation = torch.from_numpy(cv2.Rodrigues(turn)[0])
    return Pose(rotation, torch.from_numpy(shift.reshape(3))).inverse()


def target_error(found: Pose, true: Pose, world: torch.Tensor) -> float:
    """Mean displacement of the points as seen by the camera, mm."""
    return float((found.inverse().apply(world) - true.inverse().apply(world)).norm(dim=-1).mean())


def against_others(count: int) -> dict[str, Any]:
    """Seeded problems of 4 to 600 points, up to 40 % outliers, noise up to 2 pixels."""
    same = solved = rightly = wrongly = 0
    ours, theirs, excess = [], [], []
    for seed in range(count):
        random = np.random.default_rng([seed, 3])
        n = int(np.exp(random.uniform(np.log(4), np.log(600.9))))
        share = 0.0 if n < 8 else float(random.uniform(0, 0.4))
        carm, seen, true, bad = problem(
            seed, n, outliers=share, sigma=float(random.uniform(0.2, 2))
        )
        found = solve_pnp(seen, carm, pivot=PIVOT)
        if found.world_from_camera is None:
            continue
        solved += bool(found)
        used = found.used.numpy()
        rightly += bool(set(np.flatnonzero(~used)) <= set(bad))
        wrongly += int(used[bad].sum())
        expected = reference_cost(carm, seen, used, true)
        excess.append((found.cost - expected) / max(expected, 1e-9))
        same += bool(excess[-1] < 1e-6)
        ours.append(target_error(found.world_from_camera, true, seen.points))
        theirs.append(target_error(opencv_pose(carm, seen, used), true, seen.points))
    return {
        "problems": count,
        "solved": solved,
        "not above the reference's minimum": same,
        "largest relative excess": max(excess),
        "no inlier left out": rightly,
        "outliers kept in all": wrongly,
        "median mTRE mm": float(np.median(ours)),
        "95 % mTRE mm": float(np.quantile(ours, 0.95)),
        "OpenCV median mTRE mm": float(np.median(theirs)),
        "OpenCV 95 % mTRE mm": float(np.quantile(theirs, 0.95)),
    }


def coverage(count: int) -> dict[str, Any]:
    """Squared Mahalanobis distance of the pose error in its own covariance; 8 to 20 points."""
    there = Pose(torch.eye(3, dtype=torch.float64), PIVOT)
    squared = []
    for seed in range(count):
        carm, seen, true, _ = problem(seed, 8 + seed % 13, outliers=0.0, sigma=2.0)
        found = solve_pnp(seen, carm, pivot=PIVOT, settings=ALL)
        assert found.world_from_camera is not None
        assert found.covariance is not None
        twist = (there.inverse() @ found.world_from_camera @ true.inverse() @ there).log()
        squared.append(float(twist @ torch.linalg.solve(found.covariance, twist)))
    values = np.array(squared)
    return {
        "problems": count,
        "mean (6)": float(values.mean()),
        "within 50 %": float((values < stats.chi2.ppf(0.5, 6)).mean()),
        "within 95 %": float((values < stats.chi2.ppf(0.95, 6)).mean()),
    }


def seconds(run: Callable[[], object], repeats: int) -> dict[str, float]:
    """CPU and wall time of one call, medians, ms."""
    cpu, wall = [], []
    for _ in range(repeats):
        c, w = time.process_time(), time.perf_counter()
        run()
        cpu.append(time.process_time() - c)
        wall.append(time.perf_counter() - w)
    return {"cpu ms": 1e3 * float(np.median(cpu)), "wall ms": 1e3 * float(np.median(wall))}


def speed(repeats: int) -> dict[str, dict[str, float]]:
    """14 points: from nothing, and again from the pose before with one landmark moved; 600 points."""
    carm, few, _, _ = problem(1, 14, outliers=0.2, sigma=1.0)
    _, many, _, _ = problem(1, 600, outliers=0.2, sigma=1.0)
    before = solve_pnp(few, carm).world_from_camera
    pixels = few.pixels.clone()
    pixels[3] += 2.0
    moved = Correspondences(few.points, pixels, few.covariances)
    return {
        "14 points": seconds(lambda: solve_pnp(few, carm), repeats),
        "14 points, one dragged": seconds(lambda: solve_pnp(moved, carm, start=before), repeats),
        "600 points": seconds(lambda: solve_pnp(many, carm), repeats),
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``python -m benchmarks pnp``."""
    parser.add_argument("--problems", type=int, default=1000)


def main(options: argparse.Namespace, folder: Path = report.RESULTS) -> None:
    """Run, print, and keep ``pnp.md`` and ``pnp.json``."""
    report.one_thread()
    found = {
        "environment": report.environment(),
        "against others": against_others(options.problems),
        "coverage": coverage(options.problems),
        "speed": speed(50),
    }
    report.write("pnp", written(found, options.problems), found, folder)


def written(found: dict[str, Any], problems: int) -> str:
    """The result as Markdown."""

    def rows(values: dict[str, Any]) -> list[list[str]]:
        return [[name, f"{float(v):.4g}"] for name, v in values.items()]

    times = [
        [name, *(f"{t[k]:.1f}" for k in ("cpu ms", "wall ms"))]
        for name, t in found["speed"].items()
    ]
    return f"""# Pose from correspondences

{problems} seeded problems of 4 to 600 points with noise and outliers, made by `benchmarks/pnp.py`; against scipy's float64
minimum of the same sum started at the truth, and OpenCV's own refinement. One thread. {report.described(found["environment"])}

{report.table(["against others", ""], rows(found["against others"]))}

Known Gaussian noise, 8 points or more, no outliers, no selection: squared Mahalanobis distance of the pose.

{report.table(["coverage", ""], rows(found["coverage"]))}

{report.table(["median of 50", "CPU ms", "wall ms"], times)}
"""


def smoke(folder: Path) -> None:
    """A few problems of each kind."""
    main(argparse.Namespace(problems=5), folder)
