"""Bad input: exit code 2, one clear sentence that names the file, nothing written."""

import gzip
import json
import re
import struct

import nibabel
import numpy as np
import pydicom
import pytest
import torch

from napari_xreg.geometry import CArm, Detector
from napari_xreg.images import (
    Radiograph,
    read_radiograph,
    write_dicom_radiograph,
    write_radiograph,
)


def nifti(path, values, affine=None):
    image = nibabel.Nifti1Image(values, np.diag([2.0, 3.0, 4.0, 1.0]) if affine is None else affine)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)


def hounsfield(shape=(9, 8, 7)):
    values = np.random.default_rng(3).integers(-1000, 900, shape)
    return values.astype(np.int16)


def truncated_nifti(path):
    nifti(path.with_suffix(".tmp.nii"), hounsfield())
    whole = path.with_suffix(".tmp.nii").read_bytes()
    path.write_bytes(gzip.compress(whole[: len(whole) // 2]))


def huge_nifti(path):
    header = nibabel.Nifti1Header()
    header.set_data_dtype(np.int16)
    header.set_data_shape((30000, 30000, 30000))
    header["vox_offset"] = 352
    header["magic"] = b"n+1"
    path.write_bytes(header.binaryblock + b"\0" * 4 + b"\0" * 1000)


def singular_nifti(path):
    plain = path.with_name("plain.nii")
    nifti(plain, hounsfield())
    data = bytearray(plain.read_bytes())
    data[252:256] = struct.pack("<hh", 0, 1)  # no qform; sform in scanner axes
    data[296:312] = struct.pack("<4f", 0, 0, 0, 0)  # its second row
    path.write_bytes(gzip.compress(bytes(data)))


def nan_nifti(path):
    values = hounsfield().astype(np.float32)
    values[2, 3, 4] = np.nan
    nifti(path, values)


def uncalibrated_nifti(path):
    nifti(path, np.random.default_rng(1).random((9, 8, 7)).astype(np.float32))


CTS = {
    "absent.nii.gz": None,
    "empty.nii.gz": lambda path: path.write_bytes(b""),
    "truncated.nii.gz": truncated_nifti,
    "text.nii.gz": lambda path: path.write_text("this is not an image"),
    "one_slice.nii.gz": lambda path: nifti(path, hounsfield((9, 8, 1))),
    "flat.nii.gz": lambda path: nifti(path, hounsfield((9, 8, 1))[..., 0]),
    "four_d.nii.gz": lambda path: nifti(path, hounsfield((5, 4, 3, 2))),
    "nan.nii.gz": nan_nifti,
    "singular.nii.gz": singular_nifti,
    "huge.nii": huge_nifti,
    "not_hounsfield.nii.gz": uncalibrated_nifti,
    "ct.xyz": lambda path: path.write_bytes(b"123"),
    "ct.nrrd": lambda path: path.write_text("NRRD0004\ntype: short\n"),
    "ct.mha": lambda path: path.write_text("ObjectType = Image\nNDims = 3\n"),
    "empty_folder": lambda path: path.mkdir(),
    "folder_of_text": lambda path: (path.mkdir(), (path / "a.dcm").write_text("no")),
}


def dicom(change):
    def write(path, case):
        write_dicom_radiograph(path, read_radiograph(case.xray))
        dataset = pydicom.dcmread(path)
        change(dataset)
        dataset.save_as(path)

    return write


def without(*names):
    def change(dataset):
        for name in names:
            if name in dataset:
                delattr(dataset, name)

    return change


def setting(**values):
    def change(dataset):
        for name, value in values.items():
            setattr(dataset, name, value)

    return change


def shorter(dataset):
    dataset.PixelData = dataset.PixelData[: len(dataset.PixelData) // 3]


def png_header(path, case):
    """A PNG that claims 60000 x 60000 pixels and holds none."""
    chunk = b"IHDR" + struct.pack(">IIBBBBB", 60000, 60000, 16, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + b"\0\0\0\0")


def npy(values):
    return lambda path, case: np.save(path, values)


def sidecar(text):
    def write(path, case):
        np.save(path, np.random.default_rng(0).random((20, 24)))
        path.with_name(path.name + ".json").write_text(text)

    return write


RADIOGRAPHS = {
    "absent.dcm": None,
    "empty.dcm": lambda path, case: path.write_bytes(b""),
    "garbage.dcm": lambda path, case: path.write_bytes(bytes(range(256)) * 4),
    "truncated.dcm": dicom(shorter),
    "modality.dcm": dicom(setting(Modality="MR", SOPClassUID="1.2.840.10008.5.1.4.1.1.4")),
    "no_sdd.dcm": dicom(without("DistanceSourceToDetector")),
    "no_spacing.dcm": dicom(without("ImagerPixelSpacing", "PixelSpacing")),
    "negative_spacing.dcm": dicom(setting(ImagerPixelSpacing=[-0.3, 0.3])),
    "swapped_distances.dcm": dicom(
        setting(DistanceSourceToDetector="700", DistanceSourceToPatient="1000")
    ),
    "frames.dcm": dicom(setting(NumberOfFrames="3")),
    "x.jpg": lambda path, case: path.write_bytes(b"\xff\xd8\xff\xe0"),
    "empty.png": lambda path, case: path.write_bytes(b""),
    "not_a.png": lambda path, case: path.write_text("not a picture"),
    "huge.png": png_header,
    "no_geometry.npy": npy(np.random.default_rng(0).random((20, 24))),
    "nan.npy": npy(np.full((20, 24), np.nan)),
    "volume.npy": npy(np.zeros((3, 4, 5, 6))),
    "words.npy": npy(np.array(["a", "b"])),
    "sidecar_json.npy": sidecar("{"),
    "sidecar_version.npy": sidecar('{"schema": "napari-xreg/xray-geometry", "version": 99}'),
    "sidecar_name.npy": sidecar(
        '{"schema": "napari-xreg/xray-geometry", "version": 1, "sdd_mm": 1000}'
    ),
    "folder.dcm": lambda path, case: path.mkdir(),
}


def check(done, *, names=None):
    """Exit code 2 and one sentence of some substance; it names the file where there is one."""
    assert done.code == 2, (done.out, done.err)
    lines = done.err.strip().splitlines()
    assert len(lines) == 1, done.err
    assert lines[0].startswith("napari-xreg: error: ")
    sentence = lines[0].removeprefix("napari-xreg: error: ")
    assert len(sentence) > 20
    assert "Traceback" not in sentence
    assert not re.search(r"\b(0x[0-9a-f]{6,}|NoneType|object at)\b", sentence), sentence
    if names is not None:
        assert names in sentence, sentence
    assert done.out == ""


@pytest.mark.parametrize("name", CTS)
def test_malformed_ct(call, case, tmp_path, name):
    if CTS[name] is not None:
        CTS[name](tmp_path / name)
    done = call("register", name, case.xray, "--out", "out", "--quiet")
    check(done, names=name)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", RADIOGRAPHS)
def test_malformed_radiograph(call, case, tmp_path, name):
    if RADIOGRAPHS[name] is not None:
        RADIOGRAPHS[name](tmp_path / name, case)
    done = call("register", case.ct, name, "--out", "out", "--quiet")
    check(done, names=name)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (np.full((20, 24), np.nan), "NaN|finite"),
        (np.full((20, 24), 3.0), "all pixels are the same"),
        (np.ones((3, 4, 5, 6)), "rows and columns"),
    ],
)
def test_bad_pixels_with_a_geometry(call, case, tmp_path, values, says):
    np.save(tmp_path / "x.npy", values)
    done = call(
        "register", case.ct, "x.npy", "--read-as", "line_integral", "--sdd", 1000,
        "--source-to-isocenter", 600, "--pixel-spacing", 12, 12, "--primary", 0, "--quiet",
    )  # fmt: skip
    check(done)
    assert re.search(says, done.err)


@pytest.mark.parametrize("name", ["truncated.nii.gz", "empty_folder"])
def test_inspecting_a_malformed_ct(call, tmp_path, name):
    CTS[name](tmp_path / name)
    check(call("inspect", name, "--quiet"), names=name)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "COMMAND"),
        (["fly"], "invalid choice"),
        (["register", "CT"], "XRAY"),
        (["register", "CT", "XRAY", "--primary", "north"], "finite number: got north"),
        (["register", "CT", "XRAY", "--seed", "1.5"], "whole number, 0 or more: got 1.5"),
        (["register", "CT", "XRAY", "--primary", "nan"], "finite"),
        (["register", "CT", "XRAY", "--multi-start", "0"], "above 0"),
        (["register", "CT", "XRAY", "--lock", "everything"], "--lock"),
        (["register", "CT", "XRAY", "--start", "absent.json"], "absent.json"),
        (["register", "CT", "XRAY", "--start", "x.txt"], "--pose-frame"),
        (["register", "CT", "XRAY", "--start", "x.json"], "schema"),
        (["register", "CT", "XRAY", "--start", "x.txt", "--primary", "3"], "not both"),
        (["register", "CT", "XRAY", "--pose-frame", "opencv"], "--start FILE"),
        (["register", "CT", "XRAY", "--isocenter", "1", "2"], "three numbers"),
        (["register", "CT", "XRAY", "--structures", "25"], "--labels"),
        (["register", "CT", "XRAY", "--labels", "CT"], "looks like a CT"),
        (["register", "CT", "XRAY", "--labels", "LABELS", "--structures", "skull"], "'skull'"),
        (["register", "CT", "XRAY", "--labels", "SMALL"], "same grid"),
        (["register", "CT", "BARE", "--read-as", "line_integral"], "--pixel-spacing, or --geometry FILE"),
        (["register", "CT", "XRAY", "--radiograph", "NO ANGLES"], "Give --geometry FILE"),
        (["register", "CT", "NO ANGLES"], "or --geometry FILE (a calibration)"),
        (["register", "CT", "XRAY", "--truth", "x.json"], "schema"),
        (["register", "CT", "XRAY", "--out", "x.txt"], "is a file"),
        (["register", "CT", "XRAY", "--method", "adam", "--multi-start", "3"], "--method lm"),
        (["register", "CT", "XRAY", "--method", "adam", "--multi-start", "auto"], "--method lm"),
        (["register", "CT", "XRAY", "--spread", "1", "2", "3"], "--multi-start"),
        (["register", "CT", "XRAY", "--crop", "0", "0", "900", "900"], "crop"),
        (["register", "phantom:x", "XRAY"], "whole number"),
        (["simulate", "CT", "--out", "s.jpg"], "s.jpg"),
        (["simulate", "CT", "--out", "s.npz", "--sdd", "500"], "isocenter must lie between"),
        (["simulate", "CT", "--out", "s.npz", "--severity", "awful"], "awful"),
        (["render", "CT", "--out", "d.bmp"], "d.bmp"),
        (["render", "CT", "--out", "d.npy", "--start", "scaled.txt", "--pose-frame", "opencv"], "rotation"),
        (["inspect", "absent"], "absent"),
        (["inspect", "CT", "--as", "radiograph"], "ct.nii.gz"),
    ],
)  # fmt: skip
def test_bad_arguments(call, case, tmp_path, arguments, says):
    (tmp_path / "x.txt").write_text("1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1")
    (tmp_path / "scaled.txt").write_text("3 0 0 0\n0 3 0 0\n0 0 3 0\n0 0 0 1")
    (tmp_path / "x.json").write_text(json.dumps({"a": 1}))
    nifti(tmp_path / "small.nii.gz", hounsfield().clip(0, 5).astype(np.uint8))
    np.save(tmp_path / "bare.npy", np.ones((5, 7)))
    carm = CArm(1000.0, 700.0, Detector((5, 7), (30.0, 30.0)))
    write_radiograph(tmp_path / "no_angles.npz", Radiograph(torch.rand(5, 7), carm))
    known = {"BARE": "bare.npy", "NO ANGLES": "no_angles.npz"}
    known |= {"CT": case.ct, "XRAY": case.xray, "LABELS": case.labels, "SMALL": "small.nii.gz"}
    done = call(*(known.get(a, a) for a in arguments), *(["--quiet"] if arguments else []))
    check(done)
    assert says in done.err
