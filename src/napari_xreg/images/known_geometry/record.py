"""What is known about the geometry of a radiograph, where each value came from, and what is not."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from napari_xreg.geometry import CArm, CArmPose, Detector
from napari_xreg.images.known_geometry.derived import (
    ANGLES,
    POSES,
    contradicted,
    contradiction,
    follows,
    is_stated,
)

Rows = tuple[tuple[float, ...], ...]

# What no radiograph can do without, and its unit.
_REQUIRED = {
    "source_to_detector": "mm",
    "source_to_isocenter": "mm",
    "pixel_spacing": "mm at the detector: row, column",
}


# What may have followed from a 4 x 4 pose beside angles, and would be unknown without it.
_OF_A_POSE = ("isocenter", "source_to_isocenter", "source_to_detector")


@dataclass(frozen=True)
class GeometryRecord:
    """The geometry of one radiograph as far as it is known; None is "unknown".

    Parameters
    ----------
    source_to_detector, source_to_isocenter
        mm.
    pixel_spacing
        Row, column spacing at the detector, mm.
    focal_length
        Row, column, pixels: what a camera matrix says. It is `source_to_detector` over
        `pixel_spacing`, so one of those follows from the other.
    principal_point
        Row, column where the central ray meets the detector, pixels of the image as stored.
    mirrored
        See `Detector.mirrored`.
    field_diameter
        Circular field of view, mm at the detector.
    primary_deg, secondary_deg, roll_deg, offset_mm, isocenter
        See `CArmPose`. A start, not a truth.
    world_from_camera
        The same as 4 x 4 matrix, in the patient's LPS mm: it overrules the angles.
    rig_from_camera
        4 x 4, in the mm of a calibration that all cameras of a rig share; where the patient lies in
        it is not known. Angles and offset follow from it as if its origin were the isocenter.
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
    focal_length: tuple[float, float] | None = None
    principal_point: tuple[float, float] | None = None
    mirrored: bool | None = None
    field_diameter: float | None = None
    primary_deg: float | None = None
    secondary_deg: float | None = None
    roll_deg: float | None = None
    offset_mm: tuple[float, float, float] | None = None
    isocenter: tuple[float, float, float] | None = None
    world_from_camera: Rows | None = None
    rig_from_camera: Rows | None = None
    provenance: Mapping[str, str] = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def known(self) -> dict[str, Any]:
        """Name and value of everything that is known."""
        values = {name: getattr(self, name) for name in VALUES}
        return {name: value for name, value in values.items() if value is not None}

    def assumed(self, name: str) -> bool:
        """Whether this value was made up because nobody says it and nothing it follows from is known."""
        return self.provenance.get(name, "").startswith("assumed")

    def complete(self) -> "GeometryRecord":
        """This record with what follows from a camera matrix or a 4 x 4 pose, or is assumed with them."""
        stated = self.stated()
        found = follows(stated.known())
        values: dict[str, Any] = {name: value for name, (value, _) in found.items()}
        origins = {name: origin for name, (_, origin) in found.items()}
        problems = {name: why for name, why in self.problems.items() if name not in values}
        return replace(
            stated, **values, provenance={**stated.provenance, **origins}, problems=problems
        )

    def stated(self) -> "GeometryRecord":
        """This record without what `complete` fills in."""
        gone = [name for name in self.known() if not is_stated(self.provenance.get(name, ""))]
        return self._without(gone)

    def _without(self, names: Iterable[str]) -> "GeometryRecord":
        unknown: dict[str, Any] = dict.fromkeys(names)
        origins = {n: origin for n, origin in self.provenance.items() if n not in unknown}
        return replace(self, **unknown, provenance=origins)

    def _in_angles(self) -> "GeometryRecord":
        """What is stated, a 4 x 4 pose as angles too: those that nobody changes stay as it has them."""
        stated, whole = self.stated(), self.complete()
        pose = next((name for name in POSES if getattr(stated, name) is not None), None)
        if pose is None:
            return stated
        names = [n for n in (*ANGLES, *_OF_A_POSE) if getattr(stated, n) is None]
        terms = {name: getattr(whole, name) for name in names}
        origins = {
            n: f"{stated.provenance[pose]}, in the terms of a C-arm"
            for n, v in terms.items()
            if v is not None
        }
        return replace(stated, **terms, provenance={**stated.provenance, **origins})

    def override(self, other: "GeometryRecord") -> "GeometryRecord":
        """This record with every value that `other` knows replaced by its own.

        What the new values contradict goes: a camera matrix replaces the pixel spacing, another
        distance then changes the spacing with it, and a 4 x 4 pose replaces angles, or they it.
        """
        other = other.stated()
        values = other.known()
        base = self._in_angles() if any(name in values for name in ANGLES) else self.stated()
        base = base._without(contradicted(base.known(), values))
        provenance = {**base.provenance, **{name: other.provenance[name] for name in values}}
        known = {**base.known(), **values}
        problems = {**base.problems, **other.problems}
        return replace(
            base,
            **values,
            provenance=provenance,
            problems={name: why for name, why in problems.items() if name not in known},
            notes=(*base.notes, *other.notes),
        )

    @property
    def needed(self) -> tuple[str, ...]:
        """Names of the values that no radiograph can do without and that are unknown."""
        known = self.complete().known()
        return tuple(name for name in _REQUIRED if name not in known)

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
            Naming every missing value with its unit, or those that contradict each other.
        """
        missing = self.missing()
        if missing:
            raise ValueError("the geometry is incomplete: " + "; ".join(missing))
        whole = self.complete()
        assert whole.source_to_detector is not None and whole.source_to_isocenter is not None
        assert whole.pixel_spacing is not None
        wrong = contradiction(whole.known())
        if wrong:
            raise ValueError(wrong)
        detector = Detector(
            shape=shape,
            spacing=whole.pixel_spacing,
            principal_point=whole.principal_point,
            mirrored=True if whole.mirrored is None else whole.mirrored,
            field_diameter=whole.field_diameter,
        )
        return CArm(whole.source_to_detector, whole.source_to_isocenter, detector)

    def nominal(self) -> CArmPose | None:
        """Where the C-arm is said to have stood; None unless both angles or a pose are known."""
        whole = self.complete()
        if whole.primary_deg is None or whole.secondary_deg is None:
            return None
        return CArmPose(
            whole.primary_deg,
            whole.secondary_deg,
            whole.roll_deg or 0.0,
            whole.offset_mm or (0.0, 0.0, 0.0),
            whole.isocenter or (0.0, 0.0, 0.0),
        )


VALUES = tuple(
    name
    for name in GeometryRecord.__dataclass_fields__
    if name not in ("provenance", "problems", "notes")
)
"""What a record may know, by name."""
