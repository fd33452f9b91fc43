"""Single views of a pool: any view of any set."""

import torch

from napari_xreg.training import PatientPool


def test_every_view_of_every_set_can_be_drawn():
    drawn = PatientPool.single(["a", "b"], 4, 200, torch.Generator().manual_seed(5))
    assert len(drawn) == 200
    assert set(drawn) == {(name, view) for name in "ab" for view in range(4)}
