"""TIFF of every number type, from several writers."""

import cv2
import numpy as np
import pytest
import SimpleITK as sitk
import tifffile
import torch
from PIL import Image

from napari_xreg.images import ReadError, read_radiograph

GEOMETRY = {
    "source_to_detector": 1050.0,
    "source_to_isocenter": 690.0,
    "pixel_spacing": (0.9, 1.3),
    "find_collimator": False,
}
VALUES = np.array([[100, 50, 25], [12, 6, 80]])
# -log(I / 100)
TRUTH = torch.tensor([[0, 0.693147, 1.386294], [2.120264, 2.813411, 0.223144]])


def intensity(path, **options):
    return read_radiograph(path, read_as="intensity", i0=100.0, **GEOMETRY, **options)


@pytest.mark.parametrize(
    "dtype",
    [
        "uint8",
        "int8",
        "uint16",
        "int16",
        "uint32",
        "int32",
        "uint64",
        "int64",
        "float16",
        "float32",
        "float64",
    ],
)
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_every_number_type(tmp_path, dtype, compression):
    tifffile.imwrite(
        tmp_path / "x.tif", VALUES.astype(dtype), photometric="minisblack", compression=compression
    )
    torch.testing.assert_close(
        intensity(tmp_path / "x.tif").line_integrals, TRUTH, atol=1e-5, rtol=0
    )


def _cv2(path):
    cv2.imwrite(str(path), VALUES.astype(np.uint16))


def _pillow(path):
    Image.fromarray(VALUES.astype(np.uint8)).save(path, compression="tiff_lzw")


def _itk(path):
    sitk.WriteImage(sitk.GetImageFromArray(VALUES.astype(np.float32)), str(path))


@pytest.mark.parametrize("write", [_cv2, _pillow, _itk])
def test_other_writers(tmp_path, write):
    write(tmp_path / "x.tif")
    torch.testing.assert_close(
        intensity(tmp_path / "x.tif").line_integrals, TRUTH, atol=1e-5, rtol=0
    )


def test_one_bit(tmp_path):
    shadow = np.array([[True, False, True], [False, False, True]])
    tifffile.imwrite(tmp_path / "x.tif", shadow, photometric="minisblack")
    found = read_radiograph(tmp_path / "x.tif", read_as="line_integral", **GEOMETRY)
    assert found.line_integrals.tolist() == [[1, 0, 1], [0, 0, 1]]


@pytest.mark.parametrize(("dtype", "end"), [("uint8", 255), ("uint16", 4095), ("uint32", 4095)])
def test_low_values_shown_white_are_read_as_they_are_seen(tmp_path, dtype, end):
    values = end - VALUES
    tifffile.imwrite(tmp_path / "x.tif", values.astype(dtype), photometric="miniswhite")
    found = intensity(tmp_path / "x.tif")
    torch.testing.assert_close(found.line_integrals, TRUTH, atol=1e-5, rtol=0)
    assert any(f"{end} - value" in note for note in found.notes)


def test_low_values_white_by_a_codec_of_opencv(tmp_path):
    """Pillow stores 255 - value under this tag, which OpenCV undoes."""
    picture = Image.fromarray(VALUES.astype(np.uint8))
    picture.save(tmp_path / "x.tif", compression="tiff_lzw", tiffinfo={262: 0})
    with tifffile.TiffFile(tmp_path / "x.tif") as tiff:
        assert tiff.pages[0].photometric == 0
    found = intensity(tmp_path / "x.tif")
    torch.testing.assert_close(found.line_integrals, TRUTH, atol=1e-5, rtol=0)


@pytest.mark.parametrize("write", ["tifffile", "cv2"])
def test_one_page_and_the_mean(tmp_path, write):
    pages = [(VALUES * factor).astype(np.uint16) for factor in (3, 1, 5)]
    if write == "cv2":  # LZW
        cv2.imwritemulti(str(tmp_path / "x.tif"), pages)
    else:
        tifffile.imwrite(tmp_path / "x.tif", np.stack(pages), photometric="minisblack")
    second = intensity(tmp_path / "x.tif", frame=2)
    torch.testing.assert_close(second.line_integrals, TRUTH, atol=1e-5, rtol=0)
    mean = intensity(tmp_path / "x.tif", frame="mean")  # (3 + 1 + 5) / 3 = 3
    torch.testing.assert_close(mean.line_integrals, TRUTH - float(np.log(3)), atol=1e-5, rtol=0)
    with pytest.raises(ReadError, match=r"frames 1\.\.3"):
        intensity(tmp_path / "x.tif")
    with pytest.raises(ReadError, match="no frame 4"):
        intensity(tmp_path / "x.tif", frame=4)


def test_only_the_wanted_page_is_decoded(tmp_path, monkeypatch):
    tifffile.imwrite(
        tmp_path / "x.tif", np.stack([VALUES.astype(np.uint16)] * 9), photometric="minisblack"
    )
    decoded = []
    whole = tifffile.TiffPage.asarray
    monkeypatch.setattr(
        tifffile.TiffPage, "asarray", lambda page: (decoded.append(page.index), whole(page))[1]
    )
    intensity(tmp_path / "x.tif", frame=7)
    assert decoded == [6]


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_cut_off(tmp_path, share):
    tifffile.imwrite(tmp_path / "x.tif", np.tile(VALUES, (20, 20)).astype(float))
    content = (tmp_path / "x.tif").read_bytes()
    (tmp_path / "x.tif").write_bytes(content[: int(share * len(content))])
    with pytest.raises(ReadError, match=r"^x\.tif: .*(damaged|cut off)"):
        intensity(tmp_path / "x.tif")


@pytest.mark.slow
def test_a_declared_size_beyond_the_memory(tmp_path, monkeypatch):
    """50 MB of zeros in 50 kB: six such copies are more than the 0.1 GB that are allowed."""
    array = np.zeros((2500, 2500), np.float64)
    tifffile.imwrite(tmp_path / "x.tif", array, compression="zlib", photometric="minisblack")
    np.savez_compressed(tmp_path / "x.npz", line_integrals=array)
    cv2.imwrite(str(tmp_path / "x.png"), array.astype(np.uint16))
    monkeypatch.setenv("NAPARI_XREG_MEMORY_GB", "0.1")
    for name in ("x.tif", "x.npz", "x.png"):
        with pytest.raises(ReadError, match=rf"^{name}: an image of 2500 x 2500 pixels takes"):
            intensity(tmp_path / name)
    monkeypatch.setenv("NAPARI_XREG_MEMORY_GB", "0.01")
    with pytest.raises(ReadError, match=r"^x\.npz: the archive takes 0\.05 GB"):
        intensity(tmp_path / "x.npz")
