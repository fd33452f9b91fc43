"""Refinement: our Levenberg-Marquardt against the Adam recipe of xvr through nanodrr, in one run.

``python -m benchmarks refinement`` takes, for every CT, 50 seeded starts with ours and the first 6
of them with Adam, one case after the other in one process. CPU time is the process's. The moment a
pose first lies within 1 mm is looked up afterwards, from stamps taken after every step, so that
measuring the error is not timed. Preparing the CT (once a volume, for both) is not timed either.
Every case is a line of ``results/refinement/<volume>-<severity>.jsonl``; run again to continue.
"""

import argparse
import dataclasses
import functools
import hashlib
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import napari_xreg
from benchmarks import cases, peers, report
from benchmarks.adam_recipe import CURRENT, PAPER, Recipe, optimise
from napari_xreg.metrics import error_percentiles, submillimeter_success_rate
from napari_xreg.registration import RefineSettings, View, refine

OURS, ADAM = "LM", "Adam (nanodrr)"
Record = dict[str, Any]


def run_lm(case: cases.Case, settings: RefineSettings) -> Record:
    """One case with ours."""
    wall, began = time.perf_counter(), time.process_time()
    events = refine(
        cases.volume_of(case.volume),
        View(case.radiograph, case.start),
        settings=settings,
        isocenter=case.isocenter,
    )
    seen = []
    while True:
        try:
            iterate = next(events)
        except StopIteration as end:
            result = end.value
            break
        seen.append((time.process_time() - began, iterate))
    total = time.process_time() - began
    wall = time.perf_counter() - wall
    stamps = [
        (seconds, case.mtre(iterate.world_from_camera))
        for seconds, iterate in seen
        if iterate.accepted
    ]
    return {
        "final_mm": case.mtre(result.world_from_camera),
        "cpu_s": total,
        "cpu_to_1mm_s": first_within(stamps),
        "wall_s": wall,
        "steps": len(seen),
        "status": result.status.name,
        "loss": result.losses["loss"],
    }


def run_adam(case: cases.Case, subject: object, recipe: Recipe, most_cpu_s: float) -> Record:
    """One case with the recipe; its last pose counts, as in xvr."""
    run = optimise(subject, case.radiograph, case.start, recipe, most_cpu_seconds=most_cpu_s)
    errors = [case.mtre(run.pose(i)) for i in range(len(run.poses))]
    return {
        "final_mm": errors[-1],
        "cpu_s": run.total_cpu_seconds,
        "cpu_to_1mm_s": first_within(zip(run.cpu_seconds, errors, strict=True)),
        "wall_s": run.wall_seconds,
        "steps": len(errors),
        "steps_per_scale": run.steps_per_scale,
        "least_mm": min(errors),
        "similarity": run.similarities[-1],
    }


def first_within(stamps: Iterable[tuple[float, float]], millimetres: float = 1.0) -> float | None:
    """CPU seconds of the first pose within so many millimetres; None if there was none."""
    return next((seconds for seconds, error in stamps if error < millimetres), None)


