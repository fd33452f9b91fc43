"""The list of points that RayEmb looks for, without any window."""

import pytest
import torch

from napari_xreg.rayemb import FoundPoints, Posterior
from napari_xreg.session import Look, PointList, RayPoints


def found(count, first=0.0):
    """Rows that can be told apart."""
    n = torch.arange(count, dtype=torch.float64) + first
    posterior = Posterior(
        torch.stack([n, n + 0.25], 1), 0.5 + n / 100, torch.stack([n, n], 1),
        torch.eye(2).expand(count, 2, 2) * (n + 1)[:, None, None], n + 3, 1 - n / 50,
    )  # fmt: skip
    return FoundPoints(
        torch.stack([n, -n, n + 600], 1), torch.arange(count), torch.stack([2 * n, 3 * n], 1),
        torch.eye(2, dtype=torch.float64) * (n + 1)[:, None, None], posterior, n,
    )  # fmt: skip


def listed(count, first=0.0, word="p"):
    rows = found(count, first)
    return PointList(tuple(f"{word} {i}" for i in range(count)), rows.points, rows)


def test_rows_stay_together_when_some_go():
    left = listed(5).without([0, 3])
    assert left.names == ("p 1", "p 2", "p 4")
    assert left.positions[:, 0].tolist() == [1, 2, 4]
    assert left.found.pixels[:, 1].tolist() == [3, 6, 12]
    assert left.found.posterior.entropy.tolist() == [4, 5, 7]
    assert left.found.index.tolist() == [0, 1, 2]
    assert left.rows([2, 0]).names == ("p 4", "p 1")
    assert left.rows([2, 0]).found.score.tolist() == [4, 1]


def test_lists_are_joined_and_names_stay_unique():
    both = listed(2).joined(listed(3, first=10.0))
    assert both.names == ("p 0", "p 1", "p 0 2", "p 1 2", "p 2")
    assert both.positions[:, 0].tolist() == [0, 1, 10, 11, 12]
    assert both.found.covariances[:, 0, 0].tolist() == [1, 2, 11, 12, 13]
    assert both.found.in_image.tolist() == pytest.approx([1, 0.98, 0.8, 0.78, 0.76])


def test_what_was_not_looked_for_makes_the_list_be_looked_for_again():
    fresh = PointList(("new",), torch.tensor([[1.0, 2.0, 3.0]], dtype=torch.float64))
    assert listed(2).joined(fresh).found is None
    assert listed(2).joined(PointList()).found is not None
    assert PointList().joined(listed(2)).found is not None
    assert listed(2).not_looked_for().found is None


def test_answers_in_any_order_find_their_rows():
    points = listed(3).not_looked_for()
    answer = found(3)
    turned = torch.tensor([2, 0, 1])
    shuffled = FoundPoints(
        answer.points[turned], turned, answer.pixels[turned], answer.covariances[turned],
        answer.posterior[turned], answer.score[turned],
    )  # fmt: skip
    assert points.looked_for(shuffled).found.pixels[:, 0].tolist() == [0, 2, 4]


def test_lengths_are_checked():
    with pytest.raises(ValueError, match="2 names need as many"):
        PointList(("a", "b"), torch.zeros(1, 3, dtype=torch.float64))


def test_other_templates_make_what_was_found_void():
    state, heard = RayPoints(), []
    state.points_changed.connect(lambda: heard.append("points"))
    state.prepared_changed.connect(lambda: heard.append("prepared"))
    state.look_changed.connect(lambda: heard.append("look"))
    state.set_points(listed(2))
    state.set_look(Look((1.0, 2.0, 3.0)))
    assert heard == ["points", "look"]
    state.set_prepared(None)
    assert state.points.names == ("p 0", "p 1")
    assert state.points.found is None
    assert state.look is not None
    state.clear()
    assert len(state.points) == 0
    assert state.look is None
