"""xvr's Figure 4 in its form: errors before and after, by subject, survival curves and their areas.

How long a network was trained (its panel A says it) is not known to a study.
"""

import math
from collections.abc import Iterator, Sequence
from html import escape

import numpy as np

from napari_xreg.metrics import error_percentiles, success_curve
from napari_xreg.study.block_curves import block_name, survival_plot
from napari_xreg.study.curves import FAINT, line_style
from napari_xreg.study.evaluating import Evaluation
from napari_xreg.study.forms.titles import FORM_TITLES
from napari_xreg.study.tables import AREA, BELOW_1_MM, CURVE_MM, JUDGED_BY, Block

FIGURE_COLUMNS = (
    "panel", "group", "subject", "start", "method", "figure", "value", "low", "high",
)  # fmt: skip
_NAMES, _WIDE, _BESIDE = 250, 420, 130
"""Widths of the names at the left, of an axis, and of the words at its right."""
_ROW = 22
_FIRST, _LAST = 0.1, 1000.0
"""Ends of the axis of errors, mm; what lies beyond is drawn at them."""
_QUARTERS = (25.0, 50.0, 75.0)


def xvr_figure(evaluation: Evaluation) -> str:
    """The drawing, as SVG."""
    blocks = [block for block in evaluation.blocks if block.used]
    title = evaluation.folder.manifest.title or "Study"
    head = [title, f"In the form of: {FORM_TITLES['xvr-figure']}.", evaluation.simulated_words]  # fmt: skip
    parts, y = [], 14
    for number, words in enumerate(filter(None, head)):
        parts.append(_text(12, y + 6, words, weight="bold" if number == 0 else "normal"))
        y += 20
    panels = (
        ("A, B. mTRE before (open) and after (filled): quarters and median; beside it SMSR", _before_and_after(blocks)),
        ("C. mTRE of the start by subject: quarters and median", _by_subject(blocks)),
        ("D, E. Share of the cases below a threshold", survival_plot(blocks)),
        ("F. Area under these curves, and its 95 % interval over subjects", _areas(blocks)),
    )  # fmt: skip
    for heading, (drawn, height) in panels:
        y += 16
        parts.append(_text(12, y + 6, heading, weight="bold"))
        parts.append(f"<g transform='translate(0 {y + 18})'>{drawn}</g>")
        y += height + 18
    wide = _NAMES + _WIDE + _BESIDE
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {wide} {y + 10}' width='{wide}' height='{y + 10}' "
        f"font-family='system-ui, sans-serif' font-size='12' fill='#33333a'>"
        f"<rect width='100%' height='100%' fill='white'/>{''.join(parts)}</svg>\n"
    )


def figure_rows(blocks: Sequence[Block]) -> Iterator[list[object]]:
    """The numbers of the drawing, by `FIGURE_COLUMNS`."""
    for block in blocks:
        if not block.used:
            continue
        names = [block.group, "", block.start, block.method]
        for stage, errors in (("start", _starts(block)), ("result", block.errors)):
            if errors:
                low, middle, high = error_percentiles(errors, _QUARTERS)
                yield ["A", *names, f"{stage}_median_mm", middle, low, high]
        for panel, name, figure in (("A", "below_1mm", BELOW_1_MM), ("F", "auc_10mm", AREA)):
            found = block.interval(figure)
            yield [panel, *names, name, found.value, *(found.bounds or ("", ""))]
        curve = success_curve(block.errors, CURVE_MM, points=41)
        for at, share in zip(curve.thresholds_mm, curve.shares, strict=True):
            yield ["D", *names, f"below_{at:g}mm", share, "", ""]
    for (group, start, subject), errors in _starts_by_subject(blocks).items():
        low, middle, high = error_percentiles(errors, _QUARTERS)
        yield ["C", group, subject, start, "", "start_median_mm", middle, low, high]


def _before_and_after(blocks: Sequence[Block]) -> tuple[str, int]:
    parts = [_axis(len(blocks) * _ROW)]
    for number, block in enumerate(blocks):
        y = _ROW * number + _ROW / 2
        parts.append(_name(y, block_name(block)))
        if starts := _starts(block):
            parts.append(_quarters(starts, y - 4, number, filled=False))
        parts.append(_quarters(block.errors, y + 4, number))
        found = block.interval(BELOW_1_MM)
        words = f"{100 * found.value:.1f} %"
        if found.bounds:
            words += f" [{100 * found.low:.0f}, {100 * found.high:.0f}]"
        parts.append(_text(_NAMES + _WIDE + 8, y + 4, words))
    return "".join(parts), len(blocks) * _ROW + 34


