"""Anatomy of a parametric pelvis, as closed-form solids and named landmarks.

Measures are those of textbook adult anatomy, mm, in patient axes (x left, y posterior, z superior)
about the middle between the femoral heads. A bone is painted as its outer hull in cortical bone and
then, shrunk, in cancellous bone, so the parts of one bone have no walls between them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from napari_xreg.simulation.solids import (
    Array,
    Capsule,
    Convex,
    Ellipsoid,
    HalfSpace,
    Solid,
    sphere,
)

SACRUM, L5, L4, FEMUR_LEFT, FEMUR_RIGHT, HIP_LEFT, HIP_RIGHT = 25, 27, 28, 75, 76, 77, 78


@dataclass(frozen=True)
class PelvisShape:
    """What differs between patients. The defaults are the mean one.

    Parameters
    ----------
    scale
        Size of the skeleton along x, y, z.
    tilt_deg
        Pelvic tilt: rotation of pelvis and spine about the left-right axis, forwards positive.
    obliquity_deg
        Rotation of pelvis and spine about the front-back axis.
    asymmetry
        Relative size difference of left over right hip and femur.
    femur_deg
        Flexion, abduction and internal rotation of the left, then of the right femur.
    girth
        Size of the body's outline.
    fat_mm
        Thickness of fat under the skin.
    cortical_mm, cortical_hu, cancellous_hu
        Bone.
    gas
        Centres and sizes of bowel gas, in bowel coordinates -1..1, rows of (x, y, z, size).
    """

    scale: tuple[float, float, float] = (1.0, 1.0, 1.0)
    tilt_deg: float = 0.0
    obliquity_deg: float = 0.0
    asymmetry: float = 0.0
    femur_deg: tuple[tuple[float, float, float], tuple[float, float, float]] = (
        (0.0, 0.0, 0.0),
        (0.0, 0.0, 0.0),
    )
    girth: float = 1.0
    fat_mm: float = 16.0
    cortical_mm: float = 2.0
    cortical_hu: float = 1150.0
    cancellous_hu: float = 230.0
    gas: tuple[tuple[float, float, float, float], ...] = (
        (0.55, -0.3, 0.5, 1.0),
        (-0.6, -0.2, 0.2, 0.8),
        (0.1, -0.6, 0.75, 0.9),
        (-0.2, 0.1, -0.5, 0.6),
    )

    @classmethod
    def random(cls, seed: int) -> "PelvisShape":
        """A patient drawn from the population, the same for the same seed."""
        rng = np.random.default_rng([seed, 41])
        size = rng.normal(1.0, 0.05)
        sx, sy, sz = (float(size * s) for s in rng.normal(1.0, 0.03, 3))
        flex = rng.normal(0.0, (6.0, 4.0, 8.0), (2, 3))
        count = int(rng.integers(2, 8))
        places = rng.uniform(-0.8, 0.8, (count, 3))
        sizes = rng.uniform(0.5, 1.2, (count, 1))
        return cls(
            scale=(sx, sy, sz),
            tilt_deg=float(rng.normal(0.0, 6.0)),
            obliquity_deg=float(rng.normal(0.0, 2.0)),
            asymmetry=float(rng.normal(0.0, 0.012)),
            femur_deg=(tuple(flex[0].tolist()), tuple(flex[1].tolist())),
            girth=float(rng.uniform(0.9, 1.15)),
            fat_mm=float(rng.uniform(8.0, 35.0)),
            cortical_mm=float(rng.uniform(1.5, 2.6)),
            cortical_hu=float(rng.uniform(900.0, 1350.0)),
            cancellous_hu=float(rng.uniform(140.0, 330.0)),
            gas=tuple((x, y, z, s) for x, y, z, s in np.hstack([places, sizes]).tolist()),
        )


@dataclass(frozen=True, eq=False)
class _Placement:
    """From anatomical coordinates of one side to the world: stretch, mirror, turn, shift."""

    rotation: Array
    stretch: Array
    pivot: Array
    side: float = 1.0

    def point(self, x: float, y: float, z: float) -> Array:
        return np.asarray(self.vector(self.stretch * np.array([self.side * x, y, z])) + self.pivot)

    def vector(self, v: Array) -> Array:
        return np.asarray(self.rotation @ v)

    def length(self, mm: float) -> float:
        return float(mm * np.prod(self.stretch) ** (1 / 3))

    def capsule(self, a: tuple[float, ...], b: tuple[float, ...], radius: float) -> Capsule:
        return Capsule(self.point(*a), self.point(*b), self.length(radius))

    def ellipsoid(
        self, center: tuple[float, ...], semi: tuple[float, ...], about_x_deg: float = 0.0
    ) -> Ellipsoid:
        a, b, c = (self.length(s) for s in semi)
        axes = self.rotation @ rotation_about("x", about_x_deg)
        return Ellipsoid(self.point(*center), (a, b, c), axes)


def pelvis_solids(shape: PelvisShape, origin: Array) -> tuple[list[Solid], dict[str, Array]]:
    """Everything in the order of painting, and the 14 landmarks of DeepFluoro, world mm.

    Parameters
    ----------
    shape
        The patient.
    origin
        World position of the middle between the femoral heads.
    """
    trunk = _Placement(
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


FEMORAL_HEAD = (88.0, 0.0, 0.0)
HEAD_RADIUS = 23.5

# The iliac wing is a piece of a spherical shell, hollow towards the front and the midline.
_ASIS, _PSIS = np.array([119.0, -46.0, 70.0]), np.array([41.0, 74.0, 72.0])
_WING_NORMAL = np.array([-0.774, -0.512, 0.372])
_WING_RADIUS, _WING_HALF, _WING_BOW = 190.0, (73.0, 55.0), 9.0
_ARCUATE = ((80.0, -2.0, 27.0), (50.0, 52.0, 50.0), 10.5)
_PUBIC_BODY = ((14.5, -44.0, -20.0), (12.0, 8.0, 20.0))
_RAMUS = ((17.0, -41.0, -36.0), (48.0, 8.0, -72.0), 6.5)


def hip(shape: PelvisShape, at: _Placement, label: int) -> list[Solid]:
    """Ilium, ischium and pubis around the obturator foramen; the acetabulum is hollowed out."""
    head = at.point(*FEMORAL_HEAD)
    opening = at.vector(np.array([at.side * 0.75, -0.3, -0.6]))
    opening /= np.linalg.norm(opening)
    cup = Solid(
        (
            sphere(head - at.length(3.0) * opening, at.length(HEAD_RADIUS + 10.0)),
            HalfSpace(opening, float(opening @ head) + at.length(5.0)),
        )
    )
    parts: list[Solid] = [iliac_wing(at), cup]
    parts += [Solid((c,)) for c in iliac_crest(at)]
    capsules = [
        _ARCUATE,
        ((96.0, -14.0, 28.0), (103.0, -30.0, 52.0), 8.0),  # anterior inferior spine
        ((94.0, 4.0, 28.0), (94.0, 8.0, 62.0), 8.0),  # pillar above the acetabulum
        ((50.0, 52.0, 50.0), (42.0, 70.0, 68.0), 9.0),  # to the posterior superior spine
        ((84.0, 20.0, 4.0), (69.0, 33.0, -46.0), 12.5),  # posterior column
        ((76.0, 30.0, 0.0), (56.0, 48.0, -8.0), 4.5),  # ischial spine
        ((73.0, -18.0, 2.0), (20.0, -44.0, -7.0), 7.0),  # superior ramus
        _RAMUS,
        ((48.0, 8.0, -72.0), (61.0, 26.0, -74.0), 9.0),
    ]
    parts += [Solid((at.capsule(*c),)) for c in capsules]
    parts.append(Solid((at.ellipsoid((64.0, 31.0, -60.0), (13.0, 16.0, 25.0)),)))
    parts.append(Solid((at.ellipsoid(*_PUBIC_BODY),)))
    cavity = Solid((sphere(head, at.length(HEAD_RADIUS + 2.5)),), hu=70.0, name="hip joint")
    return [*bone(shape, parts, label, "hip"), cavity]


def iliac_wing(at: _Placement) -> Solid:
    """The plate of the ilium."""
    center, normal, along, _ = _wing_frame(at)
    middle = center + at.length(_WING_RADIUS) * normal
    up = np.cross(normal, along)
    outline = Ellipsoid(
        center,
        (at.length(_WING_HALF[0]), at.length(_WING_HALF[1]), np.inf),
        np.stack([along, up, normal], 1),
    )
    return Solid(
        (
            sphere(middle, at.length(_WING_RADIUS + 3.0)),
            outline,
            HalfSpace(normal, float(normal @ center) + at.length(60.0)),
        ),
        outside=(sphere(middle, at.length(_WING_RADIUS - 3.0)),),
    )


def iliac_crest(at: _Placement) -> list[Capsule]:
    """The thick rim of the wing, from the anterior to the posterior superior spine."""
    points = _crest_points(at)
    return [Capsule(a, b, at.length(5.0)) for a, b in zip(points[:-1], points[1:], strict=True)]


def _wing_frame(at: _Placement) -> tuple[Array, Array, Array, Array]:
    """Centre of the plate, its normal, the direction from front to back, and upwards."""
    front, back = at.point(*(_ASIS * [1, 1, 1])), at.point(*_PSIS)
    along = (back - front) / np.linalg.norm(back - front)
    normal = at.vector(_WING_NORMAL * [at.side, 1.0, 1.0])
    normal = normal - (normal @ along) * along
    normal /= np.linalg.norm(normal)
    up = at.side * np.cross(along, normal)
    up = up if at.vector(np.array([0.0, 0.0, 1.0])) @ up > 0 else -up
    return (front + back) / 2 - at.length(_WING_BOW) * normal, normal, along, up


def _crest_points(at: _Placement) -> Array:
    center, normal, along, up = _wing_frame(at)
    angle = np.linspace(np.pi, 0.0, 13)[:, None]
    flat = (
        center
        + at.length(_WING_HALF[0]) * np.cos(angle) * along
        + at.length(_WING_HALF[1]) * np.sin(angle) * up
    )
    middle = center + at.length(_WING_RADIUS) * normal
    outward = (flat - middle) / np.linalg.norm(flat - middle, axis=1, keepdims=True)
    return np.asarray(middle + at.length(_WING_RADIUS) * outward)


def hip_landmarks(at: _Placement, suffix: str) -> dict[str, Array]:
    """Points on the surface of the hip's own solids."""
    forwards = at.vector(np.array([0.0, -1.0, 0.0]))
    a, b, radius = _ARCUATE
    along_arcuate = at.point(*b) - at.point(*a)
    notch = at.point(*a) + 0.75 * along_arcuate
    ramus = at.capsule(*_RAMUS)
    pubis = at.ellipsoid(*_PUBIC_BODY)
    up = at.vector(np.array([0.0, 0.0, 1.0]))
    return {
        f"ASIS-{suffix}": _crest_points(at)[0] + at.length(5.0) * forwards,
        f"GSN-{suffix}": notch + at.length(radius) * _across(-up, along_arcuate),
        f"IOF-{suffix}": ramus.start
        + 0.9 * (ramus.end - ramus.start)
        + ramus.radius * _across(up, ramus.end - ramus.start),
        f"MOF-{suffix}": _on(pubis, np.array([at.side, 0.0, 0.0])),
        f"SPS-{suffix}": _on(pubis, np.array([-0.5 * at.side, 0.0, np.sqrt(0.75)])),
        f"IPS-{suffix}": _on(pubis, np.array([-0.5 * at.side, 0.0, -np.sqrt(0.75)])),
    }


