"""Soft tissue about the parametric pelvis."""

from dataclasses import replace

import numpy as np

from napari_xreg.simulation.patient import PelvisShape, rotation_about
from napari_xreg.simulation.solids import Array, Capsule, Ellipsoid, HalfSpace, Solid


def soft_tissue(shape: PelvisShape, origin: Array) -> list[Solid]:
    """Skin and fat, muscle, abdominal content, bladder and bowel gas."""
    g = shape.girth

    def at(x: float, y: float, z: float) -> Array:
        return origin + np.array([x, y, z])

    def trunk(fat: float) -> list[Solid]:
        """A tube that ends below in half an ellipsoid, and two thighs."""
        half = g * 182.0 - fat, g * 118.0 - fat
        up = np.array([0.0, 0.0, 1.0])
        tube = Ellipsoid(at(0.0, 8.0, 0.0), (*half, np.inf))
        end = Ellipsoid(at(0.0, 8.0, -25.0), (*half, 72.0 - fat))
        thighs = [
            Ellipsoid(at(88.0 * g * side, 8.0, 0.0), (94.0 * g - fat / 2, 98.0 * g - fat, np.inf))
            for side in (1.0, -1.0)
        ]
        return [
            Solid((tube, HalfSpace(-up, 25.0 - float(origin[2])))),
            Solid((end,)),
            *(Solid((thigh, HalfSpace(up, float(origin[2]) - 25.0))) for thigh in thighs),
        ]

    solids = []
    for hu, fat, name in ((-95.0, 0.0, "fat"), (55.0, shape.fat_mm, "muscle")):
        solids += [replace(part, hu=hu, name=name) for part in trunk(fat)]
    bowel = Ellipsoid(at(0.0, -32.0, 120.0), (115.0 * g, 58.0 * g, 95.0))
    solids.append(Solid((bowel,), hu=5.0, name="bowel"))
    solids.append(
        Solid((Ellipsoid(at(0.0, -12.0, 12.0), (36.0, 30.0, 24.0)),), hu=8.0, name="bladder")
    )
    for side in (1.0, -1.0):
        upper, lower = at(side * 42.0, 8.0, 170.0), at(side * 92.0, -46.0, 0.0)
        for radius, hu, name in ((25.0, -80.0, "fat about the psoas"), (21.0, 60.0, "psoas")):
            solids.append(Solid((Capsule(upper, lower, radius),), hu=hu, name=name))
        for grow, hu, name in ((4.0, -80.0, "fat about the gluteus"), (0.0, 60.0, "gluteus")):
            glutei = Ellipsoid(
                at(side * 88.0 * g, 72.0 * g, 10.0),
                (62.0 * g, 32.0, 85.0),
                rotation_about("y", 20 * side),
            )
            solids.append(Solid((glutei.grown(grow),), hu=hu, name=name))
    for x, y, z, size in shape.gas:
        center = bowel.center + np.array([x, y, z]) * 0.75 * np.asarray(bowel.semi_axes)
        turned = rotation_about("z", 40.0 * x) @ rotation_about("y", 65.0 * z + 20.0)
        pocket = Ellipsoid(center, (26.0 * size, 14.0 * size, 15.0 * size), turned)
        solids.append(Solid((pocket,), hu=-950.0, name="bowel gas"))
    return solids
