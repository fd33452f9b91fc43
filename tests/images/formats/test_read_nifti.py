"""NIfTI: stored order, RAS to LPS, units, rescale, the two placements of the header."""

import struct

import nibabel
import numpy as np
import pytest
import torch
from ct_writers import hounsfield, nifti_affine, write_nifti
from torch.testing import assert_close

from napari_xreg.images import TOTALSEGMENTATOR_NAMES, ReadError, read_labels, read_volume

# (x, y, z) as NIfTI stores it.
STORED = hounsfield().transpose(2, 1, 0)


def world(volume, x, y, z):
    return (volume.world_from_index @ torch.tensor([x, y, z, 1.0], dtype=torch.float64))[
        :3
    ].tolist()


@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz", "ct.img"])
def test_order_and_place_by_hand(tmp_path, name):
    if name.endswith(".img"):
        nibabel.save(nibabel.Nifti1Pair(STORED, nifti_affine()), tmp_path / name)
    else:
        write_nifti(tmp_path / name, STORED)
    ct = read_volume(tmp_path / name)
    assert ct.shape == (5, 4, 3)
    assert ct.hu.dtype == torch.int16
    # Voxel (x, y, z) = (1, 2, 3).
    assert ct.hu[3, 2, 1] == STORED[1, 2, 3] == -1000 + 37 * (3 * 12 + 2 * 3 + 1)
    # RAS (10 - 0.7, 20 - 1.8, 30 + 3.9), the first two negated for LPS.
    assert world(ct, 1, 2, 3) == pytest.approx([-9.3, -18.2, 33.9])
    assert ct.spacing == pytest.approx((0.7, 0.9, 1.3))
    # 591 HU at 70 keV, where water is 0.01929/mm.
    assert float(ct.lac[3, 2, 1]) == pytest.approx(0.01929 * 1.591, rel=1e-3)


def test_oblique_and_sheared(tmp_path):
    affine = np.array(
        [[0.1, 0.8, 0.0, -5.0], [-0.6, 0.2, 0.3, 6.0], [0.0, 0.1, 2.0, 7.0], [0, 0, 0, 1]]
    )
    ct = read_volume(write_nifti(tmp_path / "ct.nii", STORED, affine))
    # RAS of (2, 1, 4): (-5 + 0.2 + 0.8, 6 - 1.2 + 0.2 + 1.2, 7 + 0.1 + 8).
    assert world(ct, 2, 1, 4) == pytest.approx([4.0, -6.2, 15.1])


def test_energy_is_passed_on(tmp_path):
    path = write_nifti(tmp_path / "ct.nii", STORED)
    water = float(read_volume(path, energy_kev=60.0).lac[2, 1, 0])
    # -1000 + 37 * 27 = -1 HU.
    assert water == pytest.approx(0.02059 * 0.999, rel=1e-4)


def with_codes(path, sform, sform_code, qform, qform_code):
    image = nibabel.Nifti1Image(STORED, None)
    image.header.set_zooms((0.7, 0.9, 1.3))
    image.header.set_qform(qform, qform_code)
    image.header.set_sform(sform, sform_code)
    nibabel.save(image, path)
    return path


def test_either_placement(tmp_path):
    right, wrong = nifti_affine(), nifti_affine()
    wrong[:3, 3] += (7.0, 8.0, 9.0)
    for codes in ((2, 0), (0, 1)):
        sform, qform = (right, wrong) if codes[0] else (wrong, right)
        ct = read_volume(with_codes(tmp_path / "ct.nii", sform, codes[0], qform, codes[1]))
        assert world(ct, 1, 2, 3) == pytest.approx([-9.3, -18.2, 33.9], abs=1e-5)


def test_both_placements_must_agree(tmp_path):
    sform, qform = nifti_affine(), nifti_affine()
    ct = read_volume(with_codes(tmp_path / "ct.nii", sform, 1, qform, 1))
    assert world(ct, 1, 2, 3) == pytest.approx([-9.3, -18.2, 33.9], abs=1e-5)
    sform[0, 3] += 0.3
    sform[1, 3] += 0.4
    with pytest.raises(ReadError, match=r"0\.5 mm apart: set the code of the wrong one to 0"):
        read_volume(with_codes(tmp_path / "ct.nii", sform, 1, qform, 1))


def test_no_placement(tmp_path):
    with pytest.raises(ReadError, match="neither sform nor qform"):
        read_volume(with_codes(tmp_path / "ct.nii", nifti_affine(), 0, nifti_affine(), 0))


@pytest.mark.parametrize(
    ("unit", "scale"), [("mm", 1.0), ("unknown", 1.0), ("meter", 1000.0), ("micron", 0.001)]
)
def test_units(tmp_path, unit, scale):
    affine = nifti_affine()
    affine[:3] /= scale
    image = nibabel.Nifti1Image(STORED, affine)
    image.header.set_xyzt_units(xyz=unit)
    nibabel.save(image, tmp_path / "ct.nii")
    ct = read_volume(tmp_path / "ct.nii")
    assert world(ct, 1, 2, 3) == pytest.approx([-9.3, -18.2, 33.9], rel=1e-6)


def test_metres_that_claim_to_be_mm(tmp_path):
    affine = nifti_affine()
    affine[:3] /= 1000
    with pytest.raises(ReadError, match=r"0\.0007 x 0\.0009 x 0\.0013 mm are not those of a CT"):
        read_volume(write_nifti(tmp_path / "ct.nii", STORED, affine))


