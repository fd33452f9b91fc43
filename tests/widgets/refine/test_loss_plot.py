"""The curves of a refinement, without napari."""

import numpy as np
import pytest
import torch
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QColor

from napari_xreg.geometry import Pose
from napari_xreg.geometry.carm import CArmPose
from napari_xreg.registration import Iterate
from napari_xreg.widgets.pose.plot import PosePlot
from napari_xreg.widgets.refine.iteration_plot import IterationPlot, joined
from napari_xreg.widgets.refine.loss_plot import LossPlot

POSE = Pose(torch.eye(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64))


def iterate(index, level=0, start=0, loss=None, accepted=True, **terms):
    loss = 0.5 / (index + 1) if loss is None else loss
    return Iterate(index, start, level, POSE, {"loss": loss, **terms}, accepted=accepted)


@pytest.fixture
def plot(qtbot):
    plot = LossPlot()
    qtbot.addWidget(plot)
    plot.resize(300, 220)
    plot.show()
    qtbot.waitExposed(plot)
    return plot


def numbers(plot, side):
    """What an axis shows as numbers."""
    axis = plot._plot.getPlotItem().getAxis(side)
    low, high = axis.range
    ticks = axis.tickValues(low, high, 200) if axis._tickLevels is None else axis._tickLevels
    shown = axis.style["showValues"]
    return [float(v) for _, values in ticks for v in values] if shown else []


def test_an_empty_plot_says_so_and_shows_no_numbers(plot):
    assert plot._legend.text() == "Nothing refined yet: press Refine."
    assert plot._plot.isHidden()
    plot.append([iterate(i) for i in range(3)])
    assert "loss" in plot._legend.text()
    assert "Nothing" not in plot._legend.text()
    assert not plot._plot.isHidden()
    across = numbers(plot, "bottom")
    assert across
    assert all(value == int(value) for value in across)  # no iteration lies between two
    assert numbers(plot, "left")
    plot.clear()
    assert "Nothing refined yet" in plot._legend.text()
    assert plot._plot.isHidden()


