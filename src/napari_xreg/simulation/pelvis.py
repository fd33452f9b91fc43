"""Anatomy of a parametric pelvis, as closed-form solids and named landmarks.

Measures are those of textbook adult anatomy, mm, in patient axes (x left, y posterior, z superior)
about the middle between the femoral heads. A bone is painted as its outer hull in cortical bone and
then, shrunk, in cancellous bone, so the parts of one bone have no walls between them.
"""

from dataclasses import replace

import numpy as np

from napari_xreg.simulation.hip import FEMORAL_HEAD, HEAD_RADIUS, hip, hip_landmarks
from napari_xreg.simulation.patient import PelvisShape, Placement, bone, rotation_about
from napari_xreg.simulation.soft_tissue import soft_tissue
from napari_xreg.simulation.solids import Array, Convex, Ellipsoid, HalfSpace, Solid

SACRUM, L5, L4, FEMUR_LEFT, FEMUR_RIGHT, HIP_LEFT, HIP_RIGHT = 25, 27, 28, 75, 76, 77, 78


def pelvis_solids(shape: PelvisShape, origin: Array) -> tuple[list[Solid], dict[str, Array]]:
    """Everything in the order of painting, and the 14 landmarks of DeepFluoro, world mm.

    Parameters
    ----------
    shape
        The patient.
    origin
        World position of the middle between the femoral heads.
    """
    trunk = Placement(
        rotation_about("x", shape.tilt_deg) @ rotation_about("y", shape.obliquity_deg),
        np.asarray(shape.scale),
        origin,
    )
    left = replace(trunk, stretch=trunk.stretch * (1 + shape.asymmetry / 2))
    right = replace(trunk, stretch=trunk.stretch * (1 - shape.asymmetry / 2), side=-1.0)
    solids = soft_tissue(shape, origin)
    landmarks: dict[str, Array] = {}
    for placement, suffix, label in ((left, "l", HIP_LEFT), (right, "r", HIP_RIGHT)):
        solids += hip(shape, placement, label)
        landmarks |= hip_landmarks(placement, suffix)
    solids += sacrum(shape, trunk)
    solids += vertebra(shape, trunk, (0.0, 17.0, 115.0), 17.0, L5)
    solids += vertebra(shape, trunk, (0.0, 6.0, 152.0), 9.0, L4)
    for placement, suffix, label, angles in (
        (left, "l", FEMUR_LEFT, shape.femur_deg[0]),
        (right, "r", FEMUR_RIGHT, shape.femur_deg[1]),
    ):
        head = placement.point(*FEMORAL_HEAD)
        landmarks[f"FH-{suffix}"] = head
        solids += femur(shape, placement, head, angles, label)
    return solids, dict(sorted(landmarks.items()))


def sacrum(shape: PelvisShape, at: Placement) -> list[Solid]:
    """Five fused vertebrae in an arc, with wings, foramina and a coccyx."""
    segments = (
        ((0.0, 36.0, 82.0), (27.0, 18.0, 15.0), 38.0),
        ((0.0, 52.0, 63.0), (25.0, 14.0, 16.0), 42.0),
        ((0.0, 65.0, 43.0), (28.0, 11.0, 15.0), 25.0),
        ((0.0, 71.0, 21.0), (23.0, 9.0, 15.0), 8.0),
        ((0.0, 71.0, 2.0), (17.0, 8.0, 13.0), -8.0),
    )
    parts = [Solid((at.ellipsoid(c, s, angle),)) for c, s, angle in segments]
    for side in (1.0, -1.0):
        wings = (
            ((side * 29.0, 44.0, 76.0), (21.0, 15.0, 17.0), 38.0),
            ((side * 30.0, 56.0, 58.0), (17.0, 12.0, 19.0), 42.0),
            ((side * 22.0, 67.0, 38.0), (15.0, 9.0, 17.0), 25.0),
        )
        parts += [Solid((at.ellipsoid(c, s, angle),)) for c, s, angle in wings]
    parts.append(Solid((at.capsule((0.0, 69.0, -12.0), (0.0, 56.0, -32.0), 5.5),)))
    solids = bone(shape, parts, SACRUM, "sacrum", thinner=0.7)
    holes = [
        (21.0, 46.0, 70.0, 5.0, 38.0),
        (20.0, 60.0, 52.0, 4.5, 34.0),
        (18.0, 69.0, 32.0, 4.0, 18.0),
        (15.0, 72.0, 12.0, 3.5, 0.0),
    ]
    for x, y, z, radius, angle in holes:
        direction = rotation_about("x", angle) @ np.array([0.0, 14.0, 0.0])
        for side in (1.0, -1.0):
            a = (side * x, y - direction[1], z - direction[2])
            b = (side * x, y + direction[1], z + direction[2])
            solids.append(Solid((at.capsule(a, b, radius),), hu=20.0, name="sacral foramen"))
    return solids


