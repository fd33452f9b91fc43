"""A session saved and opened again: all of it, without what is gone, and never from a damaged file."""

import json
import os
import shutil
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from hypothesis.extra import numpy as arrays
from session_parts import close, make_labels, make_radiograph, make_registration, make_volume, twist

from napari_xreg.geometry import CArmPose, Detector
from napari_xreg.images import (
    Landmark,
    ReadError,
    geometry_record,
    read_geometry,
    read_radiograph,
    with_geometry,
    write_radiograph,
)
from napari_xreg.images.known_geometry.sidecar import geometry_to_json
from napari_xreg.images.operations import Crop
from napari_xreg.session import (
    FileStep,
    NamedPose,
    Result,
    Session,
    Source,
    file_source,
    opening,
    read_ct,
    read_label_map,
    read_session,
    read_xray,
    sample_case,
    saving,
    supply,
    write_session,
)
from napari_xreg.session.files.memory_files import write_grid_labels, write_grid_volume
from napari_xreg.session.files.session_json import (
    MaskEntry,
    mask_of,
    mask_to_json,
    result_from_json,
    result_to_json,
)


@pytest.fixture
def full(tmp_path):
    """Everything a session can hold; CT, labels and one radiograph in files, one in memory."""
    data = tmp_path / "data"
    data.mkdir()
    volume = make_volume()
    write_grid_volume(data / "ct.npz", volume)
    write_grid_labels(data / "labels.npz", make_labels(volume))
    write_radiograph(data / "frontal.npz", make_radiograph(CArmPose(4.0, -7.0, 2.0)))
    session = Session()
    ct, labels = file_source(data / "ct.npz"), file_source(data / "labels.npz")
    session.patient.set_volume(read_ct(ct), ct)
    session.patient.set_labels(read_label_map(labels), labels)
    session.patient.set_structures([25])
    session.patient.set_isocenter(torch.tensor([1.25, -2.5, 70.0], dtype=torch.float64))
    session.landmarks.set([Landmark("asis", (1.5, 2.5, 3.5)), Landmark("#2", (4.0, 5.0, 6.0))])
    frontal = file_source(data / "frontal.npz", pixel_spacing=(2.5, 1.5))
    session.exposures.add(read_xray(frontal), name="frontal", source=frontal)
    session.exposures.add(
        make_radiograph(CArmPose(83.0, 5.0), 14, 19, 5),
        name="lateral/1",
        truth=twist(0.3, 0.2, 0.1, 3, 2, 1),
    )
    mask = torch.ones(14, 19, dtype=torch.bool)
    mask[3:5, 7:11] = False
    session.exposures.set_painted(session.exposures.named("lateral/1").id, mask)
    seen = Landmark("asis", pixel=(3.25, 4.75), visible=False, covariance=(1.5, -0.25, 0.75))
    session.landmarks.set_picked(
        session.exposures.named("frontal").id, [seen, Landmark("#2", pixel=(7.5, 2.25))]
    )
    session.landmarks.set_left_out(session.exposures.named("frontal").id, ["#2"])
    session.exposures.set_used(session.exposures.named("lateral/1").id, False)
    session.poses.save("before")
    session.exposures.set_start(session.exposures.named("frontal").id, twist(0, 0.5, 0, 9, 8, 7))
    poses = [twist(0.1, 0.3, 0.5, 7, 8, 9), twist(0.2, 0.1, 0, 5, 5, 6)]
    session.results.add(
        make_registration(poses),
        [session.exposures.named("lateral/1").id, session.exposures.named("frontal").id],
        {"method": "lm"},
    )
    session.poses.set(twist(0.1, 0.2, 0.3, 4, 5, 6) @ session.poses.current, "drag")
    session.poses.set(twist(0.2, 0, 0, 1, 0, 0) @ session.poses.current, "again")
    session.undo()
    session.exposures.activate(session.exposures.named("frontal").id)
    session.poses.rig_locked = False
    return session


