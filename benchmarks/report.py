"""What every table says beside its numbers, and how results are kept."""

import contextlib
import datetime as dt
import importlib.metadata
import json
import os
import platform
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

RESULTS = Path(__file__).resolve().parent / "results"
PACKAGES = ("torch", "numba", "numpy", "opencv-python", "nanodrr", "diffdrr")


def one_thread() -> None:
    """Fix every library to one thread, so that CPU time is comparable; call before timing."""
    import cv2
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(1)


def environment() -> dict[str, Any]:
    """Machine, versions and date."""
    versions = {}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return {
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="minutes"),
        "cpu": _cpu(),
        "processors": os.cpu_count(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        "commit": _commit(),
        **versions,
    }


def described(env: dict[str, Any]) -> str:
    """`environment` in one line."""
    versions = ", ".join(f"{name} {env[name]}" for name in PACKAGES if name in env)
    return (
        f"{env['date']}, {env['processors']} processors ({env['cpu']}), load average "
        f"{env['load_average'][0]}; Python {env['python']}, {versions}; commit {env['commit']}"
    )


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table, columns lined up."""
    cells = [list(header), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    lines = [
        "| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) + " |"
        for row in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    return "\n".join(lines)


def write(name: str, markdown: str, data: dict[str, Any], folder: Path | None = None) -> None:
    """Print, and keep as ``results/<name>.md`` and ``.json``."""
    folder = folder or RESULTS
    folder.mkdir(parents=True, exist_ok=True)
    print("\n" + markdown)
    (folder / f"{name}.md").write_text(markdown + "\n")
    (folder / f"{name}.json").write_text(json.dumps(data, indent=1) + "\n")


def append(file: Path, record: dict[str, Any]) -> None:
    """One line, on disk at once: a run that is killed loses the case it was at."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as stream:
        stream.write(json.dumps(record) + "\n")


def records(file: Path) -> Iterator[dict[str, Any]]:
    """What `append` wrote; a line cut short by a kill is skipped."""
    if not file.is_file():
        return
    for line in file.read_text().splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            yield json.loads(line)


def median(values: Sequence[float]) -> float:
    """Of what there is; NaN for nothing."""
    return float(np.median(values)) if len(values) else float("nan")


def number(value: float, digits: int = 2) -> str:
    """For a cell; a dash for nothing."""
    return "-" if not np.isfinite(value) else f"{value:.{digits}f}"


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _commit() -> str:
    here = Path(__file__).resolve().parent
    try:
        found = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"],
            cwd=here, capture_output=True, text=True, check=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()
