"""A pose network trained for the patient: starts, and what refinement makes of them, beside RayEmb's.

``python -m benchmarks regression`` trains one compact network for every CT (7000 steps are about 20
CPU minutes, ten on two processors), then asks it about the simulated radiographs of
``benchmarks rayemb``: the same seeds, the same images. For each: its pose, and a refinement from 16
starts spread as the validation says it errs. RayEmb's figures, those of fixed landmarks and of the frontal view are those of its benchmark. Weights
and images are kept in the cache folder; every case is a line of ``results/regression/<volume>.jsonl``.

``--phantoms STEPS`` trains one network for the simulator's pelves first, asks it about every CT as it is, and goes on
from there for the CT's own steps (``--steps 3500``: five minutes on two processors) in place of from scratch.

``--poses xvr-pelvis`` trains and asks on a range of poses from Table S2 of the xvr paper instead, beside
the frontal view from 128 starts, which knows the range alone.
"""

import argparse
import math
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks import cases, report, trained
from benchmarks.rayemb_accuracy import USUAL, VOLUMES, errors, radiograph, refined, true_pose
from napari_xreg.geometry import CArmPose, Pose
from napari_xreg.metrics import error_percentiles, success_rate
from napari_xreg.progress import run
from napari_xreg.registration import Spread
from napari_xreg.regression import (
    Place,
    PoseNetwork,
    PoseRecipe,
    load_pose_network,
    predict,
)
from napari_xreg.rendering import set_thread_count
from napari_xreg.training import (
    NAMED_RANGES,
    OneCT,
    Patients,
    Phantoms,
    PoseRange,
    TrainSettings,
)
from napari_xreg.workflows import (
    RAYEMB_STARTS,
    REGRESSION_STARTS,
    InitialiseRequest,
    initialise,
    spread_of,
)

OTHERS = (
    "frontal", "frontal refined", "landmarks", "landmarks refined", "rayemb", "rayemb refined",
)  # fmt: skip
"""On the same images, as `benchmarks rayemb` left them."""
METHODS = (
    *OTHERS, "phantoms", "phantoms refined", "network", "network refined", "two views",
)  # fmt: skip
APART_DEG = 45.0
"""Of two radiographs that are asked about together, by the primary angle."""
OTHER_SEED = 500_000
"""Added to the seed of the first for what is drawn for the second."""
RANGES = {"usual": USUAL, **NAMED_RANGES}

RANGE_WORDS = {
    "usual": ": those of `rayemb.md`. Poses over the whole range of training: primary within 45, secondary within 22.5, "
    "roll within 10 degrees, N(0, 50 mm) cut at 2 sigma along each camera axis.",
    "xvr-pelvis": ". Poses over the range of Table S2 of the xvr paper for pelves, drawn evenly: primary and secondary within 45, "
    "roll within 15 degrees, 150 mm along the image's axes, 450 to 1000 mm from the source.",
}


def suffix(poses: str, phantoms: int = 0) -> str:
    """Of files about a range of poses, and a start from a network for phantoms."""
    after = f"-after-{phantoms}" if phantoms else ""
    return after if poses == "usual" else f"-{poses}{after}"


def weights_file(name: str, steps: int, poses: str = "usual", phantoms: int = 0) -> Path:
    """Where the weights of a CT are kept."""
    file = f"regression-{name}-{steps}steps{suffix(poses, phantoms)}.safetensors"
    return cases.cache_folder() / file


def middle_of(name: str, poses: PoseRange) -> tuple[Pose, Spread]:
    """The middle of a range that is drawn evenly, and its standard deviations."""
    assert poses.even is not None
    angles = (poses.primary_deg, poses.secondary_deg, poses.roll_deg)
    depths = poses.even.from_source_mm
    carm = cases.carm()
    x, y, z = cases.committed_points(name)[1].tolist()
    primary, secondary, roll = (sum(ends) / 2 for ends in angles)
    depth = carm.source_to_isocenter - sum(depths) / 2
    pose = carm.pose_from(CArmPose(primary, secondary, roll, (0.0, 0.0, depth), (x, y, z)))
    width = {ends: (ends[1] - ends[0]) / 12**0.5 for ends in (*angles, depths, poses.even.x_mm)}
    return pose, Spread(
        rotation_deg=max(width[ends] for ends in angles),
        in_plane_mm=width[poses.even.x_mm],
        depth_mm=width[depths],
    )


