"""How long RayEmb's heatmaps take and how much memory: the compact encoder, and the published layout.

``python -m benchmarks rayemb_speed`` times, on the CPU: templates (rendered and embedded), a
radiograph's embedding, the heatmap of a click, 3000 points with the best 600 looked at ten times
more, and the pose. Beside it, in turns and on the same points, the projection as the paper writes
it, ``F pinv(F)`` on every pixel of the upsampled embedding. The DINOv2 ViT-S/14 layout (224 pixels,
random weights: they change no time) is done too. Peak memory is what the process grew by.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from benchmarks import report
from napari_xreg.images import Radiograph
from napari_xreg.progress import run
from napari_xreg.rayemb import (
    RAYEMB_V1,
    CorrespondSettings,
    DinoEncoder,
    Embedded,
    RayEncoder,
    Templates,
    TemplateSettings,
    correspond,
    embed,
    make_templates,
    point_heatmaps,
    pose_of,
    sample_points,
    shipped_encoder,
    similarity,
    subspace_basis,
)
from napari_xreg.rayemb.subspace import projector
from napari_xreg.rendering import render_drr, set_thread_count
from napari_xreg.simulation import phantom
from napari_xreg.training import STANDARD_CARM

STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def timed(action: Callable[[], Any], repeats: int) -> dict[str, float]:
    """Wall and CPU seconds of one call, medians."""
    wall, cpu = [], []
    for _ in range(repeats):
        w, c = time.perf_counter(), time.process_time()
        action()
        wall.append(time.perf_counter() - w)
        cpu.append(time.process_time() - c)
    return {"wall_s": float(np.median(wall)), "cpu_s": float(np.median(cpu))}


def grown_mb(action: Callable[[], Any]) -> float:
    """By how much the peak of the resident memory exceeded what was there before, MB (Linux)."""
    if not CLEAR.exists():
        action()
        return float("nan")
    before = _memory_mb("VmRSS")
    CLEAR.write_text("5")  # forget the earlier peak
    action()
    return _memory_mb("VmHWM") - before


def _memory_mb(name: str) -> float:
    line = next(x for x in STATUS.read_text().splitlines() if x.startswith(name))
    return float(line.split()[1]) / 1000


def naive_similarity(
    embedding: torch.Tensor, features: torch.Tensor, upsampling: int
) -> torch.Tensor:
    """As published: every pixel's upsampled embedding times ``F pinv(F)``, then the cosine."""
    up = functional.interpolate(embedding[None], scale_factor=upsampling, mode="bilinear")[0]
    d, rows, columns = up.shape
    flat = up.reshape(d, -1)
    projected = projector(features) @ flat
    return functional.cosine_similarity(flat[None], projected, dim=1).reshape(-1, rows, columns)


def against_naive(
    encoder: RayEncoder, embedded: Embedded, templates: Templates, points: torch.Tensor
) -> dict[str, float]:
    """Heatmaps of the same points, in turns: seconds a point, and how much they differ."""
    pixels, _ = templates.project(points)
    choice = torch.randint(0, len(templates), (len(points), 4), generator=_generator())
    features = templates.features(pixels, choice)
    ours, naive = [], []
    for _ in range(3):
        w = time.process_time()
        with torch.no_grad():
            fast = similarity(
                embedded.embedding, subspace_basis(features), upsampling=encoder.upsampling
            )
        ours.append((time.process_time() - w) / len(points))
        w = time.process_time()
        with torch.no_grad():
            slow = [
                naive_similarity(embedded.embedding, part, encoder.upsampling)
                for part in features.split(5)
            ]
        naive.append((time.process_time() - w) / len(points))
    return {
        "ours_cpu_ms": 1e3 * float(np.median(ours)),
        "naive_cpu_ms": 1e3 * float(np.median(naive)),
        "ratio": float(np.median(naive) / np.median(ours)),
        "largest_difference": float((torch.cat(slow) - fast).abs().max()),
    }


