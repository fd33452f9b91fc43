"""From a manifest to what is to be computed: every case, every start, every method, each with its key."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import napari_xreg
from napari_xreg.files import ReadError
from napari_xreg.records import MethodEntry, StartEntry, StudyFile
from napari_xreg.registration import SOLVERS
from napari_xreg.study import own_cases, set_cases, simulated_cases, trial_cases
from napari_xreg.study.case import StudyCase, content, digest
from napari_xreg.study.elsewhere import ITS_OWN, with_file
from napari_xreg.study.registering import Item, Job, settings_of
from napari_xreg.study.starts import draws
from napari_xreg.workflows import INITIALISERS

ALGORITHM = 11
"""Goes up when the same inputs and settings give other numbers: what was computed before is done anew."""


@dataclass(frozen=True)
class Plan:
    """All that a study is going to do.

    Parameters
    ----------
    manifest
        What it says.
    folder
        Its paths are relative to it.
    jobs
        A case each, in the order of the manifest.
    left_out
        Cases that are not done, and why: for the tables.
    absent
        Files that cases, starts and methods name and that are not there: what needs them is going to fail.
    """

    manifest: StudyFile
    folder: Path
    jobs: tuple[Job, ...]
    left_out: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Registrations."""
        return sum(len(job.items) for job in self.jobs)


def plan_of(manifest: StudyFile, folder: Path, *, limit: int | None = None) -> Plan:
    """Everything that a manifest asks for.

    Files of cases are hashed here; one that is absent fails when its case is done, not before.

    Parameters
    ----------
    manifest, folder
        What it says, and where it lies.
    limit
        So many cases, the first ones; None: all.

    Raises
    ------
    ReadError
        If a data set or a trial cannot be opened, two cases have one name, a method asks its solver
        for what that cannot do, or a start lacks its weights.
    """
    folder = folder.absolute()
    for method in manifest.methods:
        try:
            settings_of(method)
        except ValueError as error:
            raise ReadError(f"methods, {method.name}: {error}") from error
    for entry in manifest.starts:
        if (row := INITIALISERS.get(entry.kind)) and "weights" in row.needs and not entry.weights:
            raise ReadError(
                f"starts, {entry.name}: a start of the kind {entry.kind} needs the weights of a network: add the line "
                f'weights = "FILE", of `napari-xreg train {row.recipe}`'
            )
    names: set[str] = set()
    jobs = []
    absent = [
        f"{own.name}: {file}" for own in manifest.cases for file in own_cases.absent(own, folder)
    ]
    absent += [
        f"start {entry.name}: {folder / entry.weights}"
        for entry in manifest.starts
        if entry.weights is not None and not (folder / entry.weights).exists()
    ]
    results: dict[tuple[str, str], str] = {}
    weights = {
        entry.name: "" if entry.weights is None else content(folder / entry.weights)
        for entry in manifest.starts
    }
    for case in cases_of(manifest, folder):
        if case.name in names:
            raise ReadError(f"two cases are called {case.name!r}: names are unique in a study")
        names.add(case.name)
        if limit is not None and len(names) > limit:
            break
        described = case.described.described()
        items = tuple(
            Item(start, repeat, method, key_of(manifest.seed, case, described, start, repeat, method, weights))
            for start, repeat, method in combined(manifest, case, folder)
        )  # fmt: skip
        for item in items:
            if (file := item.method.results) is None:
                continue
            if (other := results.setdefault((item.method.name, file), case.name)) != case.name:
                raise ReadError(
                    f"methods, {item.method.name}: {file} would be the result of {other!r} and of {case.name!r}: "
                    "say {case} or {subject} in results"
                )
            if not Path(file).exists():
                absent.append(f"{case.name}: {file}")
        jobs.append(Job(case, items, folder, manifest.seed))
    left = [words for entry in manifest.sets for words in set_cases.left_out(entry, folder)]
    return Plan(manifest, folder, tuple(jobs), tuple(left), tuple(absent))


def combined(
    manifest: StudyFile, case: StudyCase, folder: Path
) -> Iterator[tuple[StartEntry, int, MethodEntry]]:
    """What is done of a case: every start by every solver, and the results of other programs as they are."""
    solvers = [method for method in manifest.methods if method.results is None]
    for start in manifest.starts:
        for repeat in draws(start):
            for method in solvers:
                yield start, repeat, method
    for method in manifest.methods:
        if method.results is not None:
            yield ITS_OWN, 0, with_file(method, case, folder)


def cases_of(manifest: StudyFile, folder: Path) -> Iterator[StudyCase]:
    """The cases of a manifest, in its order."""
    for own in manifest.cases:
        yield own_cases.case_of(own, folder)
    for of_set in manifest.sets:
        yield from set_cases.expand(of_set, folder)
    for trial in manifest.trials:
        yield from trial_cases.expand(trial, folder)
    for simulated in manifest.simulated:
        yield from simulated_cases.expand(simulated, folder)


def key_of(
    seed: int,
    case: StudyCase,
    described: dict[str, Any],
    start: StartEntry,
    repeat: int,
    method: MethodEntry,
    weights: dict[str, str],
) -> str:
    """Of all that an answer depends on."""
    return digest(
        {
            "algorithm": ALGORITHM,
            "program": napari_xreg.__version__,
            "seed": seed,
            "case": case.name,
            "described": described,
            "start": start.model_dump(exclude={"repeats"}),
            "repeat": repeat,
            "weights": weights.get(start.name, ""),
            "method": method.model_dump(exclude={"name", "results"}),
            "results": "" if method.results is None else content(Path(method.results)),
        }
    )


def file_name(job: Job, item: Item) -> str:
    """Of a row: for people at its beginning, unique by its key."""
    words = f"{job.case.name} {item.start.name} {item.repeat} {item.method.name}"
    return f"{slug(words)}.{item.key[:12]}.json"


def slug(text: str) -> str:
    """Letters, digits and dashes that any file system takes."""
    return re.sub(r"[^A-Za-z0-9_]+", "-", text).strip("-")[:120] or "case"


def methods_words(manifest: StudyFile) -> list[tuple[str, str]]:
    """What a table says of every method."""
    found = []
    for method in manifest.methods:
        if method.results is not None:
            words = f"results of xvr ({method.results}), judged by our verdict; their processor's time is not known"
            found.append((method.name, words))
            continue
        solver = SOLVERS[method.solver]
        said = [solver.title]
        if method.compare:
            said.append(f"comparing {method.compare}")
        if solver.several_starts:
            count = {None: "as many starts as the start needs", 0: "starts: auto", 1: "one start"}
            said.append(count.get(method.starts, f"{method.starts} starts"))
        if method.locked:
            said.append(f"{', '.join(method.locked)} locked")
        found.append((method.name, ", ".join(said)))
    return found
