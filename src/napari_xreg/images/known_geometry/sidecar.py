"""The file that says the geometry of a radiograph: a JSON sidecar, read, checked and written."""

import json
import math
import reprlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import torch
from pydantic import AfterValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import core_schema

from napari_xreg.files import (
    GEOMETRY,
    Flag,
    Number,
    Record,
    Row,
    Text,
    Triple,
    is_number,
    rows_schema,
    schema_head,
    sentence,
    written,
)
from napari_xreg.geometry import CArm, CArmPose, Pose, carm_from_camera_matrices
from napari_xreg.images.known_geometry.record import VALUES, GeometryRecord, Rows

# A kilometre: no room is larger.
LARGEST_MM = 1e6
# A nanometre: no pixel is smaller.
SMALLEST_MM = 1e-6


def _bounded(value: Any) -> Any:
    numbers = value if isinstance(value, tuple) else (value,)
    if not all(abs(v) <= LARGEST_MM for v in numbers):
        raise ValueError(
            f"must lie between -{LARGEST_MM:g} and {LARGEST_MM:g}: got {_shown(numbers)}"
        )
    return value


def _positive(value: Any) -> Any:
    numbers = value if isinstance(value, tuple) else (value,)
    if min(numbers) <= 0:
        raise ValueError(f"must be positive, in mm: got {_shown(numbers)}")
    if min(numbers) < SMALLEST_MM:
        raise ValueError(f"must be {SMALLEST_MM:g} mm or more: got {_shown(numbers)}")
    return _bounded(value)


def _nonzero(value: float) -> float:
    if value == 0:
        raise ValueError("should not be 0: all line integrals would be the same")
    return value


def _shown(numbers: tuple[float, ...]) -> str:
    return " x ".join(f"{v:g}" for v in numbers)


@dataclass(frozen=True)
class _Grid:
    """So many rows of so many finite numbers, kept as tuples."""

    rows: int
    columns: int

    def __call__(self, value: Any) -> Rows:
        whole = isinstance(value, list | tuple) and len(value) == self.rows
        if not whole or not all(
            isinstance(row, list | tuple) and len(row) == self.columns and all(map(is_number, row))
            for row in value
        ):
            came = reprlib.repr(value)
            raise ValueError(f"should be {self.rows} rows of {self.columns} numbers: got {came}")
        numbers = tuple(tuple(map(float, row)) for row in value)
        if not all(math.isfinite(v) and abs(v) <= LARGEST_MM for row in numbers for v in row):
            raise ValueError(f"should hold finite numbers up to {LARGEST_MM:g}")
        return numbers

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        """Checked by this alone."""
        return core_schema.no_info_plain_validator_function(self.__call__)

    def __get_pydantic_json_schema__(self, core: Any, handler: Any) -> dict[str, Any]:
        """For the documentation."""
        return rows_schema(self.rows, self.columns)


def _rigid(rows: Rows) -> Rows:
    Pose.from_matrix(torch.tensor(rows, dtype=torch.float64))
    return rows


_Length = Annotated[Number, AfterValidator(_positive)]
_Spacing = Annotated[tuple[float, float], Row(2), AfterValidator(_positive)]
_Value = Annotated[Number, AfterValidator(_bounded)]
_Pair = Annotated[tuple[float, float], Row(2), AfterValidator(_bounded)]
_Triple = Annotated[tuple[float, float, float], Row(3), AfterValidator(_bounded)]
_Focal = Annotated[tuple[float, float], Row(2), AfterValidator(_positive)]
_Pose = Annotated[Rows, _Grid(4, 4), AfterValidator(_rigid)]
_Matrix = Annotated[Rows, _Grid(3, 3)]


class ImageEntry(Record):
    """What a sidecar says about the values of its image.

    ``slope * value + intercept`` gives line integrals of `read_as` "line_integral"; a pixel of
    `masked_value` shows no patient.
    """

    read_as: Literal["intensity", "line_integral"] | None = None
    simulated: Flag = False
    subtracted: Flag = False
    notes: tuple[Text, ...] = ()
    i0: Annotated[Number, Field(gt=0)] | None = None
    slope: Annotated[Number, AfterValidator(_nonzero)] | None = None
    intercept: Number | None = None
    masked_value: Number | None = None


class GeometryFile(Record):
    """The geometry of one radiograph as far as it is known: see `GeometryRecord`.

    A camera matrix (column, row, 1 of a pixel centre from x, y, z of the camera; OpenCV's K) may
    stand in place of focal length and principal point; with it `rotation` and `translation_mm` of a
    calibration, ``x_camera = rotation x_rig + translation``, in place of `rig_from_camera`. Signs of
    any kind are understood: a mirror becomes `mirrored`.
    """

    SCHEMA = GEOMETRY
    model_config = ConfigDict(extra="forbid")
    source_to_detector: _Length | None = Field(None, alias="source_to_detector_mm")
    source_to_isocenter: _Length | None = Field(None, alias="source_to_isocenter_mm")
    pixel_spacing: _Spacing | None = Field(None, alias="pixel_spacing_mm")
    focal_length: _Focal | None = Field(None, alias="focal_length_px")
    principal_point: _Pair | None = Field(None, alias="principal_point_px")
    mirrored: Flag | None = None
    field_diameter: _Length | None = Field(None, alias="field_diameter_mm")
    primary_deg: _Value | None = None
    secondary_deg: _Value | None = None
    roll_deg: _Value | None = None
    offset_mm: _Triple | None = None
    isocenter: _Triple | None = Field(None, alias="isocenter_mm")
    world_from_camera: _Pose | None = None
    rig_from_camera: _Pose | None = None
    camera_matrix: _Matrix | None = None
    rotation: _Matrix | None = None
    translation_mm: Triple | None = None
    image: ImageEntry = ImageEntry()

    @model_validator(mode="after")
    def _once(self) -> Self:
        """Nothing is said twice, and a camera is understood."""
        placed = self.rotation is not None or self.translation_mm is not None
        if placed and (
            self.camera_matrix is None or self.rotation is None or self.translation_mm is None
        ):
            raise ValueError(
                "camera_matrix, rotation and translation_mm of a calibration belong together: give "
                "all three"
            )
        twice = [name for name in self._camera() if getattr(self, name) is not None]
        if placed and self.world_from_camera is not None:
            twice.append("world_from_camera")
        if self.world_from_camera is not None and self.rig_from_camera is not None:
            twice.append("rig_from_camera")
        if twice:
            raise ValueError(
                f"{twice[0]} is said twice: a camera matrix holds the focal length and the principal "
                "point, and one pose is enough"
            )
        return self

    def _camera(self) -> dict[str, Any]:
        """What the camera matrix and the pose of a calibration say, by the names of a record."""
        if self.camera_matrix is None:
            return {}
        return camera_values(self.camera_matrix, self.rotation, self.translation_mm)

    def record(self, source: str) -> GeometryRecord:
        """The values, and where they came from."""
        values = {name: value for name in ENTRIES if (value := getattr(self, name)) is not None}
        values = {**self._camera(), **values}
        return GeometryRecord(**values, provenance=dict.fromkeys(values, source))


