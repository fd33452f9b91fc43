"""Draw the figures of docs/conventions.md and of the verdict: ``make figures``.

Nothing is placed by hand: axes, source and pixels come from `CArm`, the verdict's from its benchmark.
"""

import json
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from napari_xreg.geometry import CArm, Detector
from napari_xreg.metrics import wilson_interval

plt.switch_backend("Agg")
IMAGES = Path(__file__).resolve().parent / "images"
VERDICT = IMAGES.parents[1] / "benchmarks" / "results" / "verdict.json"
RED, GREEN, BLUE, GREY = "#c1272d", "#1b8a3a", "#1f5fbf", "#777777"
MARKERS = {  # patient LPS, mm, from the isocenter
    "left": (50.0, 0.0, 0.0),
    "front": (0.0, -50.0, 0.0),
    "head": (0.0, 0.0, 50.0),
}
COLORS = {"left": RED, "front": GREEN, "head": BLUE}


def room(ax: "plt.Axes") -> None:
    """Patient axes, source, detector and camera axes at primary 30, secondary 20."""
    carm = CArm(1000.0, 650.0, Detector(shape=(300, 300), spacing=(1.0, 1.0)))
    pose = carm.world_from_camera(30.0, 20.0, isocenter=(0.0, 0.0, 0.0))
    source = pose.translation.numpy()
    for axis, name in zip(np.eye(3), ("x: left", "y: back", "z: head"), strict=True):
        tip = 230 * axis
        ax.quiver(0, 0, 0, *tip, color="black", lw=1.6, arrow_length_ratio=0.1)
        ax.text(*(tip * 1.3), name, fontsize=8, ha="center")
    corners = torch.tensor([[0.0, 0.0], [0.0, 299.0], [299.0, 299.0], [299.0, 0.0], [0.0, 0.0]])
    _, r = carm.rays(pose, corners.double())
    outline = source + r.numpy()
    ax.plot(*outline.T, color=GREY, lw=1.4)
    ax.plot(*outline[:2].T, color="black", lw=3)
    ax.text(*(outline[0] + np.array([0, 0, 30])), "pixel (0, 0)", fontsize=8)
    for corner in outline[:4]:
        ax.plot(*np.stack([source, corner]).T, color=GREY, lw=0.5, ls=":")
    ax.scatter(*source, color="black", s=30)
    ax.text(*(source + np.array([0, 60, -90])), "source", fontsize=8, ha="center")
    for column, color, name in zip(range(3), (RED, GREEN, BLUE), "xyz", strict=True):
        direction = pose.rotation[:, column].numpy()
        ax.quiver(*source, *(180 * direction), color=color, lw=2, arrow_length_ratio=0.15)
        ax.text(*(source + 215 * direction), name, color=color, fontsize=10, weight="bold")
    x, y, z = pose.rotation[:, 2].tolist()
    ax.set_title(
        "C-arm in the patient's axes (LPS, mm)\nprimary 30 (LAO), secondary 20 (cranial):\n"
        f"camera z = ({x:.3f}, {y:.3f}, {z:.3f})",
        fontsize=9,
    )
    ax.set_proj_type("ortho")
    ax.set_box_aspect((1, 1, 1), zoom=1.5)
    ax.set(xlim=(-520, 520), ylim=(-420, 620), zlim=(-520, 520))
    ax.view_init(elev=16, azim=4)
    ax.set_axis_off()


def view(ax: Axes, primary: float, secondary: float, title: str) -> None:
    """Where left, front and head of the patient appear in an image."""
    carm = CArm(1000.0, 650.0, Detector(shape=(240, 240), spacing=(1.0, 1.0)))
    pose = carm.world_from_camera(primary, secondary, isocenter=(0.0, 0.0, 0.0))
    points = torch.tensor([(0.0, 0.0, 0.0), *MARKERS.values()], dtype=torch.float64)
    pixels = carm.project(points, pose).numpy()
    ax.add_patch(Rectangle((-0.5, -0.5), 240, 240, fill=False, color=GREY))
    for name, pixel in zip(MARKERS, pixels[1:], strict=True):
        length = np.hypot(*(pixel - pixels[0]))
        if length < 1:  # along the central ray
            ax.plot(*pixel[::-1], "o", ms=9, mfc="none", color=COLORS[name])
            ax.annotate(name, pixel[::-1] + np.array([8, 14]), color=COLORS[name], fontsize=8)
            continue
        ax.annotate(
            "", pixel[::-1], pixels[0][::-1], arrowprops={"arrowstyle": "->", "color": COLORS[name], "lw": 2}
        )  # fmt: skip
        away = pixels[0] + (pixel - pixels[0]) * (1 + 20 / length)
        ax.text(*away[::-1], name, color=COLORS[name], fontsize=8, ha="center", va="center")
    ax.set(xlim=(-3, 243), ylim=(243, -3), xticks=[], yticks=[], aspect="equal")
    ax.set_title(title, fontsize=8)
    for spine in ax.spines.values():
        spine.set_visible(False)