def _across(direction: Array, axis: Array) -> Array:
    """The part of a direction across an axis, of length 1."""
    axis = axis / np.linalg.norm(axis)
    across = direction - (direction @ axis) * axis
    return np.asarray(across / np.linalg.norm(across))


def _on(body: Ellipsoid, unit: Array) -> Array:
    """The point of an ellipsoid's surface that a point of the unit sphere is stretched to."""
    return np.asarray(body.center + body.axes @ (np.asarray(body.semi_axes) * unit))


def sacrum(shape: PelvisShape, at: _Placement) -> list[Solid]:
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
    holes = ((21.0, 46.0, 70.0, 5.0, 38.0), (20.0, 60.0, 52.0, 4.5, 34.0))
    holes += ((18.0, 69.0, 32.0, 4.0, 18.0), (15.0, 72.0, 12.0, 3.5, 0.0))
    for x, y, z, radius, angle in holes:
        direction = rotation_about("x", angle) @ np.array([0.0, 14.0, 0.0])
        for side in (1.0, -1.0):
            a = (side * x, y - direction[1], z - direction[2])
            b = (side * x, y + direction[1], z + direction[2])
            solids.append(Solid((at.capsule(a, b, radius),), hu=20.0, name="sacral foramen"))
    return solids


def vertebra(
    shape: PelvisShape,
    at: _Placement,
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
    at: _Placement,
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
        local.capsule((4.0, 0.0, -3.0), (44.0, 2.0, -33.0), 14.5),
        local.capsule((50.0, 4.0, -24.0), (42.0, 3.0, -60.0), 15.5),
        local.ellipsoid((55.0, 9.0, -17.0), (14.0, 17.0, 23.0)),
        local.ellipsoid((29.0, 15.0, -62.0), (9.0, 8.0, 13.0)),
        local.capsule((43.0, 3.0, -55.0), (33.0, 0.0, -260.0), 14.0),
    ]
    solids = bone(shape, [Solid((part,)) for part in parts], label, "femur")
    canal = local.capsule((42.0, 3.0, -78.0), (33.0, 0.0, -260.0), 7.5)
    cortex = local.capsule((42.0, 3.0, -95.0), (33.0, 0.0, -260.0), 14.0)
    solids.append(Solid((cortex,), hu=shape.cortical_hu, label=label, name="femoral shaft"))
    solids.append(Solid((canal,), hu=-20.0, label=label, name="marrow"))
    return solids


