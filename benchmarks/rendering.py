"""Rendering against nanodrr 0.1.7 and DiffDRR 0.6.1: time, memory, and that the work is the same.

The CT is `pelvis_totalseg` upsampled to 1.5 mm; 300 mm detector; a view near an axis of the grid
and one at 40 degrees. Trilinear against trilinear with the same number of samples inside the volume
(nanodrr spreads its samples over each ray's part in the volume; our step is the mean of that part
over them; DiffDRR gets the same step, and some of its samples lie outside). Joseph, which samples
voxel planes, is reported apart. "+ gradient" is image, mean squared error and backward to the pose
for the peers, and the image with its full Jacobian for ours. Jobs take turns in one process.
"""

import argparse
import dataclasses
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from benchmarks import cases, peers, report
from napari_xreg.geometry import CArm, CArmPose, Pose
from napari_xreg.images import Volume
from napari_xreg.rendering import render_drr, render_with_jacobian, set_thread_count

CT = "pelvis_totalseg"
VIEWS = {"near axis": (3.0, 2.0), "40 deg": (40.0, 4.0)}
SIZES = (200, 256, 512)

FORWARD, GRADIENT = "image", "image + gradient"
METHODS = ("trilinear", "joseph")
PEERS = ("nanodrr", "diffdrr")
Job = Callable[[], object]


def fine_volume() -> Volume:
    """The CT at half its 3 mm spacing, linearly interpolated; kept in the cache."""
    file = cases.cache_folder() / f"{CT}-1.5mm.npz"
    if not file.is_file():
        coarse = cases.volume_of(CT)
        lac = functional.interpolate(coarse.lac[None, None], scale_factor=2, mode="trilinear")
        step = torch.diag(torch.tensor([0.5, 0.5, 0.5, 1.0], dtype=torch.float64))
        step[:3, 3] = -0.25  # half-size voxels: the first centre moves back by a quarter
        affine = (coarse.world_from_index @ step).numpy()
        np.savez(file, lac=lac[0, 0].numpy(), world_from_index=affine)
    with np.load(file) as kept:
        return Volume(torch.from_numpy(kept["lac"]), torch.from_numpy(kept["world_from_index"]))


def pose_of(view: str, arm: CArm) -> Pose:
    """A view about the isocenter of the bone points."""
    _, center = cases.committed_points(CT)
    x, y, z = center.tolist()
    primary, secondary = VIEWS[view]
    return arm.pose_from(CArmPose(primary, secondary, isocenter=(x, y, z)))


