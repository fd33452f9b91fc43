"""Files that are not radiographs, or not whole: each gives one sentence that names the file."""

import json
import os
import struct
import zipfile
import zlib

import cv2
import numpy as np
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless
from xray_files import dicom, line_integrals, save, stored_intensity

from napari_xreg.images import ReadError, read_radiograph

GEOMETRY = {
    "source_to_detector": 1050.0,
    "source_to_isocenter": 690.0,
    "pixel_spacing": (0.31, 0.27),
    "read_as": "line_integral",
}


def _dicom(**attributes):
    def make(folder):
        return save(folder / "x.dcm", dicom(**attributes))

    return make


def _cut(size):
    def make(folder):
        path = save(folder / "x.dcm", dicom())
        path.write_bytes(path.read_bytes()[:size])
        return path

    return make


def _bytes(name, content):
    def make(folder):
        (folder / name).write_bytes(content)
        return folder / name

    return make


def _npy(array):
    def make(folder):
        np.save(folder / "x.npy", array)
        return folder / "x.npy"

    return make


def _picture(name, array, *, half=False):
    def make(folder):
        path = folder / name
        cv2.imwrite(str(path), array)
        if half:
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        return path

    return make


def _compressed(folder):
    dataset = dicom()
    dataset.file_meta.TransferSyntaxUID = JPEG2000Lossless
    dataset.PixelData = encapsulate([b"\xff\x4f\xff\x51" + bytes(60)])
    return save(folder / "x.dcm", dataset)


def _raw_text(keyword, text):
    """A header text that no checked writer would write, of the length of the right one."""

    def make(folder):
        placeholder = "1234567.5"[: len(text)]
        dataset = dicom(**{keyword: placeholder})
        path = save(folder / "x.dcm", dataset)
        content = path.read_bytes()
        assert content.count(placeholder.encode()) == 1
        path.write_bytes(content.replace(placeholder.encode(), text.encode()))
        return path

    return make


def _sidecar(data):
    def make(folder):
        path = _npy(line_integrals())(folder)
        (folder / "x.npy.json").write_text(data if isinstance(data, str) else json.dumps(data))
        return path

    return make


def _image(image):
    return _sidecar({"schema": "napari-xreg/xray-geometry", "version": 1, "image": image})


def _colour():
    image = np.repeat(stored_intensity(i0=250).astype(np.uint8)[..., None], 3, 2)
    image[3, 4, 2] //= 2
    return image


def _with_nan():
    image = line_integrals()
    image[4, 5] = np.nan
    return image


def _huge_rows():
    dataset = dicom()
    dataset.Rows = dataset.Columns = 60000
    return lambda folder: save(folder / "x.dcm", dataset)


