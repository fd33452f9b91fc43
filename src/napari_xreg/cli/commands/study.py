"""``napari-xreg study``: many cases, their tables, a page."""

import os
import sys

# Numbers of a case must not depend on how many processors sum them; libraries read this when they are
# imported, and the processes of a study inherit it.
if "numpy" not in sys.modules:
    for _library in ("OMP", "OPENBLAS", "MKL"):
        os.environ.setdefault(f"{_library}_NUM_THREADS", "1")

import shlex
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from napari_xreg.cli.arguments.study import ACTIONS
from napari_xreg.cli.console import Console
from napari_xreg.cli.outputs import said_anyway
from napari_xreg.cli.refining import cancelled_by_interrupt
from napari_xreg.files import check_folder, check_writable, set_thread_count, written
from napari_xreg.progress import Control, run as run_through
from napari_xreg.study import (
    Dask,
    InProcess,
    Plan,
    Processes,
    RowsDone,
    Runner,
    StudyRequest,
    evaluate,
    failure_lines,
    forget_failures,
    job_script,
    manifest_of,
    manifest_text,
    opened_manifest,
    plan_of,
    read_slurm,
    run_study,
    submit,
    summary,
    write_forms,
    write_study_report,
    write_tables,
)
from napari_xreg.workflows import compiling

_OF_RUNS = ("workers", "scheduler", "slurm", "limit", "dask", "retry_failed", "dry_run")


def run(arguments: Namespace, console: Console) -> int:
    """Do, begin or tabulate a study; the exit code."""
    action, *rest = arguments.words
    if arguments.form and action != "evaluate":
        raise ValueError("--form is of study evaluate DIR: leave it out, and tabulate later")
    if action not in ACTIONS:
        if rest:
            raise ValueError(f"one manifest or data set: got {' '.join(arguments.words)}")
        return do(arguments, action, console)
    given = [name for name in _OF_RUNS if getattr(arguments, name)]
    if given:
        flags = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise ValueError(f"study {action} computes no case: leave {flags} out")
    if action == "init":
        return init(arguments, rest, console)
    if len(rest) != 1 or arguments.out is not None:
        raise ValueError(f"study {action} takes the folder of a study: study {action} DIR")
    if action == "report":
        return report(Path(rest[0]), arguments.worst, console)
    return tabulate(Path(rest[0]), arguments.form or (), console)


def init(arguments: Namespace, sources: list[str], console: Console) -> int:
    """Write a manifest to change."""
    out = Path(arguments.out or "study.toml")
    if out.exists():
        raise ValueError(f"{out}: is there already: name another file with --out")
    check_writable(out)
    text = manifest_text(manifest_of(sources))
    with written(out) as beside:
        beside.write_text(text, encoding="utf-8")
    console.say(f"written: {out}")
    console.say(f"next:    napari-xreg study {out} --out {out.stem} --dry-run")
    console.answer({"files": [str(out)]})
    return 0


def tabulate(folder: Path, forms: Sequence[str], console: Console) -> int:
    """The tables of a folder, also in the form of papers."""
    console.step("reading")
    evaluation = evaluate(folder)
    console.step("tabulating")
    with said_anyway(lambda: console.say(summary(evaluation))):
        files = write_tables(evaluation, folder)
        files += write_forms(evaluation, folder, forms) if forms else ()
    console.say(summary(evaluation))
    console.say(f"written: {', '.join(str(file) for file in files)}")
    console.answer({"files": [str(file) for file in files]})
    return 0


def report(folder: Path, worst: int, console: Console) -> int:
    """The page of a folder."""
    set_thread_count(1)
    console.step("reading")
    evaluation = evaluate(folder)
    files = run_through(
        write_study_report(evaluation, folder, worst=worst),
        lambda event: console.progress(event.done / event.of, f"drawn: {event.case}"),
    )
    console.say(f"written: {', '.join(str(file) for file in files)}")
    console.answer({"files": [str(file) for file in files]})
    return 0