def assert_equal(a, b, where="session"):
    """Values of any kind, down to the last number."""
    assert type(a) is type(b) or {type(a), type(b)} <= {dict, list, tuple}, where
    if isinstance(a, torch.Tensor):
        torch.testing.assert_close(a, b, rtol=0, atol=0, equal_nan=True, msg=where)
    elif hasattr(a, "__dataclass_fields__"):
        for field in fields(a):
            if field.name == "principal_point" and isinstance(a, Detector):
                assert a.center == b.center, where  # the middle, written out or not
            elif field.name not in IGNORED and not (field.name == "id" and type(a) in NAMED):
                assert_equal(
                    getattr(a, field.name), getattr(b, field.name), f"{where}.{field.name}"
                )
    elif isinstance(a, dict):
        assert list(a) == list(b), where
        for key in a:
            assert_equal(a[key], b[key], f"{where}[{key!r}]")
    elif isinstance(a, list | tuple):
        assert len(a) == len(b), where
        for number, (one, other) in enumerate(zip(a, b, strict=True)):
            assert_equal(one, other, f"{where}[{number}]")
    else:
        assert a == b or (a != a and b != b), where


# Where a value lies differs by intent: memory, then a file.
IGNORED = {"source", "volume_source", "labels_source"}
# A file keeps the identity of a radiograph; what is found by its name alone gets another.
NAMED = {Result, NamedPose}


def test_everything_comes_back(full, tmp_path):
    written = write_session(tmp_path / "case.xreg.json", full)
    assert [path.name for path in written] == ["case.xreg.json", "case.lateral-1.npz"]
    again = read_session(written[0])
    assert again.problems == ()
    assert_equal(again.state, full.state)
    assert again.patient.volume_source == full.patient.volume_source
    assert again.exposures.named("frontal").source == full.exposures.named("frontal").source
    assert again.exposures.named("frontal").radiograph.carm.detector.spacing == (2.5, 1.5)
    assert torch.equal(again.patient.rendered_volume.lac, full.patient.rendered_volume.lac)
    assert again.redo() == "again"
    # And from what was opened the same file is made.
    before = json.loads(written[0].read_text())
    write_session(written[0], again_read := read_session(written[0]))
    after = json.loads(written[0].read_text())
    for data in (before, after):
        data.pop("saved")
    assert before == after
    assert again_read.exposures.named("lateral/1").source.path == str(written[1])


def test_an_older_result_says_nothing_of_the_scale():
    result = Result("r", ("a",), make_registration([twist(0.1, 0.3, 0.5, 7, 8, 9)]), {})
    data = result_to_json(result)
    assert torch.equal(
        result_from_json(data).registration.covariance_at_scale,
        result.registration.covariance_at_scale,
    )
    del data["scale"]
    again = result_from_json(data).registration
    assert again.scale is None
    assert torch.equal(again.covariance_at_scale, result.registration.covariance)


def test_a_result_says_which_radiograph_alone_shows_what_was_registered():
    found = make_registration([twist(0.1, 0.3, 0.5, 7, 8, 9), twist(0.2, 0.3, 0.5, 7, 8, 9)])
    alone = replace(found, shown=(0.03125, 0.875), seen_by=1)
    data = json.loads(json.dumps(result_to_json(Result("r", ("a", "b"), alone, {}))))
    again = result_from_json(data).registration
    assert (again.shown, again.seen_by) == ((0.03125, 0.875), 1)
    del data["shown"], data["seen_by"]  # of before
    again = result_from_json(data).registration
    assert (again.shown, again.seen_by) == ((), None)


def test_an_empty_session_comes_back(tmp_path):
    (path,) = write_session(tmp_path / "nothing", Session())
    assert path.name == "nothing.xreg.json"
    assert_equal(read_session(path).state, Session().state)