def test_slope_before_intercept(tmp_path):
    stored = (STORED + 1000).astype(np.uint16)
    # nibabel scales while it saves, so the two fields are written into the file: bytes 112 to 120.
    data = bytearray(write_nifti(tmp_path / "ct.nii", stored).read_bytes())
    data[112:120] = struct.pack("<ff", 0.5, -900.0)
    (tmp_path / "ct.nii").write_bytes(data)
    ct = read_volume(tmp_path / "ct.nii")
    # Stored 37 * 43 = 1591; 1591 / 2 - 900.
    assert float(ct.hu[3, 2, 1]) == pytest.approx(-104.5)
    assert ct.hu.dtype == torch.float32


@pytest.mark.parametrize("dtype", ["<i2", ">i2", "<i4", "<f4", ">f8", "<i8"])
def test_number_types(tmp_path, dtype):
    image = nibabel.Nifti1Image(STORED.astype(dtype), nifti_affine(), dtype=dtype)
    nibabel.save(image, tmp_path / "ct.nii")
    ct = read_volume(tmp_path / "ct.nii")
    assert_close(ct.hu.double(), torch.from_numpy(hounsfield()).double())
    assert ct.hu.dtype == (torch.float32 if "f" in dtype else torch.int16)


def test_trailing_axes_of_one(tmp_path):
    ct = read_volume(write_nifti(tmp_path / "ct.nii", STORED[..., None, None]))
    assert ct.shape == (5, 4, 3)


def test_labels(tmp_path):
    ids = np.zeros((3, 4, 5), np.uint8)
    ids[2, 1, 4] = 77
    ids[0, 0, 0] = 200
    for dtype in (np.uint8, np.float64):
        labels = read_labels(write_nifti(tmp_path / "labels.nii.gz", ids.astype(dtype)))
        assert labels.ids[4, 1, 2] == 77
        assert labels.present() == [77, 200]
        assert labels.names == {}  # 200 is no class of TotalSegmentator's
    mine = read_labels(tmp_path / "labels.nii.gz", names={200: "screw", 3: "absent"})
    assert (mine.names, mine.names_from) == ({200: "screw"}, "as said")
    labels.check_grid(read_volume(write_nifti(tmp_path / "ct.nii", STORED)))


def test_names_in_the_file_come_first(tmp_path):
    image = nibabel.Nifti1Image(np.full((3, 4, 5), 2, np.uint8), nifti_affine())
    table = (
        '<LabelTable><Label Key="2" Red="0" Green="1"><![CDATA[knee_left]]></Label></LabelTable>'
    )
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension(30, table.encode()))
    nibabel.save(image, tmp_path / "labels.nii")
    (tmp_path / "labels.txt").write_text("2 ulna")
    labels = read_labels(tmp_path / "labels.nii")
    assert (labels.names, labels.names_from) == ({2: "knee_left"}, "the file")


def test_totalsegmentator_names():
    assert len(TOTALSEGMENTATOR_NAMES) == 117
    # The ids that data and phantoms rely on.
    expected = {
        1: "spleen", 25: "sacrum", 26: "vertebrae_S1", 27: "vertebrae_L5", 31: "vertebrae_L1",
        32: "vertebrae_T12", 50: "vertebrae_C1", 51: "heart", 75: "femur_left",
        76: "femur_right", 77: "hip_left", 78: "hip_right", 91: "skull", 92: "rib_left_1",
        115: "rib_right_12", 116: "sternum", 117: "costal_cartilages",
    }  # fmt: skip
    assert {i: TOTALSEGMENTATOR_NAMES[i] for i in expected} == expected


def test_names_against_a_file_totalsegmentator_wrote(data_path):
    labels = read_labels(data_path("pelvis_totalseg/labels.nii.gz"))
    assert len(labels.names) == len(labels.present()) == 61
    assert {i: TOTALSEGMENTATOR_NAMES[i] for i in labels.names} == labels.names


@pytest.mark.parametrize(
    ("name", "shape", "spacing", "first_voxel"),
    [
        # Grids as in data/README.md; first voxels from the files' headers, RAS negated to LPS.
        ("pelvis_totalseg", (112, 101, 122), (3.0, 3.0, 3.0), (177.956, -11.319, 94.302)),
        ("chest_lidc", (222, 240, 240), (1.5, 1.5, 1.5), (-166.0, -171.7, -340.0)),
        ("skull_phantom", (140, 231, 231), (1.0, 1.0, 1.0), (-115.5, -1.85, 694.21)),
        ("hip_sts020", (97, 304, 241), (0.9766, 0.9766, 3.27), (-1.953, -192.383, -869.82)),
        ("knee_sts013", (114, 215, 252), (0.9766, 0.9766, 3.27), (-46.875, -78.125, 531.04)),
    ],
)
def test_real_volumes(data_path, name, shape, spacing, first_voxel):
    ct = read_volume(data_path(f"{name}/ct.nii.gz"))
    assert ct.shape == shape
    assert ct.spacing == pytest.approx(spacing, abs=1e-4)
    assert world(ct, 0, 0, 0) == pytest.approx(first_voxel, abs=0.01)
    # Something like a body: air around, bone inside.
    assert float(ct.lac.max()) > 0.04
    assert float((ct.lac == 0).float().mean()) > 0.02
