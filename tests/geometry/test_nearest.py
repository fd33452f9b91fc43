"""The nearest rotation: a case by hand, its slope by finite differences, also where SVD has none."""

import math

import pytest
import torch

from napari_xreg.geometry.nearest import nearest_rotation


def test_by_hand():
    # A turn by 30 degrees about z, stretched along the turned axes: the stretch is taken out.
    c, s = math.cos(math.pi / 6), math.sin(math.pi / 6)
    turn = torch.tensor([[c, -s, 0], [s, c, 0], [0, 0, 1]], dtype=torch.float64)
    stretched = turn @ torch.diag(torch.tensor([3.0, 0.5, 7.0], dtype=torch.float64))
    torch.testing.assert_close(nearest_rotation(stretched), turn)
    # Of a reflection, the axis of the least value gives way: diag(2, -1, 3) becomes the identity.
    mirrored = torch.diag(torch.tensor([2.0, -1.0, 3.0], dtype=torch.float64))
    torch.testing.assert_close(nearest_rotation(mirrored), torch.eye(3, dtype=torch.float64))


@pytest.mark.parametrize("n", [3, 4])
@pytest.mark.parametrize("kind", ["rotation", "any", "reflection"])
def test_its_slope_is_that_of_finite_differences(n, kind):
    generator = torch.Generator().manual_seed(7 + n)
    matrix = torch.randn(2, n, n, generator=generator, dtype=torch.float64)
    sign = torch.linalg.det(matrix).sign()
    matrix[:, 0] *= (-sign if kind == "reflection" else sign)[:, None]
    if kind == "rotation":
        matrix = nearest_rotation(matrix)
    direction = torch.randn(2, n, n, generator=generator, dtype=torch.float64)
    weights = torch.randn(2, n, n, generator=generator, dtype=torch.float64)
    moved = matrix.clone().requires_grad_()
    (nearest_rotation(moved) * weights).sum().backward()
    slope = float((moved.grad * direction).sum())
    step = 1e-6 * direction
    up, down = ((nearest_rotation(matrix + by) * weights).sum() for by in (step, -step))
    assert slope == pytest.approx(float(up - down) / 2e-6, rel=1e-5, abs=1e-7)


def test_an_open_answer_is_a_rotation_with_a_finite_slope():
    moved = torch.zeros(3, 3, dtype=torch.float64, requires_grad=True)
    answer = nearest_rotation(moved)
    torch.testing.assert_close(answer @ answer.mT, torch.eye(3, dtype=torch.float64))
    answer[0, 1].backward()
    assert torch.isfinite(moved.grad).all()