def test_the_file_is_for_people_too(full, tmp_path):
    path = write_session(tmp_path / "case.xreg.json", full)[0]
    text = path.read_text()
    data = json.loads(text)
    assert (data["schema"], data["version"]) == ("napari-xreg/session", 2)
    assert data["ct"]["source"]["relative"] == "data/ct.npz"
    assert len(data["ct"]["source"]["sha256"]) == 64
    (frontal, lateral) = data["radiographs"]
    assert frontal["source"]["options"] == {"pixel_spacing": [2.5, 1.5]}
    assert frontal["geometry"]["pixel_spacing_mm"] == [2.5, 1.5]
    # By hand: 3 rows of 19 and 7 pixels, then 4 masked, 15 kept, 4 masked, the rest.
    assert lateral["painted"]["runs"] == [64, 4, 15, 4, 14 * 19 - 87]
    assert data["landmarks"][1] == {"name": "#2", "position_mm": [4.0, 5.0, 6.0]}
    assert data["results"][0]["trajectory"][0]["losses"] == {"loss": 0.75, "edge": None}
    assert data["history"]["at"] == 1
    # A matrix takes four lines, not sixteen.
    assert text.count("\n") < 600


def test_moved_together_they_are_found_again(full, tmp_path):
    write_session(tmp_path / "case.xreg.json", full)
    moved = tmp_path / "elsewhere" / "deep"
    moved.mkdir(parents=True)
    for name in ("data", "case.xreg.json", "case.lateral-1.npz"):
        shutil.move(tmp_path / name, moved / name)
    again = read_session(moved / "case.xreg.json")
    assert again.problems == ()
    assert again.patient.volume_source.path == str(moved / "data" / "ct.npz")
    assert_equal(again.state, full.state)


def test_the_session_file_alone_moved_finds_them_where_they_were(full, tmp_path):
    path = write_session(tmp_path / "case.xreg.json", full)[0]
    away = tmp_path / "desk"
    away.mkdir()
    shutil.move(path, away / path.name)
    again = read_session(away / path.name)
    assert again.problems == ()
    assert again.patient.volume_source.path == str(tmp_path / "data" / "ct.npz")


def test_a_changed_file_is_used_with_a_warning(full, tmp_path):
    path = write_session(tmp_path / "case.xreg.json", full)[0]
    radiograph = full.exposures.named("frontal").radiograph
    brighter = replace(radiograph, line_integrals=radiograph.line_integrals + 1)
    write_radiograph(tmp_path / "data" / "frontal.npz", brighter)
    again = read_session(path)
    (said,) = again.problems
    assert said.startswith(str(tmp_path / "data" / "frontal.npz"))
    assert "has changed since the session was saved" in said
    entry = again.exposures.named("frontal")
    assert float(entry.radiograph.line_integrals.min()) >= 1.0
    assert entry.landmarks == full.exposures.named("frontal").landmarks
    # Saved again, it is the file of now that belongs to the session.
    assert read_session(write_session(path, again)[0]).problems == ()


def test_a_file_of_another_size_keeps_its_pose_and_drops_what_was_drawn(full, tmp_path):
    path = write_session(tmp_path / "case.xreg.json", full)[0]
    write_radiograph(tmp_path / "data" / "frontal.npz", make_radiograph(None, 8, 9))
    again = read_session(path)
    assert "8 x 9 pixels now, and had 12 x 17" in again.problems[1]
    entry = again.exposures.named("frontal")
    assert entry.landmarks == ()
    assert entry.radiograph.carm.detector.shape == (8, 9)
    assert close(entry.world_from_camera, full.exposures.named("frontal").world_from_camera, 0)


# ------------------------------------------------------------------ files that are gone


