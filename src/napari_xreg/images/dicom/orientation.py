"""How the stored image lies on the detector: is it mirrored, and by how many quarter turns rolled?"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import rotation_from_angles
from napari_xreg.images.dicom.header import FrameHeader, name

_DIRECTIONS = {
    "L": (1.0, 0.0, 0.0),
    "R": (-1.0, 0.0, 0.0),
    "P": (0.0, 1.0, 0.0),
    "A": (0.0, -1.0, 0.0),
    "H": (0.0, 0.0, 1.0),
    "F": (0.0, 0.0, -1.0),
}


@dataclass(frozen=True)
class RasterOrientation:
    """`Detector.mirrored` and the roll of the C-arm, degrees, with where they came from."""

    mirrored: bool
    roll_deg: float
    source: str
    notes: tuple[str, ...] = ()


def raster_orientation(
    header: FrameHeader, values: dict[str, Any], notes: list[str]
) -> RasterOrientation:
    """Mirror and roll of the stored image.

    Patient Orientation (0020,0020) says where the rows and columns of the *stored* image point in
    the patient: with the positioner angles it decides among the eight ways an image can lie.
    Without it the unrotated field of view is taken to be upright and seen by a reader who faces
    the patient, and Field of View Rotation and Horizontal Flip are applied to that (C.8.11.4.1.1:
    clockwise rotation first, then the flip).

    Parameters
    ----------
    values
        The geometric values found so far: `primary_deg` and `secondary_deg` are used.
    notes
        Gets a sentence where the rotation of the field is no quarter turn.
    """
    turns, flipped = field_turns(header, notes)
    roll_deg = (0.0, 90.0, 180.0, -90.0)[turns]
    has_field = (
        header.get("FieldOfViewRotation") is not None
        or header.get("FieldOfViewHorizontalFlip") is not None
    )
    if has_field:
        source = f"DICOM {name('FieldOfViewRotation')} and {name('FieldOfViewHorizontalFlip')}"
    else:
        source = "assumed: upright, seen by a reader who faces the patient"
    fallback = RasterOrientation(not flipped, roll_deg, source)
    value = header.get("PatientOrientation")
    if value is None:
        note = f"{name('PatientOrientation')} is absent: the image is taken as upright and mirrored"
        return fallback if has_field else RasterOrientation(True, 0.0, source, (note,))
    if not {"primary_deg", "secondary_deg"} <= values.keys():
        return fallback
    labels = [value] if isinstance(value, str) else [str(label) for label in value]
    directions = _label_directions(labels)
    scores = {}
    for roll in (0.0, 90.0, 180.0, -90.0):
        rotation = rotation_from_angles(values["primary_deg"], values["secondary_deg"], roll)
        x, y, _ = rotation.unbind(-1)
        for mirrored in (True, False):
            if directions is not None:
                along_row, along_column = directions
                score = along_row @ (-x if mirrored else x) + along_column @ y
                scores[mirrored, roll] = float(score)
    ranked = sorted(scores.items(), key=lambda item: -item[1])
    # The best scores 2 where it fits and 1.4 at 45 degrees; the runner-up is a right angle away.
    if not ranked or ranked[0][1] < 1.2 or ranked[0][1] - ranked[1][1] < 0.2:
        shown = "\\".join(labels)
        note = (
            f"{name('PatientOrientation')} {shown} does not fit the positioner angles "
            f"{values['primary_deg']:g}, {values['secondary_deg']:g} degrees: not used"
        )
        return RasterOrientation(fallback.mirrored, fallback.roll_deg, source, (note,))
    (is_mirrored, roll_deg), _ = ranked[0]
    return RasterOrientation(is_mirrored, roll_deg, f"DICOM {name('PatientOrientation')}")


def patient_orientation(rotation: Float[Tensor, "3 3"], *, mirrored: bool) -> tuple[str, str]:
    """The labels of (0020,0020) for an image: where its rows, then its columns, point.

    Parameters
    ----------
    rotation
        ``world_from_camera``.
    """
    x, y, _ = rotation.unbind(-1)
    return _label(-x if mirrored else x), _label(y)


def _label(direction: Float[Tensor, "3"]) -> str:
    """Main direction first; a second and third letter from a fifth of the length on."""
    parts = []
    for value, letters in zip(direction.tolist(), ("LR", "PA", "HF"), strict=True):
        parts.append((abs(value), letters[0] if value > 0 else letters[1]))
    return "".join(letter for size, letter in sorted(parts, reverse=True) if size > 0.2)


def _label_directions(labels: list[str]) -> tuple[Tensor, Tensor] | None:
    """Unit vectors of the two labels; a second letter counts half, a third a quarter."""
    vectors = []
    for text in labels:
        vector = torch.zeros(3, dtype=torch.float64)
        for position, letter in enumerate(text.strip().upper()):
            if letter not in _DIRECTIONS:
                return None
            vector = vector + 0.5**position * torch.tensor(_DIRECTIONS[letter], dtype=torch.float64)
        if not vector.any():
            return None
        vectors.append(vector / torch.linalg.vector_norm(vector))
    return (vectors[0], vectors[1]) if len(vectors) == 2 else None


def field_turns(header: FrameHeader, notes: list[str]) -> tuple[int, bool]:
    """Clockwise quarter turns of the stored image on the detector, then whether it was flipped.

    A rotation that is no quarter turn counts as none, with a note.
    """
    degrees = header.usable_number("FieldOfViewRotation", notes) or 0.0
    if degrees not in (0.0, 90.0, 180.0, 270.0):
        notes.append(
            f"{name('FieldOfViewRotation')} must be 0, 90, 180 or 270: got {degrees:g}, not used"
        )
        degrees = 0.0
    return int(degrees) // 90, header.text("FieldOfViewHorizontalFlip") in ("YES", "Y")
