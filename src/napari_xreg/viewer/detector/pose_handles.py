"""Handles of a pose on the radiograph: a cross to shift the patient by, a ring to roll it by."""

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from jaxtyping import Float
from napari.layers import Vectors
from numpy import ndarray
from torch import Tensor

from napari_xreg.geometry import CArm, Pose
from napari_xreg.session import Session
from napari_xreg.viewer.layer_shelf import MILLIMETRES, LayerShelf, set_in_place

ROLE = "pose handles"
COLOUR = "#ff5fd2"  # nothing else on the canvas has it
RING, CROSS = 0.24, 0.06
"""Radius of the ring and half a bar of the cross, of the detector's shorter side."""
CHORDS = 72
_REACH_PIXELS = 8  # of the screen, on either side of a line

Handle = Literal["shift", "roll"]


class PoseHandles:
    """Drawn where the pivot is seen, and inside the detector where that is elsewhere.

    Parameters
    ----------
    shelf
        Where the layer is kept.
    session
        Whose active radiograph has them.

    Attributes
    ----------
    gives_way_to
        Asked with napari's event of a press: True where it is wanted for something else, however the
        two came to lie on each other.
    """

    def __init__(self, shelf: LayerShelf, session: Session) -> None:
        self._shelf, self._session = shelf, session
        self.gives_way_to: list[Callable[[Any], bool]] = []
        self._on = self._aside = False
        self._held: Float[Tensor, "3"] | None = None
        self._pivot: Callable[[], Float[Tensor, "3"] | None] = lambda: None
        self._centre: tuple[float, float] | None = None

    def turn_on(self, pivot: Callable[[], Float[Tensor, "3"] | None]) -> None:
        """Show them about the point that `pivot` gives, world mm; None: about the isocenter."""
        self._on, self._pivot = True, pivot
        self.show(self._session.poses.current)

    def turn_off(self) -> None:
        """Take them away."""
        if self._on:
            self._on, self._centre = False, None
            self._shelf.drop(ROLE)

    def step_aside(self, aside: bool) -> None:
        """Not there while another pose is looked at than the session's, which they would move."""
        if aside != self._aside:
            self._aside = aside
            self.show(self._session.poses.current)

    def hold(self, point: Float[Tensor, "3"] | None) -> None:
        """Show them about a point that the mouse took them at, world mm; None: about the pivot again."""
        self._held = point
        if point is None:
            self.show(self._session.poses.current)

    def show(self, pose: Pose | None) -> None:
        """As seen from a pose; nothing where there is none, or while they are switched off."""
        active = self._session.exposures.active
        if not self._on:
            return
        if active is None or pose is None or self._aside:
            self._centre = None
            self._shelf.hide(ROLE)
            return
        carm = active.radiograph.carm
        pivot = self._pivot() if self._held is None else self._held
        pivot = self._session.patient.isocenter if pivot is None else pivot
        self._centre = seen_at(carm, pose, pivot)
        size = min(carm.detector.size_mm)
        layer = self._shelf.need(ROLE, _make)
        width = 0.006 * size
        if layer.edge_width != width:
            layer.edge_width = width
        set_in_place(layer, handle_lines(self._centre, RING * size, CROSS * size))
        self._shelf.unhide(ROLE)

    @property
    def centre(self) -> tuple[float, float] | None:
        """Row and column of the cross, mm on the detector; None while nothing is drawn."""
        return self._centre

    def under(self, row_mm: float, column_mm: float, zoom: float) -> Handle | None:
        """Which handle a place on the detector is on.

        Parameters
        ----------
        zoom
            Pixels of the screen per mm.
        """
        active, layer = self._session.exposures.active, self._shelf.get(ROLE)
        if self._centre is None or active is None or layer is None or not layer.visible:
            return None
        size, reach = min(active.radiograph.carm.detector.size_mm), _REACH_PIXELS / zoom
        down, right = row_mm - self._centre[0], column_mm - self._centre[1]
        if (
            min(abs(down), abs(right)) <= reach
            and max(abs(down), abs(right)) <= CROSS * size + reach
        ):
            return "shift"
        return "roll" if abs(math.hypot(down, right) - RING * size) <= reach else None


def seen_at(carm: CArm, pose: Pose, pivot: Float[Tensor, "3"]) -> tuple[float, float]:
    """Row and column, mm, where a point is seen; the nearest place where a ring about it fits."""
    detector = carm.detector
    row, column = (float(v) for v in carm.project(pivot.to(pose.rotation)[None], pose)[0])
    if not math.isfinite(row + column):
        row, column = detector.center
    margin = RING * min(detector.size_mm)
    places = []
    for at, spacing, size in zip((row, column), detector.spacing, detector.size_mm, strict=True):
        places.append(min(max(at * spacing, margin), size - margin))
    return places[0], places[1]


def handle_lines(
    centre: tuple[float, float], radius: float, bar: float
) -> Float[ndarray, "lines 2 2"]:
    """napari vectors (start, direction), mm: the chords of the ring, then the bars of the cross."""
    angles = np.linspace(0, 2 * math.pi, CHORDS + 1)
    ring = radius * np.stack([np.sin(angles), np.cos(angles)], axis=1)
    starts = np.vstack([ring[:-1], [(-bar, 0.0), (0.0, -bar)]])
    ways = np.vstack([np.diff(ring, axis=0), [(2 * bar, 0.0), (0.0, 2 * bar)]])
    return np.stack([starts + np.array(centre), ways], axis=1)


def _make() -> Vectors:
    return Vectors(
        np.zeros((0, 2, 2)), ndim=2, vector_style="line", edge_color=COLOUR, **MILLIMETRES
    )
