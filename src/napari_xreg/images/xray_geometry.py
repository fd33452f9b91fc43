"""What is known about the geometry of a radiograph, where each value came from, and what is not."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, ValidationError

from napari_xreg.files import (
    GEOMETRY,
    Flag,
    Number,
    Record,
    Row,
    Text,
    read_json,
    schema_head,
    sentence,
    written,
)
from napari_xreg.geometry import CArm, CArmPose, Detector

# What no radiograph can do without, and its unit.
_REQUIRED = {
    "source_to_detector": "mm",
    "source_to_isocenter": "mm",
    "pixel_spacing": "mm at the detector: row, column",
}
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


_Length = Annotated[Number, AfterValidator(_positive)]
_Spacing = Annotated[tuple[float, float], Row(2), AfterValidator(_positive)]
_Value = Annotated[Number, AfterValidator(_bounded)]
_Pair = Annotated[tuple[float, float], Row(2), AfterValidator(_bounded)]
_Triple = Annotated[tuple[float, float, float], Row(3), AfterValidator(_bounded)]


class ImageEntry(Record):
    """What a sidecar says about the values of its image.

    ``slope * value + intercept`` gives line integrals of `read_as` "line_integral"; a pixel of
    `masked_value` shows no patient.
    """

    read_as: Literal["intensity", "line_integral"] | None = None
    simulated: Flag = False
    notes: tuple[Text, ...] = ()
    i0: Annotated[Number, Field(gt=0)] | None = None
    slope: Annotated[Number, AfterValidator(_nonzero)] | None = None
    intercept: Number | None = None
    masked_value: Number | None = None


class GeometryFile(Record):
    """The geometry of one radiograph as far as it is known: see `GeometryRecord`."""

    SCHEMA = GEOMETRY
    model_config = ConfigDict(extra="forbid")
    source_to_detector: _Length | None = Field(None, alias="source_to_detector_mm")
    source_to_isocenter: _Length | None = Field(None, alias="source_to_isocenter_mm")
    pixel_spacing: _Spacing | None = Field(None, alias="pixel_spacing_mm")
    principal_point: _Pair | None = Field(None, alias="principal_point_px")
    mirrored: Flag | None = None
    field_diameter: _Length | None = Field(None, alias="field_diameter_mm")
    primary_deg: _Value | None = None
    secondary_deg: _Value | None = None
    roll_deg: _Value | None = None
    offset_mm: _Triple | None = None
    isocenter: _Triple | None = Field(None, alias="isocenter_mm")
    image: ImageEntry = ImageEntry()

    def record(self, source: str) -> "GeometryRecord":
        """The values, and where they came from."""
        values = {name: value for name in ENTRIES if (value := getattr(self, name)) is not None}
        return GeometryRecord(**values, provenance=dict.fromkeys(values, source))


ENTRIES = {
    name: entry.alias or name
    for name, entry in GeometryFile.model_fields.items()
    if name != "image"
}
"""What each value is called in a file: with its unit."""


@dataclass(frozen=True)
class GeometryRecord:
    """The geometry of one radiograph as far as it is known; None is "unknown".

    Parameters
    ----------
    source_to_detector, source_to_isocenter
        mm.
    pixel_spacing
        Row, column spacing at the detector, mm.
    principal_point
        Row, column where the central ray meets the detector, pixels of the image as stored.
    mirrored
        See `Detector.mirrored`.
    field_diameter
        Circular field of view, mm at the detector.
    primary_deg, secondary_deg, roll_deg, offset_mm, isocenter
        See `CArmPose`. A start, not a truth.
    provenance
        For each known value the place it came from: "DICOM (0018,1110)", "given", a file.
    problems
        For each unknown value why it is: "DICOM (0018,1110) is absent".
    notes
        Ambiguities met on the way and how they were decided.
    """

    source_to_detector: float | None = None
    source_to_isocenter: float | None = None
    pixel_spacing: tuple[float, float] | None = None
    principal_point: tuple[float, float] | None = None
    mirrored: bool | None = None
    field_diameter: float | None = None
    primary_deg: float | None = None
    secondary_deg: float | None = None
    roll_deg: float | None = None
    offset_mm: tuple[float, float, float] | None = None
    isocenter: tuple[float, float, float] | None = None
    provenance: Mapping[str, str] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def known(self) -> dict[str, Any]:
        """Name and value of everything that is known."""
        values = {name: getattr(self, name) for name in ENTRIES}
        return {name: value for name, value in values.items() if value is not None}

    def override(self, other: "GeometryRecord") -> "GeometryRecord":
        """This record with every value that `other` knows replaced by its own."""
        values = other.known()
        provenance = {**self.provenance, **{name: other.provenance[name] for name in values}}
        known = {**self.known(), **values}
        problems = {**self.problems, **other.problems}
        return replace(
            self,
            **values,
            provenance=provenance,
            problems={name: why for name, why in problems.items() if name not in known},
            notes=(*self.notes, *other.notes),
        )

    @property
    def needed(self) -> tuple[str, ...]:
        """Names of the values that no radiograph can do without and that are unknown."""
        return tuple(name for name in _REQUIRED if getattr(self, name) is None)

    def missing(self) -> tuple[str, ...]:
        """One phrase for each value that is `needed`: name, unit, and why it is unknown."""
        return tuple(
            f"{name} ({_REQUIRED[name]}): {self.problems.get(name, 'not given')}"
            for name in self.needed
        )

    def doubts(self) -> tuple[str, ...]:
        """One phrase for each value that an image can do without and that came in unusable."""
        return tuple(
            f"{name}: {why}" for name, why in self.problems.items() if name not in _REQUIRED
        )

    def carm(self, shape: tuple[int, int]) -> CArm:
        """The C-arm of an image of this many rows and columns.

        Raises
        ------
        ValueError
            Naming every missing value with its unit, or the two that contradict each other.
        """
        missing = self.missing()
        if missing:
            raise ValueError("the geometry is incomplete: " + "; ".join(missing))
        assert self.source_to_detector is not None and self.source_to_isocenter is not None
        assert self.pixel_spacing is not None
        detector = Detector(
            shape=shape,
            spacing=self.pixel_spacing,
            principal_point=self.principal_point,
            mirrored=True if self.mirrored is None else self.mirrored,
            field_diameter=self.field_diameter,
        )
        return CArm(self.source_to_detector, self.source_to_isocenter, detector)

    def nominal(self) -> CArmPose | None:
        """Where the C-arm is said to have stood; None unless both angles are known."""
        if self.primary_deg is None or self.secondary_deg is None:
            return None
        return CArmPose(
            self.primary_deg,
            self.secondary_deg,
            self.roll_deg or 0.0,
            self.offset_mm or (0.0, 0.0, 0.0),
            self.isocenter or (0.0, 0.0, 0.0),
        )


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
        named = {ENTRIES[name]: value for name, value in values.items()}
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
    """What `geometry_from_json` reads back; units are in the names."""
    return {**schema_head(GEOMETRY), **{ENTRIES[n]: value for n, value in record.known().items()}}


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


def read_geometry(path: Path | str) -> GeometryRecord:
    """Read a JSON sidecar written by `write_geometry` or by hand.

    Raises
    ------
    ReadError
        If the file is absent, not JSON or not this schema, or a value is of the wrong kind.
    """
    return geometry_from_json(read_json(path), Path(path).name)
