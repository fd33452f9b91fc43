"""Capture range: how far off a start may be, for one start and for several.

``python -m benchmarks capture`` refines seeded starts whose spread is 1, 2, 3 and 4 times (3 deg;
10 mm in plane, 15 mm depth) about the isocenter, once from that start alone and once from it and
others spread about it (multi-start: all refined at the coarsest level, the best few carried on).
What is told to the multi-start is the spread of the starts, as a user would know it, not where the
answer lies. Every case is a line of ``results/capture/<volume>-<severity>.jsonl``; run again to
continue.
"""

import argparse
import time
from pathlib import Path
from typing import Any

from benchmarks import cases, report
from benchmarks.refinement import digest, newest_code, run_lm, source_digest, stamp
from napari_xreg.metrics import error_percentiles, submillimeter_success_rate
from napari_xreg.registration import RefineSettings

VOLUMES = ("pelvis_totalseg", "chest_lidc")
FACTORS = (1.0, 2.0, 3.0, 4.0)
GOALS = {1.0: 100, 2.0: 98, 3.0: 90, 4.0: 75}


def settings_for(starts: int, factor: float) -> RefineSettings:
    """The library's defaults, on one thread; further starts as widely spread as the case's."""
    if starts == 1:
        return RefineSettings(starts=1, keep_images=False, threads=1)
    return RefineSettings(
        starts=starts, spread=cases.SPREAD.scaled(factor), keep_images=False, threads=1
    )


def run_all(options: argparse.Namespace, folder: Path) -> None:
    """All missing cases, single and multi-start in turn."""
    began = time.perf_counter()
    for name in options.volumes:
        file = folder / f"{name}-{options.severity}.jsonl"
        done = {
            (r["starts"], r["factor"], r["seed"], r["key"])
            for r in report.records(file)
            if r["code"] == source_digest()
        }
        warm = False
        # Round by round over the seeds, so that a run that ends early has some of every row.
        for seed in range(options.first_seed, options.first_seed + options.cases):
            for factor in options.factors:
                for starts in (1, options.starts):
                    settings = settings_for(starts, factor)
                    key = digest(repr(settings))
                    if (starts, factor, seed, key) in done:
                        continue
                    if time.perf_counter() - began > options.cap_minutes * 60:
                        print("time cap reached", flush=True)
                        return
                    if not warm:
                        run_lm(cases.case(name, 0, severity=options.severity), settings)
                        warm = True
                    case = cases.case(name, seed, severity=options.severity, factor=factor)
                    record = run_lm(case, settings)
                    common = {
                        "volume": name, "seed": seed, "severity": options.severity,
                        "factor": factor, "starts": starts, "start_mm": case.mtre(case.start),
                        "key": key, "code": source_digest(),
                    }  # fmt: skip
                    report.append(file, {**common, **record, **stamp()})
                    print(
                        f"{name} seed {seed} x{factor:g} {starts:3d} start(s): "
                        f"{common['start_mm']:6.1f} -> {record['final_mm']:7.2f} mm, "
                        f"{record['cpu_s']:.2f} CPU s",
                        flush=True,
                    )


def tables(options: argparse.Namespace, folder: Path) -> tuple[list[list[Any]], dict[str, Any]]:
    """A row for every CT, factor and number of starts."""
    rows, data = [], {}
    seeds = set(range(options.first_seed, options.first_seed + options.cases))
    for name in options.volumes:
        records = list(report.records(folder / f"{name}-{options.severity}.jsonl"))
        code = newest_code(records)
        records = [r for r in records if r["code"] == code]
        for factor in options.factors:
            for starts in (1, options.starts):
                key = digest(repr(settings_for(starts, factor)))
                found = {
                    r["seed"]: r
                    for r in records
                    if r["seed"] in seeds and (r["factor"], r["key"]) == (factor, key)
                }
                if not found:
                    continue
                group = list(found.values())
                errors = [r["final_mm"] for r in group]
                begun = [r["start_mm"] for r in group]
                middle, ninetieth = error_percentiles(errors, (50.0, 90.0))
                rate = submillimeter_success_rate(errors)
                seconds = report.median([r["cpu_s"] for r in group])
                rows.append(
                    [
                        name, f"{factor:g}", starts, len(group),
                        f"{report.median(begun):.0f} / {max(begun):.0f}", str(rate),
                        report.number(middle), report.number(ninetieth),
                        report.number(seconds), report.number(max(r["cpu_s"] for r in group)),
                    ]
                )  # fmt: skip
                data[f"{name} x{factor:g} {starts}"] = {
                    "cases": len(group), "under_1mm": rate.share,
                    "under_1mm_interval": [rate.low, rate.high], "median_mm": middle,
                    "p90_mm": ninetieth, "cpu_s": seconds, "start_median_mm": report.median(begun),
                }  # fmt: skip
    return rows, data


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    add = parser.add_argument
    add("--volumes", nargs="+", default=list(VOLUMES), choices=cases.VOLUMES)
    add("--factors", type=float, nargs="+", default=list(FACTORS))
    add("--cases", type=int, default=30, help="seeds a row")
    add("--starts", type=int, default=64, help="of the multi-start")
    add("--severity", default="typical", choices=("clean", "typical", "hard"))
    add("--first-seed", type=int, default=20_000, help="0..189: tuning; from 10000: evaluation")
    add("--cap-minutes", type=float, default=30.0, help="wall time before it stops")
    add("--report-only", action="store_true", help="tables from what is there")


def main(options: argparse.Namespace, folder: Path = report.RESULTS) -> None:
    """Run what is missing, then write the table."""
    report.one_thread()
    kind = cases.seed_kind(options.first_seed, options.cases)
    if not options.report_only:
        run_all(options, folder / "capture")
    rows, data = tables(options, folder / "capture")
    env = report.environment()
    goals = ", ".join(f"{factor:g}: {goal} %" for factor, goal in GOALS.items())
    header = [
        "CT", "spread", "starts", "cases", "start mm, median / max", "under 1 mm", "median, mm",
        "90 %, mm", "CPU s", "CPU s, worst",
    ]  # fmt: skip
    markdown = f"""# Capture range

Simulated radiographs, severity `{options.severity}`, {kind}; the spread is a multiple of
(3 deg; 10 mm in plane, 15 mm depth), normal, about the isocenter, in camera axes. Errors: camera-frame
mTRE over 20 bone points. One thread. Goals of the multi-start, under 1 mm by spread: {goals}, in under 4 CPU s.
{report.described(env)}

{report.table(header, rows)}
"""
    data = {"environment": env, "rows": data}
    report.write(f"capture-{options.severity}", markdown, data, folder)


def smoke(folder: Path) -> None:
    """One case, two spreads."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    options = parser.parse_args([])
    options.volumes, options.factors, options.cases = ["pelvis_totalseg"], [1.0, 3.0], 1
    options.starts, options.first_seed = 3, 1
    main(options, folder)
