"""Names of labels in the files that segmentation programs leave beside a label map."""

import pytest

from napari_xreg.files import ReadError
from napari_xreg.images import read_label_names

ITK_SNAP = """################################################
# ITK-SnAP Label Description File
################################################
    0     0    0    0        0  0  0    "Clear Label"
    1   255    0    0        1  1  1    "Radius left"
   12     0  255    0      0.5  1  0    "Ulna, left"
"""
SLICER = """# Color table file radius.ctbl
0 Background 0 0 0 0
1 Radius_left 128 174 128 255
12 rib 5 241 214 145 255
"""
FREESURFER = """#No. Label Name:                R   G   B   A
0   Unknown                      0   0   0   0
1   Left-Radius                  70  130 180 0
"""
BIDS = "index\tname\tcolor\n1\tradius left\t#ff0000\n12\tulna\t#00ff00\n"
SLICER_5 = 'LabelValue,Name,Color_R,Color_G\n1,"radius",1,2\n12,ulna,3,4\n'
NNUNET = (
    '{"labels": {"background": 0, "radius": 1, "whole": [1, 12], "ulna": 12}, "numTraining": 3}'
)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (ITK_SNAP, {1: "Radius left", 12: "Ulna, left"}),
        (SLICER, {1: "Radius_left", 12: "rib 5"}),
        (FREESURFER, {1: "Left-Radius"}),
        (BIDS, {1: "radius left", 12: "ulna"}),
        (SLICER_5, {1: "radius", 12: "ulna"}),
        (NNUNET, {1: "radius", 12: "ulna"}),
        ('{"1": "radius", "0": "nothing", "12": "ulna"}', {1: "radius", 12: "ulna"}),
        ("1 radius\n\n# of the left arm\n12: ulna\n", {1: "radius", 12: "ulna"}),
        ("\ufeff1,radius\r\n12;rib 5\r\n", {1: "radius", 12: "rib 5"}),
        ("label;structure\n12;ulna\n", {12: "ulna"}),
        (
            'index,name,colour\n1,"radius, left",red\n12, "ulna ""B""",blue\n',
            {1: "radius, left", 12: 'ulna "B"'},
        ),
        ('"index"\t"name"\n1\t"radius\tleft"\n', {1: "radius left"}),
        ('"Name","Index"\n"ulna, 2",12\n', {12: "ulna, 2"}),
        ('1,"radius, left"\n', {1: "radius, left"}),
        ("1 5th rib\n2 橈骨\n", {1: "5th rib", 2: "橈骨"}),
        ("1 radius\n1 radius\n", {1: "radius"}),
    ],
)
def test_what_programs_write(tmp_path, text, names):
    file = tmp_path / "names.txt"
    file.write_text(text, encoding="utf-8")
    assert read_label_names(file) == names


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "names no label"),
        ("0 background\n", "names no label"),
        ("1 radius\n1 ulna\n", "label 1 is named twice"),
        ("1 radius\nthe ulna is 2\n", "line 2 should be a label and its name"),
        ("the radius is 1\n", "a table with the columns index and name"),
        ("name,colour\nradius,red\n", "a table with the columns index and name"),
        ("index,name\n1,radius\n2\n", "line 3 should hold"),
        ("index,name\none,radius\n", "line 2 should hold"),
        ('{"1": 2.5}', "expected ids and names of labels"),
        ("[1, 2]", "expected an object"),
        ('{"radius": -1}', "a whole number from 0: got -1"),
        ("9999999999 radius", "a whole number from 0"),
        ("1 radius\n2 12\n", "a name has letters: got '12' of label 2"),
        ("1 10.5 20.5 30.5\n", "a name has letters"),
        ("1 1.5e3, -2E-4; nan\n", "a name has letters"),
        ("index,name\n1,3\n", "a name has letters"),
        ('{"1": "2"}', "a name has letters"),
        ("index,name\n1,radius" + 140000 * "x" + "\n", "is no table: field larger"),
    ],
)
def test_what_is_refused(tmp_path, text, words):
    (tmp_path / "names.txt").write_text(text)
    with pytest.raises(ReadError, match=words):
        read_label_names(tmp_path / "names.txt")
