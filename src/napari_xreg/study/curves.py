"""Curves as SVG, drawn by hand: a page that holds them needs no library and no network."""

from collections.abc import Sequence
from html import escape
from typing import Any

COLOURS = ("#3d9bd6", "#e08a2c", "#45a866", "#dd5a56", "#a56acb", "#b3981f", "#7f8c99", "#d9629b")
"""Told apart, and from their ground, on a dark page and on white paper."""
DASHES = ("", "8 4", "2 4", "10 3 2 3")
"""When colours are used up, lines differ: none looks as another up to 32 of them."""
_LEFT, _TOP, _WIDE, _HIGH = 52, 12, 560, 260
INK, FAINT = "#8a8a94", "#8a8a9455"

Curve = tuple[str, Sequence[float], Sequence[float]]
"""Name, and places along both axes."""


def chart(curves: Sequence[Curve], *, across: str, up: str, last: float, **more: Any) -> str:
    """As `plot`, a drawing by itself."""
    drawn, height = plot(curves, across=across, last=last, **more)
    return (
        f"<svg viewBox='0 0 {_LEFT + _WIDE + 20} {height}' width='{_LEFT + _WIDE + 20}' role='img' "
        f"aria-label='{escape(up)} over {escape(across)}' font-family='system-ui' font-size='12'>{drawn}</svg>"
    )


def plot(
    curves: Sequence[Curve], *, across: str, last: float, ticks: int = 5, dots: bool = False
) -> tuple[str, int]:
    """Shares (0 to 1) over millimetres (0 to `last`), a line each, with its name below; and how high that is.

    `dots` shows where they are known; a line of one place is seen by nothing else.
    """
    parts = [f"<g fill='{INK}'>"]
    for tick in range(6):
        y = _TOP + _HIGH * (1 - tick / 5)
        parts += [
            f"<line x1='{_LEFT}' x2='{_LEFT + _WIDE}' y1='{y:.1f}' y2='{y:.1f}' stroke='{FAINT}'/>",
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
        colour, dashes = line_style(number)
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
        parts += [mark(x, y, number) for x, y in places if dots]
        parts += [mark(str(_LEFT + 12), str(y - 4), number)] if dots else []
    return "".join(parts) + "</g>", _TOP + _HIGH + 44 + 18 * len(curves)


def line_style(number: int) -> tuple[str, str]:
    """Colour and, as an attribute of SVG, dashes of a curve."""
    dashes = DASHES[number // len(COLOURS) % len(DASHES)]
    return COLOURS[number % len(COLOURS)], f" stroke-dasharray='{dashes}'" if dashes else ""


def mark(x: str, y: str, number: int) -> str:
    """A dot of a curve: a disc, then a square, a diamond and a ring, as its dashes change."""
    colour, _ = line_style(number)
    kind = number // len(COLOURS) % len(DASHES)
    if kind == 0:
        return f"<circle cx='{x}' cy='{y}' r='4' fill='{colour}'/>"
    if kind == 3:
        return f"<circle cx='{x}' cy='{y}' r='3.5' fill='none' stroke='{colour}' stroke-width='2'/>"
    turned = f" transform='rotate(45 {x} {y})'" if kind == 2 else ""
    corner = f"x='{float(x) - 3.5:.1f}' y='{float(y) - 3.5:.1f}'"
    return f"<rect {corner} width='7' height='7' fill='{colour}'{turned}/>"
