"""Malformed lines and inputs of every command: exit code 2 and one sentence, nothing written.

A table of what a slip, a wrong file, a damaged disk or a script with an empty variable brings about.
"""

import json
import os
import zipfile

import nibabel
import numpy as np
import pydicom
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

LONG = "a" * 10_000
DIGITS = "9" * 5_000
DEEP = "[" * 100_000
HUGE = 10**400
POSE = {"schema": "napari-xreg/pose", "version": 1}
TRUTH = {"schema": "napari-xreg/simulated-truth", "version": 1}
TURNED = [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]


def markups(points, **of_markup):
    markup = {"type": "Fiducial", "coordinateSystem": "LPS", "controlPoints": points}
    return json.dumps({"markups": [{**markup, **of_markup}]})


def point(position, label="A"):
    return markups([{"label": label, "position": position}])


TEXTS = {
    "empty": "",
    "deep.json": DEEP,
    "deep.xreg.json": DEEP,
    "deep.mrk.json": DEEP,
    "deep_object.json": '{"a":' * 100_000 + "1" + "}" * 100_000,
    "list.json": "[]",
    "schema.json": '{"schema": []}',
    "huge.json": json.dumps({**POSE, "world_from_camera": [[HUGE, 0, 0, 0]] * 4}),
    "nan.json": '{"schema": "napari-xreg/pose", "version": 1, "world_from_camera": [[NaN]]}',
    "rows.json": json.dumps({**POSE, "world_from_camera": [[1, 0, 0, {}]] * 4}),
    "far.json": json.dumps({**POSE, "world_from_camera": [[1, 0, 0, 1e300], *TURNED[1:]]}),
    "true.json": json.dumps({**POSE, "world_from_camera": [[True, 0, 0, 0], *TURNED[1:]]}),
    "truth_huge.json": json.dumps(
        {**TRUTH, "world_from_camera": TURNED, "fiducials_mm": [[1, 2, HUGE]]}
    ),
    "truth_flat.json": json.dumps(
        {**TRUTH, "world_from_camera": TURNED, "fiducials_mm": [1, 2, 3]}
    ),
    "numbers.xreg.json": '{"schema": "napari-xreg/session", "version": 1, "radiographs": 3}',
    "p.mrk.json": point([1, 2]),
    "text.mrk.json": point("abc"),
    "far.mrk.json": point([1, 2, 1e300]),
    "axes.mrk.json": markups([{"label": "A", "position": [1, 2, 3]}], coordinateSystem=[]),
    "number.mrk.json": '{"markups": 3}',
    "points.mrk.json": markups({"a": 1}),
    "nan.csv": "name,x,y,z\nA,nan,2,3\n",
    "far.csv": "name,x,y,z\nA,1e300,2,3\n",
    "good.csv": "name,x,y,z\nA,1,2,3\n",
    "cell.csv": "name,x,y,z\n" + "A" * 200_000 + ",1,2,3\n",
    "ragged.txt": "1 0 0\n0 1 0\n",
    "text.png": "no picture",
    "ct.mha": "ObjectType = Image\nNDims = -3\nDimSize = 4 4 4\nElementSpacing = 1 1 1\nTransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = 0 0 0\nElementType = MET_SHORT\nElementDataFile = LOCAL\n",
    "ct.nrrd": "NRRD0004\ntype: short\ndimension: -3\nspace: LPS\nspace directions: (1,0,0) (0,1,0) (0,0,1)\nspace origin: (0,0,0)\nsizes: 4 4 4\nendian: little\nencoding: raw\n\n",
}
BINARY = bytes(range(256)) * 4
BYTES = {
    "binary.json": BINARY,
    "binary.csv": BINARY,
    "binary.tfm": BINARY,
    "binary.resume": BINARY,
    "binary.safetensors": BINARY,
    "header.npy": b"\x93NUMPY\x01\x00\x14\x00{'descr': '<f8', 'sh",
    "wide.csv": b"\xff\xfe\x00",
}
ARRAYS = {
    "ok.npy": np.ones((72, 80), bool),
    "small.npy": np.ones((7, 8), bool),
    "line.npy": np.ones(9),
    "nan.npy": np.full((72, 80), np.nan),
    "complex.npy": np.ones((72, 80), complex),
    "dates.npy": np.zeros((72, 80), "M8[s]"),
    "fields.npy": np.zeros((72, 80), [("a", "f4")]),
    "words.npy": np.full((72, 80), "a"),
}
FOLDERS = (
    "folder",
    "folder.json",
    "folder.npy",
    "folder.png",
    "folder.csv",
    "folder.safetensors",
    "folder.resume",
)


