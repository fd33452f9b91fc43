"""Volumes and label maps: where voxels lie, coarser grids, structures alone."""

import pytest
import torch
from hypothesis import given, strategies as st
from jaxtyping import TypeCheckError
from torch.testing import assert_close

from napari_xreg.images import LabelMap, Volume

# Sheared, anisotropic, left-handed, off centre. (x, y, z) index to LPS mm.
AFFINE = torch.tensor(
    [
        [0.0, 0.9, 0.1, -31.0],
        [0.7, 0.0, 0.0, 12.0],
        [0.0, 0.0, 2.5, 150.0],
        [0.0, 0.0, 0.0, 1.0],
    ],
    dtype=torch.float64,
)


def volume(z=4, y=6, x=9, affine=AFFINE):
    generator = torch.Generator().manual_seed(5)
    return Volume(torch.rand(z, y, x, generator=generator), affine)


def world(matrix, x, y, z):
    return matrix[:3, :3] @ torch.tensor([x, y, z], dtype=matrix.dtype) + matrix[:3, 3]


def test_place_by_hand():
    ct = volume()
    assert ct.shape == (4, 6, 9)
    # Columns of the affine: x along LPS y, y along LPS x, z sheared: sqrt(0.01 + 6.25).
    assert ct.spacing == pytest.approx((0.7, 0.9, 2.5019992))
    # Middle of the grid is index (x, y, z) = (4, 2.5, 1.5).
    assert_close(
        ct.center, torch.tensor([-31 + 2.25 + 0.15, 12 + 2.8, 150 + 3.75], dtype=torch.float64)
    )
    back = ct.index_from_world @ torch.cat([ct.center, torch.ones(1, dtype=torch.float64)])
    assert_close(back, torch.tensor([4.0, 2.5, 1.5, 1.0], dtype=torch.float64))


def test_corners_by_hand():
    """Indices 0 or 8, 0 or 5, 0 or 3 along x, y, z: the affine's columns on the one at (-31, 12, 150)."""
    ct = volume()
    corners = ct.corners
    assert corners.shape == (8, 3)
    for place, index in ((0, (0, 0, 0)), (1, (0, 0, 3)), (2, (0, 5, 0)), (4, (8, 0, 0))):
        assert_close(corners[place], world(ct.world_from_index, *index))
    assert_close(corners.mean(0), ct.center)


def test_downsample_by_hand():
    # Along x the blocks (1, 3), (5, 0); the last one is half outside, where nothing attenuates.
    lac = torch.tensor([[[1.0, 3.0, 5.0]]])
    coarse = Volume(lac, AFFINE).downsample((2, 1, 1))
    assert coarse.lac.tolist() == [[[2.0, 2.5]]]
    # The centre of the first block lies between voxels 0 and 1, and blocks are two voxels apart.
    assert_close(world(coarse.world_from_index, 0, 0, 0), world(AFFINE, 0.5, 0, 0))
    assert_close(world(coarse.world_from_index, 1, 0, 0), world(AFFINE, 2.5, 0, 0))


def test_downsample_each_axis_by_its_own_factor():
    ct = volume(z=4, y=6, x=9)
    coarse = ct.downsample((3, 2, 4))
    assert coarse.shape == (1, 3, 3)
    assert coarse.lac[0, 2, 1] == pytest.approx(float(ct.lac[0:4, 4:6, 3:6].mean()), rel=1e-5)
    assert_close(world(coarse.world_from_index, 1, 2, 0), world(ct.world_from_index, 4.0, 4.5, 1.5))
    assert coarse.hu is None


@given(factors=st.tuples(*[st.integers(1, 4)] * 3), shape=st.tuples(*[st.integers(1, 7)] * 3))
def test_downsample_keeps_mass_and_centroid(factors, shape):
    ct = volume(*shape)
    coarse = ct.downsample(factors)

    def mass_and_centroid(v):
        z, y, x = torch.meshgrid(*[torch.arange(float(n)).double() for n in v.shape], indexing="ij")
        index = torch.stack([x, y, z], dim=-1).reshape(-1, 3)
        points = index @ v.world_from_index[:3, :3].T + v.world_from_index[:3, 3]
        cell = torch.linalg.det(v.world_from_index[:3, :3]).abs()
        weight = v.lac.double().reshape(-1, 1) * cell
        return weight.sum(), (weight * points).sum(0) / weight.sum()

    mass, centroid = mass_and_centroid(ct)
    coarse_mass, coarse_centroid = mass_and_centroid(coarse)
    assert_close(coarse_mass, mass, rtol=1e-5, atol=0)
    # The mean over a block moves mass to the block's middle: at most half a block away.
    reach = sum((f - 1) / 2 * s for f, s in zip(factors, ct.spacing, strict=True))
    assert (coarse_centroid - centroid).norm() <= reach + 1e-4


def test_downsample_of_a_symmetric_block_keeps_the_centroid():
    ct = Volume(torch.ones(4, 6, 8), AFFINE)
    assert_close(ct.downsample(2).center, ct.center)
    assert ct.downsample(1).lac.equal(ct.lac)


def test_downsample_refuses_zero():
    with pytest.raises(ValueError, match="at least 1"):
        volume().downsample(0)


