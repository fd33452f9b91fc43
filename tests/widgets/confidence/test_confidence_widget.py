"""The Confidence widget, with covariances that were made up and so are known."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from qtpy.QtCore import QPoint, Qt
from qtpy.QtWidgets import QScrollArea

from napari_xreg.geometry.carm import twists_of_carm_parameters
from napari_xreg.registration import CAUTION, COLORS, Registration, Status
from napari_xreg.widgets.confidence.widget import ConfidenceWidget
from napari_xreg.workflows import CALIBRATION_WORDS, confidence_of

DEVIATIONS = (1.5, 0.5, 0.25, 1.25, 0.75, 4.0)  # degrees, mm
REPOSITORY = Path(__file__).resolve().parents[3]


def _covariance(session, deviations=DEVIATIONS, correlation=0.0):
    """Of the twist about the isocenter, from deviations of the C-arm's parameters."""
    exposure = session.exposures.active
    pose = exposure.world_from_camera
    terms = exposure.radiograph.carm.carm_pose(pose, session.patient.isocenter)
    twists = twists_of_carm_parameters(pose, terms)
    wanted = np.diag(np.square(deviations))
    wanted[0, 3] = wanted[3, 0] = correlation * deviations[0] * deviations[3]
    units = np.diag([math.pi / 180] * 3 + [1.0] * 3)
    inner = torch.from_numpy(units @ wanted @ units)
    return twists @ inner @ twists.mT


def _add(session, covariance, *, status=Status.CONVERGED, notes=(), scale=None):
    pose = session.poses.current
    registration = Registration(
        pose, status, {"loss": 0.1}, (), session.patient.isocenter, covariance, (pose,),
        simulated=True, notes=notes, scale=scale,
    )  # fmt: skip
    return session.results.add(registration, [session.exposures.active.id], {})


def found_of(session, number):
    carm = session.exposures.active.radiograph.carm
    return confidence_of(session.results.all[number].registration, carm, session.landmarks.all)


def test_deviations_correlations_and_the_weakest_direction(bench):
    session = bench.session
    _add(session, _covariance(session, correlation=0.8))
    found = found_of(session, 0)
    assert found.deviations == pytest.approx(DEVIATIONS)
    wanted = np.eye(6)
    wanted[0, 3] = wanted[3, 0] = 0.8
    assert found.correlations == pytest.approx(wanted, abs=1e-9)
    # 1.5 degrees move a point at 100 mm by 2.6 mm, less than the 4 mm of depth
    assert found.weakest.startswith("depth (standard deviation 4.00 mm")
    _add(session, _covariance(session, (3.0, *DEVIATIONS[1:])))
    assert found_of(session, 1).weakest.startswith("primary (")


def test_a_shift_moves_every_landmark_alike(bench):
    session = bench.session
    covariance = torch.zeros(6, 6, dtype=torch.float64)
    covariance[3:, 3:] = 0.49 * torch.eye(3, dtype=torch.float64)
    _add(session, covariance)
    found = found_of(session, 0)
    assert found.target_error_mm == pytest.approx(0.7 * math.sqrt(3))
    assert list(found.landmarks) == [mark.name for mark in session.landmarks.all]
    assert found.depth_share == pytest.approx(1 / 3)
    # A turn about an axis through the isocenter moves each by its distance from that axis.
    covariance = torch.zeros(6, 6, dtype=torch.float64)
    covariance[2, 2] = 0.02**2
    _add(session, covariance)
    turned = found_of(session, 1)
    x, y, _ = session.patient.isocenter.tolist()
    for mark in session.landmarks.all:
        arm = math.hypot(mark.position[0] - x, mark.position[1] - y)
        assert turned.landmarks[mark.name] == pytest.approx(0.02 * arm)
    # A CT that is 1 % too large, seen once: each lies 1 % farther from the source than it should.
    source, middle = session.poses.current.translation, session.patient.isocenter
    scale = torch.cat([torch.zeros(3), 0.01 * (source - middle)]).double()
    _add(session, scale.outer(scale), scale=scale)
    for mark in session.landmarks.all:
        away = math.dist(mark.position, source.tolist())
        assert found_of(session, 2).landmarks[mark.name] == pytest.approx(0.01 * away)


def test_deviations_of_what_is_not_trusted_come_with_a_caution(bench, viewer, qtbot):
    widget = ConfidenceWidget(viewer)
    qtbot.addWidget(widget)
    assert widget.caution.words == ""
    _add(bench.session, _covariance(bench.session), status=Status.NOT_TRUSTED)
    assert widget.caution.words == CAUTION
    assert COLORS[False] in widget.caution.styleSheet()
    _add(bench.session, _covariance(bench.session))
    assert widget.caution.words == ""