@pytest.fixture(scope="module")
def hostile(case, tmp_path_factory):
    """A folder of files that are not what they should be."""
    folder = tmp_path_factory.mktemp("hostile")
    for name, text in TEXTS.items():
        (folder / name).write_text(text, encoding="utf-8")
    for name, data in BYTES.items():
        (folder / name).write_bytes(data)
    for name, values in ARRAYS.items():
        np.save(folder / name, values)
    np.save(folder / "objects.npy", np.array([{}], object), allow_pickle=True)
    for name in FOLDERS:
        (folder / name).mkdir()
    Image.fromarray(np.ones((72, 80, 4), np.uint8)).save(folder / "rgba.png")
    (folder / "cut.png").write_bytes((folder / "rgba.png").read_bytes()[:60])
    with np.load(case.xray) as archive:
        good = dict(archive)
    np.savez(folder / "geometry_deep.npz", **{**good, "geometry": np.array(DEEP)})
    np.savez(folder / "geometry_list.npz", **{**good, "geometry": np.array("[]")})
    np.savez(folder / "words.npz", **{**good, "line_integrals": np.array("a")})
    with zipfile.ZipFile(folder / "member.npz", "w") as archive:
        archive.writestr("line_integrals.npy", b"no array")
    np.savez_compressed(folder / "whole.npz", **good)
    data = bytearray((folder / "whole.npz").read_bytes())
    data[300:-1000:97] = bytes(len(data[300:-1000:97]))
    (folder / "zlib.npz").write_bytes(data)
    plain = (case.folder / "x.dcm").read_bytes()
    at = plain.find(b"\x28\x00\x10\x00US")
    (folder / "vr.dcm").write_bytes(plain[: at + 4] + b"Q9" + plain[at + 6 :])
    dataset = pydicom.dcmread(case.folder / "x.dcm")
    dataset.BitsAllocated = 7
    dataset.save_as(folder / "bits.dcm")
    ones = {"a": torch.ones(3)}
    save_file(ones, folder / "other.safetensors")
    save_file(ones, folder / "deep.safetensors", metadata={"napari-xreg": DEEP})
    save_file(ones, folder / "list.safetensors", metadata={"napari-xreg": "[]"})
    save_file(ones, folder / "schema.safetensors", metadata={"napari-xreg": '{"schema": []}'})
    torch.save({"schema": [], "network": 3}, folder / "schema.resume")
    torch.save([1], folder / "list.resume")
    affine = np.diag([-2.0, -3.0, 4.0, 1.0])
    nibabel.save(nibabel.Nifti1Image(np.ones((5, 6, 7), np.int16), affine), folder / "grid.nii.gz")
    nibabel.save(nibabel.Nifti1Image(-np.ones((5, 6, 7), np.int16), affine), folder / "minus.nii")
    header = bytearray((folder / "minus.nii").read_bytes())
    header[70:72] = (999).to_bytes(2, "little")
    (folder / "kind.nii").write_bytes(header)
    unicode = folder / "фото-ü-画"
    unicode.mkdir()
    (unicode / "плохо.csv").write_bytes(b"\xff\xfe\x00")
    if hasattr(os, "mkfifo"):
        for name in ("pipe.json", "pipe.npy", "pipe.nii", "pipe.safetensors"):
            os.mkfifo(folder / name)
    return folder


