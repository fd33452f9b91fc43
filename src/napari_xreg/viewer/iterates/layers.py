"""The iterates of a refinement as layers: a stack of DRRs to scrub through, and a path with a table.

The stack's axes are (iteration, plane, row, column); the iteration axis has no unit and counts
iterates from 0; the one plane is as thick as the CT that is there (`axes_between`). The path shows
where the session's landmarks (their mean; without landmarks, the isocenter) were projected at each
iterate; its features table holds every loss and pose, for any plugin to plot.
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from napari.components import ViewerModel
from napari.layers import Image, Layer
from napari.utils.notifications import show_info
from numpy import ndarray
from psygnal import Signal

from napari_xreg.registration import Iterate, Registration
from napari_xreg.session import Session
from napari_xreg.viewer.detector.overlays import robust_limits
from napari_xreg.viewer.detector.pictures import BLEND_OPACITY, DRR_LOW_SHARE
from napari_xreg.viewer.iterates.axes import axes_between
from napari_xreg.viewer.iterates.path import IteratePath
from napari_xreg.viewer.iterates.record import IterateRecord
from napari_xreg.viewer.iterates.stack import PictureStack
from napari_xreg.viewer.layer_shelf import LayerShelf

PICTURE_SECONDS, PATH_SECONDS = 0.06, 1.5
"""Shortest time between two repaints while iterates come in."""


class IterateLayers:
    """Shows a refinement while it runs, and lets one scrub through it afterwards.

    While iterates come in the viewer follows the newest, until somebody looks at an earlier one.
    Several can stand side by side in one viewer, under different names.

    Parameters
    ----------
    viewer
        The user's own; the layers are added to its list.
    session
        For the isocenter, the landmarks and the C-arm.
    name
        Added to the layers' names, to tell results apart.
    """

    scrubbed = Signal(object)
    """An `Iterate`: the user looks at another one, by the slider, a click on the path, or `go`."""

    def __init__(self, viewer: ViewerModel, session: Session, *, name: str = "") -> None:
        self.viewer = viewer
        self.session = session
        suffix = f" ({name})" if name else ""
        self._role = f"iterations{suffix}"
        self._shelf = LayerShelf(viewer, (self._role, f"path on the radiograph{suffix}"))
        self._path = IteratePath(self._shelf, f"path on the radiograph{suffix}", self._on_path)
        self._record: IterateRecord | None = None
        self._stack = PictureStack((1, 1), 1)
        self._scale = (1.0, 1.0)
        self._at = -1
        self._following = True
        self._painting = False
        self._fitted_level = -1
        self._said = False
        self._painted = self._path_painted = 0.0
        viewer.dims.events.point.connect(self._on_slider)
        for event in (viewer.layers.events.inserted, viewer.layers.events.removed):
            self._shelf.listen(event, self._on_layers)

    # ------------------------------------------------------------------ filling

    def begin(
        self,
        shape: tuple[int, int],
        scale: tuple[float, float],
        expected: int,
        *,
        radiograph: str | None = None,
    ) -> None:
        """Get ready for a refinement; what was there goes.

        Parameters
        ----------
        shape
            Rows and columns of the stack; pictures of coarser levels are enlarged to it.
        scale
            Spacing of its pixels on the detector (row, column), mm.
        expected
            How many iterates may come; memory is set aside for so many pictures, up to a limit.
        radiograph
            `Exposure.id` of the one whose pose the iterates carry; None: the active one.

        Raises
        ------
        ValueError
            If there is no such radiograph.
        """
        exposure = self.session.exposures.find(radiograph)
        if radiograph is None:
            exposure = self.session.exposures.active
        if exposure is None:
            raise ValueError("iterations are shown over a radiograph: load one first")
        isocenter = self.session.patient.isocenter.double()
        marks = [mark.position for mark in self.session.landmarks.all]
        tracked = torch.tensor(marks, dtype=torch.float64) if marks else isocenter[None]
        self._record = IterateRecord(exposure.radiograph.carm, isocenter, tracked)
        self._stack, self._scale = PictureStack(shape, expected), scale
        self._at, self._following, self._fitted_level, self._said = -1, True, -1, False
        self._painted, self._path_painted = 0.0, time.perf_counter()
        # Layers take a few hundred milliseconds to make: now, not between two iterates.
        self._paint_stack(self._record)
        self._path.paint(self._record, self._at)

    def append(self, iterate: Iterate, image: Float[ndarray, "rows columns"] | None = None) -> None:
        """One more iterate; repaints only so often, so it may be called at any rate.

        Parameters
        ----------
        iterate
            Its own image, if it has one, is used where `image` is None, and is not kept.
        image
            The DRR.

        Raises
        ------
        RuntimeError
            Before `begin`.
        """
        self._add(iterate, image)
        self._paint_if_due()

    def extend(self, iterates: Iterable[Iterate]) -> None:
        """Several at once; painted at most once."""
        for iterate in iterates:
            self._add(iterate, None)
        self._paint_if_due()

    def _add(self, iterate: Iterate, image: Float[ndarray, "rows columns"] | None) -> None:
        if self._record is None:
            raise RuntimeError("begin comes before append")
        if image is None and iterate.image is not None:
            image = iterate.image.detach().cpu().numpy()
        self._record.append(iterate)
        self._stack.append(image)

    def _paint_if_due(self) -> None:
        if self._record is None:
            return
        now = time.perf_counter()
        if now - self._painted > PICTURE_SECONDS:
            self._paint_stack(self._record)
            self._painted = time.perf_counter()
        if now - self._path_painted > PATH_SECONDS:
            self._path.paint(self._record, self._at)
            self._path_painted = time.perf_counter()

    def finish(self, registration: Registration | None = None) -> None:
        """The refinement is over: what was not appended is added, and everything is painted."""
        if self._record is None:
            return
        if registration is not None:
            known = {iterate.index for iterate in self._record.iterates}
            self.extend(it for it in registration.trajectory if it.index not in known)
        if not len(self._record):
            return
        self._paint_stack(self._record)
        self._path.paint(self._record, self._at)
        if registration is not None:
            self._path.describe(
                {
                    "status": registration.status.name,
                    "simulated": registration.simulated,
                    "notes": list(registration.notes),
                }
            )

    def next_without_picture(self) -> int | None:
        """Of the iterates that came without, the nearest to the one looked at; None: all have one."""
        return min(self._stack.pending, key=lambda number: abs(number - self._at), default=None)

    def fill(self, number: int, image: Float[ndarray, "rows columns"]) -> None:
        """The picture of an iterate, by its place in the order, that came without one."""
        self._stack.fill(number, image)
        layer = self._shelf.get(self._role)
        if layer is None or self._record is None:
            return
        if self._fitted_level < 0:
            self._fit_contrast(layer, self._record, number)
        if number == self._at - self._at % self._stack.every:
            layer.refresh(extent=False)

    def sharing(self, registration: Registration) -> Registration:
        """The registration with the stack's pictures for its own: memory holds each once.

        Those of coarser levels are then as large as the stack's, and those that the stack gave up
        are gone.
        """
        numbers = {it.index: number for number, it in enumerate(self.iterates)}

        def shared(iterate: Iterate) -> Iterate:
            if iterate.image is None or iterate.index not in numbers:
                return iterate
            frame = self._stack.frame(numbers[iterate.index])
            return replace(iterate, image=None if frame is None else torch.from_numpy(frame))

        return replace(registration, trajectory=tuple(map(shared, registration.trajectory)))

    # ------------------------------------------------------------------ reading

    @property
    def iterates(self) -> Sequence[Iterate]:
        """All, in order, without their images."""
        return () if self._record is None else tuple(self._record.iterates)

    def current(self) -> Iterate | None:
        """The iterate that is shown; None before the first."""
        if self._record is None or not 0 <= self._at < len(self._record):
            return None
        return self._record.iterates[self._at]

    def go(self, number: int) -> None:
        """Show an iterate by its place in the order; -1: the last."""
        if self._record is None or not len(self._record):
            return
        number = range(len(self._record))[number]
        self._following = number == len(self._record) - 1
        self._move_slider(number)
        self._arrive(number)

    def columns(self) -> dict[str, ndarray]:
        """The features table as it stands, by name; see `IterateRecord.columns`."""
        return {} if self._record is None else self._record.columns()

    def hide(self) -> None:
        """Switch the layers off until `unhide`: something else matters now."""
        for role in self._shelf.roles:
            self._shelf.hide(role)

    def unhide(self) -> None:
        """Take a `hide` back; what the user switched off stays off."""
        for role in self._shelf.roles:
            self._shelf.unhide(role)

    def forget(self) -> None:
        """Nothing to show any more: the layers go, and the viewer's iteration slider with them."""
        self._record, self._at = None, -1
        self._shelf.remove_all()

    def close(self, *, remove_layers: bool = False) -> None:
        """Listen no longer; the layers stay unless asked otherwise."""
        self.viewer.dims.events.point.disconnect(self._on_slider)
        self._shelf.deafen()
        if remove_layers:
            self._shelf.remove_all()

    # ------------------------------------------------------------------ painting

    def _paint_stack(self, record: IterateRecord) -> None:
        layer = self._shelf.get(self._role)
        self._painting = True
        self._stack.flat = len(axes_between(self.viewer.layers))
        try:
            if layer is None:
                layer = self._shelf.need(self._role, self._make_stack)
            else:
                layer.data = self._stack
            self._place(layer, record)
            if len(record) and (self._following or self._fitted_level < 0):
                self._fit_contrast(layer, record, len(record) - 1)
            if self._following and len(record):
                self._at = len(record) - 1
                self._move_slider(self._at)
        finally:
            self._painting = False
        if self._stack.every > 1 and not self._said:
            self._said = True
            show_info(
                f"The pictures of all iterations do not fit into {self._stack.nbytes // 10**6} MB: "
                f"one of {self._stack.every} is kept. Every loss and every pose is."
            )

    def _place(self, layer: Layer, record: IterateRecord) -> None:
        """Over the detector, and all along the axes that other layers have besides."""
        between = axes_between(self.viewer.layers)
        self._stack.flat = len(between)
        if layer.ndim != self._stack.ndim:
            layer.data = self._stack
        units = ("dimensionless", *map(str, between.units), "millimeter", "millimeter")
        if tuple(map(str, layer.units)) != units:
            layer.units = units
        labels = ("iteration", *between.labels, "row", "column")
        if layer.axis_labels != labels:
            layer.axis_labels = labels
        # Frames of every k-th iterate lie k apart; a coarser pixel's centre is further in.
        fine = record.carm.detector.spacing
        shift = [(mine - theirs) / 2 for mine, theirs in zip(self._scale, fine, strict=True)]
        scale = (float(self._stack.every), *between.scale, *self._scale)
        translate = (0.0, *between.translate, *shift)
        if not np.allclose(layer.scale, scale, rtol=1e-9, atol=0):
            layer.scale = scale
        if not np.allclose(layer.translate, translate, rtol=1e-9, atol=1e-9):
            layer.translate = translate

    def _fit_contrast(self, layer: Layer, record: IterateRecord, number: int) -> None:
        """A coarser level averages the brightest bone away: each has its own range."""
        level = record.iterates[number].level
        frame = self._stack.frame(number - number % self._stack.every)
        if frame is not None and level != self._fitted_level and frame.max() > frame.min():
            layer.contrast_limits = robust_limits(frame, low_share=DRR_LOW_SHARE)
            self._fitted_level = level

    def _make_stack(self) -> Image:
        return Image(
            self._stack,
            colormap="bop orange",
            blending="additive",
            opacity=BLEND_OPACITY,
            contrast_limits=(0.0, 1.0),
            units=("dimensionless", *("mm",) * (self._stack.ndim - 1)),
        )

    # ------------------------------------------------------------------ scrubbing

    def _axis(self) -> int:
        """Of the viewer, that counts iterations; negative where there is none."""
        return int(self.viewer.dims.ndim) - self._stack.ndim

    def _on_layers(self, event: Any = None) -> None:
        """A CT came, or went: the iterations keep a slider of their own."""
        layer = self._shelf.get(self._role)
        if layer is None or self._record is None or self._painting:
            return
        self._painting = True
        try:
            self._place(layer, self._record)
            if self._at >= 0:
                self._move_slider(self._at)
        finally:
            self._painting = False

    def _move_slider(self, number: int) -> None:
        if self._axis() >= 0 and self._shelf.get(self._role) is not None:
            was, self._painting = self._painting, True
            try:
                self.viewer.dims.set_point(self._axis(), float(number))
            finally:
                self._painting = was

    def _on_slider(self, event: Any = None) -> None:
        layer = self._shelf.get(self._role)
        if self._painting or layer is None or not layer.visible or self._record is None:
            return
        if self._axis() < 0 or not len(self._record):
            return
        number = round(float(self.viewer.dims.point[self._axis()]))
        number = min(max(number, 0), len(self._record) - 1)
        self._following = number >= len(self._record) - self._stack.every
        self._arrive(number)

    def _on_path(self, number: int) -> None:
        if number != self._at:
            self.go(number)

    def _arrive(self, number: int) -> None:
        """The user looks at this one."""
        if number == self._at or self._record is None:
            return
        self._at = number
        layer = self._shelf.get(self._role)
        if layer is not None:
            self._fit_contrast(layer, self._record, number)
        self._path.mark(self._record, number)
        self.scrubbed.emit(self._record.iterates[number])