def trained_for(
    patients: Patients,
    name: str,
    steps: int,
    options: argparse.Namespace,
    start: Path | None = None,
) -> Path:
    """The weights of these patients; trained, as the widget and the command do it, where they are not there yet.

    Parameters
    ----------
    start
        Weights to go on from. None: from scratch.
    """
    file = weights_file(name, steps, options.poses, options.phantoms if start else 0)
    if file.is_file():
        return file
    recipe = PoseRecipe(validation_images=options.validation_images)
    torch.manual_seed(0)
    network = recipe.network(patients, start or "scratch")
    poses = RANGES[options.poses]
    task = recipe.task(network, patients, carm=cases.carm(), poses=poses, seed=0)
    settings = TrainSettings(
        steps=steps, learning_rate=2e-3, validate_every=max(1, min(300, steps))
    )
    trained.learn(name, task, settings, file, finish=recipe.finish)
    return file


def start_of(
    name: str, seed: int, network: PoseNetwork, center: Tensor, poses: PoseRange
) -> tuple[dict[str, Any], Pose]:
    """What the network says about a point of the CT, how far off it is, and how long it took."""
    image = radiograph(name, seed, poses)
    processor = time.process_time()
    found = predict(network, image, Place(center)).world_from_camera
    return {"cpu_s": time.process_time() - processor, **errors(name, seed, found, poses)}, found


def asked_about_two(name: str, seed: int, file: Path, center: Tensor) -> dict[str, Any]:
    """The pose of a radiograph from what the program makes of it and of another, `APART_DEG` to the side."""
    first = radiograph(name, seed)
    carm, truth = cases.carm(), true_pose(name, seed)
    terms = carm.carm_pose(truth, center)
    aside = math.copysign(APART_DEG, -terms.primary_deg)  # never leaves the range of the training
    stands = carm.pose_from(replace(terms, primary_deg=terms.primary_deg + aside))
    second = cases.radiograph_of(name, seed + OTHER_SEED, "typical", carm, stands)
    request = InitialiseRequest(
        "regression", cases.volume_of(name), first, isocenter=center, weights=file,
        beside=((second, truth.inverse() @ stands),),
    )  # fmt: skip
    processor = time.process_time()
    found = run(initialise(request))
    assert found is not None
    spent = time.process_time() - processor
    joined = any("joined" in note for note in found.notes)
    return {"cpu_s": spent, "joined": joined, **errors(name, seed, found.pose)}


def run_all(options: argparse.Namespace, folder: Path) -> None:
    """Train what is not trained, then all missing cases."""
    torch.set_num_threads(options.threads)
    set_thread_count(options.threads)
    poses = RANGES[options.poses]
    first = None
    if options.phantoms:
        first = trained_for(Phantoms(), "phantoms", options.phantoms, options)
    for name in options.volumes:
        patient = OneCT(name, cases.volume_of(name), cases.labels_of(name))
        file = trained_for(patient, name, options.steps, options, first)
        if options.train_only:
            continue
        networks = {"network": load_pose_network(file)[0]}
        center = torch.tensor(networks["network"].frame.center, dtype=torch.float64)
        if first is not None:
            networks = {"phantoms": load_pose_network(first)[0]} | networks
        kept = folder / f"{name}.jsonl"
        for seed in trained.missing(options, kept, steps=options.steps):
            found = {}
            refines = seed < options.first_seed + options.refined
            for method, network in networks.items():
                found[method], start = start_of(name, seed, network, center, poses)
                if not refines:
                    continue
                spread = spread_of(network.errors)
                found[f"{method} refined"] = refined(
                    name, seed, start, spread, options.multi_start, poses
                )
            if poses.even is not None and refines:
                middle, wide = middle_of(name, poses)
                found["frontal"] = errors(name, seed, middle, poses)
                found["frontal refined"] = refined(name, seed, middle, wide, RAYEMB_STARTS, poses)
            elif poses.even is None:
                found["two views"] = asked_about_two(name, seed, file, center)
            trained.keep(kept, seed, found, steps=options.steps)


