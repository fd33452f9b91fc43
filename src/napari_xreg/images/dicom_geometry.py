"""What a DICOM header says about the geometry of an X-ray image, and what it leaves open.

Sections are those of DICOM PS3.3 unless another part is named.
"""

import math
from typing import Any

from napari_xreg.geometry import Detector
from napari_xreg.images.dicom_header import FrameHeader, name, tag
from napari_xreg.images.dicom_orientation import field_turns, raster_orientation
from napari_xreg.images.dicom_private import private_values
from napari_xreg.images.errors import ReadError
from napari_xreg.images.xray_geometry import GeometryRecord

# View Position (0018,5101) as the primary angle of a C-arm in the same place (C.8.11.5.1.1): the
# beam of "AP" enters from the front, so its detector is behind; "LL" has the left side at it.
_PRIMARY_OF_VIEW = {"PA": 0.0, "AP": 180.0, "LL": 90.0, "RL": -90.0}


def geometry_from_dicom(header: FrameHeader, shape: tuple[int, int], frame: int) -> GeometryRecord:
    """Distances, pixel grid and angles of one frame, each with its origin.

    Nothing is filled in by guesswork: what a header does not say stays None, with the reason in
    `GeometryRecord.problems`; what it says ambiguously is decided and noted.

    Parameters
    ----------
    header
        Attributes of the frame.
    shape
        Rows, columns of the image as stored.
    frame
        Counted from 1; the angles of a rotating C-arm depend on it.

    Raises
    ------
    ReadError
        If a value is negative or malformed, or the source lies beyond the isocenter's side.
    """
    notes: list[str] = []
    values: dict[str, Any] = {}
    provenance: dict[str, str] = {}
    problems: dict[str, str] = {}
    for part in (_distances, _pixel_spacing, _angles):
        part(header, frame, values, provenance, problems, notes)
    _field(header, shape, values, provenance, notes)
    for key, value in private_values(header).items():
        values[key] = value
        provenance[key] = "DICOM, private block of napari-xreg"
    orientation = raster_orientation(header, values)
    values["mirrored"], provenance["mirrored"] = orientation.mirrored, orientation.source
    if "roll_deg" not in values:
        values["roll_deg"], provenance["roll_deg"] = orientation.roll_deg, orientation.source
    notes.extend(orientation.notes)
    _principal_point(header, shape, values, provenance, notes)
    if "primary_deg" in values and "isocenter" not in values:
        notes.append(
            "DICOM does not say where the isocenter lies in the CT: the nominal pose needs one"
        )
    return GeometryRecord(**values, provenance=provenance, problems=problems, notes=tuple(notes))


def _positive(header: FrameHeader, keyword: str) -> float | None:
    """A length in mm. Zero is how many devices write "unknown"."""
    value = header.number(keyword)
    if value is not None and value < 0:
        raise ReadError(f"{header.file}: {name(keyword)} must be positive, in mm: got {value:g}")
    return value or None


def _distances(
    header: FrameHeader,
    frame: int,
    values: dict[str, Any],
    provenance: dict[str, str],
    problems: dict[str, str],
    notes: list[str],
) -> None:
    """Source to detector (C.8.7.5, "SID") and to isocenter (C.8.7.5 "SOD", C.8.19.6.14)."""
    sdd = _positive(header, "DistanceSourceToDetector")
    if sdd is None:
        problems["source_to_detector"] = f"DICOM {tag('DistanceSourceToDetector')} is absent or 0"
    else:
        values["source_to_detector"] = sdd
        provenance["source_to_detector"] = f"DICOM {name('DistanceSourceToDetector')}"
    modality = header.text("Modality")
    exact = _positive(header, "DistanceSourceToPatient")
    keywords = ["DistanceSourceToIsocenter", "DistanceSourceToPatient"]
    for keyword in reversed(keywords) if modality == "XA" else keywords:
        sod = _positive(header, keyword)
        if sod is None:
            continue
        # One is a single-precision float, the other a decimal text: the same length, in full.
        if exact is not None and math.isclose(sod, exact, rel_tol=1e-7):
            sod = exact
        values["source_to_isocenter"] = sod
        provenance["source_to_isocenter"] = f"DICOM {name(keyword)}"
        if keyword == "DistanceSourceToPatient" and modality != "XA":
            notes.append(
                f"{name(keyword)} is the isocenter only in XA; in {modality} it is the distance "
                "to the object or table, taken as the centre of rotation here"
            )
        if sdd is not None and sod > sdd:
            raise ReadError(
                f"{header.file}: the source is farther from the isocenter than from the detector: "
                f"{name(keyword)} is {sod:g} mm, {name('DistanceSourceToDetector')} is {sdd:g} mm"
            )
        return
    magnification = header.number("EstimatedRadiographicMagnificationFactor")
    if sdd is not None and magnification is not None and magnification >= 1:
        values["source_to_isocenter"] = sdd / magnification
        provenance["source_to_isocenter"] = (
            f"DICOM {name('EstimatedRadiographicMagnificationFactor')}"
        )
        notes.append(
            "source_to_isocenter was computed as source_to_detector / "
            f"{name('EstimatedRadiographicMagnificationFactor')} = {sdd / magnification:g} mm"
        )
        return
    problems["source_to_isocenter"] = (
        f"DICOM {tag('DistanceSourceToPatient')} and {tag('DistanceSourceToIsocenter')} are absent"
    )


