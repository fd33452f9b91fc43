"""Landmarks and their files; positions are LPS here whatever the file uses."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings, strategies as st

from napari_xreg.images import FrameUnknown, Landmark, ReadError, read_landmarks, write_landmarks

ASIS = Landmark("ASIS left", (121.5, -98.25, 14.125))
TIP = Landmark('a "quoted", named tip', (-7.0, 3.5, 1000.1), (811.5, 12.25))

# As 3D Slicer 4.10 writes it: numbers for the axes, 0 = RAS.
SLICER_4_10 = """# Markups fiducial file version = 4.10
# CoordinateSystem = 0
# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID
vtkMRMLMarkupsFiducialNode_0,-121.5,98.25,14.125,0.000,0.000,0.000,1.000,1,1,0,ASIS left,,vtkMRML1
vtkMRMLMarkupsFiducialNode_1,7,-3.5,1000.1,0,0,0,1,1,1,0,"a, b",,
"""
SLICER_5_2 = """# Markups fiducial file version = 5.2
# CoordinateSystem = LPS
# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID
1,121.5,-98.25,14.125,0,0,0,1,1,1,0,ASIS left,,,2,0
"""


def markups(system="RAS", **change):
    point = {"id": "1", "label": "ASIS left", "position": [-121.5, 98.25, 14.125]}
    empty = {"id": "2", "label": "later", "position": [], "positionStatus": "undefined"}
    node = {
        "type": "Fiducial",
        "coordinateSystem": system,
        "coordinateUnits": "mm",
        "controlPoints": [point, empty],
        **change,
    }
    return json.dumps({"markups": [node]})


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_fcsv_of_slicer(tmp_path):
    found = read_landmarks(write(tmp_path / "F.fcsv", SLICER_4_10))
    assert found == [ASIS, Landmark("a, b", (-7.0, 3.5, 1000.1))]
    assert read_landmarks(write(tmp_path / "F.fcsv", SLICER_5_2)) == [ASIS]


def test_markups_of_slicer(tmp_path):
    path = write(tmp_path / "F.mrk.json", markups())
    assert read_landmarks(path) == [ASIS]
    assert read_landmarks(write(path, markups("LPS")))[0].position == (-121.5, 98.25, 14.125)


def test_csv_by_hand(tmp_path):
    text = "name,x,y,z\nASIS left,-121.5,98.25,14.125\n"
    path = write(tmp_path / "points.csv", text)
    with pytest.raises(ReadError, match="whether x, y, z are LPS"):
        read_landmarks(path)
    assert read_landmarks(path, frame="RAS") == [ASIS]
    assert read_landmarks(path, frame="LPS")[0].position == (-121.5, 98.25, 14.125)
    picked = write(path, "Name, row, column\nASIS left, 811.5, 12.25\n")
    assert read_landmarks(picked) == [Landmark("ASIS left", pixel=(811.5, 12.25))]


@pytest.mark.parametrize("name", ["a.fcsv", "a.mrk.json", "a.csv"])
@pytest.mark.parametrize("frame", ["LPS", "RAS"])
def test_round_trip(tmp_path, name, frame):
    write_landmarks(tmp_path / name, [ASIS, TIP], frame=frame)
    found = read_landmarks(tmp_path / name)
    kept = TIP if name.endswith(".csv") else Landmark(TIP.name, TIP.position)
    assert found == [ASIS, kept]
    # In the file the axes are the ones asked for.
    assert ("-121.5" if frame == "RAS" else "121.5") in (tmp_path / name).read_text()


@pytest.mark.slow
@settings(max_examples=25)
@example(position=(0.1, -0.0, 1e-300), name="#1, really")
@given(
    position=st.tuples(*[st.floats(-1e6, 1e6)] * 3),
    name=st.text(min_size=1).filter(lambda text: text.isprintable() and text == text.strip()),
)
def test_every_digit_survives(position, name):
    landmark = Landmark(name, position)
    with TemporaryDirectory() as folder:
        for file in ("a.csv", "a.mrk.json", "a.fcsv"):
            write_landmarks(Path(folder, file), [landmark], frame="RAS")
            assert read_landmarks(Path(folder, file)) == [landmark]


def test_slicer_files_hold_positions_only(tmp_path):
    with pytest.raises(ValueError, match="tip has a pixel only"):
        write_landmarks(tmp_path / "a.fcsv", [Landmark("tip", pixel=(1.0, 2.0))])
    with pytest.raises(ValueError, match="written to"):
        write_landmarks(tmp_path / "a.txt", [ASIS])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"name": " ", "position": (1.0, 2.0, 3.0)}, "needs a name"),
        ({"name": "a\nb", "position": (1.0, 2.0, 3.0)}, "one line"),
        ({"name": "a"}, "needs a position"),
        ({"name": "a", "pixel": (float("nan"), 2.0)}, "finite"),
        ({"name": "a", "position": (1.0, 2.0, 3.0), "covariance": (1.0, 0.0, 1.0)}, "a pixel and"),
        ({"name": "a", "pixel": (1.0, 2.0), "covariance": (1.0, 1.0, 1.0)}, "positive covariance"),
        ({"name": "a", "pixel": (1.0, 2.0), "covariance": (-1.0, 0.0, -1.0)}, "positive"),
        ({"name": "a", "pixel": (1.0, 2.0), "covariance": (1.0, float("nan"), 1.0)}, "positive"),
    ],
)
def test_landmarks_that_are_none(arguments, says):
    with pytest.raises(ValueError, match=says):
        Landmark(**arguments)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.fcsv", "", "empty"),
        ("a.fcsv", SLICER_4_10.replace("= 0", "= 2"), "must be LPS or RAS: got 2"),
        ("a.fcsv", SLICER_4_10.replace("# CoordinateSystem = 0\n", ""), "whether x, y, z are LPS"),
        ("a.fcsv", SLICER_4_10.replace("# columns", "# rows"), "must name x, y, z, label"),
        ("a.fcsv", SLICER_4_10.replace("98.25", "ninety"), "y of ASIS left must be a number"),
        ("a.fcsv", SLICER_4_10.replace('"a, b"', "ASIS left"), "two landmarks are called"),
        ("a.fcsv", SLICER_4_10.replace("98.25", "nan"), "must be a number"),
        ("a.mrk.json", markups()[:-3], "not valid JSON"),
        ("a.mrk.json", "[1, 2]", "not a markups file"),
        ("a.mrk.json", markups(type="Plane"), "type Fiducial: got Plane"),
        ("a.mrk.json", markups(coordinateUnits="m"), "must be mm"),
        ("a.mrk.json", markups(system="IJK"), "must be LPS or RAS: got IJK"),
        ("a.mrk.json", markups(controlPoints=[]), "no landmark"),
        ("a.mrk.json", markups(controlPoints=[{"label": "a", "position": [1, 2]}]), "x, y, z"),
        ("a.csv", "x,y,z\n1,2,3\n", "must name the columns"),
        ("a.csv", "name,row,column\na,1,\n", "column of 'a' must be a number"),
        ("a.csv", "# napari-xreg landmarks 9\nname,x,y,z\n", "newer napari-xreg"),
        ("a.txt", "name,x,y,z\na,1,2,3\n", "unknown kind of file"),
    ],
)
def test_files_that_are_wrong(tmp_path, name, text, says):
    with pytest.raises(ReadError, match=says) as error:
        read_landmarks(write(tmp_path / name, text))
    assert name in str(error.value)
    assert "\n" not in str(error.value)


def test_files_that_are_no_text(tmp_path):
    with pytest.raises(ReadError, match="No such file"):
        read_landmarks(tmp_path / "none.csv")
    (tmp_path / "a.csv").write_bytes(b"\x89PNG\x00\x01")
    with pytest.raises(ReadError, match="binary"):
        read_landmarks(tmp_path / "a.csv")
    write_landmarks(tmp_path / "b.csv", [ASIS])
    with pytest.raises(ReadError, match="the file says LPS"):
        read_landmarks(tmp_path / "b.csv", frame="RAS")


@pytest.mark.parametrize("ending", [".fcsv", ".mrk.json", ".csv"])
def test_invisible_landmarks_stay_invisible(tmp_path, ending):
    hidden = Landmark("FH left", (88.0, -20.5, -75.0), visible=False)
    path = tmp_path / f"points{ending}"
    write_landmarks(path, [ASIS, hidden])
    assert read_landmarks(path) == [ASIS, hidden]


def test_visibility_by_hand(tmp_path):
    path = write(tmp_path / "p.csv", "name,row,column,visible\na,1.5,2.5,\nb,3.5,4.5,0\n")
    assert [mark.visible for mark in read_landmarks(path)] == [True, False]
    write(path, "name,row,column,visible\na,1.5,2.5,maybe\n")
    with pytest.raises(ReadError, match="visible must be 1 or 0: got 'maybe'"):
        read_landmarks(path)


def test_a_csv_keeps_how_sure_a_pixel_is(tmp_path):
    sure = Landmark("tip", (1.0, 2.0, 3.0), (811.5, 12.25), False, (4.5, -1.25, 2.0))
    path = tmp_path / "points.csv"
    write_landmarks(path, [ASIS, sure])
    assert read_landmarks(path) == [ASIS, sure]
    by_hand = "name,row,column,row_variance,row_column_covariance,column_variance\n"
    write(path, by_hand + "a,1.5,2.5,4.5,-1.25,2.0\nb,3.5,4.5,,,\n")
    assert [mark.covariance for mark in read_landmarks(path)] == [(4.5, -1.25, 2.0), None]
    for cells, says in (("4.5,,2.0", "must be a number"), ("4.5,9,2.0", "positive covariance")):
        write(path, by_hand + f"a,1.5,2.5,{cells}\n")
        with pytest.raises(ReadError, match=says):
            read_landmarks(path)


TRIPLE = "name,x,y,z\nA,1,2,5\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name,x,y,z\nA,1,5,2,5,3,5\n", "expected 4 values a line.*A,1,5,2,5,3,5"),
        ("name,x,y,z,,,\nA,1,5,2,5,3,5\n", "expected 4 values a line"),
        ("name,x,y,z\nA,1,2\n", "expected 4 values a line"),
        ("name,x,y,x,z\nA,1,2,3,4\n", "two columns are called x"),
        ("name,x,y,z,X\nA,1,2,3,4\n", "two columns are called x"),
        ("name,x,y,z\nA,nan,2,3\n", "x of 'A' must be a number, or empty"),
        ("name,x,y,z\nA,1_0,2,3\n", "x of 'A' must be a number"),
        ("name,x,y,z\nA,1,,3\n", "y of 'A' must be a number"),
        ("name,x,y,z\n,1,2,3\n", "needs a name"),
        ("name;x;y;z\nA;1,5;2.5;3\n", "with points and with commas"),
        ("name;x;y;z\nA;1.000,5;2;3\n", "with points and with commas"),
    ],
)
def test_a_table_that_could_be_read_two_ways_is_refused(tmp_path, text, says):
    with pytest.raises(ReadError, match=says):
        read_landmarks(write(tmp_path / "a.csv", text), frame="LPS")


@pytest.mark.parametrize(
    "text",
    [
        "name,x,y,z\nHüfte,-1.5,2.25,5\n",
        "name;x;y;z\nHüfte;-1,5;2,25;5\n",
        "name\tx\ty\tz\r\nHüfte\t-1,5\t2,25\t5\r\n",
        "name,x,y,z,\nHüfte,-1.5,2.25,5,\n,,,,\n",
        'NAME , x,y,z\n"Hüfte",-1.5, 2.25,5,\n',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_tables_of_spreadsheets(tmp_path, text, encoding):
    (tmp_path / "a.csv").write_bytes(text.encode(encoding))
    found = read_landmarks(tmp_path / "a.csv", frame="LPS")
    assert found == [Landmark("Hüfte", (-1.5, 2.25, 5.0))]


def test_our_comment_survives_a_spreadsheet_and_never_invents_axes(tmp_path):
    head = "# napari-xreg landmarks 1; x, y, z: RAS, mm; row, column: pixels"
    for comment in (f'"{head}"', f"{head},,", head):
        path = write(tmp_path / "a.csv", f"{comment}\n{TRIPLE}")
        assert read_landmarks(path) == [Landmark("A", (-1.0, -2.0, 5.0))]
    write(path, f"# napari-xreg landmarks 1\n{TRIPLE}")
    with pytest.raises(FrameUnknown) as caught:
        read_landmarks(path)
    assert caught.value.frames == ("LPS", "RAS")
    assert "frame=" not in str(caught.value)
    assert "--" not in str(caught.value)


def test_points_of_slicer_5_that_were_never_placed_stay_out(tmp_path):
    head = SLICER_5_2.replace("1,121.5", "1,121.5")
    never = "".join(f"{i},0,0,0,0,0,0,1,1,1,0,F-{i},,,{state},0\n" for i, state in enumerate("013"))
    assert read_landmarks(write(tmp_path / "F.fcsv", head + never)) == [ASIS]
    for state in ("4", "", "x"):
        with pytest.raises(ReadError, match="state of a point"):
            read_landmarks(write(tmp_path / "F.fcsv", SLICER_5_2.replace(",2,0", f",{state},0")))
    with pytest.raises(ReadError, match="expected 14 values"):
        read_landmarks(write(tmp_path / "F.fcsv", SLICER_5_2.replace(",,,2,0", "")))


@pytest.mark.parametrize("name", ["a.csv", "a.fcsv", "a.mrk.json"])
def test_every_cut_is_refused_or_changes_nothing(tmp_path, name):
    path = tmp_path / name
    write_landmarks(path, [ASIS, Landmark("FH left", (88.0, -20.5, -75.25))])
    whole, data = read_landmarks(path), path.read_bytes()
    accepted = []
    for length in range(len(data)):
        path.write_bytes(data[:length])
        try:
            found = read_landmarks(path)
        except ReadError:
            continue
        assert found == whole, f"cut after {length} of {len(data)} bytes"
        accepted.append(length)
    assert accepted in ([], [len(data) - 1])


def test_a_covariance_beyond_what_can_be_squared_is_refused_as_any_other():
    with pytest.raises(ValueError, match="positive covariance"):
        Landmark("A", None, (1.5, 2.25), True, (2.0, 1e300, 3.0))