def support_chords(volume: Volume, arm: CArm, pose: Pose) -> tuple[Tensor, Tensor]:
    """Where each ray meets the support of the interpolant (one voxel beyond the outer centres).

    Returns
    -------
    Tensor, Tensor
        Parameters of entry and exit, [pixels 2] in [0, 1] of the ray; length of the ray, mm.
    """
    source, rays = arm.rays(pose)
    inverse = volume.index_from_world.double()
    start = inverse[:3, :3] @ source.double() + inverse[:3, 3]
    direction = rays.double() @ inverse[:3, :3].T
    direction = torch.where(direction.abs() < 1e-12, 1e-12, direction)
    last = torch.tensor(volume.shape[::-1], dtype=torch.float64)
    a, b = (-1.0 - start) / direction, (last - start) / direction
    enter = torch.minimum(a, b).amax(-1).clamp(0, 1)
    leave = torch.maximum(a, b).amin(-1).clamp(0, 1)
    return torch.stack([enter, torch.maximum(enter, leave)], -1), rays.double().norm(dim=-1)


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How the same number of samples inside the volume is asked for in each renderer."""

    step_mm: float
    nanodrr: int
    diffdrr: int
    hit: float


def sampling_for(volume: Volume, arm: CArm, pose: Pose, samples: int) -> Sampling:
    """From the mean chord of the rays that meet the volume."""
    chords, length = support_chords(volume, arm, pose)
    part = chords[:, 1] - chords[:, 0]
    hit = part > 0
    step = float((part * length)[hit].mean()) / samples
    # DiffDRR samples all rays between the first entry and the last exit of any ray.
    reach = float(chords[hit, 1].max() - chords[hit, 0].min()) * float(length.mean())
    return Sampling(step, samples, round(reach / step) + 1, float(hit.double().mean()))


def jobs_for(
    volume: Volume, arm: CArm, pose: Pose, sampling: Sampling, wanted: list[tuple[str, str]]
) -> dict[tuple[str, str], Job]:
    """Callables by (renderer, what)."""
    pivot = cases.committed_points(CT)[1]
    jobs: dict[tuple[str, str], Job] = {}
    for name, what in wanted:
        if name in METHODS:
            render = render_drr if what == FORWARD else render_with_jacobian
            extra: dict[str, Any] = {} if what == FORWARD else {"pivot": pivot}

            def ours(render=render, name=name, extra=extra) -> object:  # type: ignore[no-untyped-def]
                return render(volume, arm, pose, method=name, step_mm=sampling.step_mm, **extra)

            jobs[name, what] = ours
            continue
        kind, _, renderer = name.partition(" ")
        peer = (
            peers.Nanodrr(volume, arm, sampling.nanodrr)
            if kind == "nanodrr"
            else peers.Diffdrr(volume, arm, sampling.diffdrr, renderer or "trilinear")
        )
        matrix = peer.pose(pose)
        target = torch.zeros(arm.detector.shape)

        def theirs(peer=peer, matrix=matrix, target=target, what=what) -> object:  # type: ignore[no-untyped-def]
            if what == FORWARD:
                with torch.no_grad():
                    return peer.image(matrix)
            return peers.value_and_pose_gradient(peer, matrix, pivot, target)

        jobs[name, what] = theirs
    return jobs


def measure(job: Job) -> tuple[float, float]:
    """CPU and wall seconds of one call."""
    wall, cpu = time.perf_counter(), time.process_time()
    job()
    return time.process_time() - cpu, time.perf_counter() - wall


def available_gb() -> float:
    """Memory that can be had without swapping, GB."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable"):
            return float(line.split()[1]) / 1e6
    return float("inf")


def needed_gb(name: str, what: str, pixels: int, sampling: Sampling) -> float:
    """For a peer: bytes a sample as seen at 200 pixels (15 and 35; 34 and 35), and some more."""
    samples = sampling.nanodrr if name.startswith("nanodrr") else sampling.diffdrr
    per_sample = {"nanodrr": (20, 42), "diffdrr": (42, 50)}[name.split()[0]][what == GRADIENT]
    return pixels**2 * samples * per_sample / 1e9


