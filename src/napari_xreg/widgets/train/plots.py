"""A training as pictures: loss, errors over time, and what the network says against its errors."""

from collections.abc import Sequence

import numpy as np
from qtpy.QtCore import QEvent
from qtpy.QtGui import QColor, QPalette
from qtpy.QtWidgets import QLabel, QTabWidget, QVBoxLayout, QWidget

import pyqtgraph as pg  # isort: skip  # after qtpy: it takes the binding that is loaded

from napari_xreg.training import Cloud, ErrorsByDirection, Recipe, Step, Validation
from napari_xreg.widgets.refine.iteration_plot import Array, Axes, Decades, IterationPlot, cycle
from napari_xreg.widgets.train.directions import DirectionsPlot

_MOST_POINTS = 2500
_MOST_STEPS = 2000
_RAW = "#8C8C8C"
_BEST = "best"


class TrainPlots(QTabWidget):
    """Loss, errors and scatter of one training at a time."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.loss = IterationPlot("loss", across="minutes of training", per=60.0)
        self.loss.setToolTip(
            "What is minimised, step by step, and its running mean; dimensionless."
        )
        self.errors = IterationPlot("error (mm)", log=True, across="minutes of training", per=60.0)
        self.errors.setToolTip(
            "Errors in mm, logarithmic. Training: on the images it learns from. Validation and pose:\n"
            "on simulated radiographs that it does not learn from. × are the best weights so far."
        )
        self.scatter = ScatterPlot()
        self.addTab(self.errors, "Error")
        self.addTab(self.loss, "Loss")
        self.addTab(self.scatter, "Certainty")
        self.directions = DirectionsPlot()
        self.addTab(self.directions, "By direction")
        self._show(None)
        self.setMinimumHeight(230)
        self._recipe: Recipe | None = None
        self._steps: list[Step] = []
        self._validations: list[Validation] = []

    @property
    def steps(self) -> Sequence[Step]:
        """All that were shown."""
        return tuple(self._steps)

    @property
    def validations(self) -> Sequence[Validation]:
        """All that were shown."""
        return tuple(self._validations)

    def begin(self, recipe: Recipe, *, again: bool = False) -> None:
        """Another training; or the same goes on, and its curves stay."""
        self._recipe = recipe
        if not again:
            self._steps, self._validations = [], []
            for plot in (self.loss, self.errors):
                plot.clear()
            self._show(None)

    def restore(self, validations: Sequence[Validation]) -> None:
        """Validations of the sessions before, from a file."""
        self._validations = list(validations)
        self._draw_errors()

    def append(self, events: Sequence[Step | Validation]) -> None:
        """Draw what is new."""
        steps = [event for event in events if isinstance(event, Step)]
        validations = [event for event in events if isinstance(event, Validation)]
        self._steps.extend(steps)
        self._validations.extend(validations)
        if steps:
            self._draw_loss()
        if steps or validations:
            self._draw_errors()
        if validations and self._recipe is not None:
            self._show(self._recipe.picture(validations[-1].detail))

    def _show(self, picture: Cloud | ErrorsByDirection | None) -> None:
        """Of the last validation; a tab that has nothing to show is not there."""
        cloud = picture if isinstance(picture, Cloud) else None
        errors = picture if isinstance(picture, ErrorsByDirection) else None
        self.scatter.show_cloud(cloud)
        self.directions.show_errors(errors)
        for plot, there in ((self.scatter, cloud), (self.directions, errors)):
            self.setTabVisible(self.indexOf(plot), there is not None)

    def _draw_loss(self) -> None:
        x, y, mean = self._curve("loss")
        self.loss.set_curve("each step", x, y, colour=_RAW, width=0.7)
        self.loss.set_curve("mean", x, mean, colour=None, width=2.0)

    def _curve(self, key: str) -> tuple[Array, Array, Array]:
        """Seconds, a loss, and its running mean: as many points as can be told apart."""
        every = -(-max(1, len(self._steps)) // _MOST_STEPS)
        x = np.array([step.seconds for step in self._steps])
        y = np.array([step.losses.get(key, np.nan) for step in self._steps])
        last = (len(self._steps) - 1) % every  # the newest is always drawn
        return x[last::every], y[last::every], running_mean(y)[last::every]

    def _draw_errors(self) -> None:
        recipe = self._recipe
        if recipe is None:
            return
        for index, (key, name) in enumerate(recipe.step_errors.items()):
            if self._steps:
                seconds, _, mean = self._curve(key)
                self.errors.set_curve(name, seconds, mean, colour=cycle(index), width=1.0)
        x = [v.seconds for v in self._validations]
        first = len(recipe.step_errors)
        for index, (key, name) in enumerate(recipe.scores.items()):
            measured = [v.scores.get(key, np.nan) for v in self._validations]
            if x:
                self.errors.set_curve(name, x, measured, colour=cycle(first + index), width=2.0)
        best = [v for v in self._validations if v.best]
        if best:
            key = next(iter(recipe.scores))
            last = best[-1]
            self.errors.set_curve(
                _BEST, [last.seconds], [last.scores.get(key, np.nan)], colour=None, points=True,
                width=2.0,
            )  # fmt: skip


class ScatterPlot(QWidget):
    """What the network says about a point against how wrong it is."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._cloud: Cloud | None = None
        self._ink = QColor()
        self._words = QLabel()
        self._words.setWordWrap(True)
        self._plot = Axes(axisItems={"left": Decades("left")})
        item = self._plot.getPlotItem()
        item.hideButtons()
        item.setMenuEnabled(False)
        item.setMouseEnabled(False, False)
        item.setLogMode(y=True)
        item.setLabel("left", "error (mm)")
        for side in ("left", "bottom"):
            item.getAxis(side).enableAutoSIPrefix(False)
        self._points = pg.ScatterPlotItem(size=3, pen=None, brush=pg.mkBrush(86, 180, 233, 150))
        item.addItem(self._points)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self._words)
        layout.addWidget(self._plot, 1)
        self._retheme()
        self.show_cloud(None)

    @property
    def cloud(self) -> Cloud | None:
        """What is shown."""
        return self._cloud

    def show_cloud(self, cloud: Cloud | None) -> None:
        """Show this; None: nothing yet."""
        self._cloud = cloud
        self._plot.setVisible(cloud is not None)
        if cloud is None:
            self._words.setText("")
            self._points.setData(x=[], y=[])
            return
        use = cloud.counts & np.isfinite(cloud.error_mm) & np.isfinite(cloud.said)
        said, error = cloud.said[use], np.maximum(cloud.error_mm[use], 0.1)
        every = max(1, said.size // _MOST_POINTS)
        self._points.setData(x=said[::every], y=np.log10(error[::every]))
        self._plot.getPlotItem().setLabel("bottom", cloud.label, color=self._ink.name())
        self._words.setText(
            f"{said.size} visible points of the last validation. {split(said if cloud.surer_is_higher else -said, error)}"
        )

    def changeEvent(self, event: QEvent | None) -> None:
        """A theme arrives as another style or palette."""
        super().changeEvent(event)
        kinds = (QEvent.Type.PaletteChange, QEvent.Type.StyleChange)
        if event is not None and event.type() in kinds and hasattr(self, "_points"):
            self._retheme()

    def _retheme(self) -> None:
        self._plot.setBackground(None)
        self._ink = self.palette().color(QPalette.ColorRole.WindowText)
        item = self._plot.getPlotItem()
        for side in ("left", "bottom"):
            axis = item.getAxis(side)
            axis.setPen(self._ink)
            axis.setTextPen(self._ink)
            axis.setLabel(axis.labelText, color=self._ink.name())


def split(said: Array, error: Array) -> str:
    """Whether it knows when it is right: errors of the surest and of the least sure third."""
    if said.size < 9:
        return ""
    order = np.argsort(said)
    third = said.size // 3
    sure, unsure = np.median(error[order[-third:]]), np.median(error[order[:third]])
    return (
        f"Median error: {sure:.1f} mm in the third it is surest of, {unsure:.1f} mm in the third it "
        "is least sure of."
    )


def running_mean(values: Array, window: int = 25) -> Array:
    """Of the last few values, those that are not finite left out."""
    finite = np.isfinite(values)
    total = np.concatenate([[0.0], np.cumsum(np.where(finite, values, 0.0))])
    count = np.concatenate([[0], np.cumsum(finite)])
    end = np.arange(1, values.size + 1)
    begin = np.maximum(end - window, 0)
    found = count[end] - count[begin]
    mean = np.full(values.size, np.nan)
    np.divide(total[end] - total[begin], found, out=mean, where=found > 0)
    return mean
