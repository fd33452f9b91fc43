"""Files that are wrong: one clear sentence each, never another kind of error."""

import gzip
import random
import struct
from pathlib import Path

import nibabel
import numpy as np
import pytest
from ct_writers import (
    SERIES_UID,
    dicom_slice,
    hounsfield,
    nifti_affine,
    positions,
    save,
    set_pixels,
    write_mha,
    write_nifti,
    write_nrrd,
    write_series,
)
from pydicom.uid import JPEGLosslessSV1

from napari_xreg.images import ReadError, read_labels, read_volume

# Columns of the right lengths, two of them parallel.
SINGULAR = (-0.7, -0.9, 0, 10, 0, 0, 0, 20, 0, 0, 1.3, 30)
STORED = hounsfield().transpose(2, 1, 0)
NRRD = {
    "space": "left-posterior-superior",
    "space directions": "(0.5,0,0) (0,0.6,0) (0,0,0.7)",
    "space origin": "(1,-22,333)",
}
META = {"TransformMatrix": "1 0 0 0 1 0 0 0 1", "Offset": "1 2 3", "ElementSpacing": "1 2 3"}


def bytes_of(data: bytes, name: str):
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    return make


def cut(make, share):
    """Only the first part of a file."""

    def made(folder: Path) -> Path:
        path = make(folder)
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * share)])
        return path

    return made


def nifti(values=STORED, affine=None, name="ct.nii"):
    return lambda folder: write_nifti(folder / name, values, affine)


def patched(offset, form, *values, name="ct.nii"):
    """A NIfTI file with some bytes of its header replaced."""

    def make(folder: Path) -> Path:
        path = write_nifti(folder / name, STORED)
        data = bytearray(path.read_bytes())
        struct.pack_into(form, data, offset, *values)
        path.write_bytes(data)
        return path

    return make


def analyze(folder: Path) -> Path:
    image = nibabel.AnalyzeImage(STORED, None)
    nibabel.save(image, folder / "ct.img")
    return folder / "ct.img"


def half_a_pair(folder: Path) -> Path:
    nibabel.save(nibabel.Nifti1Pair(STORED, nifti_affine()), folder / "ct.img")
    (folder / "ct.img").unlink()
    return folder / "ct.hdr"


def with_nan(share):
    values = STORED.astype(np.float32)
    values.flat[: int(values.size * share)] = np.nan
    return nifti(values)


def series(change=None, **settings):
    return lambda folder: write_series(folder / "series", change=change, **settings)


def without(keyword):
    def change(k, image):
        if k == 2:
            delattr(image, keyword)
        return image

    return series(change)


def altered(keyword, value, only=None):
    def change(k, image):
        if only is None or k == only:
            setattr(image, keyword, value)
        return image

    return series(change)


def only_slices(*wanted):
    return series(lambda k, image: image if k in wanted else None)


def uneven(k, image):
    image.ImagePositionPatient = [-12.5, 7.25, 100.0 + 4.5 * k + 0.3 * k * k]
    return image


def jpeg(k, image):
    image.file_meta.TransferSyntaxUID = JPEGLosslessSV1
    image.PixelData = b"\xfe\xff\x00\xe0\0\0\0\0\xfe\xff\x00\xe0\4\0\0\0\xff\xd8\xff\xd9"
    image["PixelData"].is_undefined_length = True
    image["PixelData"].VR = "OB"
    return image


def radiograph(k, image):
    image.SOPClassUID = image.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1"
    image.Modality = "CR"
    return image


def short_pixels(k, image):
    image.PixelData = image.PixelData[:10]
    return image


def colour(k, image):
    set_pixels(image, np.zeros((4, 9), np.uint8), bits=8)
    image.SamplesPerPixel, image.Columns, image.PlanarConfiguration = 3, 3, 0
    image.PhotometricInterpretation = "RGB"
    return image


def cut_slice(folder: Path) -> Path:
    path = write_series(folder / "series")
    file = sorted(path.iterdir())[2]
    file.write_bytes(file.read_bytes()[:400])
    return path


def two_scans(folder: Path) -> Path:
    path = write_series(folder / "series")
    write_series(folder / "series" / "other", hounsfield() + 3, series_uid=SERIES_UID + ".5")
    return path


def scout_only(folder: Path) -> Path:
    (folder / "series").mkdir()
    image = dicom_slice(np.ones((4, 3), np.uint16), positions()[0])
    image.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    save(image, folder / "series" / "scout.dcm")
    return folder / "series"


def no_folder(folder: Path) -> Path:
    return folder / "nowhere"


def empty_folder(folder: Path) -> Path:
    (folder / "series").mkdir()
    return folder / "series"


