"""Compressed DICOM: JPEG Lossless as angiography systems write it, and what else pydicom leaves."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from jpeg_lossless import jpeg_lossless, squeezed
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixels import pixel_array
from pydicom.uid import JPEGLosslessSV1
from xray_files import dicom, save, stored_intensity

from napari_xreg.images import read_radiograph
from napari_xreg.images.dicom import decoding as dicom_decoding
from napari_xreg.images.dicom.decoding import stored_pixels


def reopened(tmp_path, dataset):
    return pydicom.dcmread(save(tmp_path / "x.dcm", dataset))


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_values_come_back_bit_by_bit(tmp_path, bits, signed):
    low, high = (-(1 << (bits - 1)), 1 << (bits - 1)) if signed else (0, 1 << bits)
    values = np.random.default_rng(bits).integers(low, high, (3, 30, 44))
    values[0, :2, :3] = [[low, high - 1, low], [high - 1, low, high - 1]]
    kind = "int" if signed else "uint"
    values = values.astype(f"{kind}{8 if bits == 8 else 16}")
    dataset = squeezed(dicom(values), values, bits)
    dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = bits, bits - 1, int(signed)
    # What a viewer would do with the values is not done to them here.
    dataset.PhotometricInterpretation = "MONOCHROME1"
    dataset.RescaleSlope, dataset.RescaleIntercept = "0.5", "-1024"
    found = stored_pixels(reopened(tmp_path, dataset))
    assert found.shape == values.shape
    assert np.array_equal(found, values)
    single = squeezed(dicom(values[0]), values[:1], bits)
    single.BitsStored, single.HighBit, single.PixelRepresentation = bits, bits - 1, int(signed)
    assert np.array_equal(stored_pixels(reopened(tmp_path, single)), values[0])


def test_an_angiogram(tmp_path):
    pixels = stored_intensity()
    plain = read_radiograph(save(tmp_path / "plain.dcm", dicom()))
    there = read_radiograph(save(tmp_path / "small.dcm", squeezed(dicom(), [pixels], 12)))
    assert (there.line_integrals == plain.line_integrals).all()
    assert there.carm == plain.carm
    frames = np.stack([pixels, pixels // 2, pixels // 3])
    run = squeezed(dicom(frames), frames, 12)
    second = read_radiograph(save(tmp_path / "run.dcm", run), frame=2)
    wanted = read_radiograph(save(tmp_path / "one.dcm", dicom(frames)), frame=2)
    assert (second.line_integrals == wanted.line_integrals).all()


@pytest.mark.parametrize("packed", [False, True])
def test_one_frame_is_decoded_alone(tmp_path, packed, monkeypatch):
    """The third of four, from its own bytes: the others are damaged, or would be noticed."""
    frames = np.stack([stored_intensity(i0=i0) for i0 in (3000, 2500, 2000, 1500)])
    dataset = squeezed(dicom(frames), frames, 12) if packed else dicom(frames)
    path = save(tmp_path / "x.dcm", dataset)
    asked = []

    def counted(source, **options):
        asked.append((isinstance(source, Path), options["index"]))
        return pixel_array(source, **options)

    monkeypatch.setattr(dicom_decoding, "pixel_array", counted)
    third = read_radiograph(path, frame=3, i0=2000.0, find_collimator=False)
    assert asked == [(True, 2)]
    alone = read_radiograph(
        save(tmp_path / "y.dcm", dicom(frames[2])), i0=2000.0, find_collimator=False
    )
    assert (third.line_integrals == alone.line_integrals).all()
    asked.clear()
    mean = read_radiograph(path, frame="mean", i0=2250.0, find_collimator=False)
    assert [index for _, index in asked] == [0, 1, 2, 3]
    expected = -np.log(frames.mean(0) / 2250.0)
    np.testing.assert_allclose(mean.line_integrals.numpy(), expected, atol=1e-6)


def test_a_frame_of_a_file_without_a_preamble(tmp_path):
    frames = np.stack([stored_intensity(i0=i0) for i0 in (3000, 2500)])
    path = save(tmp_path / "x.dcm", dicom(frames))
    whole = read_radiograph(path, frame=2)
    dataset = pydicom.dcmread(path)
    bare = Dataset()
    bare.update(dict(dataset.items()))
    bare.save_as(path, implicit_vr=True, little_endian=True)
    assert path.read_bytes()[128:132] != b"DICM"
    assert (read_radiograph(path, frame=2).line_integrals == whole.line_integrals).all()


def test_a_multi_frame_file_that_is_cut_off(tmp_path):
    frames = stored_intensity()[None].repeat(3, 0)
    path = save(tmp_path / "x.dcm", dicom(frames))
    path.write_bytes(path.read_bytes()[:-700])
    with pytest.raises(ValueError, match=r"is cut off: 7220 of 7920 bytes .* 3 frame"):
        read_radiograph(path, frame=1)


def test_jpeg_ls():
    """Of another writer: files that come with pydicom."""
    found, wanted = (
        stored_pixels(pydicom.dcmread(get_testdata_file(name, download=False)))
        for name in ("MR_small_jpeg_ls_lossless.dcm", "MR_small.dcm")
    )
    assert np.array_equal(found, wanted)


def test_a_cut_stream_is_refused_in_words(tmp_path):
    dataset = dicom()
    whole = jpeg_lossless(stored_intensity(), 12)
    dataset.PixelData = encapsulate([whole[:60]])
    dataset.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    with pytest.raises(ValueError, match=r"JPEG Lossless.*cannot be decoded here.*whole"):
        read_radiograph(save(tmp_path / "x.dcm", dataset))
