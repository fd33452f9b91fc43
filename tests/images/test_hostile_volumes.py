"""Nothing that a volume's header says is believed unchecked: no crash, no hang, no wild allocation."""

import bz2
import gzip
import os
import struct
import zlib

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from ct_writers import hounsfield, nifti_affine, write_mha, write_nifti, write_nrrd, write_series

from napari_xreg.images import ReadError, TooLarge, read_labels, read_volume
from napari_xreg.images.dicom.stream import DicomStream

HU = hounsfield()
STORED = HU.transpose(2, 1, 0)
NRRD = {
    "space": "left-posterior-superior",
    "space directions": "(0.9,0,0) (0,1.3,0.1) (0,0.2,2)",
    "space origin": "(1,-22,333)",
}
META = {
    "TransformMatrix": "0 1 0 -1 0 0 0 0 1",
    "Offset": "1 -22 333",
    "ElementSpacing": "0.9 1.3 2",
}


def refused(path, words):
    with pytest.raises(ReadError, match=words) as error:
        read_volume(path)
    assert "\n" not in str(error.value)
    assert path.name in str(error.value)


def meta(folder, data=None, name="ct.mha", **fields):
    """A MetaImage of HU whose header fields can be replaced, added or (None) left out."""
    header = {
        "ObjectType": "Image", "NDims": "3", "BinaryData": "True", **META, "DimSize": "3 4 5",
        "ElementType": "MET_SHORT", "ElementDataFile": "LOCAL", **fields,
    }  # fmt: skip
    header["ElementDataFile"] = header.pop("ElementDataFile")
    lines = "".join(f"{key} = {value}\n" for key, value in header.items() if value is not None)
    (folder / name).write_bytes(lines.encode() + (HU.tobytes() if data is None else data))
    return folder / name


@pytest.mark.parametrize("number", ["-1", "0", "100", "99999999999", "1.5", "x"])
def test_meta_image_with_an_impossible_number_of_dimensions(tmp_path, number):
    refused(meta(tmp_path, NDims=number), "NDims must be a whole number from 1 to 10")


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("NDims", "4", "expected a 3D image, got 4"),
        ("DimSize", "3 4 -5", "DimSize must hold 3 whole"),
        ("DimSize", "3 4", "DimSize must hold 3 whole"),
        ("DimSize", "99999999999 4 5", "DimSize must hold"),
        ("DimSize", "3 4 5000", "too short for the 60000"),
        ("ElementType", "MET_STRING", "ElementType 'MET_STRING' cannot be read"),
        ("ElementNumberOfChannels", "3", "one value per voxel, got 3"),
        ("ElementSpacing", "-1 2 3", "must be positive"),
        ("ElementSpacing", "0 2 3", "spacing is zero"),
        ("ElementSpacing", "nan 2 3", "ElementSpacing must hold 3 finite"),
        ("Offset", "1e300 0 0", r"1e\+300 mm away"),
        ("Offset", "0 0", "Offset must hold 3 finite"),
        ("TransformMatrix", "1 0 0 0 1 0 0 1 0", "singular"),
        ("ElementToIntensityFunctionSlope", "2", "save the volume with the scale applied"),
        ("ElementDataFile", "/dev/zero", "a device or a pipe"),
        ("ElementDataFile", "gone.raw", "data file is missing"),
        ("ElementDataFile", "s%d.raw 0 2000000 1", "names 2000001 files"),
        ("ElementDataFile", "s%99999999d.raw", "data file is missing"),
        ("HeaderSize", "-7", "HeaderSize must be"),
        ("BinaryData", "perhaps", "BinaryData 'perhaps' cannot be read"),
    ],
)  # fmt: skip
def test_meta_image_fields(tmp_path, field, value, words):
    path = meta(tmp_path, **{field: value})
    if value == "/dev/zero":
        with pytest.raises(ReadError, match=words):
            read_volume(path)
    else:
        refused(path, words)


def test_a_field_that_says_two_things_is_refused(tmp_path):
    path = write_mha(tmp_path / "ct.mha", HU, META)
    path.write_bytes(path.read_bytes().replace(b"DimSize", b"NDims = 200\nDimSize"))
    refused(path, "NDims stands twice")
    path = write_nrrd(tmp_path / "ct.nrrd", HU, NRRD)
    path.write_bytes(path.read_bytes().replace(b"sizes", b"dimension: 4\nsizes"))
    refused(path, "dimension stands twice")


