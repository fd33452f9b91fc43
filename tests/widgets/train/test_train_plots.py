"""The pictures of a training, without napari."""

import math
from dataclasses import replace

import numpy as np
import pytest
from train_parts import ToyRecipe

from napari_xreg.training import Cloud, ErrorsByDirection, Step, Validation
from napari_xreg.widgets.train.plots import TrainPlots, running_mean, split
from napari_xreg.workflows import RECIPES


def step(index, seconds, error=5.0):
    return Step(index, {"loss": 8.0 / index, "median_error_mm": error}, 1e-3, seconds)


def validation(index, seconds, missed, best):
    scores = {"score": missed, "median_error_mm": missed, "median_mtre_mm": 3 * missed}
    return Validation(index, seconds, scores, best)


@pytest.fixture
def plots(qtbot):
    plots = TrainPlots()
    qtbot.addWidget(plots)
    plots.begin(ToyRecipe())
    return plots


def test_curves_over_minutes_and_the_best_is_marked(plots):
    plots.append([step(1, 30.0), step(2, 60.0, math.nan), validation(2, 66.0, 12.0, True)])
    plots.append([step(3, 90.0), validation(3, 96.0, 9.0, True), validation(4, 126.0, 10.0, False)])
    x, y = plots.loss.curves["each step"]
    assert x.tolist() == [30.0, 60.0, 90.0]
    assert y == pytest.approx([8.0, 4.0, 8 / 3])
    errors = plots.errors.curves
    assert errors["validation, median"][1].tolist() == [12.0, 9.0, 10.0]
    assert errors["pose, median mTRE"][1].tolist() == [36.0, 27.0, 30.0]
    assert errors["training, median"][1].tolist() == [5.0, 5.0, 5.0]
    assert [v.tolist() for v in errors["best"]] == [[96.0], [9.0]]
    # What the axis says at 90 seconds is a minute and a half.
    axis = plots.errors._plot.getPlotItem().getAxis("bottom")
    assert axis.tickStrings([90.0], axis.autoSIPrefixScale * axis.scale, 30.0) == ["1.5"]
    assert axis.labelText == "minutes of training"
    # Another training begins with nothing; one that goes on keeps its curves.
    plots.begin(ToyRecipe(), again=True)
    assert len(plots.steps) == 3
    plots.begin(ToyRecipe())
    assert plots.errors.curves == {}
    plots.restore([validation(3, 96.0, 9.0, True)])
    assert plots.errors.curves["validation, median"][0].tolist() == [96.0]


def test_a_long_training_is_drawn_with_few_points_the_newest_among_them(plots):
    plots.append([step(i, 0.5 * i) for i in range(1, 5004)])
    x, _ = plots.loss.curves["each step"]
    assert x.size <= 2000
    assert x[-1] == 0.5 * 5003
    assert len(plots.steps) == 5003


def test_a_running_mean_leaves_out_what_is_no_number():
    values = np.array([2.0, math.nan, 4.0, 9.0])
    assert running_mean(values, 2).tolist() == [2.0, 2.0, 4.0, 6.5]
    assert np.isnan(running_mean(np.array([math.nan]))).all()


@pytest.mark.parametrize("higher", [True, False])
def test_the_cloud_says_whether_it_knows_when_it_is_right(plots, higher):
    said = np.linspace(0, 1, 30)
    error = np.where(said > 0.5, 2.0, 40.0)
    cloud = Cloud(said if higher else -said, error, np.ones(30, bool), "similarity", higher)
    plots.scatter.show_cloud(cloud)
    words = plots.scatter._words.text()
    assert "Median error: 2.0 mm in the third it is surest of, 40.0 mm" in words
    assert words.startswith("30 visible points")
    # Points outside of the image, and those without a number, are left out.
    counts = np.arange(30) % 2 == 0
    plots.scatter.show_cloud(Cloud(said, np.where(said == 0, np.nan, error), counts, "x"))
    assert plots.scatter._words.text().startswith("14 visible points")
    assert len(plots.scatter._points.getData()[0]) == 14
    plots.scatter.show_cloud(None)
    assert plots.scatter.cloud is None
    assert split(said[:5], error[:5]) == ""


def shown_tabs(plots):
    return [plots.tabText(n) for n in range(plots.count()) if plots.isTabVisible(n)]


class Telling(ToyRecipe):
    """Whose validations say what is in their detail."""

    def picture(self, detail):
        return detail


def test_errors_of_poses_are_drawn_direction_by_direction(plots):
    """Three images: of 1, -3 and 2 degrees half are below 2; of -10, 4 and 30 mm, below 10."""
    plots.begin(Telling())
    assert shown_tabs(plots) == ["Error", "Loss"]  # nothing to show yet
    errors = ErrorsByDirection(
        ("about x", "depth"), ("°", "mm"), np.array([[1.0, -10.0], [-3.0, 4.0], [2.0, 30.0]])
    )
    plots.append([replace(validation(3, 96.0, 9.0, True), detail=errors)])
    assert shown_tabs(plots) == ["Error", "Loss", "By direction"]
    x, y = plots.directions.dots.getData()
    assert x == pytest.approx([-0.3, 0.7, 0.0, 1.0, 0.3, 1.3])
    assert y.tolist() == [1.0, -10.0, -3.0, 4.0, 2.0, 30.0]
    x, y = plots.directions._bars.getData()
    assert x == pytest.approx([-0.3, 0.3, 0.7, 1.3] * 2)
    assert y.tolist() == [2.0, 2.0, 10.0, 10.0, -2.0, -2.0, -10.0, -10.0]
    ticks = plots.directions._plot.getAxis("bottom")._tickLevels
    assert ticks == [[(0, "x °"), (1, "depth mm")]]
    assert plots.directions.words.text().startswith("3 simulated radiographs of the last")
    # What another kind of network says has its own tab.
    cloud = Cloud(np.arange(9.0), np.ones(9), np.ones(9, bool), "similarity")
    plots.append([replace(validation(4, 99.0, 9.0, False), detail=cloud)])
    assert shown_tabs(plots) == ["Error", "Loss", "Certainty"]
    assert plots.directions.dots.getData()[0].size == 0
    plots.begin(ToyRecipe())
    assert shown_tabs(plots) == ["Error", "Loss"]


def test_the_verdict_says_what_to_do_next():
    scores = {"median_error_mm": 4.26, "within_10mm_share": 0.81, "median_mtre_mm": 22.4}
    good = RECIPES["rayemb"]().words(scores)
    assert "half of the visible points are found within 4.3 mm, 81 % within 10 mm" in good
    assert "off by 22 mm (median mTRE)" in good
    assert good.endswith("Next: use it in Points, then refine with several starts.")
    far = RECIPES["rayemb"]().words({**scores, "median_mtre_mm": 31.0})
    assert "Too inaccurate" in far
    assert far.endswith("raise the minutes and resume, or narrow the poses.")
    lost = RECIPES["rayemb"]().words({**scores, "median_mtre_mm": 200.0})
    assert "usually too few to solve" in lost
    assert "200" not in lost
