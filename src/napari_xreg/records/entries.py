"""What stands in several kinds of file: tensors, poses, C-arms and where they stood."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import torch
from pydantic import BeforeValidator, Field, PlainSerializer, PlainValidator, Strict
from pydantic_core import core_schema
from torch import Tensor

from napari_xreg.files import (
    Flag,
    Made,
    Number,
    Pair,
    Record,
    Triple,
    Whole,
    rows_schema,
)
from napari_xreg.geometry import CArm, CArmPose, Detector, Pose
from napari_xreg.registration import Status

Measured = Annotated[float, Strict(), BeforeValidator(lambda v: float("nan") if v is None else v)]
"""JSON has no NaN: what was none is null."""
Probability = Annotated[float, Strict(), Field(ge=0.0, le=1.0)]


@dataclass(frozen=True)
class Rows:
    """Numbers in nested lists of a shape (None: any length), kept as a float64 tensor."""

    shape: tuple[int | None, ...]
    expected: str
    made: Callable[[Tensor], Any] = field(default=lambda numbers: numbers)

    def __call__(self, value: Any) -> Any:
        """The tensor, or what is made of it; ValueError if it is no such list."""
        if isinstance(value, Tensor | Pose):
            return value
        flat = [value]
        for length in self.shape:
            if not all(isinstance(v, list) and length in (None, len(v)) for v in flat):
                raise ValueError(f"should be {self.expected}")
            flat = [inner for outer in flat for inner in outer]
        # Not `is_number` of each: a session holds thousands of poses. A bool is neither.
        if not {type(v) for v in flat} <= {int, float}:
            raise ValueError(f"should be {self.expected}")
        shape = [-1 if length is None else length for length in self.shape]
        return self.made(torch.tensor([*map(float, flat)], dtype=torch.float64).reshape(shape))

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        """Checked by this alone; written as lists again."""
        return core_schema.no_info_plain_validator_function(
            self.__call__, serialization=core_schema.plain_serializer_function_ser_schema(in_rows)
        )

    def __get_pydantic_json_schema__(self, core: Any, handler: Any) -> dict[str, Any]:
        """For the documentation."""
        return rows_schema(*self.shape)


def in_rows(value: Tensor | Pose) -> Any:
    """A tensor, or the 4 x 4 matrix of a pose, as nested lists of float64."""
    tensor = value.matrix() if isinstance(value, Pose) else value
    return tensor.detach().cpu().double().tolist()


Points = Annotated[Tensor, Rows((None, 3), "a list of points x, y, z in mm")]
Vector = Annotated[Tensor, Rows((3,), "3 numbers")]
Covariance = Annotated[Tensor, Rows((6, 6), "6 x 6 numbers")]
Twist = Annotated[Tensor, Rows((6,), "6 numbers")]
FOUR_BY_FOUR = Rows((4, 4), "four rows of four numbers", Pose.from_matrix)
Matrix = Annotated[Pose, FOUR_BY_FOUR]
"""``world_from_camera`` (or what the entry is called) as four rows of four numbers, mm."""


def _status(value: Any) -> Status:
    if isinstance(value, Status):
        return value
    if not isinstance(value, str) or value not in Status.__members__:
        raise ValueError(f"should be one of {', '.join(Status.__members__)}: got {value!r}")
    return Status[value]


StatusName = Annotated[
    Status,
    PlainValidator(_status, json_schema_input_type=Literal[tuple(Status.__members__)]),
    PlainSerializer(lambda status: status.name),
]


class CArmEntry(Record):
    """Distances, pixel grid and K of a C-arm."""

    source_to_detector_mm: Number
    source_to_isocenter_mm: Number
    rows: Whole
    columns: Whole
    pixel_spacing_mm: Pair
    principal_point_px: Pair
    mirrored: Flag
    field_diameter_mm: Number | None


class CArmPoseEntry(Record):
    """Where a C-arm stands: angles and offsets, with their units in the names."""

    primary_deg: Number
    secondary_deg: Number
    roll_deg: Number
    offset_mm: Triple
    isocenter_mm: Triple


def carm_of(entry: CArmEntry) -> CArm:
    detector = Detector(
        (entry.rows, entry.columns), entry.pixel_spacing_mm, entry.principal_point_px,
        entry.mirrored, entry.field_diameter_mm,
    )  # fmt: skip
    return CArm(entry.source_to_detector_mm, entry.source_to_isocenter_mm, detector)


def _carm_pose(entry: CArmPoseEntry) -> CArmPose:
    return CArmPose(
        entry.primary_deg, entry.secondary_deg, entry.roll_deg, entry.offset_mm, entry.isocenter_mm
    )


CArmField = Annotated[CArm, Made(CArmEntry, carm_of)]
CArmPoseField = Annotated[CArmPose, Made(CArmPoseEntry, _carm_pose)]


def carm_to_json(carm: CArm) -> dict[str, Any]:
    """Distances, pixel grid and K of a C-arm; a `CArmField` reads it back."""
    detector = carm.detector
    k = carm.camera_matrix()
    positive = k.clone()
    positive[0, 0] = positive[0, 0].abs()
    return {
        "source_to_detector_mm": carm.source_to_detector,
        "source_to_isocenter_mm": carm.source_to_isocenter,
        "rows": detector.shape[0],
        "columns": detector.shape[1],
        "pixel_spacing_mm": list(detector.spacing),
        "principal_point_px": list(detector.center),
        "mirrored": detector.mirrored,
        "field_diameter_mm": detector.field_diameter,
        "K": k.tolist(),
        "K_of": "(column, row, 1) of the stored image; fx < 0 where mirrored",
        "K_opencv": positive.tolist(),
        "K_opencv_of": "the unmirrored image: u = 2 c_column - column where mirrored",
    }


def carm_pose_to_json(pose: CArmPose) -> dict[str, Any]:
    """C-arm angles and offsets with their units in the names; a `CArmPoseField` reads it back."""
    return {
        "primary_deg": pose.primary_deg,
        "secondary_deg": pose.secondary_deg,
        "roll_deg": pose.roll_deg,
        "offset_mm": list(pose.offset_mm),
        "isocenter_mm": list(pose.isocenter),
    }