def test_a_pipe_as_data_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.raw")
    with pytest.raises(ReadError, match=r"pipe\.raw: this is a device or a pipe"):
        read_volume(meta(tmp_path, ElementDataFile="pipe.raw"))
    with pytest.raises(ReadError, match="a device or a pipe"):
        read_volume(tmp_path / "pipe.raw")


META_FORMS = {
    "most significant byte first": (HU.astype(">i2").tobytes(), {"BinaryDataByteOrderMSB": "True"}),
    "the same by its other name": (HU.astype(">i2").tobytes(), {"ElementByteOrderMSB": "True"}),
    "32 bits called long": (HU.astype("<i4").tobytes(), {"ElementType": "MET_LONG"}),
    "BinaryData not said": (None, {"BinaryData": None}),
    "compressed": (
        zlib.compress(HU.tobytes()),
        {"CompressedData": "True", "CompressedDataSize": str(len(zlib.compress(HU.tobytes())))},
    ),
    "float": (HU.astype("<f4").tobytes(), {"ElementType": "MET_FLOAT"}),
    "double": (HU.astype("<f8").tobytes(), {"ElementType": "MET_DOUBLE"}),
    "at the end": (b"123456789" + HU.tobytes(), {"HeaderSize": "-1"}),
}


@pytest.mark.parametrize("form", META_FORMS)
def test_meta_image_as_the_reference_reads_it(tmp_path, form):
    data, fields = META_FORMS[form]
    path = meta(tmp_path, data, **fields)
    ct = read_volume(path)
    assert np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(path))), HU)
    assert np.array_equal(ct.hu, HU)
    # Index x runs along +y 0.9 mm, y along -x 1.3 mm: (2, 3, 4) is at (1 - 3.9, -22 + 1.8, 333 + 8).
    at = ct.world_from_index @ torch.tensor([2.0, 3.0, 4.0, 1.0], dtype=torch.float64)
    assert at[:3].tolist() == pytest.approx([-2.9, -20.2, 341.0])


def test_meta_image_compressed_without_the_size_is_read(tmp_path):
    # ITK gives rubbish for it.
    path = meta(tmp_path, zlib.compress(HU.tobytes()), CompressedData="True")
    assert np.array_equal(read_volume(path).hu, HU)


@pytest.mark.parametrize("names", ["LIST\ns3.raw\ns4.raw\ns5.raw\ns6.raw\ns7.raw", "s%d.raw 3 7 1"])
def test_meta_image_of_several_files(tmp_path, names):
    for k, plane in enumerate(HU):
        (tmp_path / f"s{k + 3}.raw").write_bytes(b"head" + plane.tobytes())
    path = meta(tmp_path, b"", "ct.mhd", ElementDataFile=names, HeaderSize="4")
    assert np.array_equal(read_volume(path).hu, HU)
    (tmp_path / "s5.raw").write_bytes(b"head")
    refused(path, r"voxels \(s5\.raw\) are damaged, or too short")


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("dimension", "99", "dimension must be a whole number from 1 to 8"),
        ("dimension", "-3", "dimension must be"),
        ("sizes", "3 4 -5", "sizes must hold 3"),
        ("sizes", "3 4", "sizes must hold 3"),
        ("sizes", "1073741824 4 5", "more than the 1073741824"),
        ("type", "block", "type 'block' cannot be read"),
        ("endian", "", "field endian is missing"),
        ("encoding", "hex", "encoding 'hex' cannot be read"),
        ("space directions", "(1,0,0) (0,1,0)", "one vector for each of 3 axes"),
        ("space directions", "(1,0,0) (0,nan,0) (0,0,1)", "three finite numbers"),
        ("space directions", "(1,0,0) (0,1) (0,0,1)", "three finite numbers"),
        ("space directions", "(1,0,0) (0,0,0) (0,0,1)", "spacing is zero"),
        ("space directions", "(1,0,0) (2,0,0) (0,0,1)", "singular"),
        ("space origin", "(0,0,-1e300)", r"1e\+300 mm away"),
        ("space origin", "none", "must hold three finite|finite"),
        ("data file", "/dev/zero", "a device or a pipe"),
        ("data file", "../gone.raw", "data file is missing"),
        ("line skip", "3", "to skip before the voxels"),
        ("byte skip", "-5", "byte skip must be"),
    ],
)
def test_nrrd_fields(tmp_path, field, value, words):
    path = write_nrrd(tmp_path / "ct.nrrd", HU, {**NRRD, field: value})
    if value == "/dev/zero":
        with pytest.raises(ReadError, match=words):
            read_volume(path)
    else:
        refused(path, words)