def test_one_line_per_term_and_levels_marked(plot):
    plot.append([iterate(i, level=i // 3, intensity=0.3, gradient_rows=0.2) for i in range(7)])
    x, y = plot.curves["loss"]
    assert x.tolist() == [0, 1, 2, 3, 4, 5, 6]
    # Each level begins where the one before ended: 1/6 of level 0, then 1/8 -> 1/6, 1/10, 1/12.
    end = 1 / 6 * (1 / 12) / (1 / 8)
    assert y == pytest.approx([1 / 2, 1 / 4, 1 / 6, 1 / 6, 1 / 6 * 8 / 10, end, end])
    assert set(plot.curves) == {"loss", "intensity", "gradient along rows"}
    assert plot.curves["gradient along rows"][1].tolist() == [0.2] * 7
    assert plot.levels == {0: 0, 1: 3, 2: 6}


def test_losses_arrive_in_pieces(plot):
    together, bit_by_bit = LossPlot(), plot
    every = [iterate(i, intensity=0.4 - 0.01 * i) for i in range(9)]
    together.append(every)
    for one in every:
        bit_by_bit.append([one])
    for name, (x, y) in together.curves.items():
        assert np.array_equal(bit_by_bit.curves[name][0], x)
        assert np.array_equal(bit_by_bit.curves[name][1], y)
    together.deleteLater()


def test_values_that_have_no_logarithm_are_clipped(plot):
    plot.append([iterate(0, loss=0.25), iterate(1, loss=0.0), iterate(2, loss=-3.0)])
    assert plot.curves["loss"][1].tolist() == [0.25, plot.LEAST, plot.LEAST]
    plot.append([iterate(3, loss=float("nan")), iterate(4, loss=0.125)])
    assert plot.curves["loss"][0].tolist() == [0, 1, 2, 4]  # no point where there is no number


def test_a_step_taken_back_is_a_cross_and_no_part_of_the_line(plot):
    plot.append([iterate(0), iterate(1, loss=7.0, accepted=False), iterate(2)])
    assert plot.curves["loss"][0].tolist() == [0, 2]
    assert plot.curves["_taken back"][0].tolist() == [1]
    assert plot.curves["_taken back"][1].tolist() == [7.0]


def test_several_starts_are_lines_of_their_own(plot):
    plot.append([iterate(0, intensity=0.1), iterate(1, intensity=0.1)])
    assert "intensity" in plot.curves
    plot.append([iterate(2, start=1), iterate(3, start=1), iterate(4, start=0, level=1)])
    assert set(plot.curves) == {"start 1", "start 2"}
    assert plot.curves["start 1"][0].tolist() == [0, 1, 4]
    assert plot.curves["start 2"][0].tolist() == [2, 3]
    assert plot.levels == {0: 0, 1: 4}


def test_many_starts_share_eight_curves_and_stay_lines_of_their_own(plot):
    """As they come: all starts of a step, then all of the next."""
    plot.append([iterate(i, start=i) for i in range(20)])
    assert plot._curves["start 3"].opts["symbol"] == "o"  # single points are seen
    plot.append([iterate(20 + i, start=i) for i in range(20)])
    assert set(plot.curves) == {f"start {k}" for k in range(1, 9)}
    x, y = plot.curves["start 3"]
    assert x.tolist() == [2, 22, 10, 30, 18, 38]
    assert y == pytest.approx([1 / (2 * n + 2) for n in x])
    assert plot._curves["start 3"].opts["connect"].tolist() == [1, 0, 1, 0, 1, 1]
    assert plot._curves["start 3"].opts["symbol"] is None
    assert "starts 9 to 20 use the same colours again" in plot._legend.text().replace("&nbsp;", " ")
    assert plot._last == 39
    plot.clear()
    plot.append([iterate(0), iterate(1, start=1)])
    assert "starts 9" not in plot._legend.text().replace("&nbsp;", " ")


def test_a_line_ends_where_level_or_start_changes():
    assert joined([0, 0, 1, 1], [0, 0, 0, 1]).tolist() == [True, False, False, True]


def test_clicking_picks_the_iteration_under_the_mouse(plot, qtbot):
    plot.append([iterate(i) for i in range(11)])
    qtbot.wait(50)
    view = plot._plot
    box = view.getPlotItem().vb
    wanted = box.mapViewToScene(box.viewRect().center()).toPoint()
    expected = round(box.viewRect().center().x())
    with qtbot.waitSignal(plot.picked) as picked:
        qtbot.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(wanted))
    assert picked.args == [expected]
    assert plot.marked == expected


def test_clearing_forgets_everything(plot):
    plot.append([iterate(0), iterate(1, start=1)])
    plot.mark(1)
    plot.clear()
    assert plot.curves == {}
    assert plot.levels == {}
    assert plot.marked is None
    plot.append([iterate(0)])
    assert set(plot.curves) == {"loss"}


def test_the_ink_is_the_themes(plot):
    plot.append([iterate(0), iterate(1)])
    plot.set_ink("#123456")
    assert plot._curves["loss"].opts["pen"].color() == QColor("#123456")


def test_the_pose_is_shown_as_change_in_carm_terms(qtbot):
    plot = PosePlot()
    qtbot.addWidget(plot)
    poses = [
        CArmPose(10.0, 20.0, 3.0, (1.0, 2.0, 4.0)),
        CArmPose(10.5, 18.0, 3.25, (1.5, 0.0, 9.0)),
        CArmPose(99.0, 99.0, 99.0, (99.0, 99.0, 99.0)),
    ]
    plot.append([iterate(0), iterate(1), iterate(2, accepted=False)], poses)
    wanted = {"primary": 0.5, "secondary": -2.0, "roll": 0.25}
    assert {name: y[-1] for name, (_, y) in plot.angles.curves.items()} == pytest.approx(wanted)
    wanted = {"x": 0.5, "y": -2.0, "depth": 5.0}
    assert {name: y[-1] for name, (_, y) in plot.offsets.curves.items()} == pytest.approx(wanted)


def test_an_angle_that_passes_half_a_turn_does_not_jump(qtbot):
    plot = PosePlot()
    qtbot.addWidget(plot)
    plot.append([iterate(0), iterate(1)], [CArmPose(179.0), CArmPose(-179.0)])
    assert plot.angles.curves["primary"][1].tolist() == pytest.approx([0.0, 2.0])


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        (0.11, 0.31, ["0.15", "0.2", "0.25", "0.3"]),
        (0.009, 0.3, ["0.01", "0.1", "0.02", "0.05", "0.2"]),
        (1e-8, 1.0, ["1e-08", "1e-06", "0.0001", "0.01", "1"]),
    ],
)
def test_the_numbers_of_a_logarithmic_axis_have_room(qtbot, low, high, words):
    plot = IterationPlot("loss", log=True)
    qtbot.addWidget(plot)
    axis = plot._plot.getPlotItem().getAxis("left")
    ((spacing, values),) = axis.logTickValues(np.log10(low), np.log10(high), 130.0, [])
    assert axis.logTickStrings(values, 1.0, spacing) == words