def _pixel_spacing(
    header: FrameHeader,
    frame: int,
    values: dict[str, Any],
    provenance: dict[str, str],
    problems: dict[str, str],
    notes: list[str],
) -> None:
    """Spacing at the detector: Imager Pixel Spacing, never Pixel Spacing as it stands (10.7.1).

    Order of the values: adjacent rows, then adjacent columns (10.7.1.3).
    """
    imager = _spacing(header, "ImagerPixelSpacing") or _spacing(
        header, "NominalScannedPixelSpacing"
    )
    spacing = _spacing(header, "PixelSpacing")
    kind = header.text("PixelSpacingCalibrationType")
    magnification = header.number("EstimatedRadiographicMagnificationFactor")
    if imager is not None:
        values["pixel_spacing"] = imager
        keyword = (
            "ImagerPixelSpacing"
            if _spacing(header, "ImagerPixelSpacing")
            else "NominalScannedPixelSpacing"
        )
        provenance["pixel_spacing"] = f"DICOM {name(keyword)}"
        if spacing is not None and not _close(spacing, imager):
            notes.append(
                f"{name('PixelSpacing')} of {_pair(spacing)} mm is calibrated inside the patient "
                f"({kind or 'type not said'}); the spacing at the detector is {_pair(imager)} mm"
            )
        return
    absent = f"DICOM {tag('ImagerPixelSpacing')} is absent"
    if spacing is None:
        problems["pixel_spacing"] = absent
    elif kind in ("GEOMETRY", "FIDUCIAL") and magnification is not None and magnification >= 1:
        values["pixel_spacing"] = (spacing[0] * magnification, spacing[1] * magnification)
        provenance["pixel_spacing"] = (
            f"DICOM {name('PixelSpacing')} x {name('EstimatedRadiographicMagnificationFactor')}"
        )
        notes.append(
            f"{name('PixelSpacing')} is calibrated inside the patient ({kind}): multiplied by the "
            f"magnification of {magnification:g} to get the spacing at the detector"
        )
    else:
        problems["pixel_spacing"] = (
            f"{absent}, and Pixel Spacing {tag('PixelSpacing')} of {_pair(spacing)} mm "
            + (
                f"is calibrated inside the patient ({kind})"
                if kind
                else "may be measured inside the patient or at the detector"
            )
        )


def _spacing(header: FrameHeader, keyword: str) -> tuple[float, float] | None:
    found = header.numbers(keyword, 2)
    if found is None:
        return None
    if min(found) <= 0:
        raise ReadError(
            f"{header.file}: {name(keyword)} must be positive, in mm: got {_pair(found)}"
        )
    return found[0], found[1]


def _angles(
    header: FrameHeader,
    frame: int,
    values: dict[str, Any],
    provenance: dict[str, str],
    problems: dict[str, str],
    notes: list[str],
) -> None:
    """Positioner angles, defined on the patient and not on the table (C.8.7.5.1.2).

    0 is the detector in front of the chest, + primary towards the patient's left (LAO), +
    secondary towards the head (CRA), whichever way the patient lies. Of a moving C-arm the angle
    of the frame: one increment per frame, or a list of offsets from the first (C.8.7.5.1.3).
    """
    kind = header.text("PositionerType")
    for key, keyword in (
        ("primary_deg", "PositionerPrimaryAngle"),
        ("secondary_deg", "PositionerSecondaryAngle"),
    ):
        angle = header.number(keyword)
        if angle is None:
            continue
        if kind not in (None, "CARM"):
            notes.append(f"{name(keyword)} is not a C-arm angle on a {kind} positioner: not used")
            continue
        increments = header.numbers(keyword + "Increment")
        if header.text("PositionerMotion") == "DYNAMIC" and increments is not None:
            if len(increments) == 1:
                angle += (frame - 1) * increments[0]
            elif len(increments) >= frame:
                angle += increments[frame - 1]
            else:
                raise ReadError(
                    f"{header.file}: {name(keyword + 'Increment')} should hold 1 value or one per "
                    f"frame: got {len(increments)}, asked for frame {frame}"
                )
        values[key] = angle
        provenance[key] = f"DICOM {name(keyword)}"
    view = header.text("ViewPosition")
    if not values.keys() & {"primary_deg", "secondary_deg"} and view in _PRIMARY_OF_VIEW:
        values["primary_deg"], values["secondary_deg"] = _PRIMARY_OF_VIEW[view], 0.0
        for key in ("primary_deg", "secondary_deg"):
            provenance[key] = f"DICOM {name('ViewPosition')} {view}"
        notes.append(f"the nominal angles are those of a {view} view; the header holds none")
    position = header.text("PatientPosition")
    if "primary_deg" in values and position not in (None, "HFS") and kind == "CARM":
        notes.append(
            f"the patient lay {position}; DICOM defines positioner angles on the patient, "
            "but a device may report them on the table: check the nominal view"
        )
    tilts = [header.number(f"Detector{which}Angle") or 0.0 for which in ("Primary", "Secondary")]
    if max(map(abs, tilts)) > 0.01:
        notes.append(
            f"the beam meets the detector {tilts[0]:g} and {tilts[1]:g} degrees off its normal "
            f"{tag('DetectorPrimaryAngle')}: not modelled, give the principal point by hand"
        )


