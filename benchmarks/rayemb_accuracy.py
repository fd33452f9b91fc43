"""RayEmb from scratch in five minutes: patient-specific training, starts, and what refinement makes of them.

``python -m benchmarks rayemb`` trains one compact encoder for every CT (wall time, this machine's
processors; ``--train-only`` stops there, so that it can be done on an otherwise idle machine), then
takes 50 simulated radiographs of poses over the whole range of training. For each: the pose of
3000 points (MAGSAC and the weighted PnP), that of a detector of fixed landmarks trained as long
(where the CT has landmarks), the fixed frontal start that knows nothing, and a multi-start
refinement from each, with the same number of starts. Weights and images are kept in
the cache folder; every case is a line of ``results/rayemb/<volume>.jsonl``; run again to continue.
"""

import argparse
import time
import zlib
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks import cases, fixed_landmarks, report, trained
from napari_xreg.geometry import CArmPose, Pose
from napari_xreg.images import Radiograph
from napari_xreg.metrics import (
    error_percentiles,
    gross_failure_rate,
    mean_projection_error,
    mean_target_registration_error,
    success_rate,
)
from napari_xreg.progress import run
from napari_xreg.rayemb import (
    CompactEncoder,
    PreparedNetwork,
    RayEncoder,
    load_encoder,
    locate,
    patient_task,
    prepare_network,
    sample_points,
)
from napari_xreg.registration import RefineSettings, Spread, View, refine
from napari_xreg.rendering import set_thread_count
from napari_xreg.training import OneCT, PoseRange
from napari_xreg.workflows import RAYEMB_SPREAD, RAYEMB_STARTS

VOLUMES = ("chest_lidc", cases.PHANTOM, "pelvis_totalseg")
USUAL = PoseRange()
"""What networks are trained on unless something else is asked for."""
LOST_MM = 300.0
"""Written where there is no pose: beyond every percentile that is told apart."""

FRONTAL_SPREAD = Spread(rotation_deg=18.0, in_plane_mm=45.0, depth_mm=45.0)
"""About the range of the poses: all that is known without a start."""


def true_pose(name: str, seed: int, poses: PoseRange = USUAL) -> Pose:
    """Drawn as the training's poses are, about the committed isocenter."""
    _, isocenter = cases.committed_points(name)
    generator = torch.Generator().manual_seed(seed * 1009 + zlib.crc32(name.encode()))
    return poses.sample(cases.carm(), isocenter, 1, generator)[0]


def frontal_pose(name: str) -> Pose:
    """The view from the front, the bones' centre at the isocenter."""
    _, isocenter = cases.committed_points(name)
    x, y, z = isocenter.tolist()
    return cases.carm().pose_from(CArmPose(0.0, 0.0, isocenter=(x, y, z)))


def radiograph(name: str, seed: int, poses: PoseRange = USUAL) -> Radiograph:
    """The simulated image of a seed, severity ``typical``."""
    return cases.radiograph_of(name, seed, "typical", cases.carm(), true_pose(name, seed, poses))


def weights_file(name: str, minutes: float, method: str = "rayemb") -> Path:
    """Where the weights of a CT are kept."""
    return cases.cache_folder() / f"{method}-{name}-{minutes:g}min.safetensors"


def train_one(name: str, minutes: float, threads: int, validation_images: int) -> None:
    """Train from scratch as the widget and the command do, and keep weights and learning curve."""
    torch.set_num_threads(threads)
    set_thread_count(threads)
    torch.manual_seed(0)
    encoder = CompactEncoder()
    began = time.perf_counter()
    task = patient_task(
        encoder,
        OneCT(name, cases.volume_of(name)),
        carm=cases.carm(),
        validation_images=validation_images,
    )
    prepared = time.perf_counter() - began
    trained.learn(
        name, task, trained.for_minutes(minutes), weights_file(name, minutes),
        minutes=minutes, threads=threads, prepared_seconds=prepared,
    )  # fmt: skip


def starts_of(
    name: str, seed: int, encoder: RayEncoder, prepared: PreparedNetwork | None
) -> tuple[dict[str, Any], Pose | None, PreparedNetwork]:
    """Where to start from: errors (of the PnP alone, too), trust and times."""
    points = sample_points(cases.volume_of(name))
    image = radiograph(name, seed)
    wall, processor = time.perf_counter(), time.process_time()
    if prepared is None:
        volume, center = cases.volume_of(name), points.mean(0)
        prepared = run(prepare_network(encoder, volume, image, center=center))
        assert prepared is not None
    else:
        prepared = prepared.on(image)
    located = run(locate(prepared, points))
    record = {
        "wall_s": time.perf_counter() - wall,
        "cpu_s": time.process_time() - processor,
        "trusted": located.verdict.trusted,
        "trust": located.verdict.likelihood.probability,
        "pnp": errors(name, seed, located.solution.world_from_camera),
        **errors(name, seed, located.world_from_camera),
    }
    return record, located.world_from_camera, prepared


