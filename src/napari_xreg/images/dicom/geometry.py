"""What a DICOM header says about the geometry of an X-ray image, and what it leaves open.

Sections are those of DICOM PS3.3 unless another part is named.
"""

import math
from dataclasses import dataclass, field
from typing import Any

from napari_xreg.geometry import Detector
from napari_xreg.images.dicom.header import FrameHeader, name, tag
from napari_xreg.images.dicom.orientation import field_turns, raster_orientation
from napari_xreg.images.dicom.private import MANUFACTURER, private_geometry
from napari_xreg.images.errors import ReadError
from napari_xreg.images.known_geometry.record import GeometryRecord
from napari_xreg.images.known_geometry.sidecar import LARGEST_MM

# View Position (0018,5101) as the primary angle of a C-arm in the same place (C.8.11.5.1.1): the
# beam of "AP" enters from the front, so its detector is behind; "LL" has the left side at it.
_PRIMARY_OF_VIEW = {"PA": 0.0, "AP": 180.0, "LL": 90.0, "RL": -90.0}


def geometry_from_dicom(header: FrameHeader, shape: tuple[int, int], frame: int) -> GeometryRecord:
    """Distances, pixel grid and angles of one frame, each with its origin.

    Nothing is filled in by guesswork: what a header does not say, or says in a way that cannot be
    (a distance of 0 or -1 mm, a spacing of one number), stays None, with the reason in
    `GeometryRecord.problems`; what it says ambiguously is decided and noted.

    Parameters
    ----------
    header
        Attributes of the frame.
    shape
        Rows, columns of the image as stored.
    frame
        Counted from 1; the angles of a rotating C-arm depend on it.
    """
    found = _Findings(header)
    _distances(found)
    _pixel_spacing(found)
    _angles(found, frame)
    _field(found, shape)
    for key, value in private_geometry(header, found.notes).items():
        found.take(key, value, "DICOM, private block of napari-xreg")
    orientation = raster_orientation(header, found.values, found.notes)
    found.take("mirrored", orientation.mirrored, orientation.source)
    if "roll_deg" not in found.values:
        found.take("roll_deg", orientation.roll_deg, orientation.source)
    found.notes.extend(orientation.notes)
    _principal_point(found, shape)
    if "primary_deg" in found.values and "isocenter" not in found.values:
        found.notes.append(
            "DICOM does not say where the isocenter lies in the CT: the nominal pose needs one"
        )
    return found.record()


@dataclass
class _Findings:
    """What was found so far, value by value."""

    header: FrameHeader
    values: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, str] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def take(self, value_name: str, value: Any, origin: str) -> None:
        self.values[value_name], self.provenance[value_name] = value, origin

    def numbers(
        self, value_name: str, keyword: str, count: int | None = None
    ) -> tuple[float, ...] | None:
        """Finite numbers of an attribute; one that is malformed is a problem of this value."""
        try:
            return self.header.numbers(keyword, count)
        except ReadError as error:
            words = str(error).removeprefix(f"{self.header.file}: ")
            self.problems.setdefault(value_name, f"DICOM {words}")
            return None

    def number(self, value_name: str, keyword: str) -> float | None:
        """One finite number."""
        found = self.numbers(value_name, keyword, 1)
        return None if found is None else found[0]

    def lengths(self, value_name: str, keyword: str, count: int) -> tuple[float, ...] | None:
        """Positive lengths, mm. All zero is how many devices write "unknown"."""
        found = self.numbers(value_name, keyword, count)
        if found is None or not any(found):
            return None
        if not all(0 < value <= LARGEST_MM for value in found):
            self.problems.setdefault(
                value_name,
                f"DICOM {name(keyword)} must be positive, in mm: got {_pair(found)}",
            )
            return None
        return found

    def length(self, value_name: str, keyword: str) -> float | None:
        """One positive length, mm."""
        found = self.lengths(value_name, keyword, 1)
        return None if found is None else found[0]

    def pair(self, value_name: str, keyword: str) -> tuple[float, float] | None:
        """Two positive lengths, mm."""
        found = self.lengths(value_name, keyword, 2)
        return None if found is None else (found[0], found[1])

    def record(self) -> GeometryRecord:
        """All of it; a problem of a value that was found elsewhere is a note."""
        solved = {n: why for n, why in self.problems.items() if n in self.values}
        return GeometryRecord(
            **self.values,
            provenance=self.provenance,
            problems={n: why for n, why in self.problems.items() if n not in solved},
            notes=(*self.notes, *(f"{why}: not used" for why in solved.values())),
        )


