"""The hip bone of the parametric pelvis and the landmarks that lie on it."""

from itertools import pairwise

import numpy as np

from napari_xreg.simulation.patient import PelvisShape, Placement, bone
from napari_xreg.simulation.solids import (
    Array,
    Capsule,
    Convex,
    Ellipsoid,
    HalfSpace,
    Solid,
    sphere,
)

FEMORAL_HEAD = (88.0, 0.0, 0.0)
HEAD_RADIUS = 23.5

# The iliac wing is a piece of a spherical shell, hollow towards the front and the midline.
_ASIS, _PSIS = np.array([119.0, -46.0, 70.0]), np.array([41.0, 74.0, 72.0])
_WING_NORMAL = np.array([-0.774, -0.512, 0.372])
_WING_RADIUS, _WING_HALF, _WING_BOW = 190.0, (73.0, 55.0), 9.0
_ARCUATE = ((80.0, -2.0, 27.0), (50.0, 52.0, 50.0), 10.5)
_PUBIC_BODY = ((14.5, -44.0, -20.0), (12.0, 8.0, 20.0))
_RAMUS = ((17.0, -41.0, -36.0), (48.0, 8.0, -72.0), 6.5)


def hip(shape: PelvisShape, at: Placement, label: int) -> list[Solid]:
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
    parts.append(Solid((iliac_body(at),)))
    horns: list[Convex] = [
        at.capsule(*_ARCUATE),
        at.capsule(*_RAMUS),
        # anterior inferior spine, then the pillar above the acetabulum
        *at.tube([(92.0, -14.0, 24.0), (104.0, -34.0, 34.0), (110.0, -38.0, 56.0)], (13.0, 6.0)),
        *at.tube([(93.0, 2.0, 22.0), (95.0, 6.0, 50.0), (108.0, 4.0, 96.0)], (16.0, 7.0, 4.5)),
        # to the posterior superior spine
        *at.tube([(50.0, 52.0, 50.0), (42.0, 66.0, 54.0), (42.0, 72.0, 70.0)], (10.5, 8.0)),
        # posterior column, ischial spine
        *at.tube([(85.0, 16.0, 8.0), (74.0, 36.0, -16.0), (67.0, 33.0, -48.0)], (16.0, 10.5, 12.0)),
        *at.tube([(76.0, 31.0, 2.0), (55.0, 48.0, -9.0)], (9.0, 3.0)),
        # superior ramus; ischial ramus
        *at.tube([(76.0, -14.0, 4.0), (48.0, -36.0, 2.0), (20.0, -44.0, -8.0)], (13.0, 6.5, 7.5)),
        *at.tube([(46.0, 6.0, -71.0), (54.0, 18.0, -76.0), (62.0, 27.0, -72.0)], (6.5, 11.0)),
    ]
    parts += [Solid((horn,)) for horn in horns]
    parts.append(Solid((at.ellipsoid((64.0, 31.0, -60.0), (13.0, 16.0, 25.0)),)))
    parts.append(Solid((at.ellipsoid(*_PUBIC_BODY),)))
    cavity = Solid((sphere(head, at.length(HEAD_RADIUS + 2.5)),), hu=70.0, name="hip joint")
    return [*bone(shape, parts, label, "hip"), cavity]


def iliac_wing(at: Placement) -> Solid:
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


def iliac_body(at: Placement) -> Ellipsoid:
    """The thick part of the ilium between acetabulum, wing and sacroiliac joint."""
    _, normal, along, up = _wing_frame(at)
    semi = (at.length(38.0), at.length(24.0), at.length(8.0))
    return Ellipsoid(at.point(83.0, 10.0, 38.0), semi, np.stack([along, up, normal], 1))


def iliac_crest(at: Placement) -> list[Capsule]:
    """The thick rim of the wing, from the anterior to the posterior superior spine."""
    points = _crest_points(at)
    return [Capsule(a, b, at.length(5.0)) for a, b in pairwise(points)]


def _wing_frame(at: Placement) -> tuple[Array, Array, Array, Array]:
    """Centre of the plate, its normal, the direction from front to back, and upwards."""
    front, back = at.point(*_ASIS), at.point(*_PSIS)
    along = (back - front) / np.linalg.norm(back - front)
    normal = at.vector(_WING_NORMAL * [at.side, 1.0, 1.0])
    normal = normal - (normal @ along) * along
    normal /= np.linalg.norm(normal)
    up = at.side * np.cross(along, normal)
    up = up if at.vector(np.array([0.0, 0.0, 1.0])) @ up > 0 else -up
    return (front + back) / 2 - at.length(_WING_BOW) * normal, normal, along, up


def _crest_points(at: Placement) -> Array:
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


def hip_landmarks(at: Placement, suffix: str) -> dict[str, Array]:
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