@pytest.mark.slow
def test_a_header_that_does_not_end(tmp_path):
    for name, start in (("ct.nrrd", b"NRRD0005\n"), ("ct.mha", b"NDims = 3\n")):
        (tmp_path / name).write_bytes(start + b"# x = y\n" * 200_000)
        with pytest.raises(ReadError, match=r"does not end|stands twice"):
            read_volume(tmp_path / name)
    (tmp_path / "ct.nrrd").write_bytes(b"NRRD0005\n" + b"k" * 2_000_000)
    refused(tmp_path / "ct.nrrd", "does not end")


NRRD_FORMS = {
    "big endian": (HU.astype(">i2").tobytes(), {"endian": "big"}),
    "gzip": (gzip.compress(HU.tobytes()), {"encoding": "gz"}),
    "two gzips": (
        gzip.compress(HU[:2].tobytes()) + gzip.compress(HU[2:].tobytes()), {"encoding": "gzip"},
    ),
    "bzip2": (bz2.compress(HU.tobytes()), {"encoding": "bzip2"}),
    "text": (b"\n".join(str(v).encode() for v in HU.ravel()), {"encoding": "ascii", "endian": ""}),
    "at the end": (b"12345" + HU.tobytes(), {"byte skip": "-1"}),
    "behind": (b"12345" + HU.tobytes(), {"byte skip": "5"}),
    "vectors of one": (
        None, {"dimension": "4", "sizes": "1 3 4 5", "kinds": "vector domain domain domain",
               "space directions": "none " + NRRD["space directions"]},
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", NRRD_FORMS)
def test_nrrd_in_every_encoding(tmp_path, form):
    data, fields = NRRD_FORMS[form]
    path = write_nrrd(tmp_path / "ct.nrrd", HU, {**NRRD, **fields})
    head, _, voxels = path.read_bytes().partition(b"\n\n")
    path.write_bytes(head + b"\n\n" + (voxels if data is None else data))
    ct = read_volume(path)
    assert np.array_equal(ct.hu, HU)
    # (2, 3, 4): (1 + 1.8, -22 + 3.9 + 0.8, 333 + 0.3 + 8).
    at = ct.world_from_index @ torch.tensor([2.0, 3.0, 4.0, 1.0], dtype=torch.float64)
    assert at[:3].tolist() == pytest.approx([2.8, -17.3, 341.3])


def test_damage_in_compressed_voxels_is_seen_by_the_check_sum(tmp_path):
    """A flipped bit that still decompresses: the voxels would be wrong and nobody would know."""
    packed = bytearray(gzip.compress(HU.tobytes(), compresslevel=0))
    packed[-60] ^= 4
    path = write_nrrd(tmp_path / "ct.nrrd", HU, {**NRRD, "encoding": "gzip"})
    head = path.read_bytes().partition(b"\n\n")[0]
    path.write_bytes(head + b"\n\n" + packed)
    refused(path, "damaged")
    path = write_nifti(tmp_path / "ct.nii", STORED)
    packed = bytearray(gzip.compress(path.read_bytes(), compresslevel=0))
    packed[-60] ^= 4
    (tmp_path / "ct.nii.gz").write_bytes(packed)
    refused(tmp_path / "ct.nii.gz", "damaged")


def test_segments_with_numbers_nobody_has(tmp_path):
    ids = np.zeros((5, 4, 3), np.uint8)
    ids[1, 2, 0] = 7
    fields = {**NRRD, "Segment0_LabelValue": "=7", "Segment0_Name": "=ulna",
              "Segment1_LabelValue": "=" + "9" * 5000}  # fmt: skip
    assert read_labels(write_nrrd(tmp_path / "s.seg.nrrd", ids, fields)).names == {7: "ulna"}


def nifti_with(folder, offset, form, *values, name="ct.nii"):
    path = write_nifti(folder / name, STORED)
    data = bytearray(path.read_bytes())
    struct.pack_into(form, data, offset, *values)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "offset",
    [float("nan"), float("inf"), -float("inf"), -352.0, 1.0, 351.0, 352.5, 1e9, 3e38],
)
def test_where_the_voxels_of_a_nifti_begin(tmp_path, offset):
    refused(nifti_with(tmp_path, 108, "<f", offset), r"\(vox_offset\)")


@pytest.mark.parametrize(
    ("offset", "form", "values", "words"),
    [
        (40, "<h", (0,), "an image of 0 dimensions"),
        (40, "<h", (99,), "damaged"),
        (42, "<h", (-1,), r"got -1 x 4 x 5 voxels"),
        (112, "<2f", (1e38, 0.0), "infinite"),
        (112, "<2f", (1.0, float("inf")), "header is damaged"),
        (280, "<4f", (-0.7, 0.0, 0.0, 3e38), "mm away"),
        (344, "<4s", (b"ni1\0",), "voxels are in another file"),
        (344, "<4s", (b"abc\0",), "Analyze"),
    ],
)
def test_nifti_fields(tmp_path, offset, form, values, words):
    refused(nifti_with(tmp_path, offset, form, *values), words)


def test_a_nifti_is_compressed_or_not_by_its_contents(tmp_path):
    plain = write_nifti(tmp_path / "a.nii", STORED).read_bytes()
    (tmp_path / "plain.nii.gz").write_bytes(plain)
    (tmp_path / "packed.nii").write_bytes(gzip.compress(plain))
    for name in ("plain.nii.gz", "packed.nii"):
        ct = read_volume(tmp_path / name)
        assert np.array_equal(ct.hu, HU)
        assert ct.world_from_index[:3, 3].tolist() == pytest.approx([-10.0, -20.0, 30.0])


@pytest.mark.parametrize("names", [("a.hdr", "a.img"), ("A.HDR", "A.IMG")])
@pytest.mark.parametrize("packed", [False, True])
def test_a_pair_is_found_by_either_half(tmp_path, names, packed):
    import nibabel

    nibabel.save(nibabel.Nifti1Pair(STORED, nifti_affine()), tmp_path / "x.img")
    for name, half in zip(names, ("x.hdr", "x.img"), strict=True):
        data = (tmp_path / half).read_bytes()
        (tmp_path / name).write_bytes(gzip.compress(data) if packed else data)
    for name in names:
        assert np.array_equal(read_volume(tmp_path / name).hu, HU)


def test_a_table_of_labels_does_not_last(tmp_path):
    """Half a megabyte of openings without an end: searched for each, it would take minutes."""
    path = write_nifti(tmp_path / "labels.nii", np.ones((3, 4, 5), np.uint8))
    data = bytearray(path.read_bytes())
    text = b'<Label Key="12"' * 30_000
    text += b" " * (-len(text) % 16)
    struct.pack_into("<f", data, 108, 352 + len(text))
    path.write_bytes(data[:352] + text + data[352:])
    assert read_labels(path).present() == [1]


@pytest.mark.parametrize("kind", ["nii", "nrrd", "mha", "dcm"])
def test_a_declared_size_is_compared_with_the_memory_first(tmp_path, monkeypatch, kind):
    path = {
        "nii": lambda: write_nifti(tmp_path / "ct.nii", STORED),
        "nrrd": lambda: write_nrrd(tmp_path / "ct.nrrd", HU, NRRD),
        "mha": lambda: write_mha(tmp_path / "ct.mha", HU, META),
        "dcm": lambda: write_series(tmp_path / "series"),
    }[kind]()
    # 60 voxels of 2 bytes and the 12 made of each: 840 bytes.
    monkeypatch.setenv("NAPARI_XREG_MEMORY_GB", "839e-9" if kind != "dcm" else "900e-9")
    with pytest.raises(TooLarge, match="volume of 3 x 4 x 5 voxels takes"):
        read_volume(path)
    monkeypatch.setenv("NAPARI_XREG_MEMORY_GB", "2e-6")
    assert read_volume(path).shape == (5, 4, 3)


def test_a_bomb_takes_no_memory(tmp_path, monkeypatch):
    """A thousand cubed from a file of some hundred bytes, as a gigabyte is free."""
    monkeypatch.setenv("NAPARI_XREG_MEMORY_GB", "1")
    sizes = {"sizes": "1000 1000 1000", "encoding": "gzip"}
    path = write_nrrd(tmp_path / "ct.nrrd", HU, {**NRRD, **sizes})
    with pytest.raises(TooLarge, match="1000 x 1000 x 1000 voxels takes 14 GB"):
        read_volume(path)
    path = nifti_with(tmp_path, 42, "<3h", 1000, 1000, 1000)
    with pytest.raises(TooLarge, match="14 GB"):
        read_volume(path)
    with pytest.raises(TooLarge, match="14 GB"):
        read_volume(meta(tmp_path, DimSize="1000 1000 1000"))


def test_a_damaged_length_of_dicom_takes_no_memory(tmp_path):
    file = tmp_path / "x.dcm"
    file.write_bytes(bytes(range(200)))
    with DicomStream(file) as stream:
        assert stream.read(3) == b"\0\1\2"
        # A plain file would set a terabyte aside first.
        assert stream.read(1 << 40) == bytes(range(3, 200))
        assert stream.read(5) == b""