def run_volume(name: str, options: argparse.Namespace, folder: Path) -> None:
    """All missing cases of a CT, ours and Adam's in turn."""
    file = folder / f"{name}-{options.severity}.jsonl"
    volume = cases.volume_of(name)
    settings = lm_settings(options)
    recipe = adam_recipe(options)
    lm_key, adam_key = digest(repr(settings)), digest(repr(recipe))
    done = {
        (r["method"], r["seed"], r["factor"], r["key"])
        for r in report.records(file)
        if r["method"] != OURS or r["code"] == source_digest()
    }
    seeds = range(options.first_seed, options.first_seed + options.starts)

    def missing(method: str, seed: int, key: str) -> bool:
        return (method, seed, options.factor, key) not in done

    wanted = [s for s in seeds if missing(OURS, s, lm_key)]
    adam_seeds = set(seeds[: options.adam_starts])
    wanted_adam = {s for s in adam_seeds if missing(ADAM, s, adam_key)}
    if not wanted and not wanted_adam:
        return
    warm_up(name, settings, recipe if wanted_adam else None, options)
    began = time.perf_counter()
    subject = None
    for number, seed in enumerate(seeds):
        case = cases.case(name, seed, severity=options.severity, factor=options.factor)
        common = {
            "volume": name, "seed": seed, "severity": options.severity, "factor": options.factor,
            "start_mm": case.mtre(case.start), "code": source_digest(),
        }  # fmt: skip
        if missing(OURS, seed, lm_key):
            record = run_lm(case, settings)
            report.append(file, {**common, "method": OURS, "key": lm_key, **record, **stamp()})
            progress(name, number, options.starts, OURS, common, record)
        if seed in wanted_adam:
            if time.perf_counter() - began > options.cap_minutes * 60:
                print(f"{name}: time cap reached, Adam leaves out seed {seed}", flush=True)
                continue
            subject = subject or peers.nanodrr_subject(volume, case.isocenter)
            record = run_adam(case, subject, recipe, options.adam_most_cpu_s)
            report.append(file, {**common, "method": ADAM, "key": adam_key, **record, **stamp()})
            progress(name, number, options.starts, ADAM, common, record)


def warm_up(
    name: str, settings: RefineSettings, recipe: Recipe | None, options: argparse.Namespace
) -> None:
    """Compile and prepare, on a case that is not reported."""
    case = cases.case(name, 0, severity=options.severity)
    run_lm(case, settings)
    if recipe is not None:
        short = dataclasses.replace(recipe, iterations=2)
        subject = peers.nanodrr_subject(cases.volume_of(name), case.isocenter)
        optimise(subject, case.radiograph, case.start, short)


def summary(records: Sequence[Record]) -> Record:
    """The figures of one method on one CT."""
    errors = [r["final_mm"] for r in records]
    middle, ninetieth = error_percentiles(errors, (50.0, 90.0))
    rate = submillimeter_success_rate(errors)
    reached = [r["cpu_to_1mm_s"] for r in records if r["cpu_to_1mm_s"] is not None]
    return {
        "cases": len(records),
        "start_median_mm": report.median([r["start_mm"] for r in records]),
        "median_mm": middle,
        "p90_mm": ninetieth,
        "under_1mm": rate.share,
        "under_1mm_interval": [rate.low, rate.high],
        "cpu_s": report.median([r["cpu_s"] for r in records]),
        "cpu_to_1mm_s": report.median(reached),
        "reached_1mm": len(reached),
        "wall_s": report.median([r["wall_s"] for r in records]),
        "steps": report.median([r["steps"] for r in records]),
    }


def ratios(lm: Sequence[Record], adam: Sequence[Record]) -> Record:
    """Adam over ours on the cases both did: ratio of medians, and the middle of the ratios."""
    ours = {r["seed"]: r for r in lm}
    pairs = [(ours[r["seed"]], r) for r in adam if r["seed"] in ours]
    both = [p for p in pairs if p[0]["cpu_to_1mm_s"] and p[1]["cpu_to_1mm_s"]]

    def of(pairs: list[tuple[Record, Record]], key: str) -> float:
        if not pairs:
            return float("nan")
        return report.median([b[key] for _, b in pairs]) / report.median([a[key] for a, _ in pairs])

    return {
        "pairs": len(pairs),
        "cpu_total": of(pairs, "cpu_s"),
        "pairs_within_1mm": len(both),
        "cpu_to_1mm": of(both, "cpu_to_1mm_s"),
        "wall_total": of(pairs, "wall_s"),
        "lm_median_mm": report.median([a["final_mm"] for a, _ in pairs]),
        "adam_median_mm": report.median([b["final_mm"] for _, b in pairs]),
    }