INSPECT = [
    ("deep.json", "nests too deeply"),
    ("deep_object.json", "nests too deeply"),
    ("deep.xreg.json", "nests too deeply"),
    ("deep.mrk.json", "nests too deeply"),
    ("list.json", "not a JSON object"),
    ("huge.json", "too large"),
    ("binary.json", "not a text file"),
    ("empty", "0 bytes"),
    ("folder", "found no files"),
    ("member.npz", "no array"),
    ("zlib.npz", "damaged"),
    ("geometry_deep.npz", "nests too deeply"),
    ("geometry_list.npz", "got no JSON object but a list"),
    ("words.npz", "real numbers"),
    ("objects.npy", "Python objects"),
    ("header.npy", "damaged"),
    ("cut.png", "damaged or cut off"),
    ("vr.dcm", "Unknown Value Representation"),
    ("bits.dcm", "Bits Allocated"),
    ("ct.mha", "NDims"),
    ("ct.nrrd", "dimension"),
    ("kind.nii", "data code 999"),
    ("other.safetensors", "weights of another program"),
    (LONG, "..."),
    ("a\0b", "no such file"),
    ("", "file is empty"),
]
RENDER = [
    (["--start", "huge.json"], "too large"),
    (["--start", "nan.json"], "NaN is not a number"),
    (["--start", "rows.json"], "four rows of four numbers"),
    (["--start", "true.json"], "four rows of four numbers"),
    (["--start", "far.json"], "check its unit"),
    (["--start", "deep.json"], "nests too deeply"),
    (["--start", "schema.json"], "got []"),
    (["--start", "binary.tfm"], "not a text file"),
    (["--start", "folder.json"], "a folder"),
    (["--start", "ragged.txt", "--pose-frame", "opencv"], "four rows of four numbers"),
    (["--offset", "1e308", "0", "0"], "check its unit"),
    (["--isocenter", "a", "b", "c"], "three numbers in mm"),
    (["--sdd", "1e308"], "source_to_detector must lie between"),
    (["--pixel-spacing", "1e-320", "1"], "1e-06 mm or more"),
    (["--principal-point", "1e308", "0"], "principal_point must lie between"),
    (["--pixels", "9" * 30, "9"], "up to 2147483647"),
    (["--pixels", "1000000", "1000000"], "cannot be rendered"),
    (["--threads", "9" * 20], "up to 2147483647"),
    (["--threads", "5000"], "1024 threads"),
    (["--threads", DIGITS], "up to 2147483647"),
    (["--device", LONG], "the device is one of"),
    (["--device", ""], "device is empty"),
    (["--energy-kev", "1e-300"], "between 10 and 200 keV"),
    (["--labels", "grid.nii.gz"], "same grid"),
    (["--labels", "minus.nii"], "looks like a CT"),
    (["--labels", "LABELS", "--structures", DIGITS], "does not occur"),
    (["--labels", "LABELS", "--structures", ","], "names none"),
    (["--labels", "LABELS", "--structures", LONG], "does not occur"),
    (["--out", ""], "out is empty"),
    (["--out", "a\0b.npy"], "not a name"),
    (["--out", "folder.npy"], "is a folder"),
    (["--out", "empty/r.npy"], "is a file"),
    (["--out", LONG + ".npy"], "name too long"),
]
SIMULATE = [
    (["--seed", "9" * 30], "up to 2147483647"),
    (["--seed", DIGITS], "up to 2147483647"),
    (["--start", "far.json"], "check its unit"),
    (["--offset", "0", "0", "1e9"], "check its unit"),
    (["--pixels", "2000000", "2000000"], "use fewer pixels"),
    (["--sdd", "1e308"], "source_to_detector must lie between"),
    (["--out", "folder/"], "ending"),
]
REGISTER = [
    (["--truth", "truth_huge.json"], "too large"),
    (["--truth", "truth_flat.json"], "list of points"),
    (["--truth", "list.json"], "a list"),
    (["--geometry", "schema.json"], "got []"),
    (["--geometry", "deep.json"], "nests too deeply"),
    (["--landmarks", "p.mrk.json"], "x, y, z"),
    (["--landmarks", "text.mrk.json"], "must be numbers"),
    (["--landmarks", "far.mrk.json"], "too far away"),
    (["--landmarks", "axes.mrk.json"], "LPS or RAS"),
    (["--landmarks", "number.mrk.json"], "not a markups file"),
    (["--landmarks", "points.mrk.json"], "not a markups file"),
    (["--landmarks", "far.csv", "--landmark-frame", "LPS"], "too far away"),
    (["--landmarks", "nan.csv"], "must be a number"),
    (["--landmarks", "cell.csv"], "damaged"),
    (["--landmarks", "binary.csv"], "not a text file"),
    (["--landmarks", "folder.csv"], "a folder"),
    (["--landmarks", "фото-ü-画/плохо.csv"], "not a text file"),
    (["--mask", "small.npy"], "7 x 8 pixels"),
    (["--mask", "line.npy"], "one grey image"),
    (["--mask", "nan.npy"], "holds numbers"),
    (["--mask", "complex.npy"], "holds numbers"),
    (["--mask", "dates.npy"], "holds numbers"),
    (["--mask", "fields.npy"], "holds numbers"),
    (["--mask", "words.npy"], "holds numbers"),
    (["--mask", "objects.npy"], "Python objects"),
    (["--mask", "header.npy"], "damaged"),
    (["--mask", "rgba.png"], "one grey image"),
    (["--mask", "cut.png"], "cut off"),
    (["--mask", "text.png"], "of another kind"),
    (["--mask", "folder.png"], "a folder"),
    (["--mask", "ok.npy", "--mask", "ok.npy"], "2 masks were given for 1 radiograph:"),
    (["--radiograph", "XRAY", "--mask", "ok.npy"], "1 mask was given for 2 radiographs:"),
    (["--init", "rayemb", "--weights", "folder.safetensors"], "folder.safetensors"),
    (["--out", "a\0b"], "not a name"),
    (["--out", "empty"], "is a file"),
]
WEIGHTS = [
    ("other.safetensors", "another program"),
    ("deep.safetensors", "nests too deeply"),
    ("list.safetensors", "a list"),
    ("schema.safetensors", "got []"),
    ("binary.safetensors", "not a readable safetensors file"),
    ("folder.safetensors", "this is a folder"),
]
TRAIN = [
    (["--device", "xyz"], "the device is one of"),
    (["--device", "cuda:4000000000"], "cannot be used"),
    (["--primary", "9", "-9"], "smallest primary angle must not be above"),
    (["--primary", "0", "1e308"], "360 degrees"),
    (["--offset", "1e308"], "10 m"),
    (["--seed", "9" * 30], "up to 2147483647"),
    (["--resume", "binary.resume"], "binary.resume"),
    (["--resume", "schema.resume"], "schema.resume"),
    (["--resume", "list.resume"], "list.resume"),
    (["--resume", "folder.resume"], "folder.resume"),
    (["--finetune", "other.safetensors"], "another program"),
    (["--out", "folder.safetensors"], "is a folder"),
    (["--out", "empty/w.safetensors"], "is a file"),
    (["--out", "w.pt"], ".safetensors"),
]
HEATMAP = [
    (["--mask", "ok.npy", "--mask", "ok.npy"], "2 masks were given for 1 radiograph:"),
    (["--point", "1e308", "0", "0"], "outside the CT"),
    (["--landmarks", "far.csv", "--landmark-frame", "LPS"], "too far away"),
    (["--landmark", LONG, "--landmarks", "good.csv", "--landmark-frame", "LPS"], "no landmark"),
    (["--out", "empty"], "is a file"),
]
DETECT = [
    (["--mask", "ok.npy", "--mask", "ok.npy"], "2 masks were given for 1 radiograph:"),
    (["--passes", DIGITS], "up to 2147483647"),
    (["--landmarks", "binary.csv"], "not a text file"),
    (["--out", "empty"], "is a file"),
]
REST = [
    (["demo", "--headless", "--out", "empty"], "is a file"),
    (["demo", "--headless", "--out", ""], "out is empty"),
    (["demo", "--headless", "--seed", "9" * 30], "up to 2147483647"),
    (["demo", "--headless", "--severity", LONG], "invalid choice"),
    (["doctor", "--threads", "0"], "above 0"),
    (["doctor", "extra"], "extra"),
    ([LONG], "invalid choice"),
]
PIPES = [
    (["inspect", "pipe.json"], "a pipe"),
    (["inspect", "pipe.nii", "--as", "radiograph"], "a pipe"),
    (["inspect", "pipe.nii", "--as", "labels"], "a pipe"),
    (["register", "CT", "XRAY", "--mask", "pipe.npy"], "a pipe"),
    (["register", "CT", "XRAY", "--truth", "pipe.json"], "a pipe"),
    (["detect", "XRAY", "--weights", "pipe.safetensors"], "pipe.safetensors"),
]