def _distances(found: _Findings) -> None:
    """Source to detector (C.8.7.5, "SID") and to isocenter (C.8.7.5 "SOD", C.8.19.6.14)."""
    sdd = found.length("source_to_detector", "DistanceSourceToDetector")
    if sdd is None:
        found.problems.setdefault(
            "source_to_detector", f"DICOM {tag('DistanceSourceToDetector')} is absent or 0"
        )
    else:
        origin = f"DICOM {name('DistanceSourceToDetector')}"
        found.take("source_to_detector", sdd, origin)
    modality = found.header.text("Modality")
    exact = found.length("source_to_isocenter", "DistanceSourceToPatient")
    keywords = ["DistanceSourceToIsocenter", "DistanceSourceToPatient"]
    said: dict[str, float] = {}
    for keyword in reversed(keywords) if modality == "XA" else keywords:
        sod = found.length("source_to_isocenter", keyword)
        if sod is None:
            continue
        # One is a single-precision float, the other a decimal text: the same length, in full.
        if exact is not None and math.isclose(sod, exact, rel_tol=1e-7):
            sod = exact
        said[keyword] = sod
    # Beyond the detector only if nothing else is said: the user is shown both, and corrects one.
    likely = [keyword for keyword, sod in said.items() if sdd is None or sod <= sdd]
    magnification = _magnification(found, "source_to_isocenter")
    if likely or (said and (sdd is None or magnification is None)):
        keyword = (likely or list(said))[0]
        found.take("source_to_isocenter", said[keyword], f"DICOM {name(keyword)}")
        if keyword == "DistanceSourceToPatient" and modality != "XA":
            found.notes.append(
                f"{name(keyword)} is the isocenter only in XA; in {modality} it is the distance "
                "to the object or table, taken as the centre of rotation here"
            )
    elif sdd is not None and magnification is not None:
        origin = f"{name('EstimatedRadiographicMagnificationFactor')}"
        found.take("source_to_isocenter", sdd / magnification, f"DICOM {origin}")
        found.notes.append(
            f"source_to_isocenter was computed as source_to_detector / {origin} = "
            f"{sdd / magnification:g} mm"
        )
    else:
        found.problems.setdefault(
            "source_to_isocenter",
            f"DICOM {tag('DistanceSourceToPatient')} and {tag('DistanceSourceToIsocenter')} are "
            "absent or 0",
        )
    found.notes.extend(
        f"{name(keyword)} of {sod:g} mm is not used: it lies beyond the detector at {sdd:g} mm"
        for keyword, sod in said.items()
        if likely and keyword not in likely
    )


def _magnification(found: _Findings, value_name: str) -> float | None:
    """At the patient; a factor below 1 (0, -1) is how devices write "unknown"."""
    value = found.number(value_name, "EstimatedRadiographicMagnificationFactor")
    return value if value is not None and 1 <= value <= 100 else None


def _pixel_spacing(found: _Findings) -> None:
    """Spacing at the detector: Imager Pixel Spacing, never Pixel Spacing as it stands (10.7.1).

    Order of the values: adjacent rows, then adjacent columns (10.7.1.3).
    """
    spacing = found.pair("pixel_spacing", "PixelSpacing")
    kind = found.header.text("PixelSpacingCalibrationType")
    for keyword in ("ImagerPixelSpacing", "NominalScannedPixelSpacing"):
        imager = found.pair("pixel_spacing", keyword)
        if imager is None:
            continue
        found.take("pixel_spacing", imager, f"DICOM {name(keyword)}")
        if spacing is not None and not _close(spacing, imager):
            found.notes.append(
                f"{name('PixelSpacing')} of {_pair(spacing)} mm is calibrated inside the patient "
                f"({kind or 'type not said'}); the spacing at the detector is {_pair(imager)} mm"
            )
        return
    absent = found.problems.get(
        "pixel_spacing", f"DICOM {tag('ImagerPixelSpacing')} is absent or 0"
    )
    magnification = _magnification(found, "pixel_spacing")
    if spacing is None:
        found.problems["pixel_spacing"] = absent
    elif kind in ("GEOMETRY", "FIDUCIAL") and magnification is not None:
        found.take(
            "pixel_spacing",
            (spacing[0] * magnification, spacing[1] * magnification),
            f"DICOM {name('PixelSpacing')} x {name('EstimatedRadiographicMagnificationFactor')}",
        )
        found.notes.append(
            f"{name('PixelSpacing')} is calibrated inside the patient ({kind}): multiplied by the "
            f"magnification of {magnification:g} to get the spacing at the detector"
        )
    else:
        found.problems["pixel_spacing"] = (
            f"{absent}, and Pixel Spacing {tag('PixelSpacing')} of {_pair(spacing)} mm "
            + (
                f"is calibrated inside the patient ({kind})"
                if kind
                else "may be measured inside the patient or at the detector"
            )
        )