def report_all(options: argparse.Namespace, folder: Path) -> None:
    """The tables, from the newest record of every case that was done with these settings."""
    settings = lm_settings(options)
    lm_key = digest(repr(settings))
    codes: set[str] = set()
    seeds = set(range(options.first_seed, options.first_seed + options.starts))
    rows, ratio_rows, data = [], [], {}
    for name in options.volumes:
        file = folder / f"{name}-{options.severity}.jsonl"
        keys = {OURS: lm_key, ADAM: digest(repr(adam_recipe(options)))}
        newest: dict[tuple[str, int], Record] = {}
        code = newest_code(r for r in report.records(file) if r["method"] == OURS)
        codes.add(code)
        for r in report.records(file):
            if r["method"] == OURS and r["code"] != code:
                continue
            fits = r["seed"] in seeds and r["factor"] == options.factor
            if fits and r["key"] == keys[r["method"]]:
                newest[r["method"], r["seed"]] = r
        groups = {
            method: [r for (m, _), r in sorted(newest.items()) if m == method]
            for method in (OURS, ADAM)
        }
        data[name] = {}
        for method, group in groups.items():
            if not group:
                continue
            s = data[name][method] = summary(group)
            rows.append(
                [
                    name, method, s["cases"], report.number(s["start_median_mm"], 1),
                    report.number(s["median_mm"]), report.number(s["p90_mm"]),
                    str(submillimeter_success_rate([r["final_mm"] for r in group])),
                    report.number(s["cpu_s"], 3),
                    f"{report.number(s['cpu_to_1mm_s'], 3)} ({s['reached_1mm']})",
                    int(s["steps"]),
                ]
            )  # fmt: skip
        if groups[OURS] and groups[ADAM]:
            r = data[name]["ratio"] = ratios(groups[OURS], groups[ADAM])
            ratio_rows.append(
                [
                    name, r["pairs"], report.number(r["cpu_total"], 0),
                    f"{report.number(r['cpu_to_1mm'], 0)} ({r['pairs_within_1mm']})",
                    report.number(r["wall_total"], 0),
                    f"{report.number(r['lm_median_mm'])} / {report.number(r['adam_median_mm'])}",
                ]
            )  # fmt: skip
    env = report.environment()
    level = settings.levels[-1]
    recipe = adam_recipe(options)
    scales = "-".join(str(pixels) for pixels in recipe.pixels)
    markdown = f"""# Refinement: LM against the Adam recipe

Simulated radiographs, severity `{options.severity}`, {cases.seed_kind(options.first_seed, options.starts)};
starts normal about the isocenter in camera axes, {options.factor:g} x (3 deg; 10 mm in plane, 15 mm depth);
C-arm {cases.SOURCE_TO_DETECTOR_MM:g} / {cases.SOURCE_TO_ISOCENTER_MM:g} mm, {cases.DETECTOR_MM:g} mm detector, {cases.PIXELS} pixels;
true angles within {cases.PRIMARY_DEG:g} / {cases.SECONDARY_DEG:g} deg. Error: camera-frame mTRE over 20 bone points.
Last level of both: {level.pixels} pixels ({cases.DETECTOR_MM / level.pixels:.2f} mm), the CT at full resolution.
{OURS}: {settings.starts} start(s), levels {"-".join(str(x.pixels) for x in settings.levels)}. {ADAM}: {recipe.name}, scales {scales}, {recipe.samples} samples a ray.
One thread each. Code of LM: {", ".join(sorted(codes))}{"" if codes == {source_digest()} else " (has changed since)"}. {report.described(env)}

{report.table(["CT", "method", "cases", "start, mm", "median, mm", "90 %, mm", "under 1 mm", "CPU s", "CPU s to 1 mm (cases)", "steps"], rows)}

Adam over LM, the same cases:

{report.table(["CT", "cases", "CPU total", "CPU to 1 mm (cases)", "wall total", "median mm, LM / Adam"], ratio_rows)}
"""
    name = f"refinement-{options.severity}" + (
        f"-{settings.starts}starts" if settings.starts > 1 else ""
    )
    report.write(
        name,
        markdown,
        {
            "environment": env,
            "settings": repr(settings),
            "recipe": dataclasses.asdict(recipe),
            "volumes": data,
        },
        folder.parent,
    )