def measured(
    encoder: RayEncoder, settings: TemplateSettings, options: argparse.Namespace
) -> dict[str, Any]:
    """One encoder."""
    made = phantom(spacing_mm=2.0, seed=5)
    volume = made.volume.to(dtype=torch.float32)
    points = sample_points(volume, labels=made.labels, count=options.points)
    isocenter = points.mean(0)
    pose = STANDARD_CARM.world_from_camera(12.0, -7.0, 3.0, isocenter=isocenter)
    image = render_drr(volume, STANDARD_CARM, pose, method="joseph").float()
    radiograph = Radiograph(image, STANDARD_CARM)

    def templates_made() -> Templates:
        found = run(make_templates(encoder, volume, STANDARD_CARM, isocenter, settings=settings))
        assert found is not None
        return found

    w, c = time.perf_counter(), time.process_time()
    templates = templates_made()
    rows = {"templates": {"wall_s": time.perf_counter() - w, "cpu_s": time.process_time() - c}}
    embedded = embed(encoder, radiograph)
    rows["embedding"] = timed(lambda: embed(encoder, radiograph), options.repeats)
    point_heatmaps(encoder, embedded, templates, points[:1])
    rows["one heatmap"] = timed(
        lambda: point_heatmaps(encoder, embedded, templates, points[:1]), 10 * options.repeats
    )
    chosen = CorrespondSettings(top=options.top, redraws=options.redraws)

    def all_points() -> Any:
        return run(correspond(encoder, embedded, templates, points, settings=chosen))

    megabytes = grown_mb(all_points)
    rows["all points"] = timed(all_points, options.repeats)
    found = all_points()
    rows["pose"] = timed(lambda: pose_of(found, radiograph), options.repeats)
    return {
        "templates": len(templates),
        "cells": list(embedded.embedding.shape[-2:]),
        "heatmap": [side * encoder.upsampling for side in embedded.embedding.shape[-2:]],
        "memory_mb": megabytes,
        "times": rows,
        "naive": against_naive(encoder, embedded, templates, points[: options.naive_points]),
    }


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(1)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``python -m benchmarks rayemb_speed``."""
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--points", type=int, default=3000)
    parser.add_argument("--top", type=int, default=600)
    parser.add_argument("--redraws", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--naive-points", type=int, default=20)
    parser.add_argument("--published-templates", type=int, default=36, help="of the 324: a square")
    parser.add_argument("--only", choices=("compact", "published"))


def main(options: argparse.Namespace, folder: Path = report.RESULTS) -> None:
    """Measure, print, keep ``rayemb_speed.md`` and ``.json``."""
    torch.set_num_threads(options.threads)
    set_thread_count(options.threads)
    environment = report.environment()
    found: dict[str, Any] = {}
    if options.only != "published":
        found["compact"] = measured(shipped_encoder()[0], TemplateSettings(), options)
    if options.only != "compact":
        torch.manual_seed(0)
        settings = TemplateSettings(
            layout="grid", count=options.published_templates, rayemb_v1=True, poses=RAYEMB_V1.poses
        )
        published = argparse.Namespace(**{**vars(options), "repeats": 1})
        found["DINOv2 ViT-S/14"] = measured(DinoEncoder().eval(), settings, published)
    after = report.environment()["load_average"]
    report.write(
        "rayemb_speed", markdown(found, options, environment, after),
        {"environment": environment, "load_average_after": after, "options": vars(options), **found},
        folder,
    )  # fmt: skip


def markdown(
    found: dict[str, Any], options: argparse.Namespace, environment: dict[str, Any], after: Any
) -> str:
    """The page."""

    def cell(times: dict[str, float], unit: float = 1.0, digits: int = 2) -> str:
        wall, cpu = times["wall_s"] * unit, times["cpu_s"] * unit
        return f"{wall:.{digits}f} ({cpu:.{digits}f})"

    rows = []
    for name, m in found.items():
        t, naive = m["times"], m["naive"]
        rows.append(
            [
                name, f"{m['cells'][0]} x {m['cells'][1]}", f"{m['heatmap'][0]} x {m['heatmap'][1]}",
                f"{cell(t['templates'])} for {m['templates']}", cell(t["embedding"], 1e3, 0),
                cell(t["one heatmap"], 1e3, 1), cell(t["all points"]), cell(t["pose"], 1e3, 0),
                f"{m['memory_mb']:.0f}",
                f"{naive['naive_cpu_ms']:.1f} / {naive['ours_cpu_ms']:.2f} = {naive['ratio']:.0f}",
                f"{naive['largest_difference']:.0e}",
            ]
        )  # fmt: skip
    header = ["encoder", "cells", "heatmap", "templates, s", "embedding, ms", "one heatmap, ms",
              f"{options.points} points, s", "pose, ms", "memory, MB",
              "F pinv(F) / ours, CPU ms a point", "difference"]  # fmt: skip
    return f"""# RayEmb: times and memory

{options.threads} CPU threads, {report.described(environment)}; load average afterwards {after[0]}. Wall seconds or ms, and
CPU time in brackets; medians. A phantom of 2 mm, radiograph 256 x 256. {options.points} points, the best {options.top} looked at
{options.redraws} times more with other templates, four a point. Memory: by how much the peak exceeded what the process had before.
ViT-S/14 has random weights (no time depends on them) and the published layout: 224 pixels, templates of 1800 mm, here
{options.published_templates} of the 324.

{report.table(header, rows)}
"""


def smoke(folder: Path) -> None:
    """The compact encoder with few points."""
    main(
        argparse.Namespace(
            threads=1, points=60, top=20, redraws=1, repeats=1, naive_points=4,
            published_templates=4, only="compact",
        ),
        folder,
    )  # fmt: skip