def test_a_missing_radiograph_costs_nothing_else(full, tmp_path):
    path = write_session(tmp_path / "case.xreg.json", full)[0]
    hidden = (tmp_path / "data" / "frontal.npz").rename(tmp_path / "hidden.npz")
    again = read_session(path)
    (gone,) = again.missing
    assert (gone.role, gone.name) == ("radiograph", "frontal")
    assert again.problems == (gone.why,)
    assert f"there is no {tmp_path / 'data' / 'frontal.npz'}" in gone.why
    assert "Put the file back" in gone.why
    assert gone.why.count(". ") == 1
    assert [entry.name for entry in again.exposures.all] == ["lateral/1"]
    assert again.exposures.active.name == "lateral/1"
    assert len(again.results.all) == 1
    assert again.undo() == "drag"
    again.redo()
    # Saved without it, opened again, supplied: nothing is lost.
    second = write_session(tmp_path / "second.xreg.json", again)[0]
    reopened = read_session(second)
    assert reopened.missing[0].entry == gone.entry
    reopened.exposures.add(make_radiograph(), name="frontal")
    reopened.exposures.remove(reopened.exposures.named("frontal 2").id)
    source = file_source(hidden, pixel_spacing=(2.5, 1.5))
    supply(reopened, "frontal", read_xray(source), source)
    assert reopened.missing == ()
    assert reopened.problems == ()
    assert_equal(reopened.exposures.named("frontal"), full.exposures.named("frontal"))
    assert reopened.exposures.named("frontal").source is source
    assert reopened.undo() == "remove radiograph frontal 2"
    assert reopened.undo() == "add radiograph frontal 2"
    assert reopened.undo() == "drag"
    before = full.capture()().records[0].poses[reopened.exposures.named("frontal").id]
    assert close(reopened.exposures.named("frontal").world_from_camera, before, 0)


def test_a_missing_ct_takes_its_labels_with_it_and_nothing_else(full, tmp_path):
    path = write_session(tmp_path / "case.xreg.json", full)[0]
    (tmp_path / "data" / "ct.npz").rename(tmp_path / "hidden.npz")
    again = read_session(path)
    assert [gone.name for gone in again.missing] == ["CT", "labels"]
    assert "belongs to the CT, which is missing" in again.problems[1]
    assert again.patient.volume is None
    assert len(again.exposures.all) == 2
    assert len(again.results.all) == 1
    again = read_session(write_session(path, again)[0])
    with pytest.raises(ValueError, match="supply the CT first"):
        supply(again, "labels", make_labels(make_volume()))
    with pytest.raises(ValueError, match="nothing called 'x'"):
        supply(again, "x", make_volume())
    with pytest.raises(ValueError, match="a CT is missing: got LabelMap"):
        supply(again, "CT", make_labels(make_volume()))
    supply(again, "CT", make_volume(), file_source(tmp_path / "hidden.npz"))
    supply(again, "labels", make_labels(make_volume()), full.patient.labels_source)
    assert_equal(again.state, full.state)
    assert again.patient.structures == (25,)
    assert again.problems == ()


def test_another_ct_ends_the_wait_for_the_missing_one(full, tmp_path):
    path = write_session(tmp_path / "case.xreg.json", full)[0]
    (tmp_path / "data" / "ct.npz").unlink()
    again = read_session(path)
    again.patient.set_volume(make_volume())
    assert again.missing == ()
    path = write_session(path, again)[0]
    assert read_session(path).missing == ()


def test_a_damaged_radiograph_is_missing_too(full, tmp_path):
    path = write_session(tmp_path / "case.xreg.json", full)[0]
    (tmp_path / "case.lateral-1.npz").write_bytes(b"PK nonsense")
    again = read_session(path)
    assert [gone.name for gone in again.missing] == ["lateral/1"]
    assert "not a readable .npz" in again.missing[0].why


# ------------------------------------------------------------------ what exists in memory only


def test_all_in_memory(session, tmp_path):
    session.patient.set_structures([77])
    written = write_session(tmp_path / "m.xreg.json", session)
    assert [path.name for path in written[1:]] == [
        "m.ct.npz",
        "m.labels.npz",
        "m.frontal.npz",
        "m.lateral.npz",
    ]
    assert_equal(read_session(written[0]).state, session.state)
    assert session.patient.volume_source is None  # saving changes nothing


