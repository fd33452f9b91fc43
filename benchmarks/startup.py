"""How long one waits: for imports, a command's first word, the first widget, a whole registration.

    python benchmarks/startup.py [--trees TREE ...] [--times 5] [--ct CT --xray XRAY]

Trees are checkouts with a `src` folder, by default this one; they take turns, each time in a process of
its own. Shown are the lowest processor seconds (user and system, all threads) and the clock's; other work
on the machine only adds to both, and its load is said. The last column is the share of the first tree.

The window needs a screen (`xvfb-run`): a widget is opened, the phantom case loaded, a pose dragged and
refined, while a timer of 20 ms notes its longest stops. With --ct and --xray (see `napari-xreg simulate`)
a registration is begun by RayEmb, from nothing to its report, on --cpus processors.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

IMPORTS = {
    "the top": "import napari_xreg",
    "torch alone": "import torch",
    "napari_xreg.registration.refine": "from napari_xreg.registration import refine",
    **{
        f"the command {command}": f"import napari_xreg.cli.commands.{command}"
        for command in ("inspect", "render", "register", "simulate", "detect", "train")
    },
}
COMMANDS: dict[str, list[str]] = {
    "inspect": ["inspect", "absent.nii.gz"],
    "render": ["render", "absent.nii.gz", "--out", "x.png"],
    "register": ["register", "absent.nii.gz", "absent.npz", "--out", "x"],
}
_TIMED = (
    "import time; p, w = time.process_time(), time.perf_counter(); {}; "
    "print(time.process_time() - p, time.perf_counter() - w)"
)
_PROGRAM = "import sys; from napari_xreg.cli import main; sys.exit(main(sys.argv[1:]))"
_WINDOW = Path(__file__).with_name("startup_window.py")


@dataclass
class Taken:
    """Processor and clock seconds of one thing in one tree, time after time."""

    cpu: list[float] = field(default_factory=list)
    clock: list[float] = field(default_factory=list)

    def add(self, cpu: float, clock: float) -> None:
        """Once more."""
        self.cpu.append(cpu)
        self.clock.append(clock)


Measure = Callable[[Path], Iterator[tuple[str, float, float]]]


def python(tree: Path, *arguments: str, **options: object) -> "subprocess.Popen[str]":
    """A fresh process on a tree."""
    environment = {**os.environ, "PYTHONPATH": str(tree / "src"), "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [sys.executable, *arguments], text=True, env=environment, stdout=subprocess.PIPE, **options
    )  # type: ignore[call-overload, no-any-return]


def imports(tree: Path) -> Iterator[tuple[str, float, float]]:
    """Seconds of each of `IMPORTS`."""
    for name, statement in IMPORTS.items():
        said, _ = python(tree, "-c", _TIMED.format(statement)).communicate()
        cpu, clock = map(float, said.split())
        yield f"import {name}", cpu, clock


def first_words(tree: Path) -> Iterator[tuple[str, float, float]]:
    """From the start of a process to the first line of a command, and to its end: a file is absent."""
    for name, line in COMMANDS.items():
        began = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            process = python(tree, "-c", _PROGRAM, *line, cwd=folder, stderr=subprocess.STDOUT)
            assert process.stdout is not None
            process.stdout.readline()
            first = time.perf_counter() - began
            process.stdout.read()
            yield f"{name}: first word", float("nan"), first
            yield f"{name}: a file is absent", *_ended(process, began)


def window(tree: Path) -> Iterator[tuple[str, float, float]]:
    """What `startup_window.py` measures."""
    process = python(tree, str(_WINDOW), stderr=subprocess.DEVNULL)
    said, _ = process.communicate()
    for line in said.splitlines():
        if line.startswith("{"):
            entry = json.loads(line)
            yield entry["name"], entry["cpu"], entry["clock"]


def registration(ct: str, xray: str, cpus: int) -> Measure:
    """`register --init rayemb`: each of its steps by the clock, and the whole."""

    def measure(tree: Path) -> Iterator[tuple[str, float, float]]:
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            process = python(
                tree, "-c", _PROGRAM, "register", ct, xray, "--init", "rayemb", "--threads", str(cpus),
                "--out", f"{folder}/out", stderr=subprocess.STDOUT,
                preexec_fn=lambda: os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cpus]),
            )  # fmt: skip
            step, since = "imports", began
            assert process.stdout is not None
            for line in process.stdout:
                if line.endswith(" ...\n") and not line.startswith("starting"):
                    now = time.perf_counter()
                    yield f"register, {step}", float("nan"), now - since
                    step, since = line.split(" ...")[0].split(" (")[0], now
            yield f"register, {step}", float("nan"), time.perf_counter() - since
            yield "register, all", *_ended(process, began)

    return measure


def _ended(process: "subprocess.Popen[str]", began: float) -> tuple[float, float]:
    _, _, used = os.wait4(process.pid, 0)
    process.returncode = 0
    return used.ru_utime + used.ru_stime, time.perf_counter() - began


def table(taken: dict[str, list[Taken]], trees: Sequence[Path]) -> Iterator[str]:
    """Lines of Markdown: the lowest of each, and its share of the first tree's."""
    yield "| | " + " | ".join(f"{tree.name}: processor, clock" for tree in trees) + " | share |"
    yield "|---" * (len(trees) + 2) + "|"
    for name, columns in taken.items():
        cells = [f"{_least(each.cpu)}, {_least(each.clock)}" for each in columns]
        whole = [each.cpu if each.cpu[:1] == each.cpu[:1] else each.clock for each in columns]
        share = min(whole[-1]) / min(whole[0]) if all(whole) else float("nan")
        yield f"| {name} | " + " | ".join(cells) + f" | {share:.2f} |"


def _least(seconds: list[float]) -> str:
    known = [value for value in seconds if value == value]
    return f"{min(known):.2f} s" if known else "–"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    here = Path(__file__).resolve().parents[1]
    parser.add_argument("--trees", type=Path, nargs="+", default=[here], help="the first is before")
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--ct")
    parser.add_argument("--xray")
    parser.add_argument("--cpus", type=int, default=2)
    options = parser.parse_args()
    measures: list[Measure] = [imports, first_words]
    if os.environ.get("DISPLAY"):
        measures.append(window)
    if options.ct and options.xray:
        measures.append(registration(options.ct, options.xray, options.cpus))
    trees = [tree.resolve() for tree in options.trees]
    for measure in measures:
        taken: dict[str, list[Taken]] = {}
        for _ in range(options.times):
            for number, tree in enumerate(trees):
                for name, cpu, clock in measure(tree):
                    columns = taken.setdefault(name, [Taken() for _ in trees])
                    columns[number].add(cpu, clock)
        print("\n".join(table(taken, trees)), flush=True)
        print(f"load of the machine: {os.getloadavg()[0]:.1f}\n", flush=True)


if __name__ == "__main__":
    main()