SMALL = ["--pixels", "8", "8"]
LINES = [
    *((["inspect", name], says) for name, says in INSPECT),
    *((["render", "CT", "--out", "r.npy", *SMALL, *more], says) for more, says in RENDER),
    *((["simulate", "CT", "--out", "s.npz", *SMALL, *more], says) for more, says in SIMULATE),
    *((["register", "CT", "XRAY", "--out", "r", *more], says) for more, says in REGISTER),
    *((["detect", "XRAY", "--weights", name], says) for name, says in WEIGHTS),
    *(
        (["train", "rayemb", "CT", "--out", "w.safetensors", *more], says)
        for more, says in TRAIN
    ),
    *(
        (["heatmap", "CT", "XRAY", "--out", "h", "--point", "0", "0", "0", *more], says)
        for more, says in HEATMAP
    ),
    *(
        (["detect", "XRAY", "--weights", "other.safetensors", *more], says)
        for more, says in DETECT
    ),
    *REST,
]  # fmt: skip


def named(line):
    return " ".join(word[:24].replace("\0", "0") for word in line)


def refused(call, case, folder, monkeypatch, line, says):
    known = {"CT": case.ct, "XRAY": case.xray, "LABELS": case.labels}
    before = sorted(folder.iterdir())
    monkeypatch.chdir(folder)
    done = call(*(known.get(word, word) for word in line), "--quiet")
    assert done.code == 2, done.err
    assert done.out == ""
    (sentence,) = done.err.splitlines()
    assert sentence.startswith("napari-xreg: error: ")
    assert says.lower() in sentence.lower()
    assert len(sentence) < 1000
    assert "Traceback" not in sentence
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize(("line", "says"), LINES, ids=[named(line) for line, _ in LINES])
def test_a_malformed_line_is_a_sentence(call, case, hostile, monkeypatch, line, says):
    refused(call, case, hostile, monkeypatch, line, says)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in folders")
@pytest.mark.parametrize(("line", "says"), PIPES, ids=[named(line) for line, _ in PIPES])
def test_what_never_ends_is_refused(call, case, hostile, monkeypatch, line, says):
    refused(call, case, hostile, monkeypatch, line, says)
