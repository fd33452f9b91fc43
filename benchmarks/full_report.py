"""One report of all benchmarks: ``REPORT.md`` of the tables in a folder, with plots.

What is absent is listed as not run, and what needs a card says "not measured" in its own table.
"""

import importlib.util
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import report

CHAPTERS = {
    "rendering": "Rendering on the CPU against the peers",
    "precision": "Precision and repetition",
    "gpu": "On a GPU",
    "cpu": "Scaling and networks on the CPU",
    "refinement-typical": "Refinement against the Adam recipe",
    "capture-typical": "Capture range",
    "starts-typical": "As many starts as it takes",
    "landscapes": "From how far every loss leads home",
    "confidence": "Predicted errors",
    "pnp": "Pose from correspondences",
    "rayemb": "RayEmb: accuracy",
    "rayemb_trust": "RayEmb: trust",
    "rayemb_speed": "RayEmb: time and memory",
    "heatmap_click": "RayEmb: a click in the viewer",
    "landmarks": "Landmarks by network",
    "regression": "A pose network",
    "dragging": "Dragging in the viewer",
    "streaming": "Iterates streamed to the viewer",
    "verdict": "Verdict: can it be believed",
    "reg_quality": "Verdict on 2D3D-RegQuality",
    "wrist": "Real radiographs of a wrist",
    "bodies": "Several bones together",
    "sequences": "A moving patient, tracked",
}


def write(folder: Path) -> Path:
    """Put the report together from what lies in the folder."""
    env = report.environment()
    drawing = importlib.util.find_spec("matplotlib") is not None
    if not drawing:
        print("no plots: they need matplotlib (the extra `bench`)")
    found = {name: folder / f"{name}.md" for name in CHAPTERS}
    there = {name: file for name, file in found.items() if file.is_file()}
    lines = [
        "# Benchmarks",
        "",
        f"{report.described(env)}; {env['system']}.",
        "Every chapter names its own machine and date: tables that were there before are kept.",
        "All radiographs are simulated but those of the chapter that says they are real.",
        "",
        *(f"* {'' if name in there else 'not run: '}{title}" for name, title in CHAPTERS.items()),
        "",
    ]
    for name, file in there.items():
        plot = PLOTS.get(name) if drawing else None
        picture = plot(folder) if plot and (folder / f"{name}.json").is_file() else None
        text = re.sub(r"^(#+) ", r"#\1 ", file.read_text(), flags=re.MULTILINE)
        first, _, rest = text.partition("\n")
        lines.append(first)
        if picture is not None:
            lines += ["", f"![{CHAPTERS[name]}]({picture.name})"]
        lines.append(rest)
    page = folder / "REPORT.md"
    page.write_text("\n".join(lines) + "\n")
    print(f"written: {page}")
    return page


def _data(folder: Path, name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / f"{name}.json").read_text())
    return content


def plot_rendering(folder: Path) -> Path | None:
    """CPU time by image size: image with gradient."""
    times = _data(folder, "rendering")["times"]
    series: dict[str, dict[int, float]] = {}
    for label, measured in times.items():
        view, pixels = label.rsplit(" ", 1)
        if view != next(iter(times)).rsplit(" ", 1)[0]:
            continue
        for job, seconds in measured["cpu_s"].items():
            renderer, what = job.split(" | ")
            if what.endswith("gradient"):
                series.setdefault(renderer, {})[int(pixels)] = 1000 * seconds
    return _lines(
        folder / "rendering.png", {"": series}, "pixels a side", "CPU ms, image + gradient"
    )


def plot_device(folder: Path, name: str) -> Path | None:
    """Time by image size, by batch and by pixels of a list."""
    times = _data(folder, name)["times"]
    panels: dict[str, dict[str, dict[int, float]]] = {}
    for key, timing in times.get("rendering", {}).items():
        pixels, batch, renderer, what = key.split(" | ")
        if what.endswith("gradient"):
            panel = panels.setdefault(f"{batch} pose(s), by pixels a side", {})
            panel.setdefault(renderer, {})[int(pixels)] = timing["ms"]
    for key, timing in times.get("scaling", {}).items():
        pixels, batch, what, _ = key.split(" | ")
        if what == "Joseph, batch":
            panels.setdefault(f"{pixels} pixels, by poses", {}).setdefault("Joseph", {})[
                int(batch)
            ] = timing["ms"]
        elif pixels.endswith("listed"):
            panels.setdefault("by pixels of a list", {}).setdefault("Joseph", {})[
                int(pixels.split()[0])
            ] = timing["ms"]
    return _lines(folder / f"{name}.png", panels, "", "ms, image + gradient")


def plot_refinement(folder: Path) -> Path | None:
    """Final errors of both methods, by CT."""
    volumes = _data(folder, "refinement-typical")["volumes"]
    series: dict[str, dict[str, float]] = {}
    for name, methods in volumes.items():
        for method, summary in methods.items():
            if isinstance(summary, dict) and "median_mm" in summary:
                series.setdefault(method, {})[name] = summary["median_mm"]
    if not series:
        return None
    figure, axes = _pyplot().subplots(figsize=(7, 3.2), layout="constrained")
    width = 0.8 / len(series)
    names = list(volumes)
    for number, (method, values) in enumerate(series.items()):
        places = [names.index(n) + number * width for n in values]
        axes.bar(places, list(values.values()), width, label=method)
    axes.set_xticks(range(len(names)), names, rotation=20, ha="right")
    axes.set_ylabel("median final error, mm")
    axes.legend()
    return _saved(figure, folder / "refinement.png")


def _lines(
    file: Path, panels: dict[str, dict[str, dict[int, float]]], x: str, y: str
) -> Path | None:
    panels = {title: series for title, series in panels.items() if series}
    if not panels:
        return None
    figure, axes = _pyplot().subplots(
        1, len(panels), figsize=(5 * len(panels), 3.6), squeeze=False, layout="constrained"
    )
    for (title, series), axis in zip(panels.items(), axes[0], strict=True):
        for label, values in series.items():
            at = sorted(values)
            axis.plot(at, [values[n] for n in at], marker="o", label=label)
        axis.set(xscale="log", yscale="log", title=title, xlabel=x, ylabel=y)
        axis.legend(fontsize="small")
    return _saved(figure, file)


def _pyplot() -> Any:
    """Imported when something is drawn: the tables need no matplotlib."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    return pyplot


def _saved(figure: Any, file: Path) -> Path:
    figure.savefig(file, dpi=110)
    _pyplot().close(figure)
    return file


PLOTS: dict[str, Callable[[Path], Path | None]] = {
    "rendering": plot_rendering,
    "gpu": lambda folder: plot_device(folder, "gpu"),
    "cpu": lambda folder: plot_device(folder, "cpu"),
    "refinement-typical": plot_refinement,
}
