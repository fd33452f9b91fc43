"""A study on one page that needs nothing beside it: curves, tables, the worst cases."""

import base64
import io
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import numpy as np
from PIL import Image

from napari_xreg.files import check_writable, written
from napari_xreg.records import PAGE_STYLE
from napari_xreg.study.block_curves import by_start, survival
from napari_xreg.study.evaluating import (
    MAIN_HEAD,
    Evaluation,
    bins_table,
    definitions,
    main_row,
    others_table,
)
from napari_xreg.study.tables import claimed, failure_lines
from napari_xreg.study.worst import Shown, shown, worst_rows

PAGE, WORST = "report.html", "worst"


@dataclass(frozen=True)
class CaseDrawn:
    """One of the worst cases was drawn."""

    case: str
    done: int
    of: int


def write_study_report(
    evaluation: Evaluation, out: Path, *, worst: int = 8
) -> Generator[CaseDrawn, None, tuple[Path, ...]]:
    """Write report.html, and sessions of the worst cases in a folder beside it.

    Yields
    ------
    CaseDrawn
        Of each.

    Returns
    -------
    tuple of Path
        What was written.

    Raises
    ------
    WriteError
        If a file cannot be written.
    """
    check_writable(out / PAGE)
    chosen, gallery = worst_rows(evaluation.rows, worst), []
    for number, row in enumerate(chosen, 1):
        gallery.append(shown(evaluation, row, out / WORST))
        yield CaseDrawn(row.case, number, len(chosen))
    with written(out / PAGE) as beside:
        beside.write_text(page(evaluation, gallery, out), encoding="utf-8")
    return (out / PAGE, *(each.session for each in gallery if each.session is not None))


def page(evaluation: Evaluation, gallery: Sequence[Shown], out: Path) -> str:
    """The page."""
    title = evaluation.folder.manifest.title or "Study"
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        f"<title>{escape(title)}</title><style>{PAGE_STYLE}{_STYLE}</style></head><body>",
        f"<h1>{escape(title)}</h1>",
    ]
    if evaluation.simulated_words:
        parts.append(f"<p class='warn'>{escape(evaluation.simulated_words)}</p>")
    if evaluation.waiting:
        parts.append(f"<p>{evaluation.waiting} registrations are not done yet.</p>")
    judged = [block for block in evaluation.blocks if block.used]
    if judged:
        parts += ["<h2>How many end below so many millimetres</h2>", survival(judged)]
        parts += ["<h2>How many end below 2 mm, by how far off they began</h2>", by_start(judged)]
    parts += ["<h2>Table</h2>", table(MAIN_HEAD, map(main_row, evaluation.blocks))]
    parts += ["<h2>Success by how far off the start was</h2>", table(*bins_table(judged))]
    parts += ["<h2>Other errors, median (95 % of the cases)</h2>", table(*others_table(judged))]
    parts.append("<h2>The worst cases</h2>")
    parts += [_figure(each, out) for each in gallery] or ["<p>No result has a known error.</p>"]
    failed = [f"<p>{escape(words)}</p>" for words in failure_lines(evaluation.rows)]
    parts += ["<h2>Failed</h2>", *failed] if failed else []
    left = evaluation.exclusions
    parts += ["<h2>Left out</h2>", "".join(f"<p>{escape(w)}</p>" for w in left) or "<p>nothing</p>"]
    parts += ["<h2>What stands there</h2>", table(["", ""], definitions(evaluation))]
    return "\n".join([*parts, "</body></html>"]) + "\n"


_STYLE = """
body { max-width: 1400px; } .wide { overflow-x: auto; } .warn { color: #ffb74d; }
table { font-size: .85em; } td:not(:last-child) { white-space: nowrap; } figure { margin: 1.5em 0; } figcaption { color: #9a9aa2; }
"""


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """In HTML."""
    lines = ["<tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in head) + "</tr>"]
    lines += ["<tr>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>" for row in rows]
    return f"<div class='wide'><table>{''.join(lines)}</table></div>"


def _figure(each: Shown, out: Path) -> str:
    row = each.row
    error, began = row.errors["mtre_mm"], row.start_errors.get("mtre_mm", float("nan"))
    trust = "trusted" if row.trusted else "not trusted"
    likely = "" if row.probability is None else f", probability {row.probability:.2f}"
    spoken = claimed(row)
    seen = "" if spoken in (None, error) else f" ({spoken:.2f} mm as seen in one radiograph)"
    words = (
        f"{row.case}: {row.start}, {row.method}. mTRE {began:.1f} mm at the start, {error:.2f} mm at the "
        f"result{seen}; {trust}{likely}."
    )
    parts = [f"<figure><figcaption>{escape(words)}"]
    if each.session is not None:
        name = each.session.relative_to(out).as_posix()
        parts.append(
            f"<br>session (File &gt; Open in napari): <a href='{escape(name)}'>{escape(name)}</a>"
        )
    if each.problem:
        parts.append(f"<br>no picture: {escape(each.problem)}")
    parts.append("</figcaption>")
    parts += [
        f"<img alt='{escape(row.case)}' src='data:image/jpeg;base64,{_jpeg(picture)}'>"
        for picture in each.pictures
    ]
    return "".join(parts) + "</figure>"


def _jpeg(picture: np.ndarray) -> str:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=85)
    return base64.b64encode(stream.getvalue()).decode("ascii")