def vertebra(
    shape: PelvisShape,
    at: Placement,
    center: tuple[float, float, float],
    lean_deg: float,
    label: int,
) -> list[Solid]:
    """A lumbar vertebra with pedicles, arch, facets, transverse and spinous processes."""
    lean = rotation_about("x", lean_deg)
    local = replace(at, rotation=at.rotation @ lean, pivot=at.point(*center))
    axis = local.vector(np.array([0.0, 0.0, 1.0]))
    drum = Ellipsoid(local.pivot, (local.length(25.0), local.length(17.5), np.inf), local.rotation)
    height = local.length(13.5)
    top = HalfSpace(axis, float(axis @ local.pivot) + height)
    bottom = HalfSpace(-axis, -float(axis @ local.pivot) + height)
    parts = [Solid((drum, top, bottom))]
    parts.append(Solid((local.ellipsoid((0.0, 50.0, -7.0), (3.5, 15.0, 11.0)),)))
    for side in (1.0, -1.0):
        capsules = (
            ((side * 13.0, 12.0, 5.0), (side * 16.0, 29.0, 3.0), 5.0),
            ((side * 16.0, 29.0, 0.0), (side * 1.0, 39.0, -4.0), 4.0),
            ((side * 16.0, 22.0, 3.0), (side * 41.0, 27.0, 6.0), 3.5),
        )
        parts += [Solid((local.capsule(*c),)) for c in capsules]
        for z in (-14.0, 9.0):
            parts.append(Solid((local.ellipsoid((side * 18.0, 32.0, z), (6.5, 7.0, 10.0)),)))
    disc = Solid(
        (
            drum.grown(-1.0),
            replace(bottom, normal=axis, offset=-bottom.offset),
            replace(bottom, offset=bottom.offset + local.length(10.0)),
        ),
        hu=90.0,
        name="disc",
    )
    return [disc, *bone(shape, parts, label, "vertebra", thinner=0.7)]


def femur(
    shape: PelvisShape,
    at: Placement,
    head: Array,
    angles_deg: tuple[float, float, float],
    label: int,
) -> list[Solid]:
    """Head, neck, trochanters and shaft, turned about the centre of the head."""
    flexion, abduction, internal = angles_deg
    turn = (
        rotation_about("x", -flexion)
        @ rotation_about("y", -at.side * abduction)
        @ rotation_about("z", -at.side * internal)
    )
    local = replace(at, rotation=turn, pivot=head)
    parts: list[Convex] = [
        local.ellipsoid((0.0, 0.0, 0.0), (HEAD_RADIUS,) * 3),
        *local.tube([(6.0, 0.0, -4.0), (24.0, 1.0, -20.0), (46.0, 3.0, -34.0)], (20.0, 13.5, 18.0)),
        *local.tube(
            [(52.0, 6.0, -16.0), (48.0, 5.0, -40.0), (43.0, 3.0, -78.0)], (15.0, 18.0, 14.0)
        ),
        local.ellipsoid((57.0, 10.0, -12.0), (11.0, 15.0, 20.0)),
        local.ellipsoid((30.0, 15.0, -62.0), (9.0, 8.0, 13.0)),
    ]
    shaft = local.capsule((43.0, 3.0, -70.0), (33.0, 0.0, -260.0), 14.0)
    solids = [Solid((shaft,), hu=shape.cortical_hu, label=label, name="femoral shaft")]
    solids += bone(shape, [Solid((part,)) for part in parts], label, "femur")
    # The cortex grows from that of the metaphysis to half the radius of the shaft.
    funnel = local.tube([(43.0, 3.0, -66.0), (40.0, 2.5, -120.0)], (11.5, 7.0))
    canal = local.capsule((40.0, 2.5, -118.0), (33.0, 0.0, -260.0), 7.0)
    marrow = Solid((canal,), hu=-20.0, label=label, name="marrow")
    spongy = replace(marrow, hu=shape.cancellous_hu / 3)
    return [*solids, *(replace(spongy, within=(part,)) for part in funnel), marrow]
