"""The probability by hand, and what it says."""

import math

import pytest

from napari_xreg.registration.verdict.evidence import Evidence
from napari_xreg.registration.verdict.verdict import (
    AGREEMENT,
    DRIFT,
    OFFSET,
    SETTLED,
    SHARPNESS,
    SLACK,
    verdict_on,
)


def test_the_probability_is_logistic():
    found = verdict_on(Evidence(0.8, 0.7, 0.9, 40, 0.25, 0.3))
    odds = (
        OFFSET
        + 0.8 * SETTLED
        + 0.7 * SHARPNESS
        + 0.9 * AGREEMENT
        + math.log(0.25) * SLACK
        + 0.3 * DRIFT
    )
    assert found.probability == pytest.approx(1 / (1 + math.exp(-odds)))
    # Noise that spoils agreement is allowed for: the same places held count more.
    assert verdict_on(Evidence(0.8, 0.7, 0.8, 40, 0.25, 0.3)).probability > found.probability


def test_a_pose_that_fits_is_trusted_and_one_that_does_not_is_not():
    good, bad = (
        verdict_on(Evidence(0.95, 0.9, 0.93, 150, 0.04, 0.1)),
        verdict_on(Evidence(0.3, 0.3, 0.7, 150, 0.04, 0.1)),
    )
    assert good.trusted
    assert not bad.trusted
    assert "95 % of the details" in good.words
    assert "fitted on simulated radiographs" in good.words


def test_what_fits_along_a_shaft_as_well_is_not_trusted():
    # All pieces of a shaft settled, but they would slide by half a millimetre and more.
    held, loose = (verdict_on(Evidence(0.8, 0.75, 0.85, 75, mm, 0.1)) for mm in (0.04, 0.5))
    assert held.trusted
    assert not loose.trusted


def test_without_evidence_nothing_is_trusted():
    found = verdict_on(None)
    assert found.probability == 0.0
    assert not found.trusted
    assert "Too little" in found.words


@pytest.mark.parametrize(("off", "way"), [(0.1, "10 % farther from"), (-0.09, "9 % nearer to")])
def test_a_depth_against_the_header_is_not_trusted(off, way):
    found = verdict_on(Evidence(1.0, 1.0, 1.0, 150, 0.04, 0.1), off)
    assert not found.trusted
    assert way in found.words


def test_from_one_view_the_depth_is_said_to_be_worth_little():
    evidence = Evidence(1.0, 1.0, 1.0, 150, 0.04, 0.1)
    one, prior, two = (
        verdict_on(evidence, None, *depth) for depth in ((743.0, 8.64), (743.0,), (None, None))
    )
    assert "within 2 mm as seen in this radiograph (fitted" in one.words
    assert "± 8.6 mm (one standard deviation)" in one.words
    assert one.words.endswith("within 1 %: ± 7.4 mm.")
    assert "± 7.4 mm or more (one standard deviation)" in prior.words
    locked = verdict_on(evidence, None, 743.0, 8.64, depth_given=True)
    assert "within 2 mm as seen in this radiograph (fitted" in locked.words
    assert "±" not in locked.words
    assert locked.words.endswith("The depth was locked: it is as given, and was not looked for.")
    assert "as seen" not in two.words
    assert "depth" not in two.words


def test_a_patient_a_little_off_the_isocenter_is_trusted():
    found = verdict_on(Evidence(1.0, 1.0, 1.0, 150, 0.04, 0.1), -0.05)
    assert found.trusted
    assert "header" not in found.words