def test_restrict_keeps_grid_and_hu():
    ct = volume()
    ct = Volume(ct.lac, ct.world_from_index, hu=torch.arange(216).reshape(4, 6, 9))
    mask = torch.zeros(4, 6, 9, dtype=torch.bool)
    mask[1, 2, 3] = True
    alone = ct.restrict(mask)
    assert alone.lac.nonzero().tolist() == [[1, 2, 3]]
    assert alone.lac[1, 2, 3] == ct.lac[1, 2, 3]
    assert alone.hu is ct.hu
    assert alone.world_from_index is ct.world_from_index
    with pytest.raises(ValueError, match="grid of the volume"):
        ct.restrict(mask.permute(2, 1, 0))


def test_to_changes_attenuation_only():
    ct = volume()
    assert ct.to(dtype=torch.float64).lac.dtype == torch.float64
    assert ct.to(dtype=torch.float64).world_from_index.dtype == torch.float64
    assert ct.to(dtype=torch.float16).world_from_index.dtype == torch.float64
    assert ct.to(device="cpu").lac.equal(ct.lac)


def test_repr_says_which_order():
    assert repr(volume()) == "<Volume (4, 6, 9) (z, y, x), 0.7 x 0.9 x 2.502 mm (x, y, z)>"


@pytest.mark.parametrize(
    ("row", "column", "value", "says"),
    [
        (0, 1, 0.0, "singular"),
        (1, 3, float("nan"), "finite"),
        (3, 0, 0.5, "last row"),
    ],
)
def test_affines_that_place_nothing(row, column, value, says):
    affine = AFFINE.clone()
    affine[row, column] = value
    with pytest.raises(ValueError, match=says):
        volume(affine=affine)


def test_volumes_that_are_none():
    # While tests run the shapes in the signature are checked first.
    with pytest.raises((ValueError, TypeCheckError), match=r"hu|same grid"):
        Volume(torch.ones(2, 3, 4), AFFINE, hu=torch.ones(4, 3, 2))
    with pytest.raises(ValueError, match="NaN"):
        Volume(torch.full((2, 3, 4), float("nan")), AFFINE)
    with pytest.raises(ValueError, match="z, y, x"):
        Volume(torch.ones(2, 0, 4), AFFINE)


def labels(affine=AFFINE):
    ids = torch.zeros(4, 6, 9, dtype=torch.int16)
    ids[1:3, 2, 5] = 77
    ids[3, 0, 1] = 25
    ids[0, 5, 8] = 1
    return LabelMap(ids, affine, {25: "sacrum", 77: "hip_left"})


def test_label_mask():
    found = labels()
    assert found.present() == [1, 25, 77]
    assert found.mask([77]).nonzero().tolist() == [[1, 2, 5], [2, 2, 5]]
    assert int(found.mask([25, 77, 78]).sum()) == 3
    for missing in ([78], [], [70_000], [-1]):
        with pytest.raises(ValueError, match=r"none of the labels .* present are \[1, 25, 77\]"):
            found.mask(missing)


def test_labels_and_ct_lie_on_one_grid():
    ct = volume()
    labels().check_grid(ct)
    with pytest.raises(ValueError, match="voxels"):
        labels().check_grid(volume(z=6, y=4))
    turned = AFFINE.clone()
    # The far corner (x = 8) moves by 8 * 0.0124 = 0.0992 mm, then by 8 * 0.0126 = 0.1008 mm.
    turned[1, 0] += 0.0124
    labels(turned).check_grid(ct)
    turned[1, 0] += 0.0002
    with pytest.raises(ValueError, match=r"0\.10 mm apart"):
        labels(turned).check_grid(ct)
    shifted = AFFINE.clone()
    shifted[2, 3] += 2.5
    with pytest.raises(ValueError, match=r"2\.50 mm apart"):
        labels(shifted).check_grid(ct)


def stored_otherwise():
    """The labels as another program stores them: x runs down z, y along x, z against y."""
    affine = AFFINE.clone()
    affine[:3, 0], affine[:3, 1], affine[:3, 2] = -AFFINE[:3, 2], AFFINE[:3, 0], -AFFINE[:3, 1]
    # Its first voxel is the CT's (x, y, z) = (0, 5, 3).
    affine[:3, 3] = world(AFFINE, 0.0, 5.0, 3.0)
    ids = torch.zeros(6, 9, 4, dtype=torch.int16)
    # The CT's voxels (z, y, x) = (1 and 2, 2, 5), (3, 0, 1) and (0, 5, 8).
    ids[3, 5, 1:3] = 77
    ids[5, 1, 0] = 25
    ids[0, 8, 3] = 1
    return LabelMap(ids, affine, {25: "sacrum", 77: "hip_left"})


def test_labels_whose_axes_only_run_another_way_are_put_in_the_order_of_the_ct():
    found = stored_otherwise().onto(volume())
    assert torch.equal(found.ids, labels().ids)
    assert_close(found.world_from_index, AFFINE)
    assert found.names == {25: "sacrum", 77: "hip_left"}
    assert found.ids.is_contiguous()


def test_labels_in_the_order_of_the_ct_are_kept_as_they_are():
    same = labels()
    assert same.onto(volume()) is same


@pytest.mark.parametrize("shift", [0.0, 0.9, 2.5])
def test_labels_of_another_grid_are_refused_however_their_axes_run(shift):
    other = stored_otherwise()
    other.world_from_index[2, 3] += shift
    if shift:
        with pytest.raises(ValueError, match=rf"{shift:.2f} mm apart; resample"):
            other.onto(volume())
    with pytest.raises(ValueError, match="must lie on the same grid"):
        other.onto(volume(z=5))
    oblique = AFFINE.clone()
    oblique[:3, 0] += 0.4 * AFFINE[:3, 1]
    with pytest.raises(ValueError, match="mm apart"):
        labels(oblique).onto(volume())