def do(arguments: Namespace, source: str, console: Console) -> int:
    """Do what of a study is not there yet, and tabulate it."""
    if arguments.out is None:
        raise ValueError("--out DIR says where the study shall be")
    out = Path(arguments.out)
    if Path(source).is_dir() and out.is_dir() and out.samefile(source):
        raise ValueError(
            f"--out {out} is the data set itself, whose files its results would change: give a folder of "
            "its own"
        )
    if sum(map(bool, (arguments.dask, arguments.scheduler, arguments.slurm))) > 1:
        raise ValueError("give one of --dask, --scheduler and --slurm")
    if arguments.slurm is not None:
        if arguments.workers:
            raise ValueError(
                "--slurm takes the number of processes from its file (cpus): leave --workers out"
            )
        if not arguments.resume:
            raise ValueError(
                "jobs of SLURM share a folder, so each takes what is there: give another --out in place of "
                "--no-resume"
            )
    set_thread_count(1)
    console.step("reading")
    manifest, folder = opened_manifest(source)
    plan = plan_of(manifest, folder, limit=arguments.limit)
    say_plan(plan, console)
    if arguments.slurm is not None:
        return on_slurm(arguments, source, plan, out, console)
    if arguments.dry_run:
        console.say(f"would be computed {runner_of(arguments).words} and written to {out}")
        console.answer({"registrations": plan.count, "cases": len(plan.jobs)})
        return 0
    check_folder(out)
    runner, control = runner_of(arguments), Control()
    # Elsewhere, so that this process too uses what is kept: compiled here it differs in the last digits.
    for _ in compiling(control, simulator=bool(manifest.simulated)):
        pass
    console.step(f"registering {runner.words}")
    failed, said = 0, set[tuple[str, str]]()

    def show(event: RowsDone) -> None:
        nonlocal failed
        failures = [row for row in event.rows if row.failure]
        failed += len(failures)
        # A case that cannot be read fails in every registration: that is said once.
        for words in failure_lines([r for r in failures if (r.case, r.failure) not in said]):
            console.say(f"failed: {words}")
        said.update((row.case, row.failure) for row in failures)
        last = event.rows[-1]
        words = f"{event.done} of {event.total}" + (f", {failed} failed" if failed else "")
        console.progress(event.done / max(1, event.total), f"{words}: {last.case}")

    request = StudyRequest(plan, out, runner, arguments.resume, arguments.retry_failed)
    with cancelled_by_interrupt(control):
        ended = run_through(run_study(request, control=control), show)
    console.progress(1.0, f"{ended.done} of {ended.total} done", last=True)
    evaluation = evaluate(out)
    with said_anyway(lambda: console.say(summary(evaluation))):
        files = write_tables(evaluation, out)
    console.say(summary(evaluation))
    if ended.elsewhere:
        console.say(f"{ended.elsewhere} registrations are in the hands of another runner of {out}")
    console.say(f"written: {', '.join(str(file) for file in files)}")
    console.say(f"next:    napari-xreg study report {shlex.quote(str(out))}")
    console.answer(
        {
            "registrations": ended.total,
            "done": ended.done,
            "computed": ended.computed,
            "failed": ended.failed,
            "files": [str(file) for file in files],
        }
    )
    if ended.cancelled:
        return 130
    if ended.done < ended.total:
        console.say(f"{ended.total - ended.done} registrations are not done yet")
    return 1 if ended.failed or ended.done < ended.total else 0


def say_plan(plan: Plan, console: Console) -> None:
    """How much it is."""
    starts, methods = len(plan.manifest.starts), len(plan.manifest.methods)
    subjects = len({job.case.subject for job in plan.jobs})
    console.say(
        f"{len(plan.jobs)} cases of {subjects} subjects, {starts} kinds of start, {methods} methods: "
        f"{plan.count} registrations"
    )
    for words in plan.left_out:
        console.say(f"left out: {words}")
    for words in plan.absent:
        console.say(f"not there: {words}")


def runner_of(arguments: Namespace) -> Runner:
    """Who computes."""
    workers = arguments.workers or 1
    if arguments.dask or arguments.scheduler:
        return Dask(arguments.scheduler or "", workers)
    return Processes(workers) if arguments.workers else InProcess()


def on_slurm(arguments: Namespace, source: str, plan: Plan, out: Path, console: Console) -> int:
    """Hand it to SLURM, or show what would be handed."""
    given = [source, "--out", str(out.absolute())]
    given[0] = str(Path(source).absolute()) if Path(source).exists() else source
    given += ["--limit", str(arguments.limit)] if arguments.limit else []
    script = job_script(read_slurm(arguments.slurm), given, out.absolute())
    if arguments.dry_run:
        console.say(script)
        console.answer({"script": script})
        return 0
    check_folder(out)
    if arguments.retry_failed:
        # Here and once: every job of the array would do the failures of the others again.
        forget_failures(plan, out)
    said = submit(script, out)
    console.say(said)
    console.say(f"later:   napari-xreg study evaluate {shlex.quote(str(out))}")
    console.answer({"submitted": said})
    return 0
