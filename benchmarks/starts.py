"""As many starts as it takes: one start against the number left to the program, by spread and severity.

``python -m benchmarks starts`` refines seeded cases of several CTs and the phantom, whose starts are
spread once, twice and three times as widely as usual, on open and on saturated radiographs, and from
the antipode of the start. Every case is a line of ``results/starts/<severity>.jsonl``; run again to
continue. All radiographs are simulated.
"""

import argparse
import time
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from benchmarks import cases, report
from benchmarks.refinement import newest_code, source_digest, stamp
from benchmarks.verdict_cases import Trial, saturated
from napari_xreg.metrics import submillimeter_success_rate
from napari_xreg.progress import run
from napari_xreg.registration import RefineSettings, View, antipode, refine

VOLUMES = ("pelvis_totalseg", "chest_lidc", "hip_sts020", "knee_sts013", cases.PHANTOM)
FACTORS = (1.0, 2.0, 3.0)
GOALS = {1.0: 98, 2.0: 97, 3.0: 95}

_ONE = RefineSettings(starts=1, keep_images=False, threads=1)
SETTINGS: Mapping[str, RefineSettings] = MappingProxyType(
    {
        "1": _ONE,
        "1, no antipode": replace(_ONE, antipode=False),
        "auto": replace(_ONE, starts=0),
        "auto, no antipode": replace(_ONE, starts=0, antipode=False),
    }
)

Record = dict[str, Any]


def trial(volume: str, seed: int, severity: str, factor: float, kind: str) -> Trial:
    """What is refined: "open", "saturated", or open and "from behind"."""
    case = cases.case(volume, seed, severity=severity, factor=factor)
    view = View(case.radiograph, case.start)
    taken = (View(case.radiograph, case.truth),)
    given = Trial(volume, (view,), case.isocenter, case.points, case.truth, taken)
    if kind == "saturated":
        return saturated(given, np.random.default_rng(seed))
    if kind == "from behind":
        behind = antipode(case.start, case.isocenter)
        return replace(given, views=(View(case.radiograph, behind),))
    return given


KINDS = ("open", "saturated", "from behind")


def refined(given: Trial, settings: RefineSettings) -> Record:
    """One result."""
    assert given.truth is not None
    began = time.process_time()
    found = run(
        refine(cases.volume_of(given.ct), given.views, settings=settings, isocenter=given.isocenter)
    )
    seconds = time.process_time() - began
    return {
        "final_mm": _mtre(given, found.world_from_camera),
        "trusted": bool(found),
        "probability": found.probability,
        "started": len({iterate.start for iterate in found.trajectory}),
        "cpu_s": seconds,
    }


def _mtre(given: Trial, pose: Any) -> float:
    view = given.views[0]
    case = cases.Case(
        given.ct, 0, "", 1.0, given.truth, view.world_from_camera, given.isocenter, given.points,
        view.radiograph,
    )  # fmt: skip
    return case.mtre(pose)


def run_all(options: argparse.Namespace, folder: Path) -> None:
    """All missing cases, round by round over the seeds, so that a run that ends early has of each."""
    file = folder / f"{options.severity}.jsonl"
    done = {_key(r) for r in report.records(file) if r["code"] == source_digest()}
    warm = trial(options.volumes[0], options.first_seed, options.severity, 1.0, "open")
    refined(warm, _ONE)
    began = time.process_time()
    for seed in range(options.first_seed, options.first_seed + options.cases):
        for volume in options.volumes:
            for factor in options.factors:
                for kind in options.kinds:
                    for how in options.settings:
                        common = {
                            "volume": volume, "seed": seed, "factor": factor, "kind": kind,
                            "how": how,
                        }  # fmt: skip
                        if _key(common) in done:
                            continue
                        if time.process_time() - began > options.cap_minutes * 60:
                            print("cap of CPU time reached", flush=True)
                            return
                        given = trial(volume, seed, options.severity, factor, kind)
                        record = {**common, **refined(given, SETTINGS[how])}
                        report.append(file, {**record, "code": source_digest(), **stamp()})
                        print(
                            f"{volume} seed {seed} x{factor:g} {kind}, {how}: "
                            f"{record['final_mm']:.2f} mm, {record['cpu_s']:.2f} CPU s",
                            flush=True,
                        )


def _key(record: Record) -> tuple[Any, ...]:
    return tuple(record[name] for name in ("volume", "seed", "factor", "kind", "how"))


HEADER = (
    "kind", "spread", "starts", "cases", "under 1 mm", "trusted", "of these over 2 mm",
    "CPU s, median", "CPU s, worst",
)  # fmt: skip


def rows_of(records: Iterable[Record]) -> list[list[Any]]:
    """Of every kind, spread and number of starts a row."""
    groups: dict[tuple[str, float, str], list[Record]] = {}
    for record in records:
        groups.setdefault((record["kind"], record["factor"], record["how"]), []).append(record)
    rows = []
    for (kind, factor, how), group in sorted(groups.items()):
        trusted = [r for r in group if r["trusted"]]
        seconds = [r["cpu_s"] for r in group]
        rows.append(
            [
                kind, f"{factor:g}", how, len(group),
                str(submillimeter_success_rate([r["final_mm"] for r in group])), len(trusted),
                sum(r["final_mm"] > 2.0 for r in trusted),
                report.number(report.median(seconds)), report.number(max(seconds)),
            ]
        )  # fmt: skip
    return rows


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``python -m benchmarks starts``."""
    add = parser.add_argument
    add("--volumes", nargs="+", choices=(*cases.VOLUMES, cases.PHANTOM), default=list(VOLUMES))
    add("--severity", default="typical")
    add("--factors", nargs="+", type=float, default=list(FACTORS), metavar="TIMES")
    add("--kinds", nargs="+", choices=KINDS, default=["open", "saturated"])
    add("--settings", nargs="+", choices=SETTINGS, default=["1", "auto"])
    add("--cases", type=int, default=6)
    add("--first-seed", type=int, default=10_400)
    add("--cap-minutes", type=float, default=30.0, metavar="CPU_MIN")
    add("--report-only", action="store_true", help="tables from what is there")


def main(options: argparse.Namespace, folder: Path = report.RESULTS) -> None:
    """Run what is missing, then write the table."""
    report.one_thread()
    kind = cases.seed_kind(options.first_seed, options.cases)
    if not options.report_only:
        run_all(options, folder / "starts")
    records = list(report.records(folder / "starts" / f"{options.severity}.jsonl"))
    code = newest_code(records)
    rows = rows_of(r for r in records if r["code"] == code)
    env = report.environment()
    goals = ", ".join(f"{factor:g}: {goal} %" for factor, goal in GOALS.items())
    markdown = f"""# As many starts as it takes

Simulated radiographs, severity `{options.severity}`, {kind}, {", ".join(options.volumes)}; the spread is a
multiple of (3 deg; 10 mm in plane, 15 mm depth), and what is refined knows of once that. Saturated: the darkest
quarter cut off, 8 bits. Errors: camera-frame mTRE over bone points. One thread. Goals of auto on `typical`, under
1 mm by spread: {goals}, for at most 1.5 times the median CPU time of one start at once the spread.
{report.described(env)}

{report.table(HEADER, rows)}
"""
    data = {"environment": env, "rows": rows}
    report.write(f"starts-{options.severity}", markdown, data, folder)


def smoke(folder: Path) -> None:
    """One case, one start."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    options = parser.parse_args([])
    options.volumes, options.factors, options.cases = ["pelvis_totalseg"], [1.0], 1
    options.kinds, options.settings, options.first_seed = ["open"], ["1"], 1
    main(options, folder)