def test_an_edited_radiograph_is_written_as_it_is(full, tmp_path):
    cropped = (
        full.exposures.named("frontal")
        .radiograph.crop(2, 3, 7, 9)
        .with_mask(torch.rand(7, 9) > 0.2, "by hand")
    )
    full.exposures.replace_image(full.exposures.named("frontal").id, cropped)
    written = write_session(tmp_path / "case.xreg.json", full)
    again = read_session(written[0]).exposures.named("frontal").radiograph
    # What is masked is read as 0.
    seen = torch.where(cropped.mask, cropped.line_integrals, 0.0)
    assert_equal(again, replace(cropped, line_integrals=seen))
    assert again.operations == cropped.operations
    # The file it came from is what it was.
    assert read_radiograph(tmp_path / "data" / "frontal.npz").carm.detector.shape == (12, 17)


def test_operations_are_values_and_were_words_in_version_1(full, tmp_path):
    """A crop of 12 x 17 pixels: its geometry can be changed, whichever version kept it."""
    full.exposures.replace_image(
        full.exposures.named("frontal").id,
        full.exposures.named("frontal").radiograph.crop(2, 3, 7, 9),
    )
    (path, *_) = write_session(tmp_path / "case.xreg.json", full)
    data = json.loads(path.read_text())
    assert data["radiographs"][0]["operations"] == [
        {"kind": "crop", "row": 2, "column": 3, "rows": 7, "columns": 9, "of": [12, 17]}
    ]
    data["version"] = 1
    data["radiographs"][0]["operations"] = ["crop rows 2+7, columns 3+9 of 12x17"]
    path.write_text(json.dumps(data))
    image = read_session(path).exposures.named("frontal").radiograph
    assert image.operations == (Crop(2, 3, 7, 9, of=(12, 17)),)
    moved = with_geometry(image, replace(geometry_record(image), principal_point=(5.5, 8.25)))
    assert moved.carm.detector.center == (3.5, 5.25)


def test_an_overridden_geometry_is_kept_without_a_copy_of_the_pixels(full, tmp_path):
    old = full.exposures.named("frontal").radiograph
    record = replace(old.geometry, source_to_detector=1111.0)
    carm = replace(old.carm, source_to_detector=1111.0)
    full.exposures.replace_image(
        full.exposures.named("frontal").id, replace(old, carm=carm, geometry=record)
    )
    written = write_session(tmp_path / "case.xreg.json", full)
    assert [path.name for path in written[1:]] == ["case.lateral-1.npz"]
    again = read_session(written[0]).exposures.named("frontal").radiograph
    assert again.carm.source_to_detector == 1111.0
    assert again.geometry == record


def test_names_that_look_alike_as_files(tmp_path):
    session = Session()
    for name in ("a b", "a/b", "A-B", "ct"):
        session.exposures.add(make_radiograph(seed=len(session.exposures.all)), name=name)
    session.patient.set_volume(make_volume())
    written = write_session(tmp_path / "x.xreg.json", session)
    assert len({path.name.lower() for path in written}) == 6
    assert_equal(read_session(written[0]).state, session.state)


@pytest.mark.slow
def test_the_phantom_needs_no_file(tmp_path):
    case = sample_case(spacing_mm=8.0, pixels=24, severity="clean")
    session = case.session()
    written = write_session(tmp_path / "p.xreg.json", session)
    assert [path.name for path in written] == ["p.xreg.json", "p.simulated-pelvis.npz"]
    again = read_session(written[0])
    assert torch.equal(again.patient.volume.lac, session.patient.volume.lac)
    assert again.patient.volume_source == case.source
    assert close(again.exposures.active.truth, case.truth, 0)
    assert again.exposures.active.radiograph.simulated
    data = json.loads(written[0].read_text())
    data["ct"]["source"]["path"] = "unicorn"
    data["labels"] = None
    written[0].write_text(json.dumps(data))
    assert "no built-in of that name" in read_session(written[0]).problems[0]


