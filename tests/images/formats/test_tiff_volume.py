"""A CT as a stack of slices in one TIFF file: what it says, what has to be said, where its voxels lie."""

import cv2
import numpy as np
import pytest
import tifffile
import torch

from napari_xreg.files import ReadError
from napari_xreg.images import UnknownSpacing, UnknownValues, read_volume

SPACING = (0.4, 0.9, 1.5)
SHAPE = (5, 4, 3)


def _stored():
    """12-bit numbers, HU + 1024, all unlike: background 0 in the first page."""
    values = np.random.default_rng(5).integers(1, 4096, SHAPE).astype(np.uint16)
    values[0] = 0
    values[2, 1, 0], values[3, 2, 1] = 1024, 2424
    return values


def _stack(tmp_path, values=None, **keywords):
    path = tmp_path / "bone.tif"
    tifffile.imwrite(
        path, _stored() if values is None else values, photometric="minisblack", **keywords
    )
    return path


def test_slope_intercept_and_place_by_hand(tmp_path):
    volume = read_volume(_stack(tmp_path), spacing=SPACING, values="hu 1 -1024")
    assert volume.shape == SHAPE
    assert volume.spacing == pytest.approx(SPACING)
    assert volume.center.tolist() == pytest.approx([0.0, 0.0, 0.0])
    # Voxel x 1, y 2, z 3: x in the middle of 3, y half a step behind that of 4, z a step above that of 5.
    place = volume.world_from_index @ torch.tensor([1.0, 2.0, 3.0, 1.0]).double()
    assert place[:3].tolist() == pytest.approx([0.0, 0.45, 1.5])
    assert int(volume.hu[3, 2, 1]) == 1400
    assert (float(volume.hu[2, 1, 0]), float(volume.hu[0, 0, 0])) == (0.0, -1024.0)
    assert float(volume.lac[0].max()) == 0.0
    assert float(volume.lac[2, 1, 0]) == pytest.approx(0.0193, abs=1e-4)
    assert any("value - 1024" in note for note in volume.notes)


def test_a_slope_scales(tmp_path):
    volume = read_volume(_stack(tmp_path), spacing=SPACING, values="hu 0.5 -500")
    assert float(volume.hu[3, 2, 1]) == 712.0


@pytest.mark.parametrize("dtype", ["int16", "uint32", "int32", "float32", "float64", ">f8"])
def test_every_number_type(tmp_path, dtype):
    values = _stored().astype(np.float64) - 900.0 * (np.dtype(dtype).kind != "u")
    volume = read_volume(
        _stack(tmp_path, values.astype(dtype)), spacing=SPACING, values="hu 1 -124"
    )
    shift = -124.0 - 900.0 * (np.dtype(dtype).kind != "u")
    assert float(volume.hu[3, 2, 1]) == 2424.0 + shift
    assert float(volume.hu[2, 1, 0]) == 1024.0 + shift


def test_flipped_axes(tmp_path):
    straight = read_volume(_stack(tmp_path), spacing=SPACING, values="hu 1 -1024")
    turned = read_volume(_stack(tmp_path), spacing=SPACING, values="hu 1 -1024", flip=(1, 0, 1))
    assert torch.equal(turned.lac, straight.lac.flip(0, 2))
    assert torch.equal(turned.world_from_index, straight.world_from_index)


def test_what_is_not_said_is_asked_for(tmp_path):
    path = _stack(tmp_path)
    with pytest.raises(UnknownSpacing, match="5 slices of 4 x 3 pixels") as asked:
        read_volume(path, values="hu 1 -1024")
    assert asked.value.shape == SHAPE[::-1]
    assert (asked.value.lowest, asked.value.highest) == (0.0, float(_stored().max()))
    with pytest.raises(UnknownValues, match="no voxel is air"):
        read_volume(path, spacing=SPACING)


def test_the_resolution_of_a_printer_is_none(tmp_path):
    with pytest.raises(UnknownSpacing):
        read_volume(_stack(tmp_path, resolution=(72, 72), resolutionunit="INCH"))


