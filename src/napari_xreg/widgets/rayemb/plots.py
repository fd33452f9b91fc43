"""Pictures beside RayEmb's heatmap: similarity against error, and the templates of a point."""

import numpy as np
from jaxtyping import Bool, Float
from numpy import ndarray
from qtpy.QtCore import QEvent, QSize
from qtpy.QtGui import QPalette
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_xreg.rayemb import PreparedNetwork
from napari_xreg.viewer import robust_limits
from napari_xreg.widgets.parts.small_print import SmallPrint
from napari_xreg.workflows import Heatmaps

import pyqtgraph as pg  # isort: skip  # after qtpy: it takes the binding that is loaded

IN_COLOUR, OUT_COLOUR, MARK = "#56B4E9", "#E69F00", "#7dffb0"
COLUMNS = 2
"""Thumbnails side by side."""


class _Canvas(pg.GraphicsLayoutWidget):  # type: ignore[misc]
    """pyqtgraph asks for 640 x 480 pixels; a dock is narrower."""

    def sizeHint(self) -> QSize:
        return QSize(240, 200)


class ScatterPlot(QWidget):
    """Similarity against error, as in Fig. 5 of Shrestha et al. 2024."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.canvas = _Canvas()
        self.plot = self.canvas.addPlot()
        self.plot.setMenuEnabled(False)
        self.plot.hideButtons()
        self.plot.setMouseEnabled(False, False)
        self.plot.setLabel("bottom", "similarity")
        self.plot.setLabel("left", "error (mm)")
        for side in ("left", "bottom"):
            self.plot.getAxis(side).enableAutoSIPrefix(False)
        self.inside = pg.ScatterPlotItem(size=5, pen=None, brush=IN_COLOUR)
        self.outside = pg.ScatterPlotItem(size=5, pen=None, brush=OUT_COLOUR, symbol="t")
        self.plot.addItem(self.outside)
        self.plot.addItem(self.inside)
        self.words = SmallPrint()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 0)
        layout.addWidget(self.canvas, 1)
        layout.addWidget(self.words)
        self._dress()

    def show_errors(
        self,
        similarity: Float[ndarray, "n"],
        error_mm: Float[ndarray, "n"],
        truly_inside: Bool[ndarray, "n"],
        why_not: str = "",
    ) -> None:
        """Points of the list; `why_not` says why there are none."""
        known = np.isfinite(similarity) & np.isfinite(error_mm)
        for item, which in ((self.inside, truly_inside), (self.outside, ~truly_inside)):
            item.setData(similarity[known & which], error_mm[known & which])
        self.plot.autoRange()
        if why_not or not known.any():
            self.words.setText(why_not or "No points in the list.")
            return
        count = int((known & truly_inside).sum())
        words = f"{count} points in the image (blue)"
        if count:
            words += f", median error {np.median(error_mm[known & truly_inside]):.1f} mm"
        beside = int((known & ~truly_inside).sum())
        if beside:
            words += f"; {beside} truly outside of it (orange)"
        self.words.setText(f"{words}. Errors in mm at the isocenter, on a simulated radiograph.")

    def changeEvent(self, event: QEvent | None) -> None:
        """Another theme."""
        super().changeEvent(event)
        if hasattr(self, "plot"):
            self._dress()

    def _dress(self) -> None:
        palette = self.palette()
        ink = palette.color(QPalette.ColorRole.WindowText)
        self.canvas.setBackground(palette.color(QPalette.ColorRole.Window))
        for side in ("left", "bottom"):
            self.plot.getAxis(side).setPen(ink)
            self.plot.getAxis(side).setTextPen(ink)


class TemplateStrip(QWidget):
    """The templates that span the subspace of a point, its projection marked in each."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.canvas = _Canvas()
        self.canvas.ci.layout.setContentsMargins(0, 0, 0, 0)
        self.canvas.ci.layout.setSpacing(2)
        self.canvas.setToolTip(
            "DRRs of the CT at known poses by which this point is recognised; the cross is its "
            "projection. Primary and secondary angle in degrees."
        )
        self.words = SmallPrint()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 4, 0, 0)
        layout.addWidget(self.canvas, 1)
        layout.addWidget(self.words)
        self.pictures: list[pg.ImageItem] = []
        self.marks: list[pg.ScatterPlotItem] = []
        self._titles: list[pg.LabelItem] = []
        self._shown: tuple[object, tuple[int, ...]] | None = None
        self._dress()

    def show_point(self, prepared: PreparedNetwork | None, heatmap: Heatmaps | None) -> None:
        """Of a point; None: of none."""
        if prepared is None or heatmap is None:
            self.canvas.clear()
            self.pictures, self.marks, self._titles, self._shown = [], [], [], None
            self.words.setText("Choose a point first.")
            return
        maps = heatmap.maps
        chosen = tuple(maps.templates[0].tolist())
        if self._shown is None or self._shown != (prepared.templates, chosen):
            self._lay_out(prepared, chosen)
            self._shown = (prepared.templates, chosen)
        hidden = 0
        for mark, seen, at in zip(
            self.marks, maps.seen[0].tolist(), maps.template_pixels[0].tolist(), strict=True
        ):
            mark.setData([at[1]], [at[0]])
            mark.setVisible(bool(seen))
            hidden += not seen
        words = f"{len(chosen)} of {len(prepared.templates)} reference views"
        if hidden:
            words += f"; {hidden} of them do not see the point"
        self.words.setText(f"{words}.")

    def _lay_out(self, prepared: PreparedNetwork, chosen: tuple[int, ...]) -> None:
        self.canvas.clear()
        self.pictures, self.marks, self._titles = [], [], []
        carm, center = prepared.templates.carm, prepared.volume.center.double().cpu()
        for place, number in enumerate(chosen):
            picture = prepared.templates.images[number].detach().cpu().numpy().astype(np.float32)
            terms = carm.carm_pose(prepared.templates.poses[number], center)
            # Adding zero makes a zero of -0.0.
            primary, secondary = (round(v) + 0 for v in (terms.primary_deg, terms.secondary_deg))
            title = self.canvas.addLabel(
                f"{primary}°, {secondary}°", row=2 * (place // COLUMNS), col=place % COLUMNS
            )
            plot = self.canvas.addViewBox(
                row=2 * (place // COLUMNS) + 1,
                col=place % COLUMNS,
                lockAspect=True,
                invertY=True,
                enableMouse=False,
                enableMenu=False,
            )
            image = pg.ImageItem(picture, axisOrder="row-major")
            image.setLevels(robust_limits(picture, np.ones(picture.shape, bool)))
            # Integer is the centre of a pixel here, its corner in pyqtgraph.
            rows, columns = picture.shape
            image.setRect(-0.5, -0.5, columns, rows)
            mark = pg.ScatterPlotItem(symbol="+", size=13, pen=pg.mkPen(MARK, width=2))
            plot.addItem(image)
            plot.addItem(mark)
            plot.setRange(xRange=(-0.5, columns - 0.5), yRange=(-0.5, rows - 0.5), padding=0.02)
            self.pictures.append(image)
            self.marks.append(mark)
            self._titles.append(title)
        self._dress()

    def changeEvent(self, event: QEvent | None) -> None:
        """Another theme."""
        super().changeEvent(event)
        if hasattr(self, "canvas"):
            self._dress()

    def _dress(self) -> None:
        palette = self.palette()
        ink = palette.color(QPalette.ColorRole.WindowText)
        self.canvas.setBackground(palette.color(QPalette.ColorRole.Window))
        for title in self._titles:
            title.setText(title.text, color=ink.name(), size="8pt")