def _field(
    header: FrameHeader,
    shape: tuple[int, int],
    values: dict[str, Any],
    provenance: dict[str, str],
    notes: list[str],
) -> None:
    """Round field of view, and a check of the spacing against the field's size (C.8.11.4.1.1)."""
    keyword = "FieldOfViewDimensionsInFloat"
    dimensions = header.numbers(keyword)
    if dimensions is None:
        keyword = "FieldOfViewDimensions"
        dimensions = header.numbers(keyword)
    if dimensions is None or min(dimensions) <= 0:
        return
    form = header.text("FieldOfViewShape")
    if form == "ROUND":
        values["field_diameter"] = dimensions[0]
        provenance["field_diameter"] = f"DICOM {name(keyword)}"
    elif form == "RECTANGLE" and len(dimensions) == 2 and "pixel_spacing" in values:
        rows, columns = shape
        if header.number("FieldOfViewRotation") in (90.0, 270.0):
            rows, columns = columns, rows
        spacing = values["pixel_spacing"]
        size = (rows * spacing[0], columns * spacing[1])
        # The dimensions are whole millimetres in older objects.
        if any(abs(a - b) > 1 + 0.02 * a for a, b in zip(size, dimensions, strict=True)):
            notes.append(
                f"{name(keyword)} of {_pair(dimensions)} mm does not match {rows} x {columns} "
                f"pixels of {_pair(spacing)} mm = {_pair(size)} mm: check the spacing"
            )


def _principal_point(
    header: FrameHeader,
    shape: tuple[int, int],
    values: dict[str, Any],
    provenance: dict[str, str],
    notes: list[str],
) -> None:
    """Where the central ray meets the image.

    Position of Isocenter Projection (C.8.19.5) if present; else the middle of the physical or
    active detector area, seen from a field of view that is a part of it; else the middle of the
    image, as PS3.17 FFF.2.1.5.2 says of XA. The first two are counted in detector elements from
    the corner of the detector and pass through the field's origin, rotation and flip
    (C.8.11.4.1.1), in this order.
    """
    origin = header.numbers("FieldOfViewOrigin", 2)
    element = _spacing(header, "DetectorElementSpacing")
    turns, flipped = field_turns(header)
    spacing = values.get("pixel_spacing")
    center = header.numbers("PositionOfIsocenterProjection", 2)
    source = f"DICOM {name('PositionOfIsocenterProjection')}"
    if center is None and origin is not None and element is not None:
        size = header.numbers("PhysicalDetectorSize", 2)
        start: tuple[float, ...] = (0.0, 0.0)
        source = f"DICOM {name('FieldOfViewOrigin')} in {name('PhysicalDetectorSize')}"
        if size is None:
            size = header.numbers("DetectorActiveDimensions")
            start = header.numbers("DetectorActiveOrigin", 2) or start
            source = f"DICOM {name('FieldOfViewOrigin')} in {name('DetectorActiveDimensions')}"
        if size is not None and len(size) == 2:
            center = tuple(
                o + s / e / 2 - 0.5 for o, s, e in zip(start, size, element, strict=True)
            )
            notes.append("the central ray is taken to meet the middle of the detector area")
    if center is None:
        if origin is not None and max(map(abs, origin)) > 0:
            notes.append(
                f"{name('FieldOfViewOrigin')} is {_pair(origin)}, but the size of the detector is "
                "not said: the principal point is taken as the middle of the image"
            )
        provenance["principal_point"] = "assumed: the middle of the image (PS3.17 FFF.2.1.5.2)"
        return
    if spacing is None:
        return  # asked for anyway
    # Spacing of the pixels along the detector's own rows and columns, before the rotation.
    pixel = (spacing[1], spacing[0]) if turns % 2 else spacing
    if element is None:
        element = pixel
        notes.append(
            f"{name('DetectorElementSpacing')} is absent: pixels are taken as detector elements"
        )
    first = origin or (0.0, 0.0)
    row, column = (
        (c + 0.5 - o) * (e / p) - 0.5
        for c, o, e, p in zip(center, first, element, pixel, strict=True)
    )
    raster = shape[::-1] if turns % 2 else shape
    detector = Detector((raster[0], raster[1]), (1.0, 1.0), (row, column)).rotate90(turns)
    values["principal_point"] = (detector.flip_columns() if flipped else detector).center
    provenance["principal_point"] = source


def _close(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return all(math.isclose(x, y, rel_tol=1e-3) for x, y in zip(a, b, strict=True))


def _pair(values: tuple[float, ...]) -> str:
    return " x ".join(f"{value:g}" for value in values)
