"""A registration on one page: what was found, how sure it is, and the pictures."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from napari_xreg.files import written
from napari_xreg.registration import CAUTION, COLORS

PAGE_STYLE = """
body { background: #16161a; color: #e6e6e6; font: 15px/1.5 system-ui, sans-serif; margin: 2em auto;
       max-width: 1180px; padding: 0 1em; }
h1 { font-size: 1.4em; } h2 { font-size: 1.1em; margin-top: 2em; color: #9fd8e8; }
img, video { max-width: 100%; border-radius: 4px; }
table { border-collapse: collapse; } td, th { padding: .2em 1.2em .2em 0; text-align: left; }
th { color: #9a9aa2; font-weight: normal; } td.number { font-variant-numeric: tabular-nums; }
code { color: #bbb; word-break: break-all; } a { color: #8ab4f8; }
"""
_TRUST = f".warn {{ color: {COLORS[False]}; }} .ok {{ color: {COLORS[True]}; }}"


def write_report(
    path: Path | str, data: Mapping[str, Any], *, title: str, film: str | None
) -> None:
    """Write an HTML page beside the pictures it shows.

    Parameters
    ----------
    path
        The page; ``overlay.png`` and the film lie in the same folder.
    data
        Contents of the result file.
    film
        Name of the film; None: there is none.

    Raises
    ------
    WriteError
        If the page cannot be written; an older one is then untouched.
    """
    trusted = data["status"]["trusted"]
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        f"<meta name='generator' content='napari-xreg {escape(data['versions']['napari-xreg'])}'>",
        f"<title>{escape(title)}</title><style>{PAGE_STYLE}{_TRUST}</style></head><body>",
        f"<h1>{escape(title)}</h1>",
        f"<p class='{'ok' if trusted else 'warn'}'>{escape(data['status']['message'])}</p>",
    ]
    if data["simulated"]:
        parts.append(
            "<p class='warn'>The radiograph is SIMULATED: what is found here says nothing about "
            "accuracy on real images.</p>"
        )
    notes = [*data["notes"], *data.get("assumptions", [])]
    parts += [f"<p>Note: {escape(note)}</p>" for note in notes]
    parts += ["<h2>Pose</h2>", _pose_table(data)]
    if data.get("covariance") and not trusted:
        parts.append(f"<p class='warn'>{escape(CAUTION)}</p>")
    if data.get("truth"):
        parts += ["<h2>Errors against the known truth</h2>", _truth_table(data["truth"])]
    if data.get("landmarks"):
        parts += ["<h2>Landmarks</h2>", _landmark_table(data["landmarks"])]
    parts += ["<h2>Before and after</h2>", "<img src='overlay.png' alt='before, after, edges'>"]
    if film is not None:
        tag = (
            f"<video src='{escape(film)}' controls loop muted autoplay></video>"
            if film.endswith(".mp4")
            else f"<img src='{escape(film)}' alt='the refinement'>"
        )
        parts += ["<h2>The refinement</h2>", tag]
    parts += ["<h2>Inputs</h2>", _input_table(data["inputs"])]
    files = ("result.json", "result.tfm", "result-slicer.tfm", "trajectory.csv")
    links = ", ".join(f"<a href='{name}' style='color:#9fd8e8'>{name}</a>" for name in files)
    parts.append(
        f"<p>{data['iterations']} iterations. Files: {links}. {escape(data['created'])}</p>"
    )
    parts.append("</body></html>")
    with written(path) as beside:
        beside.write_text("\n".join(parts) + "\n", encoding="utf-8")


def _pose_table(data: Mapping[str, Any]) -> str:
    spread = (data.get("covariance") or {}).get("standard_deviation", {})
    start, final = data["start"]["carm"], data["pose"]["carm"]
    rows = []
    for name, unit, label in (
        ("primary_deg", "°", "primary (+ LAO)"),
        ("secondary_deg", "°", "secondary (+ cranial)"),
        ("roll_deg", "°", "roll"),
    ):
        rows.append((label, start[name], final[name], spread.get(name), unit))
    for i, (name, label) in enumerate(
        (("x_mm", "offset x"), ("y_mm", "offset y"), ("depth_mm", "offset along the ray (depth)"))
    ):
        rows.append((label, start["offset_mm"][i], final["offset_mm"][i], spread.get(name), " mm"))
    cells = [
        [
            label,
            _number(a) + unit,
            _number(b) + unit,
            "–" if s is None else _number(s) + unit,
        ]
        for label, a, b, s, unit in rows
    ]
    isocenter = ", ".join(f"{v:.1f}" for v in final["isocenter_mm"])
    return _table(["", "start", "result", "standard deviation"], cells) + (
        f"<p>Isocenter (patient LPS): {isocenter} mm.</p>"
    )


def _truth_table(truth: Mapping[str, Any]) -> str:
    names = {
        "mean_target_registration_error_mm": "mTRE, camera frame (mm)",
        "mean_projection_error_mm": "projection error on the detector (mm)",
        "mean_reprojection_distance_mm": "reprojection distance, van de Kraats (mm)",
        "double_geodesic_mm": "double geodesic (mm)",
        "rotation_deg": "rotation (°)",
    }
    rows = [
        [label, _number(truth["start"][name]), _number(truth["final"][name])]
        for name, label in names.items()
    ]
    head = [f"over {truth['fiducials']} points", "start", "result"]
    return _table(head, rows)


def _landmark_table(landmarks: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        [
            mark["name"],
            ", ".join(_number(v) for v in mark["pixel_row_column"]),
            _number(mark.get("expected_error_mm")),
        ]
        for mark in landmarks
    ]
    return _table(["landmark", "row, column", "expected error (mm)"], rows)


def _input_table(inputs: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        [entry["role"], str(entry["path"]), f"<code>{entry.get('sha256', 'built in')}</code>"]
        for entry in inputs
    ]
    return _table(["", "file", "SHA-256"], rows, raw_last=True)


def _number(value: float | None) -> str:
    # Adding 0 after rounding turns -0.0 into 0.0.
    return "–" if value is None else f"{round(value, 2) + 0.0:.2f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], *, raw_last: bool = False) -> str:
    lines = ["<table><tr>" + "".join(f"<th>{escape(h)}</th>" for h in head) + "</tr>"]
    for row in rows:
        cells = [escape(cell) for cell in row]
        if raw_last:
            cells[-1] = row[-1]
        lines.append("<tr>" + "".join(f"<td class='number'>{c}</td>" for c in cells) + "</tr>")
    return "".join(lines) + "</table>"