def errors(name: str, seed: int, pose: Pose | None, poses: PoseRange = USUAL) -> dict[str, float]:
    """mTRE in the patient and mPD on the detector, mm; `LOST_MM` where there is no pose."""
    if pose is None:
        return {"mtre_mm": LOST_MM, "mpd_mm": LOST_MM}
    points, _ = cases.committed_points(name)
    pose, truth = pose.to(dtype=torch.float64), true_pose(name, seed, poses)
    projected = float(mean_projection_error(pose, truth, points, cases.carm()))
    return {
        "mtre_mm": min(LOST_MM, float(mean_target_registration_error(pose, truth, points))),
        "mpd_mm": LOST_MM if projected != projected else min(LOST_MM, projected),
    }


def refined(
    name: str,
    seed: int,
    start: Pose | None,
    spread: Spread,
    starts: int,
    poses: PoseRange = USUAL,
) -> dict[str, Any]:
    """A multi-start refinement."""
    if start is None:
        return {
            **errors(name, seed, None, poses),
            "status": "NO_START",
            "wall_s": 0.0,
            "cpu_s": 0.0,
        }
    settings = RefineSettings(starts=starts, spread=spread, keep_images=False)
    isocenter: Tensor = cases.committed_points(name)[1]
    wall, processor = time.perf_counter(), time.process_time()
    view = View(radiograph(name, seed, poses), start)
    result = run(refine(cases.volume_of(name), view, settings=settings, isocenter=isocenter))
    return {
        **errors(name, seed, result.world_from_camera, poses),
        "status": result.status.name, "loss": result.losses["loss"],
        "wall_s": time.perf_counter() - wall, "cpu_s": time.process_time() - processor,
    }  # fmt: skip


def run_all(options: argparse.Namespace, folder: Path) -> None:
    """Train what is not trained, then all missing cases."""
    for name in options.volumes:
        if not weights_file(name, options.minutes).is_file():
            train_one(name, options.minutes, options.threads, options.validation_images)
        file = weights_file(name, options.minutes, "landmarks")
        if fixed_landmarks.marks_of(name) and not file.is_file():
            fixed_landmarks.train_detector(
                name, file, options.minutes, options.threads, options.validation_images
            )
    if options.train_only:
        return
    torch.set_num_threads(options.threads)
    set_thread_count(options.threads)
    starts = options.multi_start
    for name in options.volumes:
        encoder, about = load_encoder(weights_file(name, options.minutes))
        file = folder / f"{name}.jsonl"
        key = {"trained": about["environment"]["date"], "minutes": options.minutes}
        prepared, detector = None, None
        if fixed_landmarks.marks_of(name):
            own = weights_file(name, options.minutes, "landmarks")
            detector = fixed_landmarks.read_detector(own)
        for seed in trained.missing(options, file, **key):
            record, start, prepared = starts_of(name, seed, encoder, prepared)
            frontal = frontal_pose(name)
            found = {
                "rayemb PnP": record.pop("pnp"),
                "rayemb": record,
                "rayemb refined": refined(name, seed, start, RAYEMB_SPREAD, starts),
                "frontal": errors(name, seed, frontal),
                "frontal refined": refined(name, seed, frontal, FRONTAL_SPREAD, starts),
            }
            if detector is not None:
                image = radiograph(name, seed)
                seconds, start = fixed_landmarks.landmark_start(name, image, detector)
                found["landmarks"] = {**seconds, **errors(name, seed, start)}
                found["landmarks refined"] = refined(name, seed, start, RAYEMB_SPREAD, starts)
            trained.keep(file, seed, found, **key)


METHODS = (
    "frontal", "landmarks", "rayemb PnP", "rayemb", "frontal refined", "landmarks refined", "rayemb refined",
)  # fmt: skip


def table_rows(name: str, records: list[dict[str, Any]]) -> list[list[Any]]:
    """A row for every method, as in the paper's Table 1."""
    rows = []
    for method, found in trained.by_method(records, METHODS):
        mtre, mpd = ([r[k] for r in found] for k in ("mtre_mm", "mpd_mm"))
        low, middle, high = error_percentiles(mtre, (25.0, 50.0, 95.0))
        rows.append(
            [
                name, method, len(found), *(report.number(x, 1) for x in (low, middle, high)),
                " / ".join(report.number(x, 1) for x in error_percentiles(mpd, (25.0, 50.0, 95.0))),
                f"{gross_failure_rate(mtre, 10.0).share:.0%}",
                f"{gross_failure_rate(mtre, 5.0).share:.0%}",
                f"{success_rate(mtre, 2.0).share:.0%}", f"{success_rate(mtre, 1.0).share:.0%}",
            ]
        )  # fmt: skip
    return rows


