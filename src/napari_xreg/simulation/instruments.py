"""Metal in the beam: rods, wires and screws with exact chord lengths."""

from dataclasses import dataclass

import numpy as np
import torch

from napari_xreg.geometry import CArm, Pose
from napari_xreg.images import Material, Volume
from napari_xreg.simulation.severity import Severity
from napari_xreg.simulation.solids import Array, Capsule, union_length


@dataclass(frozen=True, eq=False)
class Instrument:
    """A metal object: the union of capsules.

    Parameters
    ----------
    parts
        Capsules, overlapping where they like. World, mm.
    material
        ``titanium`` or ``iron`` (for steel).
    """

    parts: tuple[Capsule, ...]
    material: Material = "iron"

    def chord_lengths(self, source: Array, r: Array) -> Array:
        """Length of metal along each ray from the source to the detector, mm (exact)."""
        covered = union_length([part.interval(source, r) for part in self.parts])
        return np.asarray(covered * np.linalg.norm(r, axis=-1))


def rod(center: Array, direction: Array, length: float, radius: float) -> Instrument:
    """A straight steel rod, wire or trocar."""
    half = direction / np.linalg.norm(direction) * length / 2
    return Instrument((Capsule(center - half, center + half, radius),))


def screw(tip: Array, direction: Array, length: float, radius: float) -> Instrument:
    """A titanium screw: a shaft and a thicker head at its far end."""
    axis = direction / np.linalg.norm(direction)
    top = tip + axis * length
    shaft = Capsule(tip, top, radius)
    head = Capsule(top, top + axis * radius, 1.7 * radius)
    return Instrument((shaft, head), "titanium")


def random_instruments(
    severity: Severity,
    volume: Volume,
    carm: CArm,
    world_from_camera: Pose,
    rng: np.random.Generator,
) -> tuple[Instrument, ...]:
    """Metal at random places around the middle of the CT, mostly across the view."""
    pose = world_from_camera.to(dtype=torch.float64, device="cpu")
    axes = pose.rotation.numpy()
    middle = volume.center.double().numpy()
    depth = float(axes[:, 2] @ (middle - pose.translation.numpy()))
    depth = min(max(depth, 0.3 * carm.source_to_detector), 0.9 * carm.source_to_detector)
    reach = 0.3 * min(carm.detector.size_mm) * depth / carm.source_to_detector
    tools = []
    for kind in ["rod"] * severity.rods + ["wire"] * severity.wires + ["screw"] * severity.screws:
        angle = rng.uniform(0, 2 * np.pi)
        tilt = np.deg2rad(rng.uniform(-30, 30))
        direction = axes @ np.array(
            [np.cos(angle) * np.cos(tilt), np.sin(angle) * np.cos(tilt), np.sin(tilt)]
        )
        place = rng.uniform(-1, 1, size=3) * [reach, reach, 60.0] + [0, 0, depth]
        place = axes @ place + pose.translation.numpy()
        if kind == "rod":
            tools.append(
                rod(place, direction, float(rng.uniform(120, 200)), severity.rod_radius_mm)
            )
        elif kind == "wire":
            tools.append(rod(place, direction, float(rng.uniform(100, 250)), 1.0))
        else:
            tools.append(screw(place, direction, float(rng.uniform(50, 90)), 3.2))
    return tuple(tools)
