"""The committed severities: a change must be made twice, on purpose."""

from dataclasses import asdict

import pytest

from napari_xreg.simulation import (
    CLEAN,
    EVALUATION_SEEDS,
    HARD,
    SEVERITIES,
    TUNING_SEEDS,
    TYPICAL,
    Severity,
)
from napari_xreg.simulation.severity import severity_named


def test_typical_is_what_decision_2_says():
    assert asdict(TYPICAL) == {
        "name": "typical",
        "kvp": (80.0, 100.0),
        "bone_scale": 1.25,
        "soft_scale": 0.97,
        "scatter_to_primary": 0.5,
        "scatter_sigma_mm": 30.0,
        "scatter_uniform": 0.25,
        "noise": 0.05,
        "electronic_noise": 3.0,
        "blur_mm": 0.25,
        "heel": 0.4,
        "vignetting": 0.1,
        "response_gamma": 0.9,
        "open_field": (0.85, 0.98),
        "blade_deg": 4.0,
        "rods": 1,
        "rod_radius_mm": 3.0,
        "wires": 0,
        "screws": 0,
        "bone_motion_deg": 0.0,
        "bone_motion_mm": 0.0,
        "beyond": None,
    }


def test_typical_contains_the_mismatch_of_the_prototype():
    assert TYPICAL.bone_scale >= 1.25
    assert TYPICAL.soft_scale <= 0.97
    assert TYPICAL.scatter_to_primary >= 0.2
    assert TYPICAL.heel > 0
    assert TYPICAL.rods >= 1
    assert TYPICAL.response_gamma <= 0.9
    assert TYPICAL.noise >= 0.05


def test_hard_is_harder_and_clean_is_a_plain_projection():
    for name in ("scatter_to_primary", "noise", "electronic_noise", "blur_mm", "heel", "vignetting",
                 "blade_deg", "wires", "screws", "bone_motion_deg", "rod_radius_mm"):  # fmt: skip
        assert getattr(HARD, name) > getattr(TYPICAL, name)
    assert HARD.response_gamma < TYPICAL.response_gamma
    assert max(HARD.open_field) < min(TYPICAL.open_field)
    assert Severity(name="clean", kvp=None, noise=0.01) == CLEAN


def test_seeds_for_tuning_and_for_evaluation_never_meet():
    assert TUNING_SEEDS == range(1000)
    assert EVALUATION_SEEDS.start == 10_000
    assert TUNING_SEEDS.stop <= EVALUATION_SEEDS.start


def test_a_severity_is_found_by_name():
    assert severity_named("hard") is HARD
    assert severity_named(CLEAN) is CLEAN
    assert set(SEVERITIES) == {"clean", "typical", "hard", "real"}
    with pytest.raises(ValueError, match=r"one of clean, typical, hard, real: got 'medium'"):
        severity_named("medium")