def compare(options: argparse.Namespace) -> tuple[list[list[Any]], list[list[Any]], dict[str, Any]]:
    """Times of every size and view, and ratios."""
    volume = fine_volume()
    rows, ratios, data = [], [], {}
    for view in options.views:
        for pixels in options.sizes:
            arm = cases.carm(pixels)
            pose = pose_of(view, arm)
            sampling = sampling_for(volume, arm, pose, options.samples)
            wanted, left_out = [(m, w) for m in METHODS for w in (FORWARD, GRADIENT)], []
            for name in options.peers:
                for what in (FORWARD, GRADIENT):
                    gb = needed_gb(name, what, pixels, sampling)
                    if gb > 0.7 * available_gb():
                        left_out.append((name, what, gb))
                    else:
                        wanted.append((name, what))
            jobs = jobs_for(volume, arm, pose, sampling, wanted)
            times: dict[tuple[str, str], list[tuple[float, float]]] = {key: [] for key in jobs}
            reps = options.reps if pixels < 400 else max(2, options.reps - 1)
            for rep in range(reps + 1):
                for key, job in jobs.items():
                    # Ours is short: the mean of several calls, so that a clock tick does not count.
                    repeat = options.inner if key[0] in METHODS else 1
                    if rep == 0 and key[0] not in METHODS:
                        continue  # the warm-up compiles and prepares ours; peers have nothing to
                    both = [measure(job) for _ in range(repeat)]
                    if rep > 0:
                        times[key].append(tuple(np.mean(both, axis=0)))
                print(f"{view} {pixels}: round {rep} of {reps}", flush=True)
            cpu = {key: report.median([t[0] for t in values]) for key, values in times.items()}
            wall = {key: report.median([t[1] for t in values]) for key, values in times.items()}
            rows.extend(
                [
                    view,
                    pixels,
                    *key,
                    f"{1000 * cpu[key]:.0f}",
                    f"{1000 * wall[key]:.0f}",
                    len(times[key]),
                ]
                for key in cpu
            )
            rows.extend(
                [view, pixels, name, what, f"not run: needs about {gb:.0f} GB", "", 0]
                for name, what, gb in left_out
            )
            for name in options.peers:
                for method in METHODS:
                    found = []
                    for what in (FORWARD, GRADIENT):
                        a, b = (name, what), (method, what)
                        found.append(
                            f"{cpu[a] / cpu[b]:.1f} ({wall[a] / wall[b]:.1f})" if a in cpu else "-"
                        )
                    ratios.append([view, pixels, f"{name} / {method}", *found])
            data[f"{view} {pixels}"] = {
                "sampling": dataclasses.asdict(sampling),
                "cpu_s": {" | ".join(key): value for key, value in cpu.items()},
                "wall_s": {" | ".join(key): value for key, value in wall.items()},
                "all_cpu_s": {" | ".join(k): [t[0] for t in v] for k, v in times.items()},
            }
    return rows, ratios, data


def cross_check(options: argparse.Namespace) -> tuple[list[list[Any]], dict[str, Any]]:
    """That images and pose gradients agree, so that equal work was compared."""
    volume = fine_volume()
    pivot = cases.committed_points(CT)[1]
    rows, data = [], {}
    for view in options.views:
        arm = cases.carm(options.check_pixels)
        pose = pose_of(view, arm)
        sampling = sampling_for(volume, arm, pose, options.samples)
        image, jacobian = render_with_jacobian(
            volume, arm, pose, pivot=pivot, method="trilinear", step_mm=sampling.step_mm
        )
        fine = render_drr(volume, arm, pose, method="trilinear", step_mm=sampling.step_mm / 16)
        gradient = 2 * (jacobian * image).mean((-2, -1))  # of the mean square, as the peers'

        def add(name: str, other: Tensor, by_pose: Tensor, view: str = view) -> None:
            differences = [
                float((other - reference).square().mean().sqrt() / reference.mean())
                for reference in (image, fine)  # noqa: B023  (used at once)
            ]
            # mm and rad side by side: rotations weigh as 100 mm of arm
            weight = torch.tensor([0.01] * 3 + [1.0] * 3)
            apart = float(
                ((by_pose - gradient) * weight).norm() / (gradient * weight).norm()  # noqa: B023
            )
            rows.append([view, name, *(f"{d:.1e}" for d in differences), f"{apart:.1e}"])
            data[f"{view} {name}"] = [*differences, apart]

        add("trilinear", image, gradient)
        joseph, by_joseph = render_with_jacobian(volume, arm, pose, pivot=pivot, method="joseph")
        add("joseph", joseph, 2 * (by_joseph * joseph).mean((-2, -1)))
        for name in options.peers:
            kind, _, renderer = name.partition(" ")
            peer = (
                peers.Nanodrr(volume, arm, sampling.nanodrr)
                if kind == "nanodrr"
                else peers.Diffdrr(volume, arm, sampling.diffdrr, renderer or "trilinear")
            )
            matrix = peer.pose(pose)
            target = torch.zeros(arm.detector.shape)
            by_pose = peers.value_and_pose_gradient(peer, matrix, pivot, target)
            with torch.no_grad():
                add(name, peer.image(matrix), by_pose)
    return rows, data


