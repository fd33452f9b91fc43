"""What is known about the geometry of a radiograph, where each value came from, and what is not."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from napari_xreg.files import read_json, with_schema, written
from napari_xreg.geometry import CArm, CArmPose, Detector
from napari_xreg.images.errors import ReadError

SCHEMA = "napari-xreg/xray-geometry"
VERSION = 1

# What no radiograph can do without, and its unit.
_REQUIRED = {
    "source_to_detector": "mm",
    "source_to_isocenter": "mm",
    "pixel_spacing": "mm at the detector: row, column",
}

_UNITS = {
    "source_to_detector": "_mm",
    "source_to_isocenter": "_mm",
    "pixel_spacing": "_mm",
    "principal_point": "_px",
    "mirrored": "",
    "field_diameter": "_mm",
    "primary_deg": "",
    "secondary_deg": "",
    "roll_deg": "",
    "offset_mm": "",
    "isocenter": "_mm",
}
_LENGTHS = {"pixel_spacing": 2, "principal_point": 2, "offset_mm": 3, "isocenter": 3}
_POSITIVE = ("source_to_detector", "source_to_isocenter", "pixel_spacing", "field_diameter")
# A kilometre: no room is larger.
LARGEST_MM = 1e6
# A nanometre: no pixel is smaller.
SMALLEST_MM = 1e-6


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
        values = {name: getattr(self, name) for name in _UNITS}
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
    known: dict[str, Any] = {}
    for name, value in values.items():
        if name not in _UNITS:
            raise ValueError(f"{name} is not a geometric value: use one of {', '.join(_UNITS)}")
        if value is not None:
            known[name] = _checked(name, value)
    return GeometryRecord(**known, provenance=dict.fromkeys(known, source))


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
    values = {name + _UNITS[name]: value for name, value in record.known().items()}
    return {"schema": SCHEMA, "version": VERSION, **values}


def geometry_from_json(data: object, source: str) -> GeometryRecord:
    """A record from the parsed contents of a sidecar file.

    Raises
    ------
    ReadError
        If it has another schema, a later version, an unknown name or a value of the wrong kind.
    """
    data = with_schema(data, source, {SCHEMA: VERSION})
    names = {name + unit: name for name, unit in _UNITS.items()}
    unknown = set(data) - set(names) - {"schema", "version", "image"}
    if unknown:
        raise ReadError(
            f"{source}: unknown name {min(unknown)!r}; the known ones are {', '.join(names)}"
        )
    values = {names[name]: value for name, value in data.items() if name in names}
    try:
        return given_geometry(source, **values)
    except ValueError as error:
        raise ReadError(f"{source}: {error}") from error


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


def _checked(name: str, value: Any) -> Any:
    """The value as bool, float or tuple of floats."""
    if name == "mirrored":
        if not isinstance(value, bool):
            raise ValueError(f"mirrored is true or false: got {value!r}")
        return value
    count = _LENGTHS.get(name)
    numbers = _numbers(value if count else (value,))
    if len(numbers) != (count or 1) or not all(math.isfinite(v) for v in numbers):
        expected = f"{count} finite numbers" if count else "a finite number"
        raise ValueError(f"{name} must be {expected}: got {value!r}")
    shown = " x ".join(f"{v:g}" for v in numbers)
    if name in _POSITIVE and min(numbers) <= 0:
        raise ValueError(f"{name} must be positive, in mm: got {shown}")
    if name in _POSITIVE and min(numbers) < SMALLEST_MM:
        raise ValueError(f"{name} must be {SMALLEST_MM:g} mm or more: got {shown}")
    if not all(abs(v) <= LARGEST_MM for v in numbers):
        raise ValueError(f"{name} must lie between -{LARGEST_MM:g} and {LARGEST_MM:g}: got {shown}")
    return numbers if count else numbers[0]


def positive(name: str, value: Any) -> float:
    """A finite number above 0.

    Raises
    ------
    ValueError
        If it is not.
    """
    numbers = _numbers((value,))
    if not numbers or not 0 < numbers[0] < math.inf:
        raise ValueError(f"{name} must be a positive number: got {value!r}")
    return numbers[0]


def _numbers(values: Any) -> tuple[float, ...]:
    """As floats; none where one is no number, as text and true are none."""
    try:
        items = () if isinstance(values, str | Mapping) else tuple(values)
        if any(isinstance(item, str | bool) for item in items):
            return ()
        return tuple(float(item) for item in items)
    except (TypeError, ValueError, OverflowError):
        return ()


assert set(_UNITS) == {f.name for f in fields(GeometryRecord)} - {"provenance", "problems", "notes"}
