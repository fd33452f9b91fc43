"""What follows from a camera matrix and a 4 x 4 pose, in the terms of a C-arm; and what they contradict.

A camera matrix K knows pixels only: the distance from source to detector over the pixel spacing. A
calibration knows where the source is, not what a C-arm would turn about. A pose depends on neither of
what is then assumed: K and the place of the source stay as they are.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch

from napari_xreg.geometry import CArm, Detector, Pose

POSES = ("world_from_camera", "rig_from_camera")
ANGLES = ("primary_deg", "secondary_deg", "roll_deg", "offset_mm")
_SCALE = ("source_to_detector", "pixel_spacing", "focal_length")
# A C-arm's isocenter is some 0.7 to 0.8 of the way from source to detector.
_DETECTOR_BEHIND = 1.3
_ROUNDED_MM = 10.0
_FOLLOWS = ("follows from ", "assumed with ")

Found = tuple[Any, str]


def is_stated(origin: str) -> bool:
    """Whether a value of this origin was said by somebody: what `follows` found was not."""
    return not origin.startswith(_FOLLOWS)


def follows(known: Mapping[str, Any]) -> dict[str, Found]:
    """Values that are not known but follow from those that are, each with its origin in words.

    Parameters
    ----------
    known
        Of a `GeometryRecord`, by name, without what was found here before.
    """
    found: dict[str, Found] = {}
    pose = next((name for name in POSES if name in known), None)
    matrix = (
        None if pose is None else Pose.from_matrix(torch.tensor(known[pose], dtype=torch.float64))
    )
    to_isocenter = known.get("source_to_isocenter")
    if matrix is not None and to_isocenter is None and pose == "rig_from_camera":
        to_isocenter = _depth_of_origin(matrix)
        words = "follows from the calibration: how deep its origin lies behind the source"
        found["source_to_isocenter"] = to_isocenter, words
    distance, spacing, focal = (known.get(name) for name in _SCALE)
    if focal is not None and distance is None:
        if spacing is not None:
            distance = (focal[0] * spacing[0] + focal[1] * spacing[1]) / 2
            words = "follows from the camera matrix and the pixel spacing"
            found["source_to_detector"] = distance, words
        elif matrix is not None:
            near = 1000.0 if to_isocenter is None else _DETECTOR_BEHIND * to_isocenter
            distance = math.ceil(near / _ROUNDED_MM) * _ROUNDED_MM
            words = (
                "assumed with the camera matrix, which knows only its ratio to the pixel spacing; a "
                "pose does not depend on it"
            )
            found["source_to_detector"] = distance, words
    if focal is not None and spacing is None and distance is not None:
        words = "follows from the camera matrix and the distance of the detector"
        found["pixel_spacing"] = (distance / focal[0], distance / focal[1]), words
    if matrix is not None and to_isocenter is None and distance is not None:
        to_isocenter = distance / _DETECTOR_BEHIND
        words = "assumed with the 4 x 4 pose; where the C-arm turns about does not change it"
        found["source_to_isocenter"] = to_isocenter, words
    if matrix is not None and to_isocenter is not None:
        found |= _angles(matrix, to_isocenter, known, pose == "rig_from_camera")
    return found


def _depth_of_origin(rig_from_camera: Pose) -> float:
    """How far along the central ray the origin of the calibration lies; if behind, its distance."""
    camera_from_rig = rig_from_camera.inverse().translation
    depth, away = float(camera_from_rig[2]), float(camera_from_rig.norm())
    return depth if depth > 0.1 * away else max(away, 1.0)


def _angles(
    pose: Pose, to_isocenter: float, known: Mapping[str, Any], of_rig: bool
) -> dict[str, Found]:
    carm = CArm(to_isocenter, to_isocenter, Detector((1, 1), (1.0, 1.0)))
    found: dict[str, Found] = {}
    if of_rig:
        isocenter = (0.0, 0.0, 0.0)
    elif "isocenter" in known:
        isocenter = known["isocenter"]
    else:
        x, y, z = (pose.translation + to_isocenter * pose.rotation[:, 2]).tolist()
        isocenter = (x, y, z)
        found["isocenter"] = isocenter, "assumed with the 4 x 4 pose: on the central ray"
    terms = carm.carm_pose(pose, isocenter)
    return found | {name: (getattr(terms, name), "follows from the 4 x 4 pose") for name in ANGLES}


def contradicted(known: Mapping[str, Any], values: Mapping[str, Any]) -> tuple[str, ...]:
    """Which known values new ones replace without being of the same name."""
    gone: list[str] = []
    old = {name for name in _SCALE if name in known}
    new = {name for name in _SCALE if name in values}
    if "focal_length" in new:
        # Of the two that were known before, a distance is the better known.
        gone += old & ({"source_to_detector"} if "pixel_spacing" in new else {"pixel_spacing"})
    elif "focal_length" in old:
        if len(new) == 2:
            gone.append("focal_length")
        elif new:
            gone += {"source_to_detector", "pixel_spacing"} - new
    if any(name in values for name in POSES):
        gone += (*POSES, *ANGLES)
    elif any(name in values for name in ANGLES):
        gone += POSES
    return tuple(name for name in gone if name in known and name not in values)


def contradiction(known: Mapping[str, Any]) -> str:
    """What of the distances cannot be, in words; empty where nothing contradicts itself."""
    distance, spacing, focal = (known.get(name) for name in _SCALE)
    if distance is None or spacing is None or focal is None:
        return ""
    for axis, name in enumerate(("rows", "columns")):
        if abs(focal[axis] * spacing[axis] - distance) > 1e-3 * distance:
            return (
                f"the camera matrix and the pixel spacing of the {name} make the source "
                f"{focal[axis] * spacing[axis]:.6g} mm from the detector, source_to_detector is "
                f"{distance:g} mm: leave one of the three out"
            )
    return ""
