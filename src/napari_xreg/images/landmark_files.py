"""Landmarks in files: Slicer's ``.fcsv`` and ``.mrk.json``, and CSV."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal

import torch

from napari_xreg.files import written
from napari_xreg.geometry.frames import lps_from_ras
from napari_xreg.images.errors import ReadError
from napari_xreg.images.landmark import Landmark

Frame = Literal["LPS", "RAS"]

_CSV_SCHEMA = "# napari-xreg landmarks 1"
_COVARIANCE = ("row_variance", "row_column_covariance", "column_variance")  # pixels squared
_SLICER_SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/"
    "Schema/markups-schema-v1.0.3.json#"
)
# Slicer wrote numbers before version 4.11.
_FCSV_FRAMES: dict[str, Frame] = {"0": "RAS", "RAS": "RAS", "1": "LPS", "LPS": "LPS"}


def read_landmarks(path: str | Path, *, frame: Frame | None = None) -> list[Landmark]:
    """Read named points, in the order of the file.

    Parameters
    ----------
    path
        ``.fcsv`` or ``.mrk.json`` of 3D Slicer (control points that were never placed are left
        out), or ``.csv`` with a line of column names: ``name``, ``x``, ``y``, ``z`` in mm and, for
        points picked on a radiograph, ``row``, ``column`` in pixels; an empty cell is not known.
        A column ``visible`` may hold 0 for points that are not to be used (in Slicer's files: points
        that are hidden); ``row_variance``, ``row_column_covariance``, ``column_variance``, pixels
        squared, say how sure the pixels are.
    frame
        Axes of x, y, z where the file does not say them. Our own CSV files and Slicer's do.

    Returns
    -------
    list of Landmark
        Positions in LPS mm, whatever the file used.

    Raises
    ------
    ReadError
        If the file is missing or damaged, does not say its axes, or names a point twice.
    """
    file = Path(path)
    if not file.is_file():
        raise ReadError(f"{file}: there is no such file: check the path")
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ReadError(f"{file}: expected a text file of landmarks, got binary data") from error
    if not text.strip():
        raise ReadError(f"{file}: the file is empty: export the landmarks again")
    readers = {".fcsv": _from_fcsv, ".json": _from_markups, ".csv": _from_csv}
    reader = readers.get(file.suffix.lower())
    if reader is None:
        raise ReadError(f"{file}: unknown kind of file; expected .fcsv, .mrk.json or .csv")
    try:
        landmarks = reader(file, text, frame)
    except csv.Error as error:
        raise ReadError(f"{file}: the table is damaged ({error}): save it again") from error
    seen: set[str] = set()
    for landmark in landmarks:
        if landmark.name in seen:
            raise ReadError(f"{file}: two landmarks are called {landmark.name!r}: rename one")
        seen.add(landmark.name)
    if not landmarks:
        raise ReadError(f"{file}: there is no landmark in the file")
    return landmarks


def write_landmarks(
    path: str | Path, landmarks: Iterable[Landmark], *, frame: Frame = "LPS"
) -> None:
    """Write named points; `read_landmarks` gives them back to the last digit.

    Parameters
    ----------
    path
        ``.fcsv`` or ``.mrk.json`` for 3D Slicer (positions only), or ``.csv`` (positions, and
        pixels with their covariance). A file that exists is replaced.
    landmarks
        Positions in LPS mm.
    frame
        Axes to write; the file says which.

    Raises
    ------
    ValueError
        If the ending is another one, or a landmark without a position goes to a Slicer file.
    """
    file, points = Path(path), list(landmarks)
    name = file.name.lower()
    if name.endswith(".csv"):
        text = _to_csv(points, frame)
    elif name.endswith((".fcsv", ".mrk.json")):
        flat = [point.name for point in points if point.position is None]
        if flat:
            raise ValueError(
                f"{file.suffix} holds positions in the patient, but {', '.join(flat)} has a pixel "
                "only: write a .csv"
            )
        text = _to_fcsv(points, frame) if name.endswith(".fcsv") else _to_markups(points, frame)
    else:
        raise ValueError(f"landmarks are written to .fcsv, .mrk.json or .csv: got {file.name}")
    with written(file) as beside:
        beside.write_text(text, encoding="utf-8", newline="\n")


def _in_lps(position: Sequence[float], frame: Frame) -> tuple[float, float, float]:
    """The flip is its own inverse, so this writes as well."""
    point = torch.tensor([list(position)], dtype=torch.float64)
    x, y, z = (lps_from_ras(point) if frame == "RAS" else point)[0].tolist()
    # No -0.0 in files.
    return x + 0.0, y + 0.0, z + 0.0


def _one_frame(file: Path, stated: Frame | None, given: Frame | None) -> Frame:
    frame = stated or given
    if frame is None:
        raise ReadError(
            f"{file}: the file does not say whether x, y, z are LPS or RAS: pass frame='LPS' or "
            "frame='RAS'"
        )
    if stated and given and stated != given:
        raise ReadError(f"{file}: the file says {stated}, but frame={given!r} was asked for")
    return frame


def _number(file: Path, where: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise ReadError(f"{file}: {where} must be a number: got {value!r}") from error


def _landmark(
    file: Path,
    name: str,
    position: tuple[float, float, float] | None,
    pixel: tuple[float, float] | None = None,
    visible: bool = True,
    covariance: tuple[float, float, float] | None = None,
) -> Landmark:
    try:
        return Landmark(name, position, pixel, visible, covariance)
    except ValueError as error:
        raise ReadError(f"{file}: {error}") from error


def _from_fcsv(file: Path, text: str, frame: Frame | None) -> list[Landmark]:
    stated: Frame | None = None
    columns: list[str] = []
    rows: list[str] = []
    for line in text.splitlines():
        key, _, value = line.lstrip("# ").partition("=")
        if not line.startswith("#"):
            if line.strip():
                rows.append(line)
        elif key.strip() == "CoordinateSystem":
            stated = _FCSV_FRAMES.get(value.strip())
            if stated is None:
                raise ReadError(f"{file}: CoordinateSystem must be LPS or RAS: got {value.strip()}")
        elif key.strip() == "columns":
            columns = [column.strip() for column in value.split(",")]
    missing = [column for column in ("x", "y", "z", "label") if column not in columns]
    if missing:
        raise ReadError(
            f"{file}: the line '# columns = ...' must name {', '.join(missing)}: save the points "
            "from 3D Slicer as .fcsv or .mrk.json"
        )
    frame = _one_frame(file, stated, frame)
    landmarks = []
    for row in csv.reader(rows):
        if len(row) <= max(columns.index(column) for column in ("x", "y", "z", "label")):
            raise ReadError(f"{file}: expected {len(columns)} values a line: got {','.join(row)!r}")
        cell = dict(zip(columns, row, strict=False))
        name = cell["label"] or cell.get("id", "")
        position = [_number(file, f"{axis} of {name}", cell[axis]) for axis in "xyz"]
        visible = _flag(file, name, cell.get("vis"))
        landmarks.append(_landmark(file, name, _in_lps(position, frame), visible=visible))
    return landmarks


def _to_fcsv(landmarks: list[Landmark], frame: Frame) -> str:
    text = io.StringIO(newline="")
    text.write(f"# Markups fiducial file version = 4.11\n# CoordinateSystem = {frame}\n")
    text.write("# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID\n")
    writer = csv.writer(text, lineterminator="\n")
    for number, landmark in enumerate(landmarks, start=1):
        position = _in_lps(landmark.position or (), frame)
        visible = int(landmark.visible)
        writer.writerow([number, *position, 0, 0, 0, 1, visible, 1, 0, landmark.name, "", ""])
    return text.getvalue()


def _from_markups(file: Path, text: str, frame: Frame | None) -> list[Landmark]:
    try:
        markups = json.loads(text)["markups"]
        landmarks = []
        for markup in markups:
            if markup.get("type") != "Fiducial":
                raise ReadError(
                    f"{file}: expected markups of type Fiducial: got {markup.get('type')}"
                )
            if markup.get("coordinateUnits", "mm") not in ("mm", ["mm"]):
                raise ReadError(
                    f"{file}: coordinateUnits must be mm: got {markup['coordinateUnits']}"
                )
            stated = markup.get("coordinateSystem")
            if stated not in (None, "LPS", "RAS"):
                raise ReadError(f"{file}: coordinateSystem must be LPS or RAS: got {stated}")
            axes = _one_frame(file, stated, frame)
            for point in markup["controlPoints"]:
                if point.get("positionStatus", "defined") != "defined":
                    continue
                name = point.get("label") or point.get("id", "")
                position = [_number(file, f"position of {name}", c) for c in point["position"]]
                if len(position) != 3:
                    raise ReadError(f"{file}: position of {name} must be x, y, z: got {position}")
                visible = point.get("visibility", True) is not False
                landmarks.append(_landmark(file, name, _in_lps(position, axes), visible=visible))
    except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ReadError(
            f"{file}: this is not a markups file of 3D Slicer, or it is damaged "
            f"({type(error).__name__}: {error}): save the points again"
        ) from error
    return landmarks


def _to_markups(landmarks: list[Landmark], frame: Frame) -> str:
    points = [
        {
            "id": str(number),
            "label": landmark.name,
            "position": _in_lps(landmark.position or (), frame),
            "selected": True,
            "locked": False,
            "visibility": landmark.visible,
            "positionStatus": "defined",
        }
        for number, landmark in enumerate(landmarks, start=1)
    ]
    markup = {
        "type": "Fiducial",
        "coordinateSystem": frame,
        "coordinateUnits": "mm",
        "controlPoints": points,
    }
    return json.dumps({"@schema": _SLICER_SCHEMA, "markups": [markup]}, indent=1) + "\n"


def _from_csv(file: Path, text: str, frame: Frame | None) -> list[Landmark]:
    stated: Frame | None = None
    lines = [line for line in text.splitlines() if line.strip()]
    # Only above the names of the columns: a landmark may be called "#1".
    comments = list(takewhile(lambda line: line.startswith("#"), lines))
    for comment in comments:
        if comment.startswith(_CSV_SCHEMA):
            stated = "RAS" if "RAS" in comment else "LPS"
        elif comment.startswith(_CSV_SCHEMA[:-1]):
            raise ReadError(f"{file}: written by a newer napari-xreg ({comment}): update this one")
    table = csv.DictReader(lines[len(comments) :])
    columns = [column.strip().lower() for column in table.fieldnames or ()]
    table.fieldnames = columns
    if "name" not in columns or not (
        {"x", "y", "z"} <= {*columns} or {"row", "column"} <= {*columns}
    ):
        raise ReadError(
            f"{file}: the first line must name the columns name, x, y, z (mm) or name, row, column "
            f"(pixels): got {', '.join(columns)}"
        )
    landmarks = []
    for cells in table:
        name = (cells["name"] or "").strip()
        position = _numbers_if_any(file, name, cells, ("x", "y", "z"))
        pixel = _numbers_if_any(file, name, cells, ("row", "column"))
        covariance = _numbers_if_any(file, name, cells, _COVARIANCE)
        landmarks.append(
            _landmark(
                file,
                name,
                _in_lps(position, _one_frame(file, stated, frame)) if position else None,
                (pixel[0], pixel[1]) if pixel else None,
                _flag(file, name, cells.get("visible")),
                (covariance[0], covariance[1], covariance[2]) if covariance else None,
            )
        )
    return landmarks


def _flag(file: Path, name: str, cell: Any) -> bool:
    """Whether a point is visible; an empty or absent cell says nothing against it."""
    text = str(cell if cell is not None else "").strip().lower()
    if text in ("", "1", "true", "yes"):
        return True
    if text in ("0", "false", "no"):
        return False
    raise ReadError(f"{file}: whether {name!r} is visible must be 1 or 0: got {cell!r}")


def _numbers_if_any(
    file: Path, name: str, cells: dict[str, Any], axes: Sequence[str]
) -> list[float]:
    """The coordinates, all of them, or none where every cell is empty."""
    if not any((cells.get(axis) or "").strip() for axis in axes):
        return []
    return [_number(file, f"{axis} of {name!r}", cells.get(axis)) for axis in axes]


def _to_csv(landmarks: list[Landmark], frame: Frame) -> str:
    text = io.StringIO(newline="")
    text.write(f"{_CSV_SCHEMA}; x, y, z: {frame}, mm; row, column: pixels\n")
    writer = csv.writer(text, lineterminator="\n")
    # Only where it says something: most files have no such point.
    hidden = not all(landmark.visible for landmark in landmarks)
    sure = any(landmark.covariance for landmark in landmarks)
    more = [*["visible"] * hidden, *(_COVARIANCE if sure else ())]
    writer.writerow(["name", "x", "y", "z", "row", "column", *more])
    for landmark in landmarks:
        position = _in_lps(landmark.position, frame) if landmark.position else ("", "", "")
        flag = [int(landmark.visible)] * hidden
        spread = (landmark.covariance or ("", "", "")) if sure else ()
        writer.writerow([landmark.name, *position, *(landmark.pixel or ("", "")), *flag, *spread])
    return text.getvalue()