def _by_subject(blocks: Sequence[Block]) -> tuple[str, int]:
    found = _starts_by_subject(blocks)
    kinds = list(dict.fromkeys((group, start) for group, start, _ in found))
    parts = [_axis(len(found) * _ROW)]
    if not found:
        return _text(_NAMES, 12, "no result says where it began"), 24
    for row, ((group, start, subject), errors) in enumerate(found.items()):
        y = _ROW * row + _ROW / 2
        parts.append(_name(y, ", ".join(filter(None, (group, start, subject)))))
        parts.append(_quarters(errors, y, kinds.index((group, start))))
    return "".join(parts), len(found) * _ROW + 34


def _areas(blocks: Sequence[Block]) -> tuple[str, int]:
    parts = [
        f"<line x1='{_NAMES + _WIDE * at}' x2='{_NAMES + _WIDE * at}' y1='0' y2='{len(blocks) * _ROW}' stroke='{FAINT}'/>"
        + _text(_NAMES + _WIDE * at, len(blocks) * _ROW + 16, f"{at:g}", anchor="middle")
        for at in (0, 0.25, 0.5, 0.75, 1)
    ]
    for number, block in enumerate(blocks):
        y = _ROW * number + _ROW / 2
        found = block.interval(AREA)
        colour, _ = line_style(number)
        parts.append(_name(y, block_name(block)))
        parts.append(
            f"<rect x='{_NAMES}' y='{y - 6}' width='{_WIDE * found.value:.1f}' height='12' fill='{colour}'/>"
        )
        if found.bounds:
            x1, x2 = (_NAMES + _WIDE * each for each in found.bounds)
            parts.append(
                f"<line x1='{x1:.1f}' x2='{x2:.1f}' y1='{y}' y2='{y}' stroke='#33333a' stroke-width='2'/>"
            )
        parts.append(_text(_NAMES + _WIDE + 8, y + 4, f"{found.value:.2f}"))
    return "".join(parts), len(blocks) * _ROW + 34


def _starts(block: Block) -> list[float]:
    return [began for began, _ in block.started]


def _starts_by_subject(blocks: Sequence[Block]) -> dict[tuple[str, str, str], list[float]]:
    """mTRE of the starts by group, start and subject: every start once, whatever methods begin at it."""
    found: dict[tuple[str, str, str], dict[tuple[str, int], float]] = {}
    for block in blocks:
        for row in block.used:
            if JUDGED_BY.name in row.start_errors:
                one = found.setdefault((block.group, block.start, row.subject), {})
                one.setdefault((row.case, row.repeat), row.start_errors[JUDGED_BY.name])
    return {names: list(errors.values()) for names, errors in found.items()}


def _x(error: float) -> float:
    """Where an error lies on the logarithmic axis."""
    inside = min(max(error, _FIRST), _LAST)
    return _NAMES + _WIDE * math.log10(inside / _FIRST) / math.log10(_LAST / _FIRST)


def _axis(high: int) -> str:
    parts = []
    for power in range(round(math.log10(_FIRST)), round(math.log10(_LAST)) + 1):
        x = _x(10.0**power)
        parts.append(f"<line x1='{x:.1f}' x2='{x:.1f}' y1='0' y2='{high}' stroke='{FAINT}'/>")
        parts.append(_text(x, high + 16, f"{10.0**power:g}", anchor="middle"))
    return "".join(parts) + _text(_NAMES + _WIDE + 20, high + 16, "mm")


def _quarters(errors: Sequence[float], y: float, number: int, *, filled: bool = True) -> str:
    """From the first to the third quarter, and the median; beyond the axis: at its end."""
    colour, dashes = line_style(number)
    low, middle, high = (_x(each) for each in error_percentiles(np.asarray(errors), _QUARTERS))
    return (
        f"<line x1='{low:.1f}' x2='{high:.1f}' y1='{y:g}' y2='{y:g}' stroke='{colour}' stroke-width='2'{dashes}/>"
        f"<circle cx='{middle:.1f}' cy='{y:g}' r='3.5' fill='{colour if filled else 'white'}' stroke='{colour}' "
        "stroke-width='1.5'/>"
    )


def _name(y: float, words: str) -> str:
    short = words if len(words) <= 40 else f"{words[:39]}…"
    return _text(_NAMES - 10, y + 4, short, anchor="end")


def _text(x: float, y: float, words: str, *, anchor: str = "start", weight: str = "normal") -> str:
    return f"<text x='{x:g}' y='{y:g}' text-anchor='{anchor}' font-weight='{weight}'>{escape(words)}</text>"