def lm_settings(options: argparse.Namespace) -> RefineSettings:
    """The library's defaults, on one thread."""
    return RefineSettings(starts=options.lm_starts, keep_images=False, threads=1)


def adam_recipe(options: argparse.Namespace) -> Recipe:
    """The recipe with its scales and samples."""
    base = {"current": CURRENT, "paper": PAPER}[options.recipe]
    # Published: three scales, 24, 12 and 6 of 1436 pixels, that is 60, 120 and 239.
    pixels = options.scales or [level.pixels for level in lm_settings(options).levels][-3:]
    return dataclasses.replace(base, pixels=tuple(pixels), samples=options.samples)


@functools.cache
def source_digest() -> str:
    """Of the code that refines, as it was at the start: results of other code are not mixed in."""
    root = Path(napari_xreg.__file__).parent
    files = sorted(p for room in ("registration", "rendering") for p in (root / room).rglob("*.py"))
    return digest(*(p.read_text() for p in files))


def newest_code(found: Iterable[Record]) -> str:
    """`source_digest` of the latest record, so that a table can be made after the code moved on."""
    latest = max(found, key=lambda r: str(r["at"]), default=None)
    return source_digest() if latest is None else str(latest["code"])


def digest(*texts: str) -> str:
    """Twelve hexadecimal digits."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:12]


def stamp() -> Record:
    """When."""
    return {"at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}


def progress(name: str, number: int, of: int, method: str, common: Record, r: Record) -> None:
    """One line a case."""
    print(
        f"{name} {number + 1}/{of} {method:14s} seed {common['seed']}: {common['start_mm']:6.2f} -> "
        f"{r['final_mm']:6.3f} mm, {r['cpu_s']:7.2f} CPU s, {r['steps']} steps",
        flush=True,
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    add = parser.add_argument
    add("--volumes", nargs="+", default=list(cases.VOLUMES), choices=cases.VOLUMES)
    add("--starts", type=int, default=50, help="cases a volume for LM")
    add("--adam-starts", type=int, default=6, help="the first so many also with Adam; 0: none")
    add("--lm-starts", type=int, default=1, help="starts of one LM refinement (multi-start)")
    add("--severity", default="typical", choices=("clean", "typical", "hard"))
    add("--factor", type=float, default=1.0, help="spread of the starts, times 3 deg; 10, 15 mm")
    add("--first-seed", type=int, default=10_000, help="0..189: tuning; from 10000: evaluation")
    add("--recipe", default="current", choices=("current", "paper"))
    add("--scales", type=int, nargs="+", help="Adam's pixels; default: LM's last three levels")
    add("--samples", type=int, default=CURRENT.samples, help="Adam's samples a ray")
    add("--adam-most-cpu-s", type=float, default=400.0, help="an Adam case is given up after this")
    add("--cap-minutes", type=float, default=30.0, help="wall time a volume before Adam stops")
    add("--report-only", action="store_true", help="tables from what is there")


def main(options: argparse.Namespace, folder: Path = report.RESULTS) -> None:
    """Run what is missing, then write the tables."""
    report.one_thread()
    if options.adam_starts:
        peers.check_installed()
    cases.seed_kind(options.first_seed, options.starts)
    records = folder / "refinement"
    if not options.report_only:
        for name in options.volumes:
            run_volume(name, options, records)
    report_all(options, records)


def smoke(folder: Path) -> None:
    """Two cases and a moment of Adam on the smallest CT."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    options = parser.parse_args([])
    options.volumes, options.starts, options.adam_starts = ["pelvis_totalseg"], 2, 1
    options.first_seed, options.scales, options.samples = 1, [16, 32], 64
    options.adam_most_cpu_s = 0.3
    main(options, folder)