def pixels(ax: Axes) -> None:
    """Index = centre; the principal point; the mirrored column."""
    detector = Detector(shape=(4, 6), spacing=(0.6, 0.4))
    row, column = detector.center
    for r in range(4):
        for c in range(6):
            ax.add_patch(Rectangle((c - 0.5, r - 0.5), 1, 1, fill=False, color=GREY, lw=0.8))
            ax.plot(c, r, ".", color=GREY, ms=3)
    ax.text(0, 0.28, "(0, 0)", fontsize=7, ha="center", va="center")
    ax.text(5, 3.28, "(3, 5)", fontsize=7, ha="center", va="center")
    ax.plot(column, row, "+", color="black", ms=12, mew=2)
    ax.text(
        column,
        row + 1.0,
        f"principal point\n({row}, {column})",
        fontsize=7,
        ha="center",
        va="center",
        bbox={"fc": "white", "ec": "none", "pad": 1},
    )
    arrow = {"arrowstyle": "->", "lw": 1.6}
    ax.annotate("", (5.4, -1.0), (-0.5, -1.0), arrowprops=arrow)
    ax.text(2.5, -1.25, "column", fontsize=8, ha="center")
    ax.annotate("", (-1.0, 3.4), (-1.0, -0.5), arrowprops=arrow)
    ax.text(-1.5, 1.5, "row", fontsize=8, va="center", rotation=90)
    ax.annotate("", (0.7, 4.1), (2.5, 4.1), arrowprops={**arrow, "color": RED})
    ax.text(0.45, 4.12, "x", color=RED, weight="bold", va="center")
    ax.text(
        2.8,
        4.12,
        "camera x runs against the columns:\nmirrored (the default)",
        fontsize=7,
        va="center",
    )
    ax.annotate("", (6.1, 3.0), (6.1, 1.5), arrowprops={**arrow, "color": GREEN})
    ax.text(6.1, 3.25, "y", color=GREEN, weight="bold", ha="center")
    ax.set(xlim=(-1.8, 6.6), ylim=(4.9, -1.6), aspect="equal")
    ax.set_title("Pixels: integer index = centre", fontsize=9)
    ax.set_axis_off()


def reliability() -> None:
    """Write docs/images/verdict-reliability.png: of what was said to be so likely, how much was right."""
    bins = [entry for entry in json.loads(VERDICT.read_text())["reliability"] if entry[0]]
    figure, ax = plt.subplots(figsize=(5.5, 4.4), layout="constrained")
    ax.plot([0, 1], [0, 1], color=GREY, linewidth=1)
    for count, mean, right in bins:
        low, high = wilson_interval(right, count)
        ax.plot([mean, mean], [low, high], color=BLUE)
        ax.plot(mean, right / count, "o", color=BLUE)
        ax.annotate(f"{count}", (mean, right / count), (6, -12), textcoords="offset points", size=8)
    ax.set(
        xlabel="probability that the verdict gave (fit without this anatomy)",
        ylabel="share that was right",
    )
    total = sum(count for count, _, _ in bins)
    ax.set_title(f"{total:,} results, simulated; 95 % intervals; numbers: results", fontsize=9)
    figure.savefig(IMAGES / "verdict-reliability.png", dpi=100)


def main() -> None:
    """Write docs/images/conventions.png and that of the verdict."""
    reliability()
    figure = plt.figure(figsize=(11.5, 4.4), layout="constrained")
    left, middle, right = figure.subfigures(1, 3, width_ratios=(1.35, 1.1, 1.0))
    room(left.add_subplot(projection="3d"))
    axes = middle.subplots(2, 2)
    view(axes[0, 0], 0, 0, "frontal: the patient's\nleft is on the right")
    view(axes[0, 1], 90, 0, "primary +90 (LAO):\nthe chest is on the left")
    view(axes[1, 0], -90, 0, "primary -90 (RAO):\nthe chest is on the right")
    view(axes[1, 1], 0, 45, "secondary +45 (cranial):\nthe chest sinks")
    pixels(right.subplots())
    IMAGES.mkdir(exist_ok=True)
    figure.savefig(IMAGES / "conventions.png", dpi=130)


if __name__ == "__main__":
    main()