def test_geometry_and_label_names_travel_as_options(tmp_path):
    write_radiograph(tmp_path / "a.npz", make_radiograph())
    (tmp_path / "g.json").write_text(
        json.dumps(
            {"schema": "napari-xreg/xray-geometry", "version": 1, "source_to_detector_mm": 1300.0}
        )
    )
    record = read_geometry(tmp_path / "g.json")
    source = file_source(tmp_path / "a.npz", geometry=record, crop=(1, 2, 9, 8))
    assert source.options == {"geometry": geometry_to_json(record), "crop": [1, 2, 9, 8]}
    assert read_xray(source).carm.source_to_detector == 1300.0
    assert read_xray(source).carm.detector.shape == (9, 8)
    wrong = Source(source.path, options={"unicorn": 1})
    with pytest.raises(ReadError, match="cannot be read with these options"):
        read_xray(wrong)


# ------------------------------------------------------------------ steps, and a disk that is full


def test_saving_and_opening_go_in_steps(full, tmp_path):
    steps = saving(tmp_path / "case.xreg.json", full)
    full.exposures.remove(
        full.exposures.named("frontal").id
    )  # captured above: it does not matter any more
    told = list(steps)
    assert [step.text for step in told] == [
        "saving the CT",
        "saving the label map",
        "saving frontal",
        "saving lateral/1",
        "saving poses and results",
    ]
    assert told[-1] == FileStep("saving poses and results", 4, 5)
    seen = []
    again = read_session(tmp_path / "case.xreg.json", on_progress=seen.append)
    assert [step.done for step in seen] == [0, 1, 2, 3, 4]
    assert len(again.exposures.all) == 2
    opening(tmp_path / "case.xreg.json").close()


def test_a_failed_save_leaves_the_old_file(full, tmp_path, monkeypatch):
    path = write_session(tmp_path / "case.xreg.json", full)[0]
    before = path.read_bytes()
    monkeypatch.setattr(
        "pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "full"))
    )
    with pytest.raises(OSError, match="full"):
        write_session(path, full)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert not list(tmp_path.glob(".*"))
    with pytest.raises(ValueError, match=r"saved as \*\.xreg\.json"):
        write_session(tmp_path / "case.json", full)


@pytest.mark.parametrize("what", ["/dev/zero", "/dev/stdin", "pipe"])
def test_a_source_that_never_ends_is_missing_not_waited_for(full, tmp_path, what):
    path = write_session(tmp_path / "case.xreg.json", full)[0]
    if what == "pipe":
        os.mkfifo(tmp_path / "pipe")
        what = str(tmp_path / "pipe")
    data = json.loads(path.read_text())
    for entry in (data["ct"], data["labels"], *data["radiographs"]):
        entry["source"] |= {"path": what, "relative": None}
    path.write_text(json.dumps(data))
    again = read_session(path)
    assert [gone.name for gone in again.missing] == ["CT", "labels", "frontal", "lateral/1"]
    assert "device or a pipe" in again.problems[0]
    assert again.landmarks.all == full.landmarks.all


# ------------------------------------------------------------------ damaged files


def altered(*keys, value):
    def alter(data):
        *path, last = keys
        for key in path:
            data = data[key]
        if value is KeyError:
            del data[last]
        else:
            data[last] = value

    return alter