def table_rows(name: str, records: list[dict[str, Any]]) -> list[list[Any]]:
    """A row for every method."""
    rows = []
    for method, found in trained.by_method(records, METHODS):
        mtre = [r["mtre_mm"] for r in found]
        rates = [success_rate(mtre, at) for at in (1.0, 2.0, 10.0)]
        cpu = [r["cpu_s"] for r in found if "cpu_s" in r]
        rows.append(
            [
                name, method, len(found),
                *(report.number(x, 1) for x in error_percentiles(mtre, (25.0, 50.0, 95.0))),
                *(f"{r.share:.0%} ({r.low:.0%} to {r.high:.0%})" for r in rates),
                report.number(report.median(cpu), 2) if cpu else "",
            ]
        )  # fmt: skip
    return rows


def main(options: argparse.Namespace, folder: Path = report.RESULTS) -> None:
    """Run what is missing, then write the tables."""
    kind = cases.seed_kind(options.first_seed, options.cases)
    title = f"regression{suffix(options.poses, options.phantoms)}"
    kept = folder / title
    if not options.report_only:
        run_all(options, kept)
    if options.train_only:
        return
    rows: list[list[Any]] = []
    curves: list[list[Any]] = []
    data: dict[str, Any] = {}
    for name in options.volumes:
        file = weights_file(name, options.steps, options.poses, options.phantoms)
        records = trained.kept(kept / f"{name}.jsonl", steps=options.steps)
        if not records or not file.is_file():
            continue
        asked = {r["seed"]: r for r in records}
        # What its own benchmark says of the same images.
        for other in report.records(folder / "rayemb" / f"{name}.jsonl"):
            if options.poses == "usual" and other["seed"] in asked:
                asked[other["seed"]] |= {m: other[m] for m in OTHERS if m in other}
        about = load_pose_network(file)[1]
        rows += table_rows(name, list(asked.values()))
        curves += [
            [
                name, point["step"], f"{point['cpu_s']:.0f}", report.number(point["median_mtre_mm"], 1),
                report.number(point["rotation_deg"], 1), report.number(point["in_plane_mm"], 1),
                report.number(point["depth_mm"], 1),
            ]
            for point in about["curve"]
        ]  # fmt: skip
        data[name] = {
            "records": len(asked),
            "about": about,
            "rows": table_rows(name, list(asked.values())),
        }
    begun = "from scratch"
    if options.phantoms:
        begun = f"from one that saw simulated pelves for {options.phantoms} steps (`phantoms`: what that one says)"
    env = report.environment()
    columns = [
        "CT", "method", "cases", "mTRE 25 %, mm", "50 %", "95 %", "under 1 mm (95 % interval)",
        "under 2 mm", "under 10 mm", "CPU s",
    ]  # fmt: skip
    markdown = f"""# A pose network, trained for the patient in {options.steps} steps

Simulated radiographs, severity `typical`, {kind}{RANGE_WORDS[options.poses]} One compact network
per CT, {begun}, on renderings of that CT; loss: the double geodesic alone. `refined`: {options.multi_start} starts about the network's
pose, spread by its errors on the images of its validation; of the others 128 starts, RayEmb, fixed landmarks and the frontal view as `rayemb.md` has them. `two views`: the network was
asked about a second radiograph too, {APART_DEG:.0f} degrees to the side, and what it said of both joined as the program does. mTRE in the camera frame
over 20 committed bone points. {report.described(env)}

{report.table(columns, rows)}

Learning curve: {options.validation_images} radiographs of the same CT at other poses (tuning seeds); medians.

{report.table(["CT", "step", "CPU s", "mTRE, mm", "rotation, deg", "in the image, mm", "depth, mm"], curves)}
"""
    report.write(title, markdown, {"environment": env, "volumes": data}, folder)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument(
        "--steps", type=int, default=7000, help="of training; 0.17 CPU seconds each"
    )
    parser.add_argument(
        "--refined", type=int, default=50, help="of the cases the first so many are refined too"
    )
    parser.add_argument(
        "--phantoms",
        type=int,
        default=0,
        help="steps with simulated pelves before; 0: from scratch",
    )
    parser.add_argument(
        "--poses", default="usual", choices=sorted(RANGE_WORDS), help="drawn for training and cases"
    )
    trained.add_shared_arguments(parser, volumes=VOLUMES, starts=REGRESSION_STARTS, images=16)


def smoke(folder: Path) -> None:
    """Two steps of training, one case."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    options = parser.parse_args([])
    options.volumes, options.steps, options.threads = ["pelvis_totalseg"], 2, 1
    options.cases, options.first_seed, options.validation_images, options.multi_start = 1, 1, 4, 2
    main(options, folder)
    options.phantoms = 1
    main(options, folder)
