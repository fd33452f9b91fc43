"""Draw docs/images/architecture.svg from the contracts of pyproject.toml and the rooms' docstrings.

    python docs/make_architecture.py

`tests/test_docs.py` asks that the committed figure is the one this makes.
"""

import ast
import tomllib
from html import escape
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGE = REPOSITORY / "src" / "napari_xreg"
FIGURE = REPOSITORY / "docs" / "images" / "architecture.svg"

WIDTH, ROW, GAP, LEFT = 940, 44, 8, 170
COLOURS = {"Qt": "#c4553b", "napari": "#3b6fc4", "": "#5c6672"}


def first_line(room: str) -> str:
    """What a room says of itself, first line."""
    text = ast.get_docstring(ast.parse((PACKAGE / room / "__init__.py").read_text("utf-8")))
    return (text or "").splitlines()[0].replace("``", "")


def sub_rooms(room: str) -> list[str]:
    """The folders of a room that hold code."""
    return sorted(path.parent.name for path in (PACKAGE / room).glob("*/__init__.py"))


def layers_and_reach() -> tuple[list[list[str]], dict[str, str]]:
    """Rooms from top to bottom, and what each may import: Qt (and napari), napari, or neither."""
    contracts = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["tool"][
        "importlinter"
    ]["contracts"]
    layers = next(c["layers"] for c in contracts if c["type"] == "layers")
    without = {
        library: {name.rpartition(".")[2] for name in contract["source_modules"]}
        for library in ("qtpy", "napari")
        for contract in contracts
        if contract["type"] == "forbidden" and library in contract["forbidden_modules"]
    }
    rows = [[name.strip() for name in layer.split("|")] for layer in layers]
    reach = {
        room: "Qt"
        if room not in without["qtpy"]
        else "napari"
        if room not in without["napari"]
        else ""
        for row in rows
        for room in row
    }
    return rows, reach


def drawn() -> str:
    """The figure, as SVG."""
    rows, reach = layers_and_reach()
    height = 40 + len(rows) * (ROW + GAP) + 26
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
            f'font-family="Helvetica, Arial, sans-serif" font-size="12">'
        ),
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        (
            '<text x="20" y="24" font-size="13" fill="#20262d">A room imports only the rooms below it, '
            "each through its front.</text>"
        ),
    ]
    for number, row in enumerate(rows):
        top = 40 + number * (ROW + GAP)
        wide = (WIDTH - 40 - GAP * (len(row) - 1)) / len(row)
        for place, room in enumerate(row):
            parts += _box(
                room, 20 + place * (wide + GAP), top, wide, COLOURS[reach[room]], len(row)
            )
    foot = 40 + len(rows) * (ROW + GAP) + 14
    for place, (library, words) in enumerate(
        [("Qt", "may use Qt and napari"), ("napari", "may use napari"), ("", "neither")]
    ):
        x = 20 + place * 190
        parts.append(
            f'<rect x="{x}" y="{foot - 9}" width="10" height="10" fill="{COLOURS[library]}"/>'
        )
        parts.append(f'<text x="{x + 16}" y="{foot}" fill="#20262d">{words}</text>')
    return "\n".join([*parts, "</svg>", ""])


def _box(room: str, x: float, y: float, wide: float, colour: str, beside: int) -> list[str]:
    inside = ", ".join(sub_rooms(room))
    line_at = y + (19 if inside or beside > 1 else 27)
    parts = [
        f'<rect x="{x:g}" y="{y}" width="{wide:g}" height="{ROW}" rx="4" fill="#f4f6f8" stroke="{colour}"/>',
        f'<rect x="{x:g}" y="{y}" width="6" height="{ROW}" fill="{colour}"/>',
        f'<text x="{x + 16:g}" y="{line_at}" font-weight="bold" fill="#20262d">{room}</text>',
    ]
    if beside == 1:
        parts.append(
            f'<text x="{LEFT}" y="{line_at}" fill="#20262d">{escape(first_line(room))}</text>'
        )
        if inside:
            parts.append(
                f'<text x="{LEFT}" y="{y + 35}" font-size="11" fill="#5c6672">{inside}</text>'
            )
    else:
        # Rooms side by side share the width: what they say of themselves, cut to it.
        line = first_line(room)
        room_for = int((wide - 24) / 5.6)
        line = line if len(line) <= room_for else line[: room_for - 1].rsplit(" ", 1)[0] + " …"
        parts.append(
            f'<text x="{x + 16:g}" y="{y + 35}" font-size="11" fill="#5c6672">{escape(line)}</text>'
        )
    return parts


if __name__ == "__main__":
    FIGURE.write_text(drawn(), encoding="utf-8")