def memory_row(name: str, what: str, pixels: int, samples: int) -> None:
    """In a process of its own: peak memory before and after one call, MB, as JSON on stdout."""
    report.one_thread()
    set_thread_count(1)
    volume = fine_volume()
    arm = cases.carm(pixels)
    pose = pose_of("near axis", arm)
    sampling = sampling_for(volume, arm, pose, samples)
    job = jobs_for(volume, arm, pose, sampling, [(name, what)])[name, what]
    if name in METHODS:  # compiling is not rendering
        small = cases.carm(8)
        jobs_for(volume, small, pose_of("near axis", small), sampling, [(name, what)])[name, what]()
    before = peak_mb()
    job()
    after = peak_mb()
    print(json.dumps({"before_mb": before, "peak_mb": after}))


def peak_mb() -> float:
    """Peak resident memory of this process, MB."""
    status = Path("/proc/self/status")
    if status.exists():
        # Linux hands getrusage's peak on to children, so theirs would be that of the parent.
        lines = status.read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def memory(options: argparse.Namespace) -> tuple[list[list[Any]], dict[str, Any]]:
    """Peak resident memory, a process each."""
    fine_volume()
    rows, data = [], {}
    arm = cases.carm(options.memory_sizes[0])
    sampling = sampling_for(fine_volume(), arm, pose_of("near axis", arm), options.samples)
    for pixels in options.memory_sizes:
        for name in (*METHODS, *options.peers):
            for what in (FORWARD, GRADIENT):
                if name not in METHODS and needed_gb(name, what, pixels, sampling) > (
                    0.7 * available_gb()
                ):
                    rows.append([pixels, name, what, "not run", ""])
                    continue
                code = (
                    "from benchmarks import rendering; "
                    f"rendering.memory_row({name!r}, {what!r}, {pixels}, {options.samples})"
                )
                done = subprocess.run(
                    [sys.executable, "-c", code],
                    capture_output=True, text=True, cwd=Path(__file__).resolve().parents[1],
                    env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False,
                )  # fmt: skip
                if done.returncode:
                    rows.append([pixels, name, what, f"failed ({done.returncode})", ""])
                    print(done.stderr[-2000:], file=sys.stderr)
                    continue
                found = json.loads(done.stdout.splitlines()[-1])
                more = found["peak_mb"] - found["before_mb"]
                rows.append([pixels, name, what, f"{found['peak_mb']:.0f}", f"{more:.0f}"])
                data[f"{pixels} {name} | {what}"] = found
                print(f"memory {pixels} {name} {what}: {rows[-1][3:]}", flush=True)
    return rows, data


def preview(options: argparse.Namespace) -> tuple[list[list[Any]], dict[str, Any]]:
    """Frames a second of a dragged pose at 256 pixels on two threads, through `render_drr`."""
    rows, data = [], {}
    volumes = {f"{CT} at 1.5 mm": fine_volume(), "chest_lidc (1.5 mm)": None}
    arm = cases.carm(256)
    set_thread_count(options.preview_threads)
    for label in volumes:
        volume = volumes[label] or cases.volume_of("chest_lidc")
        _, center = cases.committed_points(CT if volumes[label] is not None else "chest_lidc")
        x, y, z = center.tolist()
        seconds, cpu = [], []
        for frame in range(options.frames + 5):
            angle = 0.5 * frame
            began, began_cpu = time.perf_counter(), time.process_time()
            pose = arm.pose_from(
                CArmPose(
                    -20 + angle, 0.2 * angle, offset_mm=(0.1 * frame, 0, 0), isocenter=(x, y, z)
                )
            )
            render_drr(volume, arm, pose, method="joseph")
            if frame >= 5:  # the first ones compile and prepare
                seconds.append(time.perf_counter() - began)
                cpu.append(time.process_time() - began_cpu)
        middle, slow = float(np.median(seconds)), float(np.quantile(seconds, 0.95))
        rows.append(
            [
                label,
                f"{1000 * middle:.1f}",
                f"{1000 * slow:.1f}",
                f"{1 / middle:.0f}",
                f"{1000 * np.median(cpu):.1f}",
            ]
        )
        data[label] = {"median_s": middle, "p95_s": slow, "cpu_s": float(np.median(cpu))}
    set_thread_count(options.threads)
    return rows, data


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    add = parser.add_argument
    add("--sizes", type=int, nargs="+", default=list(SIZES))
    add("--views", nargs="+", default=list(VIEWS), choices=VIEWS)
    add("--peers", nargs="*", default=list(PEERS), help="also: 'diffdrr siddon'")
    add("--reps", type=int, default=3, help="rounds of all jobs (one less from 400 pixels)")
    add("--inner", type=int, default=3, help="calls of ours a round")
    add("--samples", type=int, default=500, help="per ray inside the volume")
    add("--threads", type=int, default=1)
    add("--check-pixels", type=int, default=128, help="size of the images that are compared")
    add("--memory-sizes", type=int, nargs="*", default=[200, 512])
    add("--frames", type=int, default=80)
    add("--preview-threads", type=int, default=2)


