"""Rods, wires and screws in the beam."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_xreg.geometry import CArm, CArmPose, Detector
from napari_xreg.images import Volume
from napari_xreg.simulation import CLEAN, HARD
from napari_xreg.simulation.instruments import Instrument, random_instruments, rod, screw
from napari_xreg.simulation.solids import Capsule


def test_a_rod_lies_about_its_centre_along_its_direction():
    tool = rod(np.array([5.0, -8.0, 20.0]), np.array([0.0, 0.0, 3.0]), 60.0, 2.5)
    along = tool.chord_lengths(np.array([5.0, -8.0, -100.0]), np.array([[0.0, 0.0, 300.0]]))
    beside = tool.chord_lengths(np.array([-95.0, -8.0, 40.0]), np.array([[200.0, 0.0, 0.0]]))
    beyond = tool.chord_lengths(np.array([-95.0, -8.0, 55.0]), np.array([[200.0, 0.0, 0.0]]))
    assert along == pytest.approx([65.0])
    assert beside == pytest.approx([5.0])
    assert beyond == pytest.approx([0.0])


def test_overlapping_parts_are_not_counted_twice():
    a = Capsule(np.array([0.0, 0.0, 0.0]), np.array([0.0, 0.0, 30.0]), 3.0)
    b = Capsule(np.array([0.0, 0.0, 20.0]), np.array([0.0, 0.0, 50.0]), 5.0)
    both = Instrument((a, b)).chord_lengths(
        np.array([-90.0, 0.0, 25.0]), np.array([[180.0, 0.0, 0.0]])
    )
    assert both == pytest.approx([10.0])
    whole = Instrument((b, a)).chord_lengths(
        np.array([0.0, 0.0, -90.0]), np.array([[0.0, 0.0, 300.0]])
    )
    assert whole == pytest.approx([3.0 + 50.0 + 5.0])


def test_a_screw_is_titanium_and_thicker_at_its_head():
    tool = screw(np.zeros(3), np.array([0.0, 2.0, 0.0]), 40.0, 3.0)
    assert tool.material == "titanium"
    rays = np.array([[0.0, 0.0, 200.0]])
    at_tip = tool.chord_lengths(np.array([0.0, 5.0, -100.0]), rays)
    at_head = tool.chord_lengths(np.array([0.0, 41.5, -100.0]), rays)
    assert at_tip == pytest.approx([6.0])
    assert at_head == pytest.approx([2 * 1.7 * 3.0])


def test_random_tools_are_in_view_and_as_many_as_asked():
    carm = CArm(1020.0, 700.0, Detector((60, 60), (5.0, 5.0)))
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:3, 3] = torch.tensor([40.0, -70.0, 310.0])
    volume = Volume(torch.ones(20, 30, 40), matrix)
    pose = carm.pose_from(CArmPose(20.0, -15.0, isocenter=tuple(volume.center.tolist())))
    source, r = (t.numpy() for t in carm.rays(pose))
    severity = replace(HARD, rods=2, wires=1, screws=3)
    seen = 0
    for seed in range(5):
        tools = random_instruments(severity, volume, carm, pose, np.random.default_rng(seed))
        assert [t.material for t in tools] == ["iron"] * 3 + ["titanium"] * 3
        seen += sum(bool(t.chord_lengths(source, r).any()) for t in tools)
    assert seen >= 27
    assert random_instruments(CLEAN, volume, carm, pose, np.random.default_rng(0)) == ()