def test_imagej_says_it(tmp_path):
    path = _stack(
        tmp_path, imagej=True, resolution=(1 / 0.04, 1 / 0.09), metadata={"spacing": 0.15, "unit": "cm"}
    )  # fmt: skip
    volume = read_volume(path, values="hu 1 -1024")
    assert volume.spacing == pytest.approx(SPACING, rel=1e-5)
    overruled = read_volume(path, values="hu 1 -1024", spacing=(0.4, 0.9, 2.5))
    assert overruled.spacing == pytest.approx((0.4, 0.9, 2.5))
    assert any("0.4 x 0.9 x 1.5" in note for note in overruled.notes)


def test_ome_says_it(tmp_path):
    about = {
        "PhysicalSizeX": 400.0, "PhysicalSizeY": 0.9, "PhysicalSizeYUnit": "mm",
        "PhysicalSizeZ": 0.15, "PhysicalSizeZUnit": "cm", "axes": "ZYX",
    }  # fmt: skip
    path = tmp_path / "bone.ome.tif"
    tifffile.imwrite(path, _stored(), photometric="minisblack", ome=True, metadata=about)
    assert read_volume(path, values="hu 1 -1024").spacing == pytest.approx(SPACING)


def test_codecs_that_need_another_decoder(tmp_path):
    path = tmp_path / "lzw.tif"
    assert cv2.imwritemulti(str(path), list(_stored()), [cv2.IMWRITE_TIFF_COMPRESSION, 5])
    volume = read_volume(path, spacing=SPACING, values="hu 1 -1024")
    assert int(volume.hu[3, 2, 1]) == 1400


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.zeros((4, 5), np.uint16), "one image, no stack"),
        (np.zeros((3, 4, 5, 3), np.uint8), "colour"),
    ],
)
def test_what_is_no_stack_is_refused(tmp_path, values, said):
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, values, photometric="rgb" if values.ndim == 4 else "minisblack")
    with pytest.raises(ReadError, match=said):
        read_volume(path, spacing=SPACING)


@pytest.mark.parametrize("spacing", [(0.0, 1.0, 1.0), (float("nan"), 1.0, 1.0)])
def test_a_spacing_is_three_lengths(tmp_path, spacing):
    with pytest.raises(ReadError, match=r"three numbers above 0, in mm"):
        read_volume(_stack(tmp_path), spacing=spacing)


def test_others_say_their_own_spacing(tmp_path):
    path = tmp_path / "ct.nii"
    path.write_bytes(b"x")
    with pytest.raises(ReadError, match="leave the spacing out"):
        read_volume(path, spacing=SPACING)


def test_the_energy_of_the_ct_says_what_bone_is(tmp_path):
    """At 1400 HU of 100 keV there is more calcium than at 1400 HU of 70 keV; water stays."""
    usual, harder = (
        read_volume(
            _stack(tmp_path), spacing=SPACING, values="hu 1 -1024", ct_energy_kev=energy
        ).lac
        for energy in (70.0, 100.0)
    )
    assert float(harder[3, 2, 1]) > 1.05 * float(usual[3, 2, 1])
    assert float(harder[2, 1, 0]) == pytest.approx(float(usual[2, 1, 0]))


def test_the_real_bones(data_dir):
    """The stack of each bone holds the voxels of its NIfTI, which has a border of air around."""
    folder = data_dir / "wrist_bvr"
    for stack, nifti in (("rad", "radius"), ("uln", "ulna"), ("mc3", "mc3")):
        volume = read_volume(
            folder / "trial" / "Models" / f"{stack}_dcm_cropped.tif",
            spacing=(0.39625, 0.39625, 0.625), values="hu 1 -1024",
        )  # fmt: skip
        same = read_volume(folder / f"{nifti}.nii.gz")
        assert volume.lac.sum().item() == pytest.approx(same.lac.sum().item(), rel=1e-6)
        inside = torch.linalg.solve(same.world_from_index, volume.world_from_index)[:3, 3]
        x, y, z = (round(v) for v in inside.tolist())
        assert inside.tolist() == pytest.approx([x, y, z], abs=1e-3)
        deep, high, wide = volume.shape
        assert torch.equal(same.lac[z : z + deep, y : y + high, x : x + wide], volume.lac)