def detached(folder: Path) -> Path:
    path = write_nrrd(folder / "ct.nhdr", hounsfield(), {**NRRD, "data file": "gone.raw"})
    path.write_bytes(path.read_bytes().partition(b"\n\n")[0] + b"\n")
    return path


CASES = {
    # Any file.
    "no such file": (no_folder, "no such file or folder"),
    "empty file": (bytes_of(b"", "ct.nii.gz"), "empty"),
    "unknown kind": (bytes_of(b"\x89PNG\r\n", "ct.png"), "unknown kind of file"),
    # NIfTI.
    "text called nii": (bytes_of(b"Dear reader, " * 99, "ct.nii"), "not a NIfTI file"),
    "text called nii.gz": (bytes_of(b"Dear reader, " * 99, "ct.nii.gz"), "not a NIfTI file"),
    "gzip of text": (bytes_of(gzip.compress(b"Dear reader" * 99), "ct.nii.gz"), "not a NIfTI"),
    "cut nii": (cut(nifti(), 0.9), "too short for the 60"),
    "cut nii.gz": (cut(nifti(name="ct.nii.gz"), 0.7), "damaged"),
    "cut header": (cut(nifti(), 0.3), "header is damaged"),
    "analyze": (analyze, "not NIfTI: it does not say where"),
    "half a pair": (half_a_pair, "other file of the pair"),
    "2D": (nifti(STORED[:, :, 0]), "single slice"),
    "one slice": (nifti(STORED[:, :, :1]), "single slice"),
    "4D": (nifti(np.stack([STORED, STORED], axis=-1)), r"4 dimensions \(3 x 4 x 5 x 2\)"),
    "complex": (nifti(STORED.astype(np.complex64)), "complex numbers"),
    "colour": (
        nifti(STORED.astype([("R", "u1"), ("G", "u1"), ("B", "u1")])),
        r"colours \(datatype 128\)",
    ),
    "huge": (patched(40, "<8h", 3, 30000, 30000, 30000, 1, 1, 1, 1), "more than the 1073741824"),
    "no voxels": (patched(40, "<8h", 3, 3, 0, 5, 1, 1, 1, 1), "got 3 x 0 x 5 voxels"),
    "negative size": (patched(40, "<8h", 3, 3, -4, 5, 1, 1, 1, 1), "damaged|voxels"),
    "unknown datatype": (patched(70, "<h", 4321), "header is damaged"),
    "unknown unit": (patched(123, "<B", 5), "unknown unit of length 5"),
    "zero spacing": (patched(80, "<3f", 0.7, 0.0, 1.3), r"must be positive: got 0.7 x 0 x 1.3"),
    "swapped spacing": (
        patched(80, "<3f", 1.3, 0.9, 0.7),
        "in sform and 1.3 x 0.9 x 0.7 in pixdim",
    ),
    "no placement": (patched(252, "<2h", 0, 0), "neither sform nor qform"),
    "NaN placement": (patched(280, "<f", float("nan")), "correct the|cannot be used"),
    "singular": (patched(280, "<12f", *SINGULAR), "singular"),
    "NaN": (with_nan(0.25), "15 of 60 voxels are NaN or infinite"),
    "constant": (nifti(np.full((3, 4, 5), -1000, np.int16)), "every voxel holds -1000"),
    "label map": (nifti(np.arange(60, dtype=np.uint8).reshape(3, 4, 5)), "expected Hounsfield"),
    "not HU": (nifti(STORED.astype(np.float32) * 1e4), "expected Hounsfield units"),
    # NRRD and MetaImage.
    "text called nrrd": (bytes_of(b"Dear reader", "ct.nrrd"), "not a NRRD file"),
    "cut nrrd": (cut(lambda f: write_nrrd(f / "ct.nrrd", hounsfield(), NRRD), 0.9), "too short"),
    "detached nrrd": (detached, "data file is missing"),
    "text called mha": (bytes_of(b"Dear reader", "ct.mha"), "not a MetaImage file"),
    "cut mha": (cut(lambda f: write_mha(f / "ct.mha", hounsfield(), META), 0.9), "too short"),
    "zero spacing mha": (
        lambda f: write_mha(f / "ct.mha", hounsfield(), {**META, "ElementSpacing": "0 2 3"}),
        "spacing is zero",
    ),
    # DICOM.
    "empty folder": (empty_folder, "found no files"),
    "cut slice": (cut_slice, r"missing between .*Not read: .*IM0006.dcm: "),
    "wrong modality": (series(radiograph), "found 5 x CR Computed Radiography Image Storage"),
    "localizer only": (scout_only, r"found 1 x CT CT Image Storage \(localizer\)"),
    "mixed series": (two_scans, "2 CT series in one folder, name one by series_uid"),
    "one DICOM slice": (only_slices(3), "single slice"),
    "missing slice": (only_slices(0, 1, 3, 4), r"slices are missing between .* \(8.64 mm\)"),
    "uneven slices": (series(uneven), "mm off an even row"),
    "no position": (
        without("ImagePositionPatient"),
        r"ImagePositionPatient \(0020,0032\) is missing",
    ),
    "no orientation": (without("ImageOrientationPatient"), r"\(0020,0037\) is missing"),
    "no spacing": (without("PixelSpacing"), r"PixelSpacing \(0028,0030\) is missing"),
    "no rescale": (without("RescaleIntercept"), r"RescaleIntercept \(0028,1052\) is missing"),
    "no pixels": (without("PixelData"), r"PixelData \(7FE0,0010\) is missing"),
    "no series": (without("SeriesInstanceUID"), r"SeriesInstanceUID \(0020,000E\) is missing"),
    "zero pixel spacing": (altered("PixelSpacing", [0.8, 0.0]), "PixelSpacing must be positive"),
    "another spacing": (
        altered("PixelSpacing", [0.9, 0.6], only=3),
        "must be alike in PixelSpacing",
    ),
    "another orientation": (
        altered("ImageOrientationPatient", [1, 0, 0, 0, 1, 0], only=3),
        "must be alike in ImageOrientationPatient",
    ),
    "no directions": (altered("ImageOrientationPatient", [0] * 6), "perpendicular unit vectors"),
    "not HU in DICOM": (altered("RescaleType", "OD"), "RescaleType is OD"),
    "zero slope": (altered("RescaleSlope", 0), "RescaleSlope must not be 0"),
    "one place": (altered("ImagePositionPatient", [1, 2, 3]), "same position"),
    "huge DICOM": (altered("Rows", 65535), "do not match|damaged"),
    "high bit": (altered("HighBit", 11), "HighBit must be"),
    "compressed": (series(jpeg), "compressed as JPEG Lossless.*see that its files are whole"),
    "short pixels": (series(short_pixels), "damaged"),
    "colour DICOM": (series(colour), "colour image"),
}


