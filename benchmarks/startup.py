"""How long commands and the library take to import: processor and wall seconds, trees interleaved.

    python benchmarks/startup.py [--trees TREE ...] [--times 5]

Each import is a process of its own; the lowest of several is shown beside all of them, because other
work on the machine only adds. A tree is a checkout with a `src` folder, by default this one.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

IMPORTS = {
    "the top": "import napari_xreg",
    "torch alone": "import torch",
    "napari_xreg.registration.refine": "from napari_xreg.registration import refine",
    **{
        command: f"import napari_xreg.cli.{command}_command"
        for command in ("inspect", "render", "register")
    },
}
_TIMED = "import time; p, w = time.process_time(), time.perf_counter(); {}; print(time.process_time() - p, time.perf_counter() - w)"


def seconds(tree: Path, statement: str) -> tuple[float, float]:
    """Processor and wall seconds of one import in a fresh process."""
    said = subprocess.run(
        [sys.executable, "-c", _TIMED.format(statement)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(tree / "src")},
    )
    cpu, wall = map(float, said.stdout.split())
    return cpu, wall


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    here = Path(__file__).resolve().parents[1]
    parser.add_argument("--trees", type=Path, nargs="+", default=[here])
    parser.add_argument("--times", type=int, default=5)
    options = parser.parse_args()
    for name, statement in IMPORTS.items():
        taken: dict[Path, list[tuple[float, float]]] = {tree: [] for tree in options.trees}
        for _ in range(options.times):
            for tree in options.trees:
                taken[tree].append(seconds(tree, statement))
        for tree, runs in taken.items():
            cpu, wall = (min(column) for column in zip(*runs, strict=True))
            every = " ".join(f"{run[0]:.2f}" for run in runs)
            print(
                f"{name}, {tree.name}: {cpu:.2f} s of processor ({every}), {wall:.2f} s by the clock"
            )
    print(f"load of the machine: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