def _angles(found: _Findings, frame: int) -> None:
    """Positioner angles, defined on the patient and not on the table (C.8.7.5.1.2).

    0 is the detector in front of the chest, + primary towards the patient's left (LAO), +
    secondary towards the head (CRA), whichever way the patient lies. Of a moving C-arm the angle
    of the frame: one increment per frame, or a list of offsets from the first (C.8.7.5.1.3).
    """
    header, notes = found.header, found.notes
    kind = header.text("PositionerType")
    for key, keyword in (
        ("primary_deg", "PositionerPrimaryAngle"),
        ("secondary_deg", "PositionerSecondaryAngle"),
    ):
        angle = found.number(key, keyword)
        if angle is None:
            continue
        if kind not in (None, "CARM"):
            notes.append(f"{name(keyword)} is not a C-arm angle on a {kind} positioner: not used")
            continue
        if header.text("PositionerMotion") == "DYNAMIC":
            increments = found.numbers(key, keyword + "Increment")
            if increments is None and key in found.problems:
                continue
            if increments is not None and len(increments) == 1:
                angle += (frame - 1) * increments[0]
            elif increments is not None and len(increments) >= frame:
                angle += increments[frame - 1]
            elif increments is not None:
                found.problems[key] = (
                    f"DICOM {name(keyword + 'Increment')} should hold 1 value or one per frame: got "
                    f"{len(increments)}, asked for frame {frame}"
                )
                continue
        found.take(key, angle, f"DICOM {name(keyword)}")
    view = header.text("ViewPosition")
    if not found.values.keys() & {"primary_deg", "secondary_deg"} and view in _PRIMARY_OF_VIEW:
        found.take("primary_deg", _PRIMARY_OF_VIEW[view], f"DICOM {name('ViewPosition')} {view}")
        found.take("secondary_deg", 0.0, f"DICOM {name('ViewPosition')} {view}")
        notes.append(f"the nominal angles are those of a {view} view; the header holds none")
    position = header.text("PatientPosition")
    if "primary_deg" in found.values and position not in (None, "HFS") and kind == "CARM":
        notes.append(
            f"the patient lay {position}; DICOM defines positioner angles on the patient, "
            "but a device may report them on the table: check the nominal view"
        )
    tilts = [
        header.usable_number(f"Detector{which}Angle", notes) or 0.0
        for which in ("Primary", "Secondary")
    ]
    if max(map(abs, tilts)) > 0.01:
        notes.append(
            f"the beam meets the detector {tilts[0]:g} and {tilts[1]:g} degrees off its normal "
            f"{tag('DetectorPrimaryAngle')}: not modelled, give the principal point by hand"
        )


