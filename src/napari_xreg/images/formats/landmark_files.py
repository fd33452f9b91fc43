"""Landmarks in files: Slicer's ``.fcsv`` and ``.mrk.json``, and CSV."""

import csv
import io
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch

from napari_xreg.files import is_number, json_of_text, number, read_text, written
from napari_xreg.geometry import lps_from_ras
from napari_xreg.images.errors import FrameUnknown, ReadError
from napari_xreg.images.formats.landmark_table import LandmarkFrame, flag, read_table, table_of
from napari_xreg.images.landmark import Landmark

# A comment of ours, which Slicer passes over: so that a file that was cut off is known.
_COUNT = "napari-xreg points"
# The state of a control point in Slicer: not placed, shown under the mouse, placed, given up.
_STATES, _PLACED = ("0", "1", "2", "3"), "2"
_SLICER_SCHEMA = (
    "https://raw.githubusercontent.com/slicer/slicer/master/Modules/Loadable/Markups/Resources/"
    "Schema/markups-schema-v1.0.3.json#"
)
# Slicer wrote numbers before version 4.11.
_FCSV_FRAMES: dict[str, LandmarkFrame] = {"0": "RAS", "RAS": "RAS", "1": "LPS", "LPS": "LPS"}


def read_landmarks(path: str | Path, *, frame: LandmarkFrame | None = None) -> list[Landmark]:
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
        If the file is missing, damaged or cut off, or names a point twice.
    FrameUnknown
        If it does not say its axes and `frame` is not given.
    """
    file = Path(path)
    # Spreadsheets of western Europe save CSV in Windows-1252; a name has an umlaut soon.
    text = read_text(file, called=str(file), legacy=file.suffix.lower() != ".json")
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
    path: str | Path, landmarks: Iterable[Landmark], *, frame: LandmarkFrame = "LPS"
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
        text = table_of(points, frame, _in_lps)
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


def _in_lps(position: Sequence[float], frame: LandmarkFrame) -> tuple[float, float, float]:
    """The flip is its own inverse, so this writes as well."""
    point = torch.tensor([list(position)], dtype=torch.float64)
    x, y, z = (lps_from_ras(point) if frame == "RAS" else point)[0].tolist()
    # No -0.0 in files.
    return x + 0.0, y + 0.0, z + 0.0


def _one_frame(
    file: Path, stated: LandmarkFrame | None, given: LandmarkFrame | None
) -> LandmarkFrame:
    frame = stated or given
    if frame is None:
        raise FrameUnknown(
            f"{file}: the file does not say whether x, y, z are LPS (x to the patient's left, y to "
            "the back) or RAS (x to the right, y to the front): say which",
            ("LPS", "RAS"),
        )
    if stated and given and stated != given:
        raise ReadError(f"{file}: the file says {stated}, but {given} was asked for")
    return frame


def _number(file: Path, where: str, value: Any) -> float:
    try:
        return float(value) if is_number(value) else number(str(value))
    except (OverflowError, ValueError) as error:
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


def _from_fcsv(file: Path, text: str, frame: LandmarkFrame | None) -> list[Landmark]:
    stated: LandmarkFrame | None = None
    columns: list[str] = []
    rows: list[str] = []
    count: str | None = None
    for line in re.split(r"\r\n|\r|\n", text):
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
        elif key.strip() == _COUNT:
            count = value.strip()
    missing = [column for column in ("x", "y", "z", "label") if column not in columns]
    if missing:
        raise ReadError(
            f"{file}: the line '# columns = ...' must name {', '.join(missing)}: save the points "
            "from 3D Slicer as .fcsv or .mrk.json"
        )
    if len(set(columns)) < len(columns):
        raise ReadError(f"{file}: the line '# columns = ...' names a column twice")
    if count is not None and (count != str(len(rows)) or not text.endswith(("\n", "\r"))):
        raise ReadError(f"{file}: is cut off: it says {count} points, and {len(rows)} came")
    frame = _one_frame(file, stated, frame)
    landmarks = []
    for row in csv.reader(rows):
        # Slicer 5 adds two values without a name: the state of the point, and who made it.
        more = row[len(columns) :]
        if len(row) < len(columns) or len(more) not in (0, 2):
            raise ReadError(f"{file}: expected {len(columns)} values a line: got {','.join(row)!r}")
        if more and more[0].strip() not in _STATES:
            raise ReadError(f"{file}: the state of a point must be 0, 1, 2 or 3: got {more[0]!r}")
        if more and more[0].strip() != _PLACED:
            continue
        cell = dict(zip(columns, row, strict=False))
        name = cell["label"] or cell.get("id", "")
        position = [_number(file, f"{axis} of {name}", cell[axis]) for axis in "xyz"]
        visible = flag(str(file), name, cell.get("vis"))
        landmarks.append(_landmark(file, name, _in_lps(position, frame), visible=visible))
    return landmarks


def _to_fcsv(landmarks: list[Landmark], frame: LandmarkFrame) -> str:
    text = io.StringIO(newline="")
    text.write(f"# Markups fiducial file version = 4.11\n# CoordinateSystem = {frame}\n")
    text.write(f"# {_COUNT} = {len(landmarks)}\n")
    text.write("# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID\n")
    writer = csv.writer(text, lineterminator="\n")
    for index, landmark in enumerate(landmarks, start=1):
        position = _in_lps(landmark.position or (), frame)
        visible = int(landmark.visible)
        writer.writerow([index, *position, 0, 0, 0, 1, visible, 1, 0, landmark.name, "", ""])
    return text.getvalue()


def _from_markups(file: Path, text: str, frame: LandmarkFrame | None) -> list[Landmark]:
    try:
        markups = json_of_text(text, str(file))["markups"]
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
                position = point["position"]
                if not isinstance(position, list) or not all(map(is_number, position)):
                    raise ReadError(f"{file}: position of {name} must be numbers: got {position}")
                if len(position) != 3:
                    raise ReadError(f"{file}: position of {name} must be x, y, z: got {position}")
                visible = point.get("visibility", True) is not False
                landmarks.append(_landmark(file, name, _in_lps(position, axes), visible=visible))
    except (KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ReadError(
            f"{file}: this is not a markups file of 3D Slicer, or it is damaged "
            f"({type(error).__name__}: {error}): save the points again"
        ) from error
    return landmarks


def _to_markups(landmarks: list[Landmark], frame: LandmarkFrame) -> str:
    points = [
        {
            "id": str(index),
            "label": landmark.name,
            "position": _in_lps(landmark.position or (), frame),
            "selected": True,
            "locked": False,
            "visibility": landmark.visible,
            "positionStatus": "defined",
        }
        for index, landmark in enumerate(landmarks, start=1)
    ]
    markup = {
        "type": "Fiducial",
        "coordinateSystem": frame,
        "coordinateUnits": "mm",
        "controlPoints": points,
    }
    return json.dumps({"@schema": _SLICER_SCHEMA, "markups": [markup]}, indent=1) + "\n"


def _from_csv(file: Path, text: str, frame: LandmarkFrame | None) -> list[Landmark]:
    def placed(position: list[float], stated: LandmarkFrame | None) -> tuple[float, float, float]:
        return _in_lps(position, _one_frame(file, stated, frame))

    return read_table(str(file), text, placed)
