"""The pose of a refinement in C-arm terms, iteration by iteration."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_xreg.geometry import CARM_PARAMETERS, CArmPose
from napari_xreg.registration import Iterate
from napari_xreg.widgets.refine.iteration_plot import NOTHING_YET, IterationPlot, cycle, joined


class PosePlot(QWidget):
    """How far each C-arm parameter has moved from where the refinement started."""

    picked = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.angles = IterationPlot("change, °", empty=NOTHING_YET)
        self.offsets = IterationPlot("change, mm", empty="")
        self.angles.setToolTip(
            "Angles of the C-arm less those at the start, degrees (DICOM: primary + LAO, "
            "secondary + cranial).\nClick or drag to look at an iteration."
        )
        self.offsets.setToolTip(
            "Offset of the C-arm from the isocenter less that at the start, mm, along the camera "
            "axes\n(depth: away from the source). Click or drag to look at an iteration."
        )
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        for plot, other in ((self.angles, self.offsets), (self.offsets, self.angles)):
            layout.addWidget(plot, 1)
            plot.picked.connect(self.picked)
            plot.picked.connect(other.mark)
        self._iterates: list[Iterate] = []
        self._rows: list[tuple[float, ...]] = []
        self._origin: tuple[float, ...] | None = None

    def clear(self) -> None:
        """Nothing is shown."""
        self._iterates, self._rows, self._origin = [], [], None
        self.angles.clear()
        self.offsets.clear()

    def append(self, iterates: Sequence[Iterate], poses: Sequence[CArmPose]) -> None:
        """Add iterates with their poses; changes are counted from the very first."""
        for iterate, pose in zip(iterates, poses, strict=True):
            row = (pose.primary_deg, pose.secondary_deg, pose.roll_deg, *pose.offset_mm)
            if self._origin is None:
                self._origin = row
            self.angles.mark_level(iterate.level, iterate.index)
            self.offsets.mark_level(iterate.level, iterate.index)
            if iterate.accepted:
                self._iterates.append(iterate)
                self._rows.append(row)
        if not self._rows:
            return
        change = np.array(self._rows) - np.array(self._origin)
        change[:, :3] = (change[:, :3] + 180.0) % 360.0 - 180.0
        x = [it.index for it in self._iterates]
        together = joined([it.start for it in self._iterates])
        for column, name in enumerate(CARM_PARAMETERS):
            plot = self.angles if column < 3 else self.offsets
            values: npt.NDArray[np.float64] = change[:, column]
            plot.set_curve(name, x, values, colour=cycle(column % 3), connect=together)

    def mark(self, iteration: int | None) -> None:
        """Put the cursors on an iteration."""
        self.angles.mark(iteration)
        self.offsets.mark(iteration)