def _field(found: _Findings, shape: tuple[int, int]) -> None:
    """Round field of view, and a check of the spacing against the field's size (C.8.11.4.1.1)."""
    keyword = "FieldOfViewDimensionsInFloat"
    dimensions = found.numbers("field_diameter", keyword)
    if dimensions is None:
        keyword = "FieldOfViewDimensions"
        dimensions = found.numbers("field_diameter", keyword)
    if dimensions is None or not all(0 < value <= LARGEST_MM for value in dimensions):
        return
    form = found.header.text("FieldOfViewShape")
    if form == "ROUND":
        found.take("field_diameter", dimensions[0], f"DICOM {name(keyword)}")
    elif form == "RECTANGLE" and len(dimensions) == 2 and "pixel_spacing" in found.values:
        rows, columns = shape
        if found.header.usable_number("FieldOfViewRotation", []) in (90.0, 270.0):
            rows, columns = columns, rows
        spacing = found.values["pixel_spacing"]
        size = (rows * spacing[0], columns * spacing[1])
        # The dimensions are whole millimetres in older objects.
        if any(abs(a - b) > 1 + 0.02 * a for a, b in zip(size, dimensions, strict=True)):
            found.notes.append(
                f"{name(keyword)} of {_pair(dimensions)} mm does not match {rows} x {columns} "
                f"pixels of {_pair(spacing)} mm = {_pair(size)} mm: check the spacing"
            )


def _principal_point(found: _Findings, shape: tuple[int, int]) -> None:
    """Where the central ray meets the image.

    Position of Isocenter Projection (C.8.19.5) if present; else the middle of the physical or
    active detector area, seen from a field of view that is a part of it; else the middle of the
    image, as PS3.17 FFF.2.1.5.2 says of XA. The first two are counted in detector elements from
    the corner of the detector and pass through the field's origin, rotation and flip
    (C.8.11.4.1.1), in this order. Devices write 0, 0 or -1, -1 for "unknown".
    """
    key = "principal_point"
    origin = found.numbers(key, "FieldOfViewOrigin", 2)
    element = found.pair(key, "DetectorElementSpacing")
    turns, flipped = field_turns(found.header, [])
    spacing = found.values.get("pixel_spacing")
    center = found.numbers(key, "PositionOfIsocenterProjection", 2)
    source = f"DICOM {name('PositionOfIsocenterProjection')}"
    if center in ((0.0, 0.0), (-1.0, -1.0)) and found.header.get("Manufacturer") != MANUFACTURER:
        found.notes.append(f"{name('PositionOfIsocenterProjection')} is {_pair(center)}: not used")
        center = None
    if center is None and origin is not None and element is not None:
        size = found.pair(key, "PhysicalDetectorSize")
        start: tuple[float, ...] = (0.0, 0.0)
        source = f"DICOM {name('FieldOfViewOrigin')} in {name('PhysicalDetectorSize')}"
        if size is None and found.header.text("DetectorActiveShape") in (None, "RECTANGLE"):
            size = found.pair(key, "DetectorActiveDimensions")
            start = found.numbers(key, "DetectorActiveOrigin", 2) or start
            source = f"DICOM {name('FieldOfViewOrigin')} in {name('DetectorActiveDimensions')}"
        if size is not None:
            center = tuple(
                o + s / e / 2 - 0.5 for o, s, e in zip(start, size, element, strict=True)
            )
            found.notes.append("the central ray is taken to meet the middle of the detector area")
    if center is None:
        if origin is not None and max(map(abs, origin)) > 0:
            found.notes.append(
                f"{name('FieldOfViewOrigin')} is {_pair(origin)}, but the size of the detector is "
                "not said: the principal point is taken as the middle of the image"
            )
        assumed = "assumed: the middle of the image (PS3.17 FFF.2.1.5.2)"
        found.provenance["principal_point"] = assumed
        return
    if spacing is None:
        return  # asked for anyway
    # Spacing of the pixels along the detector's own rows and columns, before the rotation.
    pixel = (spacing[1], spacing[0]) if turns % 2 else spacing
    if element is None:
        element = pixel
        found.notes.append(
            f"{name('DetectorElementSpacing')} is absent: pixels are taken as detector elements"
        )
    first = origin or (0.0, 0.0)
    row, column = (
        (c + 0.5 - o) * (e / p) - 0.5
        for c, o, e, p in zip(center, first, element, pixel, strict=True)
    )
    raster = shape[::-1] if turns % 2 else shape
    detector = Detector((raster[0], raster[1]), (1.0, 1.0), (row, column)).rotate90(turns)
    found.take(key, (detector.flip_columns() if flipped else detector).center, source)


def _close(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return all(math.isclose(x, y, rel_tol=1e-3) for x, y in zip(a, b, strict=True))


def _pair(values: tuple[float, ...]) -> str:
    return " x ".join(f"{value:g}" for value in values)