ENTRIES = {name: GeometryFile.model_fields[name].alias or name for name in VALUES}
"""What each value is called in a file: with its unit."""


def camera_values(
    camera_matrix: Rows,
    rotation: Rows | None = None,
    translation_mm: tuple[float, float, float] | None = None,
) -> dict[str, Any]:
    """Focal length, principal point, mirror and pose of a pinhole camera, by the names of a record.

    Parameters
    ----------
    camera_matrix
        K, pixels; whole numbers are pixel centres.
    rotation, translation_mm
        ``x_camera = rotation x_rig + translation``; None: where the camera stood is not known.

    Raises
    ------
    ValueError
        If K has a skew or no focal length, or the rotation is none.
    """
    k = torch.tensor(camera_matrix, dtype=torch.float64)
    if not all(abs(float(v)) > SMALLEST_MM for v in k.diagonal()):
        raise ValueError("camera_matrix should hold focal lengths, which are not 0")
    camera_from_rig = torch.eye(4, dtype=torch.float64)
    if rotation is not None and translation_mm is not None:
        camera_from_rig[:3, :3] = torch.tensor(rotation, dtype=torch.float64)
        camera_from_rig[:3, 3] = torch.tensor(translation_mm, dtype=torch.float64)
    carm, pose = carm_from_camera_matrices(
        k, camera_from_rig, shape=(1, 1), source_to_isocenter=1.0, source_to_detector=1.0
    )
    detector = carm.detector
    values: dict[str, Any] = {
        "focal_length": (abs(float(k[1, 1] / k[2, 2])), abs(float(k[0, 0] / k[2, 2]))),
        "principal_point": detector.center,
    }
    if rotation is not None or detector.mirrored:
        values["mirrored"] = detector.mirrored
    if rotation is not None:
        values["rig_from_camera"] = tuple(map(tuple, pose.matrix().tolist()))
    return values


def given_geometry(source: str = "given", **values: Any) -> GeometryRecord:
    """A record of values stated by the user; None is skipped.

    Raises
    ------
    ValueError
        If a value is unknown by name, not a number, not finite, or of the wrong length; or if a
        distance, spacing or diameter is not positive.
    """
    unknown = set(values) - set(ENTRIES)
    if unknown:
        raise ValueError(
            f"{min(unknown)} is not a geometric value: use one of {', '.join(ENTRIES)}"
        )
    try:
        named = {ENTRIES[name]: value for name, value in values.items() if value is not None}
        return GeometryFile.model_validate(named).record(source)
    except ValidationError as error:
        raise ValueError(sentence(error)) from error


def geometry_of(carm: CArm, nominal: CArmPose | None, source: str) -> GeometryRecord:
    """The record that says the same as these values."""
    detector = carm.detector
    values: dict[str, Any] = {
        "source_to_detector": carm.source_to_detector,
        "source_to_isocenter": carm.source_to_isocenter,
        "pixel_spacing": detector.spacing,
        "principal_point": detector.center,
        "mirrored": detector.mirrored,
        "field_diameter": detector.field_diameter,
    }
    if nominal is not None:
        values |= {
            "primary_deg": nominal.primary_deg,
            "secondary_deg": nominal.secondary_deg,
            "roll_deg": nominal.roll_deg,
            "offset_mm": nominal.offset_mm,
            "isocenter": nominal.isocenter,
        }
    return given_geometry(source, **values)


def geometry_to_json(record: GeometryRecord) -> dict[str, Any]:
    """What `geometry_from_json` reads back: what was stated; units are in the names."""
    said = record.stated().known()
    return {**schema_head(GEOMETRY), **{ENTRIES[n]: value for n, value in said.items()}}


def geometry_from_json(data: object, source: str) -> GeometryRecord:
    """A record from the parsed contents of a sidecar file.

    Raises
    ------
    ReadError
        If it has another schema, a later version, an unknown name or a value of the wrong kind.
    """
    return GeometryFile.read(data, source).record(source)


def write_geometry(path: Path | str, record: GeometryRecord) -> None:
    """Write a JSON sidecar: the geometry of an image that cannot hold its own.

    Raises
    ------
    WriteError
        If the file cannot be written; an older one is then untouched.
    """
    text = json.dumps(geometry_to_json(record), indent=2, allow_nan=False) + "\n"
    with written(path) as beside:
        beside.write_text(text, encoding="utf-8")