def main(options: argparse.Namespace, folder: Path = report.RESULTS) -> None:
    """Measure and write the tables."""
    peers.check_installed()
    report.one_thread()
    torch.set_num_threads(options.threads)
    set_thread_count(options.threads)
    checks, check_data = cross_check(options)
    frames, frame_data = preview(options)
    rows, ratios, data = compare(options)
    kept, memory_data = memory(options) if options.memory_sizes else ([], {})
    env = report.environment()
    volume = fine_volume()
    steps = ", ".join(f"{k}: {v['sampling']['step_mm']:.3f} mm" for k, v in data.items())
    points = ", ".join(f"{k}: {v['sampling']['diffdrr']}" for k, v in data.items())
    markdown = f"""# Rendering against the peers

`{CT}` at 1.5 mm ({volume}), {cases.DETECTOR_MM:g} mm detector, {cases.SOURCE_TO_DETECTOR_MM:g} / {cases.SOURCE_TO_ISOCENTER_MM:g} mm.
{options.samples} samples a ray inside the volume on average; our step: {steps}; DiffDRR's samples a ray, of which some lie outside: {points}.
Views (primary, secondary): {VIEWS}. {options.threads} thread(s). Medians of {options.reps} interleaved rounds (one less from 400 pixels).
{report.described(env)}

{report.table(["view", "pixels", "renderer", "what", "CPU ms", "wall ms", "rounds"], rows)}

Peer over ours, CPU (wall in brackets); Joseph samples voxel planes, so that is not the same work:

{report.table(["view", "pixels", "ratio", "image", "image + gradient"], ratios)}

Equal work: relative rms difference of the images ({options.check_pixels} pixels) from our trilinear and from trilinear with a 16 times
finer step, and relative difference of the pose gradient of the mean square from ours:

{report.table(["view", "renderer", "from trilinear", "from fine", "pose gradient"], checks)}

Peak memory of a process that does one call, and how much of it the call added, MB (ours: numba and the padded copy of the CT come before):

{report.table(["pixels", "renderer", "what", "peak", "added"], kept)}

Live preview: 256 pixels, {options.preview_threads} threads, Joseph through `render_drr`, full resolution, a new pose every frame:

{report.table(["CT", "median ms", "95 % ms", "frames a second", "CPU ms"], frames)}
"""
    report.write(
        "rendering",
        markdown,
        {
            "environment": env,
            "times": data,
            "cross_check": check_data,
            "memory": memory_data,
            "preview": frame_data,
        },
        folder,
    )


def smoke(folder: Path) -> None:
    """Everything once, tiny."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    options = parser.parse_args([])
    options.sizes, options.reps, options.inner, options.samples = [32], 1, 1, 64
    options.views, options.memory_sizes, options.frames = ["near axis"], [], 4
    options.check_pixels = 32
    main(options, folder)
