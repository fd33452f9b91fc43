"""The middle of a structure: quick in a large map, exact for a small one."""

import pytest
import torch

from napari_xreg.images import LabelMap, labels as labels_module


@pytest.mark.parametrize(
    ("z", "y", "x"),
    [((7, 12), (3, 6), (20, 23)), ((0, 3), (0, 2), (0, 4)), ((36, 41), (31, 34), (25, 28))],
)
def test_of_a_small_structure_every_voxel_counts_and_only_its_surroundings_are_looked_at(
    monkeypatch, z, y, x
):
    ids = torch.zeros(41, 34, 28, dtype=torch.int16)
    ids[slice(*z), slice(*y), slice(*x)] = 7
    matrix = torch.diag(torch.tensor([2.0, 3.0, 5.0, 1.0], dtype=torch.float64))
    matrix[:3, 3] = torch.tensor([11.0, -23.0, 64.0])
    labels = LabelMap(ids, matrix)
    monkeypatch.setattr(labels_module, "_LOOKED_AT", ids.numel() / 64)
    looked_at = []
    whole = LabelMap._some

    def some(self, *asked):
        mask = whole(self, *asked)
        looked_at.append(mask.numel())
        return mask

    monkeypatch.setattr(LabelMap, "_some", some)
    middle = [(end - 1 + start) / 2 for start, end in (x, y, z)]
    wanted = [11.0 + 2.0 * middle[0], -23.0 + 3.0 * middle[1], 64.0 + 5.0 * middle[2]]
    assert labels.middle([7]).tolist() == pytest.approx(wanted, abs=1e-9)
    assert len(looked_at) == 3  # every fourth, every second, each of a box of at most 7 x 5 x 6
    assert looked_at[-1] <= 210


def test_what_lies_between_all_that_are_looked_at_is_found(monkeypatch):
    ids = torch.zeros(9, 10, 11, dtype=torch.int16)
    ids[3, 2:9, 5] = 7
    labels = LabelMap(ids, torch.eye(4, dtype=torch.float64))
    monkeypatch.setattr(labels_module, "_LOOKED_AT", ids.numel() / 8)
    assert labels.middle([7]).tolist() == [5.0, 5.0, 3.0]
    assert labels.middle([7, 40000]).tolist() == [5.0, 5.0, 3.0]
    with pytest.raises(ValueError, match=r"none of the labels \[40000\]"):
        labels.middle([40000])
