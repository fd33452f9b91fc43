#!/usr/bin/env python3
"""Plant one error at a time in a copy of the package and see whether the tests notice.

    python scripts/plant_errors.py                    every error of tests/planted_errors.toml
    python scripts/plant_errors.py geometry session   those of these rooms
    python scripts/plant_errors.py --new              those that docs/planted-errors.md does not have yet
    python scripts/plant_errors.py --page             and write that page; what is not run now keeps its outcome

An error is a line of the list: a file, the text that stands there once, what stands there instead,
what that means, and the tests nearest to it. The working tree is never touched: a copy of `src`
gets the error and comes first on the path. The test that fails must pass without the error. Windows
need a screen: on Linux without one, run this under xvfb-run.

Exit code: 0 all noticed, 1 some were not, 2 the list no longer fits the code.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Queue

REPOSITORY = Path(__file__).resolve().parents[1]
LIST = REPOSITORY / "tests" / "planted_errors.toml"
PAGE = REPOSITORY / "docs" / "planted-errors.md"
PACKAGE = "napari_xreg"
HANGS_AFTER_S = 600
NOTICED = ("caught", "hung")

HEAD = """\
# Planted errors

Each line is an error that was planted alone, in a copy of the package, with the tests nearest to it
run against it (`python scripts/plant_errors.py`, which also wrote this page). *Caught* means that a
test failed that passes without the error; *hung* that the tests did not end, which is noticed too;
*unsound* that the test fails without the error as well. An outcome is that of the line's last run.
The list itself is `tests/planted_errors.toml`; what survived at first: decision 18.

"""


@dataclass(frozen=True)
class Planted:
    """One error: `old` stands once in `file` (below the package) and becomes `new`."""

    file: str
    what: str
    old: str
    new: str
    tests: tuple[str, ...]

    @property
    def room(self) -> str:
        return self.file.split("/")[0]

    def problem(self) -> str | None:
        """Why the line does not fit the code any more, or None."""
        path = REPOSITORY / "src" / PACKAGE / self.file
        if not path.is_file():
            return "there is no such file"
        sound = path.read_text(encoding="utf-8")
        if (times := sound.count(self.old)) != 1:
            return f"{self.old!r} stands there {times} times: it must be once"
        try:
            compile(sound.replace(self.old, self.new), self.file, "exec")
        except SyntaxError as error:
            return f"with the error it is no Python, which any test would notice: {error}"
        absent = [test for test in self.tests if not (REPOSITORY / test.split("::")[0]).exists()]
        return f"no such tests: {', '.join(absent)}" if absent else None


def listed(rooms):
    entries = tomllib.loads(LIST.read_text(encoding="utf-8"))["error"]
    errors = [Planted(**{**entry, "tests": tuple(entry["tests"])}) for entry in entries]
    return [error for error in errors if not rooms or error.room in rooms]


def run(source, tests, kernels):
    """How these tests end against the package in `source`, and the first that failed.

    `kernels` is where numba keeps what it compiles.

    "passed", "failed" or "hung"; the first failure as pytest names it, or None.
    """
    environment = {
        **os.environ,
        "PYTHONPATH": str(source),
        "NAPARI_ENSURE_PLUGIN_MAIN_THREAD": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "NUMBA_CACHE_DIR": str(kernels),
    }
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    try:
        done = subprocess.run(
            command, cwd=REPOSITORY, env=environment, capture_output=True, text=True,
            timeout=HANGS_AFTER_S, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return "hung", None
    if done.returncode == 0:
        return "passed", None
    found = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", done.stdout, re.MULTILINE)
    return "failed", found[1] if found else None


def plant(error, source):
    """How the tests nearest to this error end with it in `source`, which is put right again."""
    file = source / PACKAGE / error.file
    sound = file.read_text(encoding="utf-8")
    compiled = "jit" in sound or "@intrinsic" in sound
    file.write_text(sound.replace(error.old, error.new), encoding="utf-8")
    # numba compiles a kernel anew when its own file changes, not when one that it calls from another
    # file does: an error in a kernel begins without any.
    fresh = source.with_name(f"{source.name}-fresh")
    shutil.rmtree(fresh, ignore_errors=True)
    kept = source.with_name(f"{source.name}-kernels")
    try:
        ended, first = run(source, error.tests, fresh if compiled else kept)
    finally:
        file.write_text(sound, encoding="utf-8")
    if ended != "failed":
        return "survived" if ended == "passed" else "hung"
    # A test that fails without the error, too, has noticed nothing.
    alone, _ = run(source, [first] if first else error.tests, kept)
    return "caught" if alone == "passed" else "unsound"


def known():
    """What the page says of each error: the outcome by file and meaning."""
    lines = PAGE.read_text(encoding="utf-8").splitlines() if PAGE.is_file() else []
    rows = [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")]
    return {(row[0], row[1]): row[2] for row in rows if len(row) == 4}


def page(outcomes):
    caught = sum(outcome in NOTICED for _, outcome in outcomes)
    lines = [f"{caught} of {len(outcomes)} were noticed.\n", "| room | error | outcome | tests |"]
    lines.append("|---|---|---|---|")
    for error, outcome in outcomes:
        tests = ", ".join(test.removeprefix("tests/") for test in error.tests)
        lines.append(f"| {error.file} | {error.what} | {outcome} | {tests} |")
    return HEAD + "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rooms", nargs="*", help="only errors of these rooms (geometry, session)")
    parser.add_argument("--new", action="store_true", help="only those that the page does not have")
    parser.add_argument("--page", action="store_true", help=f"write docs/{PAGE.name}")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time (2)")
    arguments = parser.parse_args()
    before = known()
    errors = [
        error
        for error in listed(arguments.rooms)
        if not arguments.new or (error.file, error.what) not in before
    ]
    stale = [(error, problem) for error in errors if (problem := error.problem())]
    for error, problem in stale:
        print(f"{error.file}: {error.what}: {problem}")
    if stale or not errors:
        return 2
    with tempfile.TemporaryDirectory(prefix="planted-") as folder:
        sources = Queue()
        for number in range(arguments.jobs):
            copy = Path(folder) / str(number)
            shutil.copytree(REPOSITORY / "src", copy, copy_function=shutil.copy2)
            sources.put(copy)

        def one(error):
            source = sources.get()
            try:
                outcome = plant(error, source)
            finally:
                sources.put(source)
            print(f"{outcome:8} {error.file}: {error.what}", flush=True)
            return error, outcome

        with ThreadPoolExecutor(arguments.jobs) as pool:
            outcomes = list(pool.map(one, errors))
    survived = sum(outcome not in NOTICED for _, outcome in outcomes)
    print(f"{len(outcomes) - survived} of {len(outcomes)} noticed")
    if arguments.page:
        now = {(error.file, error.what): outcome for error, outcome in outcomes}
        said = before | now
        every = [(e, said[e.file, e.what]) for e in listed(()) if (e.file, e.what) in said]
        PAGE.write_text(page(every), encoding="utf-8")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