DAMAGE = {
    "schema": (
        altered("schema", value="napari-xreg/pose"),
        "is napari-xreg/session: got 'napari-xreg/pose'",
    ),
    "newer": (altered("version", value=3), "version 3 .* update napari-xreg"),
    "version true": (altered("version", value=True), "version True"),
    "no version": (altered("version", value=KeyError), "version None"),
    "radiographs": (altered("radiographs", value={}), "should be a list"),
    "a radiograph": (altered("radiographs", 0, value=7), "an entry of radiographs"),
    "its name": (altered("radiographs", 0, "name", value=3), "needs a name"),
    "its source": (altered("radiographs", 0, "source", value=None), "where frontal lies"),
    "its pose": (altered("radiographs", 0, "start", 0, 0, value=2.0), "frontal.*rotation"),
    "no pose": (altered("radiographs", 0, "start", value=KeyError), "frontal.*'start' is missing"),
    "its geometry": (altered("radiographs", 0, "geometry", "rows", value=-1), "frontal"),
    "its mask": (
        altered("radiographs", 1, "painted", "runs", value=[1, 2]),
        "add up to its 14 x 19",
    ),
    "huge mask": (altered("radiographs", 1, "painted", "runs", value=[10**30]), "lateral/1"),
    "two names": (altered("radiographs", 1, "name", value="frontal"), "must be unique"),
    "isocenter": (altered("isocenter_mm", value=[1, 2]), "three numbers"),
    "isocenter words": (altered("isocenter_mm", value="here"), "the session is damaged"),
    "landmark": (altered("landmarks", 0, value={"name": "x"}), "needs a position"),
    "history": (altered("history", "at", value=9), "no record 9"),
    "history list": (altered("history", value=[]), "the session is damaged"),
    "named": (altered("named_poses", "before", "poses", "frontal", value="x"), "the session"),
    "status": (altered("results", 0, "status", value="GREAT"), "status should be one of .*'GREAT'"),
    "views": (altered("results", 0, "views", value=[]), "holds poses of 1 radiographs"),
    "trajectory": (altered("results", 0, "trajectory", 0, "index", value=None), "the session"),
    "covariance": (
        altered("results", 0, "covariance", value=[[1.0]]),
        "covariance should be 6 x 6 numbers",
    ),
    "ct": (altered("ct", value="ct.nii"), "where the CT lies"),
    "options": (altered("ct", "source", "options", value=[1]), "where the CT lies"),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_a_damaged_file_is_one_sentence(full, tmp_path, what):
    alter, said = DAMAGE[what]
    path = write_session(tmp_path / "case.xreg.json", full)[0]
    data = json.loads(path.read_text())
    alter(data)
    path.write_text(json.dumps(data))
    with pytest.raises(ReadError, match=said) as caught:
        read_session(path)
    assert str(caught.value).startswith("case.xreg.json: ")
    assert "\n" not in str(caught.value)


def test_files_that_are_no_sessions(full, tmp_path):
    with pytest.raises(ReadError, match="cannot be opened"):
        read_session(tmp_path / "nowhere.xreg.json")
    path = write_session(tmp_path / "case.xreg.json", full)[0]
    whole = path.read_bytes()
    for content in (b"", whole[: len(whole) // 2], b"\xff\xfe\x00", b"[" * 100_000, b"[]", b"3"):
        path.write_bytes(content)
        with pytest.raises(ReadError, match=r"^case.xreg.json: "):
            read_session(path)


def test_a_grid_that_is_none(tmp_path):
    labels = make_labels(make_volume())
    write_grid_labels(tmp_path / "labels.npz", labels)
    with pytest.raises(ReadError, match="does not hold a CT"):
        read_ct(Source(str(tmp_path / "labels.npz")))
    np.savez(tmp_path / "x.npz", a=np.zeros(3))
    with pytest.raises(ReadError, match="is not an archive of napari-xreg"):
        read_label_map(Source(str(tmp_path / "x.npz")))
    with pytest.raises(ReadError, match="no such file"):
        read_ct(Source(str(tmp_path / "nowhere.npz")))


@given(arrays.arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_any_mask_comes_back(values):
    mask = torch.from_numpy(values)
    data = json.loads(json.dumps(mask_to_json(mask)))
    assert torch.equal(mask_of(MaskEntry.of(data, "a mask")), mask)
