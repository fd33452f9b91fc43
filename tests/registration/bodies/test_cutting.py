"""Bones cut out of a CT: together they are the CT, and where a bone was is soft tissue."""

import pytest
import torch

from napari_xreg.images import LabelMap, Volume, lac_from_hu
from napari_xreg.registration import cut_bodies

ONE, OTHER, NEIGHBOUR = 4, 9, 6


@pytest.fixture(scope="module")
def patient():
    """Fat on one side and muscle on the other, two bones and one that stays, on an oblique oblong grid."""
    hu = torch.full((30, 26, 34), -1000.0)
    hu[2:28, 2:24, 2:17] = -100.0
    hu[2:28, 2:24, 17:32] = 50.0
    ids = torch.zeros(hu.shape, dtype=torch.int32)
    for label, box in (
        (ONE, (slice(8, 14), slice(9, 15), slice(5, 9))),
        (OTHER, (slice(8, 20), slice(9, 15), slice(24, 28))),
        (NEIGHBOUR, (slice(20, 24), slice(9, 15), slice(24, 28))),
    ):
        ids[box], hu[box] = label, 700.0
    hu[7, 9:15, 5:9] = 300.0  # the surface of one, left out of its label
    matrix = torch.tensor(
        [[2.1, 0.3, 0.0, -40.0], [-0.2, 2.6, 0.1, 12.0], [0.0, -0.1, 1.7, 300.0], [0, 0, 0, 1.0]],
        dtype=torch.float64,
    )
    return Volume(lac_from_hu(hu), matrix, hu=hu), LabelMap(ids, matrix)


def placed(part: Volume, on: Volume) -> torch.Tensor:
    """A cropped volume on the grid of another, by where its first voxel lies in the world."""
    first = on.index_from_world.double() @ part.world_from_index.double()[:, 3]
    x, y, z = (round(float(n)) for n in first[:3])
    assert torch.allclose(first[:3], torch.tensor([x, y, z]).double(), atol=1e-9)
    whole = torch.zeros_like(on.lac)
    depth, rows, columns = part.shape
    whole[z : z + depth, y : y + rows, x : x + columns] = part.lac
    return whole


def test_what_is_left_and_the_bones_add_up_to_the_ct(patient):
    volume, labels = patient
    rest, one, other = cut_bodies(volume, labels, [[ONE], [OTHER]])
    total = rest.lac + placed(one, volume) + placed(other, volume)
    assert torch.allclose(total, volume.lac, atol=1e-8)
    assert rest.shape == volume.shape
    assert one.lac.numel() < volume.lac.numel()
    assert rest.hu is None
    assert one.hu is None


def test_a_bone_leaves_the_soft_tissue_that_lies_beside_it(patient):
    volume, labels = patient
    rest, one, other = cut_bodies(volume, labels, [[ONE], [OTHER]])
    fat, muscle, bone = (float(lac_from_hu(torch.tensor(hu))) for hu in (-100.0, 50.0, 700.0))
    # Of two tissues the nearer one counts, by a Gaussian of 8 mm: fat within 0.05 of the way to muscle.
    for at, tissue, part in (((11, 12, 5), fat, one), ((14, 12, 26), muscle, other)):
        left = float(rest.lac[at])
        assert left == pytest.approx(tissue, abs=0.1 * (muscle - fat))
        assert float(placed(part, volume)[at]) == pytest.approx(bone - left, rel=1e-5)
    # Another bone's voxels are no soft tissue, and stay.
    assert float(rest.lac[21, 12, 26]) == pytest.approx(bone, rel=1e-6)


def test_the_surface_goes_with_its_bone_and_not_with_the_one_beside_it(patient):
    volume, labels = patient
    _rest, one, other = cut_bodies(volume, labels, [[ONE], [OTHER]])
    assert float(placed(one, volume)[7, 12, 7]) > 0
    assert float(placed(other, volume)[20, 12, 26]) == 0
    assert float(placed(other, volume)[19, 12, 26]) > 0


def test_a_voxel_moves_with_one_bone(patient):
    volume, labels = patient
    with pytest.raises(ValueError, match=f"label {ONE} is in two bones"):
        cut_bodies(volume, labels, [[ONE], [OTHER, ONE]])
    with pytest.raises(ValueError, match="none of"):
        cut_bodies(volume, labels, [[77]])
