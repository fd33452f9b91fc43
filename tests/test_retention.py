"""Retention curves by hand."""

import pytest

from benchmarks.retention import retention


def test_a_retention_curve_by_hand() -> None:
    # By uncertainty: errors 1, 8, 3, 20. Kept from all to the surest one.
    curve = retention([0.3, 0.1, 0.9, 0.2], [3.0, 1.0, 20.0, 8.0])
    assert curve.kept.tolist() == [1.0, 0.75, 0.5, 0.25]
    assert curve.error.tolist() == pytest.approx([8.0, 4.0, 4.5, 1.0])
    assert curve.oracle.tolist() == pytest.approx([8.0, 4.0, 2.0, 1.0])
    assert curve.random_area == pytest.approx(8.0)
    assert curve.skill == pytest.approx((8 - 4.375) / (8 - 3.75))
    assert retention([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]).skill == pytest.approx(1.0)
    assert retention([3.0, 2.0, 1.0], [1.0, 2.0, 3.0]).skill < 0
    with pytest.raises(ValueError, match="one uncertainty and one error"):
        retention([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="NaN"):
        retention([1.0], [float("nan")])
