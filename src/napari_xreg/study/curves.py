"""Curves as SVG, drawn by hand: a page that holds them needs no library and no network."""

from collections.abc import Sequence
from html import escape

COLOURS = ("#4fc3f7", "#ffb74d", "#81c784", "#e57373", "#ba68c8", "#fff176", "#90a4ae", "#f06292")
_LEFT, _TOP, _WIDE, _HIGH = 52, 12, 560, 260
_INK, _FAINT = "#9a9aa2", "#33333a"

Curve = tuple[str, Sequence[float], Sequence[float]]
"""Name, and places along both axes."""


def chart(
    curves: Sequence[Curve],
    *,
    across: str,
    up: str,
    last: float,
    ticks: int = 5,
    dots: bool = False,
) -> str:
    """Shares (0 to 1) over millimetres (0 to `last`), a line each, with its name beside.

    `dots` shows where they are known; a line of one place is seen by nothing else.
    """
    height = _TOP + _HIGH + 44 + 18 * len(curves)
    parts = [
        (
            f"<svg viewBox='0 0 {_LEFT + _WIDE + 20} {height}' width='{_LEFT + _WIDE + 20}' role='img' "
            f"aria-label='{escape(up)} over {escape(across)}' font-family='system-ui' font-size='12' fill='{_INK}'>"
        )
    ]
    for tick in range(6):
        y = _TOP + _HIGH * (1 - tick / 5)
        parts += [
            f"<line x1='{_LEFT}' x2='{_LEFT + _WIDE}' y1='{y:.1f}' y2='{y:.1f}' stroke='{_FAINT}'/>",
            f"<text x='{_LEFT - 6}' y='{y + 4:.1f}' text-anchor='end'>{20 * tick} %</text>",
        ]
    for tick in range(ticks + 1):
        x = _LEFT + _WIDE * tick / ticks
        parts.append(
            f"<text x='{x:.1f}' y='{_TOP + _HIGH + 16}' text-anchor='middle'>{last * tick / ticks:g}</text>"
        )
    middle = _LEFT + _WIDE / 2
    parts.append(
        f"<text x='{middle}' y='{_TOP + _HIGH + 34}' text-anchor='middle'>{escape(across)}</text>"
    )
    for number, (name, xs, ys) in enumerate(curves):
        colour = COLOURS[number % len(COLOURS)]
        dashes = "" if number < len(COLOURS) else " stroke-dasharray='6 3'"
        places = [
            (f"{_LEFT + _WIDE * min(x, last) / last:.1f}", f"{_TOP + _HIGH * (1 - y):.1f}")
            for x, y in zip(xs, ys, strict=True)
        ]
        points = " ".join(f"{x},{y}" for x, y in places)
        y = _TOP + _HIGH + 56 + 18 * number
        parts += [
            f"<polyline points='{points}' fill='none' stroke='{colour}' stroke-width='2'{dashes}/>",
            f"<line x1='{_LEFT}' x2='{_LEFT + 24}' y1='{y - 4}' y2='{y - 4}' stroke='{colour}' stroke-width='3'{dashes}/>",
            f"<text x='{_LEFT + 32}' y='{y}'>{escape(name)}</text>",
        ]
        parts += [f"<circle cx='{x}' cy='{y}' r='4' fill='{colour}'/>" for x, y in places if dots]
    return "".join(parts) + "</svg>"