def test_the_words_on_calibration_are_those_of_the_decision():
    page = (REPOSITORY / "docs/decisions/0005-calibrated-covariance.md").read_text()
    table = {
        line.split("|")[1].strip(): line.split("|")[2:] for line in page.splitlines() if "|" in line
    }
    count, _, _, image, space = (cell.strip() for cell in table["all"][:5])
    said = CALIBRATION_WORDS
    names = ("pelvis", "skull", "chest", "hip", "knee", "phantom")
    of_each = [row[4].strip() for name, row in table.items() if name.startswith(names)]
    assert len(of_each) == 6
    worst = min(of_each, key=lambda cell: [int(share) for share in reversed(cell.split(", "))])
    assert f"{count} trusted results" in said
    for cell, words in (
        (image, "the 50 % ellipses held {} % of the landmarks and the 95 % ellipses {} %"),
        (space, "in space {} % and {} %"),
        (worst, "in the worst of six anatomies {} % and {} %"),
    ):
        assert words.format(*cell.split(", ")) in said


def test_the_widget_says_it_and_draws_the_ellipses(bench, viewer, qtbot, screenshot, monkeypatch):
    session = bench.session
    widget = ConfidenceWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Confidence", area="right")
    assert widget.status.text().startswith("No result yet")
    assert not widget.ellipses.isEnabled()
    assert widget.weakest.isHidden()

    _add(session, None, status=Status.CANCELLED)
    assert "has no covariance" in widget.weakest.text()
    assert widget.deviations["depth"].text() == "–"
    assert widget.grid.values is None

    name = _add(session, _covariance(session, correlation=-0.8), notes=("Look twice.",))
    assert widget.choice.currentData() == name
    texts = [label.text() for label in widget.deviations.values()]
    assert texts == ["1.5°", "0.5°", "0.25°", "1.2 mm", "0.75 mm", "4 mm"]
    assert widget.weakest.text().startswith("Least constrained direction: depth (")
    assert widget.grid.values[0, 3] == pytest.approx(-0.8)
    assert "Look twice." in widget.status.text()
    assert "simulated" in widget.status.text()
    assert "Predicted target registration error" in widget.target.text()
    assert "along the central ray" in widget.target.text()
    assert widget.calibration.words == CALIBRATION_WORDS

    asked, sizes = [], []
    show = bench.canvas.show_uncertainty
    monkeypatch.setattr(
        bench.canvas,
        "show_uncertainty",
        lambda r, level=0.95, *, magnified=1.0: (
            asked.append((r, level)),
            sizes.append(magnified),
            show(r, level, magnified=magnified),
        ),
    )
    qtbot.mouseClick(widget.ellipses, Qt.MouseButton.LeftButton, pos=QPoint(8, 8))
    assert asked[-1] == (session.results.all[1], 0.95)
    assert "ellipses × 10" in [layer.name for layer in bench.viewer.layers]
    assert sizes[-1] == 10.0
    assert "10 times as large as predicted" in widget.drawn_words.text()
    widget.magnified.setCurrentText("× 1")
    assert sizes[-1] == 1.0
    assert widget.drawn_words.text() == "Drawn as large as predicted."
    assert "ellipses" in [layer.name for layer in bench.viewer.layers]
    widget.magnified.setCurrentText("× 3")
    widget.level.setCurrentText("50 %")
    assert sizes[-1] == 3.0
    assert asked[-1] == (session.results.all[1], 0.5)
    widget.resize(320, 720)
    screenshot(widget, "confidence")
    screenshot(widget.window(), "confidence_window")
    bench.viewer.theme = "light" if bench.viewer.theme != "light" else "dark"
    screenshot(widget, f"confidence_{bench.viewer.theme}")
    inside = widget.findChild(QScrollArea).widget()
    assert inside.minimumSizeHint().width() <= 290  # beside a scroll bar in a dock of 320

    # An earlier one can be looked at; a new one comes forward.
    widget.choice.setCurrentIndex(0)
    assert "has no covariance" in widget.weakest.text()
    assert asked[-1][0] is None
    last = _add(session, _covariance(session))
    assert widget.choice.currentData() == last
    assert asked[-1] == (session.results.all[2], 0.5)
    session.landmarks.set([])
    assert "No landmarks" in widget.target.text()
    assert not widget.ellipses.isEnabled()
    session.results.discard(last)
    assert widget.choice.count() == 2
    session.patient.set_volume(None)
    assert widget.choice.count() == 0
    assert widget.status.text().startswith("No result yet")
    viewer.window.remove_dock_widget(widget)
    assert widget.torn_down
    _add(session, None)
    widget.deleteLater()


def test_cells_of_the_correlation_grid_lie_beside_another(bench, viewer, qtbot):
    widget = ConfidenceWidget(viewer)
    qtbot.addWidget(widget)
    grid = widget.grid
    grid.resize(300, 140)
    assert grid.cell(0, 0).right() == pytest.approx(grid.cell(0, 1).left())
    assert grid.cell(1, 0).top() == pytest.approx(grid.cell(0, 0).bottom())
    assert grid.cell(5, 5).right() == pytest.approx(300)
    assert grid.cell(5, 5).bottom() == pytest.approx(140)
    values = np.eye(6)
    values[2, 4] = 0.37
    grid.show_values(values)
    assert grid._words_at(grid.cell(2, 4).center().toPoint()) == "roll and y: correlation +0.37"
    assert grid._words_at(grid.cell(1, 1).center().toPoint()) == ""
