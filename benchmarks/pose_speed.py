"""From a radiograph and a pose network of xvr's size to a judged pose, by the clock.

``python -m benchmarks pose_speed`` asks a ResNet-34 about radiographs of 256 pixels of the phantom (1.5 mm) and refines from 16
starts, as the program does with a pose network. The weights are drawn by a seed (none that are published
can be had), so the refinement starts where a trained network might: as far off as the starts
of a pose network are spread. Let it have the machine to itself. All radiographs are simulated.
"""

import argparse
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks import cases, report
from napari_xreg.metrics import mean_target_registration_error
from napari_xreg.progress import run
from napari_xreg.registration import RefineSettings, View, perturbed, refine
from napari_xreg.regression import Place, PoseNetwork, predict
from napari_xreg.rendering import set_thread_count
from napari_xreg.training import FixedCamera
from napari_xreg.workflows import REGRESSION_SPREAD, REGRESSION_STARTS

INPUT = 128
"""Pixels a side of what the network sees, as xvr's."""


def network_of_size() -> PoseNetwork:
    """A ResNet-34 whose weights are drawn."""
    torch.manual_seed(0)
    framing = FixedCamera(pixels=INPUT, pixel_mm=cases.DETECTOR_MM / INPUT)
    return PoseNetwork("resnet34", framing=framing).eval()


def registered(network: PoseNetwork, seed: int, threads: int) -> dict[str, Any]:
    """One radiograph: seconds of the network, of the refinement, and what came of it."""
    case = cases.case(cases.PHANTOM, seed)
    volume = cases.volume_of(cases.PHANTOM)
    normals = torch.from_numpy(np.random.default_rng([seed, 17]).standard_normal((1, 6)))
    start = perturbed(case.truth, case.isocenter, normals, REGRESSION_SPREAD)[0]
    settings = RefineSettings(
        starts=REGRESSION_STARTS, spread=REGRESSION_SPREAD, keep_images=False, threads=threads
    )
    wall, cpu = time.perf_counter(), time.process_time()
    predict(network, case.radiograph, Place.of_volume(volume, case.isocenter))
    asked = time.perf_counter()
    found = run(
        refine(volume, (View(case.radiograph, start),), settings=settings, isocenter=case.isocenter)
    )
    end = time.perf_counter()
    error = mean_target_registration_error(found.world_from_camera, case.truth, case.points)
    return {
        "seed": seed, "network_s": asked - wall, "refinement_s": end - asked, "all_s": end - wall,
        "cpu_s": time.process_time() - cpu, "final_mm": float(error), "trusted": bool(found),
    }  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``python -m benchmarks pose_speed``."""
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cases", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=10_700)


def main(options: argparse.Namespace, folder: Path = report.RESULTS) -> None:
    """Measure, print, keep ``pose_speed.md`` and ``.json``."""
    torch.set_num_threads(options.threads)
    set_thread_count(options.threads)
    environment = report.environment()
    network = network_of_size()
    registered(network, options.first_seed, options.threads)  # what is compiled and prepared once
    seeds = range(options.first_seed, options.first_seed + options.cases)
    found = [registered(network, seed, options.threads) for seed in seeds]
    rows = []
    for name, words in (
        ("network_s", "network"), ("refinement_s", "refinement and verdict"), ("all_s", "together"),
        ("cpu_s", "CPU seconds of all threads"),
    ):  # fmt: skip
        values = [each[name] for each in found]
        rows.append((words, *(f"{np.quantile(values, q):.3f}" for q in (0.5, 0.95, 1.0))))
    right = sum(each["final_mm"] < 1.0 for each in found)
    trusted = sum(each["trusted"] for each in found)
    text = f"""# From a radiograph to a judged pose, with a pose network

**Simulated radiographs** (`typical`) of the phantom at 1.5 mm, 256 pixels, {options.cases} evaluation seeds from {options.first_seed}, {options.threads} threads. ResNet-34 of drawn weights
({INPUT} pixels), so {REGRESSION_STARTS} starts are spread about a pose that is {REGRESSION_SPREAD.rotation_deg:g} deg, {REGRESSION_SPREAD.in_plane_mm:g} mm in the plane and {REGRESSION_SPREAD.depth_mm:g} mm in depth off (standard deviations), not about the network's. Seconds by the clock.

{report.table(("", "median", "95 %", "longest"), rows)}

Within 1 mm: {right} of {len(found)}; trusted: {trusted}.

{report.described(environment)}"""
    report.write("pose_speed", text, {"environment": environment, "cases": found}, folder)


def smoke(folder: Path) -> None:
    """One radiograph."""
    main(argparse.Namespace(threads=1, cases=1, first_seed=10_700), folder)
