"""Numbers as the widgets write them."""

import pytest
import torch
from session_parts import make_volume

from napari_xreg.session import Session
from napari_xreg.widgets.pose.words import error_points
from napari_xreg.widgets.train.progress import clock


@pytest.mark.parametrize(
    ("seconds", "text"), [(65.0, "1:05"), (59.6, "1:00"), (3725.0, "1:02:05"), (-3.0, "0:00")]
)
def test_a_clock_is_hours_minutes_seconds(seconds, text):
    assert clock(seconds) == text


def test_without_landmarks_errors_are_measured_about_the_isocenter():
    session = Session()
    session.patient.set_volume(make_volume())
    points, words = error_points(session)
    # The CT's middle: 11 + 3 * 2, -23 + 2.5 * 3, 64 + 2 * 5.
    assert points.mean(0).tolist() == pytest.approx([17.0, -15.5, 74.0])
    away = (points - torch.tensor([17.0, -15.5, 74.0], dtype=torch.float64)).abs()
    assert torch.equal(away, torch.full((8, 3), 50.0, dtype=torch.float64))
    assert "50 mm about the isocenter" in words
