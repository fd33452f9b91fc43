"""Single views of a pool: any view of any set."""

import torch

from napari_xreg.training import PatientPool, images_of_one, images_of_phantoms


def test_every_view_of_every_set_can_be_drawn():
    drawn = PatientPool.single(["a", "b"], 4, 200, torch.Generator().manual_seed(5))
    assert len(drawn) == 200
    assert set(drawn) == {(name, view) for name in "ab" for view in range(4)}


def test_no_validation_image_has_the_seed_of_another():
    phantoms = list(images_of_phantoms((950, 953), 3))
    assert phantoms == [(950, range(900, 903)), (953, range(903, 906))]
    assert images_of_one(2) == range(800, 802)