def _huge_png(folder):
    """The header of a PNG of 60000 x 60000 pixels, with its checksum, and no pixels behind it."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 60000, 60000, 16, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    chunk += struct.pack(">I", 1000) + b"IDAT" + bytes(1004)
    return _bytes("x.png", b"\x89PNG\r\n\x1a\n" + chunk)(folder)


def _cut_npz(folder):
    np.savez(folder / "x.npz", line_integrals=line_integrals())
    content = (folder / "x.npz").read_bytes()
    return _bytes("x.npz", content[:300])(folder)


def _other_npz(folder):
    np.savez(folder / "x.npz", image=line_integrals())
    return folder / "x.npz"


def _bad_mask_npz(folder):
    np.savez(folder / "x.npz", line_integrals=line_integrals(), mask=np.ones((2, 3), bool))
    return folder / "x.npz"


def _odd_npz(**arrays):
    def make(folder):
        np.savez(folder / "x.npz", **{"line_integrals": line_integrals(), **arrays})
        return folder / "x.npz"

    return make


def _npz_of_members(**members):
    """An archive whose members are these bytes, whatever they are."""

    def make(folder):
        with zipfile.ZipFile(folder / "x.npz", "w") as archive:
            for name, content in members.items():
                archive.writestr(f"{name}.npy", content)
        return folder / "x.npz"

    return make


def _flipped_npz(folder):
    """One byte within the compressed numbers is another: zlib or the checksum notices."""
    np.savez_compressed(folder / "x.npz", line_integrals=line_integrals())
    content = bytearray((folder / "x.npz").read_bytes())
    content[len(content) // 2] ^= 0xFF
    return _bytes("x.npz", bytes(content))(folder)


def _fifo(folder):
    os.mkfifo(folder / "x.dcm")
    return folder / "x.dcm"


def _folder(folder):
    (folder / "x").mkdir()
    return folder / "x"


MALFORMED = {
    "absent": (lambda folder: folder / "no.dcm", "cannot be opened"),
    "folder": (_folder, "is a folder"),
    "empty": (_bytes("x.dcm", b""), "is empty"),
    "empty png": (_bytes("x.png", b""), "is empty"),
    "text": (
        _bytes("x.dcm", b"not an image at all, only words " * 9),
        "is not a DICOM file|damaged",
    ),
    "zeros": (_bytes("x.dcm", bytes(4000)), "is not a DICOM file|damaged"),
    "other ending": (_bytes("x.jpg", b"\xff\xd8\xff\xe0 and so on"), "is not a file this program"),
    "cut in the preamble": (_cut(100), "is not a DICOM file|damaged"),
    "cut in the header": (_cut(300), "damaged|cut off|is absent"),
    "cut in the pixels": (_cut(2000), "cut off|damaged"),
    "CT slice": (_dicom(modality="CT"), "is a CT slice, not a radiograph"),
    "other modality": (_dicom(Modality="US"), "of modality US"),
    "no pixel data": (_dicom(PixelData=None), r"Pixel Data \(7FE0,0010\)"),
    "no rows": (_dicom(Rows=None), r"Rows \(0028,0010\) is absent"),
    "no geometry": (
        _dicom(DistanceSourceToDetector=None, ImagerPixelSpacing=None),
        r"source_to_detector \(mm\).*pixel_spacing \(mm",
    ),
    "secondary capture": (
        _dicom(
            modality="OT",
            DistanceSourceToDetector=None,
            DistanceSourceToPatient=None,
            ImagerPixelSpacing=None,
        ),
        r"source_to_detector \(mm\).*source_to_isocenter \(mm\).*pixel_spacing",
    ),
    "negative SDD": (
        _dicom(DistanceSourceToDetector="-1050"),
        "must be positive, in mm: got -1050",
    ),
    "SDD is zero": (_dicom(DistanceSourceToDetector="0"), "absent or 0"),
    "SDD below SOD": (
        _dicom(DistanceSourceToDetector="600"),
        r"=690\.0 mm, .*=600\.0 mm .*from DICOM Distance Source to Patient \(0018,1111\)",
    ),
    "SDD is a word": (
        _raw_text("DistanceSourceToDetector", "about 1 m"),
        r"Distance Source to Detector \(0018,1110\)",
    ),
    "decimal comma": (_raw_text("ImagerPixelSpacing", "0,31 mm"), r"Imager Pixel Spacing \(0018"),
    "one spacing": (_dicom(ImagerPixelSpacing="0.31"), r"\(0018,1164\) should hold 2 finite"),
    "zero spacing": (
        _dicom(ImagerPixelSpacing=["0.31", "0"]),
        "must be positive, in mm: got 0.31 x 0",
    ),
    "negative spacing": (_dicom(ImagerPixelSpacing=["-0.3", "0.3"]), "must be positive"),
    "colour DICOM": (_dicom(SamplesPerPixel=3), "is a colour image"),
    "palette DICOM": (_dicom(PhotometricInterpretation="PALETTE COLOR"), "is a colour image"),
    "constant DICOM": (
        _dicom(pixels=np.full((30, 44), 812, np.uint16)),
        r"all pixels are the same \(812\)",
    ),
    "all zero": (_dicom(pixels=np.zeros((30, 44), np.uint16)), r"all pixels are the same \(0\)"),
    "huge": (_huge_rows(), "60000 x 60000 pixels"),
    "unsupported compression": (_compressed, "is compressed as JPEG 2000 .*decompress"),
    "NaN": (_npy(_with_nan()), "1 of 1320 pixels are NaN or infinite"),
    "all NaN": (_npy(np.full((5, 6), np.nan)), "30 of 30 pixels are NaN"),
    "3D array": (_npy(np.zeros((4, 5, 6))), "choose one of the frames"),
    "1D array": (_npy(np.arange(9.0)), r"has shape \(9,\)"),
    "no pixels": (_npy(np.zeros((0, 6))), r"has shape \(0, 6\)"),
    "complex": (_npy(np.zeros((4, 5), complex)), "real numbers"),
    "text array": (_npy(np.array([["a", "b"]])), "real numbers"),
    "pickled array": (
        lambda folder: _bytes("x.npy", _pickled(folder))(folder),
        "holds Python objects",
    ),
    "cut npy": (_bytes("x.npy", b"\x93NUMPY\x01\x00"), r"is not a readable \.npy"),
    "constant npy": (_npy(np.full((5, 6), 2.5)), "all pixels are the same"),
    "cut npz": (_cut_npz, r"is not a readable \.npz"),
    "other npz": (_other_npz, "no array named 'line_integrals'"),
    "mask of another shape": (_bad_mask_npz, "image and mask should have the same shape"),
    "flipped npz": (_flipped_npz, "is not a readable .npz archive"),
    "npz of text": (_npz_of_members(line_integrals=b"not numbers"), "is no array"),
    "npz of objects": (
        _odd_npz(line_integrals=np.array([[{}]], dtype=object)),
        "holds Python objects",
    ),
    "npz whose geometry is a number": (_odd_npz(geometry=np.array(3.0)), "should be one JSON text"),
    "npz whose geometry is a list": (_odd_npz(geometry=np.array("[1, 2]")), "no JSON object"),
    "npz whose geometry is cut": (_odd_npz(geometry=np.array('{"schema')), "is not valid JSON"),
    "npz whose mask is text": (
        _odd_npz(mask=np.full((30, 44), "yes")),
        "image and mask should have the same shape",
    ),
    "pipe": (_fifo, "is a device or a pipe"),
    "colour PNG": (_picture("x.png", _colour()), "is a colour image"),
    "cut PNG": (_picture("x.png", stored_intensity(), half=True), "damaged or cut off"),
    "cut TIFF": (_picture("x.tif", stored_intensity(), half=True), "damaged or cut off"),
    "huge PNG": (_huge_png, "claims more pixels"),
    "not a PNG": (_bytes("x.png", b"GIF89a and more"), "is not a readable PNG or TIFF"),
    "sidecar is not JSON": (_sidecar("{"), "is not valid JSON"),
    "sidecar of something else": (_sidecar({"schema": "results"}), "expected a JSON object whose"),
    "sidecar with a bad meaning": (
        _sidecar({"schema": "napari-xreg/xray-geometry", "version": 1, "image": {"read_as": "HU"}}),
        "read_as should be",
    ),
    "sidecar with a negative I0": (_image({"i0": -3}), "i0 should be a number above 0: got -3"),
    "sidecar whose I0 is true": (_image({"i0": True}), "i0 should be a number: got True"),
    "sidecar with a slope of 0": (_image({"slope": 0}), "slope should not be 0"),
    "sidecar that masks a word": (_image({"masked_value": "none"}), "masked_value should be"),
    "sidecar with one note": (_image({"notes": "read with care"}), "notes should be a list"),
    "sidecar that may be simulated": (_image({"simulated": "no"}), "true or false: got 'no'"),
    "sidecar with a bad I0": (
        _sidecar({"schema": "napari-xreg/xray-geometry", "version": 1, "image": {"i0": "much"}}),
        "i0 should be a number",
    ),
}


def _pickled(folder):
    np.save(folder / "y.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    return (folder / "y.npy").read_bytes()


@pytest.mark.filterwarnings("ignore:.*:UserWarning:pydicom")
@pytest.mark.parametrize("name", MALFORMED)
def test_one_sentence_names_the_file(tmp_path, name, monkeypatch):
    monkeypatch.setenv("NAPARI_XREG_MEMORY_GB", "8")  # "huge" is larger on every machine
    make, expected = MALFORMED[name]
    path = make(tmp_path)
    options = GEOMETRY if path.suffix in (".npy", ".npz", ".png") else {}
    with pytest.raises(ReadError, match=expected) as error:
        read_radiograph(path, **options)
    message = str(error.value)
    assert message.startswith(path.name)
    assert "\n" not in message
    assert "Traceback" not in message
    assert len(message) < 500


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"source_to_detector": -5.0}, "source_to_detector must be positive"),
        ({"source_to_detector": float("nan")}, "should be a finite number"),
        ({"source_to_detector": 500.0}, "isocenter must lie between"),
        ({"pixel_spacing": (0.3, -0.3)}, "pixel_spacing must be positive"),
        ({"field_diameter": -1.0}, "diameter must be positive"),
        ({"i0": -1.0, "read_as": "intensity"}, "i0"),
    ],
)
def test_impossible_values_given_by_hand(tmp_path, options, expected):
    path = save(tmp_path / "x.dcm", dicom())
    with pytest.raises(ReadError, match=expected) as error:
        read_radiograph(path, **options)
    assert str(error.value).startswith("x.dcm")