def bone(
    shape: PelvisShape, parts: Iterable[Solid], label: int, name: str, *, thinner: float = 1.0
) -> list[Solid]:
    """The parts of a bone in cortical bone, then, shrunk, in cancellous bone."""
    parts = list(parts)
    cortex = [replace(p, hu=shape.cortical_hu, label=label, name=name) for p in parts]
    inner = -shape.cortical_mm * thinner
    marrow = [
        replace(p.grown(inner), hu=shape.cancellous_hu, label=label, name=f"{name} (inner)")
        for p in parts
    ]
    return [*cortex, *marrow]


def soft_tissue(shape: PelvisShape, origin: Array) -> list[Solid]:
    """Skin and fat, muscle, abdominal content, bladder and bowel gas."""
    g = shape.girth

    def at(x: float, y: float, z: float) -> Array:
        return origin + np.array([x, y, z])

    def body(x: float, half: tuple[float, float], low: float, high: float, fat: float) -> Solid:
        tube = Ellipsoid(at(x, 8.0, 0.0), (g * half[0] - fat, g * half[1] - fat, np.inf))
        down, up = np.array([0.0, 0.0, -1.0]), np.array([0.0, 0.0, 1.0])
        return Solid(
            (tube, HalfSpace(up, float(origin[2] + high)), HalfSpace(down, -float(origin[2] + low)))
        )

    solids = []
    for hu, fat, name in ((-95.0, 0.0, "fat"), (55.0, shape.fat_mm, "muscle")):
        parts = [body(0.0, (182.0, 118.0), -70.0 + fat / 2, 1000.0, fat)]
        parts += [body(x * g, (94.0, 96.0), -1000.0, -30.0, fat / 2) for x in (91.0, -91.0)]
        solids += [replace(p, hu=hu, name=name) for p in parts]
    bowel = Ellipsoid(at(0.0, -32.0, 120.0), (115.0 * g, 58.0 * g, 95.0))
    solids.append(Solid((bowel,), hu=5.0, name="bowel"))
    solids.append(
        Solid((Ellipsoid(at(0.0, -12.0, 12.0), (36.0, 30.0, 24.0)),), hu=8.0, name="bladder")
    )
    for x, y, z, size in shape.gas:
        center = bowel.center + np.array([x, y, z]) * 0.75 * np.asarray(bowel.semi_axes)
        turned = rotation_about("z", 40.0 * x) @ rotation_about("y", 65.0 * z + 20.0)
        pocket = Ellipsoid(center, (26.0 * size, 14.0 * size, 15.0 * size), turned)
        solids.append(Solid((pocket,), hu=-950.0, name="bowel gas"))
    return solids


def rotation_about(axis: str, degrees: float) -> Array:
    """Right-handed rotation about a world axis."""
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    i, j = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
    matrix = np.eye(3)
    matrix[i, i], matrix[i, j], matrix[j, i], matrix[j, j] = c, -s, s, c
    return matrix


Landmarks = Mapping[str, Array]
