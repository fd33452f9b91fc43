"""Landmarks as a table: CSV of this program, of a spreadsheet, or written by hand."""

import csv
import io
import re
from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import Literal

from napari_xreg.files import ReadError, number
from napari_xreg.images.landmark import Landmark

LandmarkFrame = Literal["LPS", "RAS"]
Row = dict[str, str]

_SCHEMA = "# napari-xreg landmarks"
_VERSION = 2
# So that a file that was cut off between two rows is known from a whole one.
_END = "# end"
_COVARIANCE = ("row_variance", "row_column_covariance", "column_variance")  # pixels squared
_NUMBERS = ("x", "y", "z", "row", "column", *_COVARIANCE)


def read_table(
    called: str,
    text: str,
    placed: Callable[[list[float], LandmarkFrame | None], tuple[float, float, float]],
) -> list[Landmark]:
    """The landmarks of a table.

    Parameters
    ----------
    called
        How messages call the file.
    placed
        LPS mm of x, y, z in the axes that the file states (None: it does not).

    Raises
    ------
    ReadError
        If it is damaged, or a cell is not what its column says.
    """
    lines = [line for line in re.split(r"\r\n|\r|\n", text) if line.strip()]
    # Only above the names of the columns: a landmark may be called "#1".
    comments = list(takewhile(lambda line: line.lstrip('"').startswith("#"), lines))
    stated, version = _stated(called, comments)
    columns, rows = _cells(called, lines[len(comments) :])
    ends = [row for row in rows if row[0].strip() == _END and not any(row[1:])]
    if version >= 2 and not ends:
        raise ReadError(f"{called}: the file is cut off: its last line {_END!r} is missing")
    named = [_row(called, columns, row) for row in rows if row not in ends and any(row)]
    point = _decimal(called, named)
    landmarks = []
    for cells in named:
        name = cells["name"].strip()
        position = _if_any(called, name, cells, ("x", "y", "z"), point)
        pixel = _if_any(called, name, cells, ("row", "column"), point)
        spread = _if_any(called, name, cells, _COVARIANCE, point)
        try:
            landmarks.append(
                Landmark(
                    name,
                    placed(position, stated) if position else None,
                    (pixel[0], pixel[1]) if pixel else None,
                    flag(called, name, cells.get("visible")),
                    (spread[0], spread[1], spread[2]) if spread else None,
                )
            )
        except ReadError:
            raise
        except ValueError as error:
            raise ReadError(f"{called}: {error}") from error
    return landmarks


def table_of(
    landmarks: Sequence[Landmark],
    frame: LandmarkFrame,
    in_frame: Callable[[Sequence[float], LandmarkFrame], tuple[float, float, float]],
) -> str:
    """The text of a table; `read_table` gives the same landmarks back."""
    text = io.StringIO(newline="")
    text.write(
        f"{_SCHEMA} {_VERSION}; x, y, z: {frame}, mm; row, column: pixels; last line: {_END}\n"
    )
    writer = csv.writer(text, lineterminator="\n")
    # Only where it says something: most files have no such point.
    hidden = not all(landmark.visible for landmark in landmarks)
    sure = any(landmark.covariance for landmark in landmarks)
    more = [*["visible"] * hidden, *(_COVARIANCE if sure else ())]
    writer.writerow(["name", "x", "y", "z", "row", "column", *more])
    for landmark in landmarks:
        position = in_frame(landmark.position, frame) if landmark.position else ("", "", "")
        seen = [int(landmark.visible)] * hidden
        spread = (landmark.covariance or ("", "", "")) if sure else ()
        writer.writerow([landmark.name, *position, *(landmark.pixel or ("", "")), *seen, *spread])
    text.write(_END + "\n")
    return text.getvalue()


def flag(called: str, name: str, cell: object) -> bool:
    """Whether a point is visible; an empty or absent cell says nothing against it."""
    text = str(cell if cell is not None else "").strip().lower()
    if text in ("", "1", "true", "yes"):
        return True
    if text in ("0", "false", "no"):
        return False
    raise ReadError(f"{called}: whether {name!r} is visible must be 1 or 0: got {cell!r}")


def _stated(called: str, comments: list[str]) -> tuple[LandmarkFrame | None, int]:
    """Axes and version of our own comment; (None, 0) where there is none."""
    for comment in comments:
        ours = re.match(rf'"?{_SCHEMA} (\d+)', comment)
        if ours is None:
            continue
        version = int(ours[1])
        if not 1 <= version <= _VERSION:
            raise ReadError(
                f"{called}: written by a newer napari-xreg ({comment}): update this one"
            )
        axes = set(re.findall(r"\b(LPS|RAS)\b", comment))
        return ("LPS" if axes == {"LPS"} else "RAS" if axes == {"RAS"} else None), version
    return None, 0


def _cells(called: str, lines: list[str]) -> tuple[list[str], list[list[str]]]:
    """Names of the columns, and the rows; what parts the cells is seen from the names."""
    columns: list[str] = []
    for delimiter in (",", ";", "\t"):
        table = list(csv.reader(lines, delimiter=delimiter))
        columns = [column.strip().lower() for column in table[0]] if table else []
        if "name" in columns and ({"x", "y", "z"} <= {*columns} or {"row", "column"} <= {*columns}):
            break
    else:
        first = lines[0] if lines else ""
        raise ReadError(
            f"{called}: the first line must name the columns name, x, y, z (mm) or name, row, "
            f"column (pixels): got {first}"
        )
    twice = {column for column in columns if column and columns.count(column) > 1}
    if twice:
        raise ReadError(f"{called}: two columns are called {min(twice)}: rename or remove one")
    return columns, table[1:]


def _row(called: str, columns: list[str], row: list[str]) -> Row:
    """Cells by column. One more or one less would shift all the others."""
    spare = [cell for cell in row[len(columns) :] if cell.strip()]
    unnamed = [c for name, c in zip(columns, row, strict=False) if not name and c.strip()]
    if spare or unnamed or len(row) < len(columns):
        raise ReadError(
            f"{called}: expected {len([c for c in columns if c])} values a line, one for each named "
            f"column: got {','.join(row)!r}; numbers with a decimal comma need ';' between the cells"
        )
    return {name: cell for name, cell in zip(columns, row, strict=False) if name}


def _decimal(called: str, rows: list[Row]) -> str:
    """What parts a number from its decimals in this file: a point or a comma."""
    cells = [row[name] for row in rows for name in _NUMBERS if name in row]
    if not any("," in cell for cell in cells):
        return "."
    if any("." in cell for cell in cells):
        raise ReadError(
            f"{called}: numbers are written with points and with commas: use one for the decimals"
        )
    return ","


def _if_any(called: str, name: str, cells: Row, axes: Sequence[str], point: str) -> list[float]:
    """The coordinates, all of them, or none where every cell is empty."""
    if not any(cells.get(axis, "").strip() for axis in axes):
        return []
    found = []
    for axis in axes:
        cell = cells.get(axis)
        try:
            found.append(number((cell or "").replace(point, ".")))
        except ValueError as error:
            raise ReadError(
                f"{called}: {axis} of {name!r} must be a number, or empty with the others: "
                f"got {cell!r}"
            ) from error
    return found