@pytest.mark.parametrize("case", CASES)
def test_volumes(tmp_path, case):
    make, says = CASES[case]
    path = make(tmp_path)
    with pytest.raises(ReadError, match=says) as error:
        read_volume(path)
    check_sentence(str(error.value), path)


def check_sentence(message: str, path: Path) -> None:
    assert path.name in message
    assert "\n" not in message
    assert len(message) - len(str(path.parent)) < 400
    # It says what to do.
    advice = ("export", "choose", "check", "correct", "save", "copy", "expected", "write", "keep",
              "name one", "crop", "resample", "install", "fill", "set the code", "must be")  # fmt: skip
    assert any(word in message for word in advice), message


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (np.full((3, 4, 5), 1.5, np.float32), "whole numbers, got 1.5"),
        (np.full((3, 4, 5), np.nan, np.float32), "NaN"),
        (STORED, "got -1000 to 1183: this looks like a CT"),
    ],
)
def test_labels(tmp_path, values, says):
    path = write_nifti(tmp_path / "labels.nii.gz", values)
    with pytest.raises(ReadError, match=says) as error:
        read_labels(path)
    check_sentence(str(error.value), path)


def attempt(path: Path) -> str:
    try:
        read_volume(path)
    except ReadError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("kind", ["nii", "nii.gz", "nrrd", "mha", "dcm"])
def test_random_damage_is_reported_or_harmless(tmp_path, kind):
    """Whatever bytes are wrong, nothing but a ReadError comes out."""
    folder = tmp_path / "ct"
    folder.mkdir()
    if kind == "dcm":
        write_series(folder)
        target, victim = folder, sorted(folder.iterdir())[1]
    else:
        target = victim = folder / f"ct.{kind}"
        if kind.startswith("nii"):
            write_nifti(victim, STORED)
        elif kind == "nrrd":
            write_nrrd(victim, hounsfield(), NRRD)
        else:
            write_mha(victim, hounsfield(), META)
    whole = victim.read_bytes()
    generator = random.Random(1729)
    reported = 0
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(generator.choice((1, 4, 16))):
            data[generator.randrange(min(len(data), 800))] = generator.randrange(256)
        if generator.random() < 0.2:
            del data[generator.randrange(len(data)) :]
        victim.write_bytes(data)
        message = attempt(target)
        assert "\n" not in message
        reported += bool(message)
    # A slice that is lost at an end of the series is passed over with a note.
    assert reported > (5 if kind == "dcm" else 10)