def curve_row(name: str, point: dict[str, float]) -> list[Any]:
    """A validation during training."""
    return [
        name, point["step"], f"{point['seconds']:.0f}", report.number(point["median_error_mm"], 1),
        f"{point['within_10mm_share']:.0%}", report.number(point["median_mtre_mm"], 1),
    ]  # fmt: skip


def main(options: argparse.Namespace, folder: Path = report.RESULTS) -> None:
    """Run what is missing, then write the tables."""
    kind = cases.seed_kind(options.first_seed, options.cases)
    if not options.report_only:
        run_all(options, folder / "rayemb")
    if options.train_only:
        return
    rows: list[list[Any]] = []
    curves: list[list[Any]] = []
    times: list[list[Any]] = []
    data: dict[str, Any] = {}
    for name in options.volumes:
        file = weights_file(name, options.minutes)
        records = trained.kept(folder / "rayemb" / f"{name}.jsonl", minutes=options.minutes)
        if not records or not file.is_file():
            continue
        about = load_encoder(file)[1]
        rows += table_rows(name, records)
        curves.extend(curve_row(name, point) for point in about["curve"])
        wall = [
            report.median([r[m]["wall_s"] for r in records]) for m in ("rayemb", "rayemb refined")
        ]
        warned = [r for r in records if not r["rayemb"]["trusted"]]
        refused = [r for r in records if r["rayemb refined"]["status"] != "CONVERGED"]
        wrong = [r for r in records if r["rayemb refined"]["mtre_mm"] > 2.0]
        times.append(
            [
                name, about["steps"], f"{about['seconds']:.0f} ({about['cpu_seconds']:.0f} CPU)",
                *(report.number(x, 1) for x in wall), len(warned), len(wrong),
                len([r for r in wrong if r in refused]), len([r for r in refused if r not in wrong]),
            ]
        )  # fmt: skip
        data[name] = {"records": len(records), "about": about, "rows": table_rows(name, records)}
    env = report.environment()
    markdown = f"""# RayEmb, trained for the patient in {options.minutes:g} minutes

Simulated radiographs, severity `typical`, {kind}. Poses over the whole range of training: primary within 45,
secondary within 22.5, roll within 10 degrees, N(0, 50 mm) cut at 2 sigma along each camera axis. C-arm {cases.SOURCE_TO_DETECTOR_MM:g} /
{cases.SOURCE_TO_ISOCENTER_MM:g} mm, {cases.DETECTOR_MM:g} mm detector. One compact encoder per CT, from scratch, {options.minutes:g} minutes of wall time on {options.threads} threads
(validation included), on renderings of that CT; 3000 points above 250 HU, 600 kept, 10 redraws, 64 templates; MAGSAC and
the weighted PnP. `landmarks`: this package's small U-Net for the landmarks of that CT (14; of a real CT those placed by hand),
trained as long, all alike in the PnP. `frontal`: the frontal view at the isocenter. `refined`: {options.multi_start} starts, spread by
{RAYEMB_SPREAD.rotation_deg:g} deg, {RAYEMB_SPREAD.in_plane_mm:g} and (depth) {RAYEMB_SPREAD.depth_mm:g} mm about the RayEmb and the landmarks' pose, by {FRONTAL_SPREAD.rotation_deg:g} deg and {FRONTAL_SPREAD.depth_mm:g} mm about the frontal one.
mTRE (camera frame) and mPD (on the detector) over 20 committed bone points, of the phantom over its 14 landmarks;
{LOST_MM:g} mm where there is no pose, and at most. {report.described(env)}

{report.table(["CT", "method", "cases", "mTRE 25 %, mm", "50 %", "95 %", "mPD 25 / 50 / 95 %, mm", "GFR@10", "GFR@5", "under 2 mm", "under 1 mm"], rows)}

Times (wall, seconds a case), and what was told: of the starts, of the refined poses.

{report.table(["CT", "steps", "training, s", "start, s", "refinement, s", "starts warned of", "refined beyond 2 mm", "of them not converged", "good ones not converged"], times)}

Learning curve: {options.validation_images} radiographs of the same CT at other poses (tuning seeds), 1000 points each.

{report.table(["CT", "step", "seconds", "points missed by, median mm", "within 10 mm", "mTRE after PnP, median mm"], curves)}
"""
    report.write("rayemb", markdown, {"environment": env, "volumes": data}, folder)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--minutes", type=float, default=5.0, help="of training a CT, wall time")
    trained.add_shared_arguments(parser, volumes=VOLUMES, starts=RAYEMB_STARTS, images=6)


def smoke(folder: Path) -> None:
    """A second of training, one case."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    options = parser.parse_args([])
    options.volumes, options.minutes, options.threads = ["pelvis_totalseg"], 1e-4, 1
    options.cases, options.first_seed = 1, 1
    options.multi_start, options.validation_images = 2, 1
    main(options, folder)
