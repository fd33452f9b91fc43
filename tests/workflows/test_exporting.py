"""What a script gets that asks for the folder of a registration."""

import dataclasses
import importlib.util

import pytest
import torch

from napari_xreg.progress import run
from napari_xreg.records.result_files import read_result
from napari_xreg.registration import Level, RefineSettings
from napari_xreg.session import Result, Source, sample_case
from napari_xreg.workflows import (
    Drawn,
    ExportRequest,
    confidence_of,
    errors_against,
    export,
    export_request,
    exporting,
    refine,
    refine_request,
    target_words,
)

SETTINGS = RefineSettings(starts=1, levels=(Level(24, None, iterations=4),), keep_images=False)


@pytest.fixture(scope="module")
def case():
    return sample_case(spacing_mm=10.0, pixels=32)


@pytest.fixture(scope="module")
def refined(case):
    request = refine_request(case.session(), SETTINGS)
    return request, run(refine(request))


def asked(folder, refined, **more):
    request, registration = refined
    return ExportRequest(
        folder, request.volume, request.views, registration, "a title", SETTINGS, **more
    )


@pytest.mark.slow
def test_everything_is_there_and_reads_back(case, refined, tmp_path):
    request, registration = refined
    (view,) = request.views
    points = torch.tensor([mark.position for mark in case.landmarks], dtype=torch.float64)
    truth = errors_against(
        case.truth, points, view.radiograph.carm, view.world_from_camera, registration
    )
    seen = []
    done = run(
        export(asked(tmp_path, refined, extra={"truth": truth}, film="gif", with_radiographs=True)),
        seen.append,
    )
    assert {file.name for file in tmp_path.iterdir() if not file.name.startswith(".")} == set(
        done.files
    )
    assert {"refinement.gif", "radiograph.npz", "overlay.png", "report.html"} <= set(done.files)
    assert seen[0] == Drawn("pictures", 1, 1)
    assert [event.done for event in seen[1:]] == list(range(1, len(seen)))
    back = read_result(tmp_path / "result.json")
    assert back.simulated
    assert back.data["truth"]["fiducials"] == 14
    assert torch.equal(back.world_from_camera.matrix(), registration.world_from_camera.matrix())


@pytest.mark.slow
def test_closed_half_way_nothing_is_left(refined, tmp_path):
    events = export(asked(tmp_path / "out", refined, film="none"))
    next(events)
    events.close()
    assert not (tmp_path / "out").exists()


def test_a_film_that_cannot_be_made_is_said_when_it_is_asked_for(refined, tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="imageio-ffmpeg: install it, or use gif"):
        asked(tmp_path, refined, film="mp4")


def test_a_script_reads_the_confidence(case, refined):
    request, registration = refined
    found = confidence_of(registration, request.views[0].radiograph.carm, case.landmarks)
    assert set(found.landmarks) == {mark.name for mark in case.landmarks}
    assert f"over {len(case.landmarks)} landmarks" in target_words(found)


@pytest.mark.slow
def test_a_result_of_a_session_is_the_same_folder(case, refined, tmp_path):
    request, registration = refined
    session = case.session()
    shot = session.exposures.active
    session.results.add(registration, [shot.id], {"solver": "lm"})
    asked_of = export_request(session, session.results.all[0], tmp_path / "out")
    start = asked_of.views[0].world_from_camera.matrix()
    assert torch.allclose(start, request.views[0].world_from_camera.matrix(), atol=1e-9, rtol=0)
    assert asked_of.title == f"result 1: {shot.name}"
    run(export(dataclasses.replace(asked_of, film="none")))
    back = read_result(tmp_path / "out" / "result.json")
    assert back.data["truth"]["fiducials"] == len(case.landmarks)
    assert [entry["role"] for entry in back.data["inputs"]] == ["ct"]
    assert back.data["settings"] == {"solver": "lm"}
    called = dataclasses.replace(
        shot, name="Doe Jane, hip", source=Source(str(tmp_path / "IM7.dcm"))
    )
    session.exposures.replace(called)
    asked_of = export_request(session, session.results.all[0], tmp_path / "out")
    assert asked_of.title == "result 1: IM7"  # pictures are passed on: no patient's name
    session.results.add(registration, [shot.id], {"kind": "bones", "bone": "femur_left"})
    with pytest.raises(ValueError, match="result 2 is one of several bones"):
        export_request(session, session.results.all[1], tmp_path)  # pictures of the whole CT
    session.exposures.remove(shot.id)
    gone = Result("result 1", (shot.id,), registration, {})
    with pytest.raises(ValueError, match="is no longer there"):
        export_request(session, gone, tmp_path)


WRITERS = {
    "write_result": {"result.json", "report.html"},  # the report is made of it
    "write_pose": {"result.tfm", "result-slicer.tfm"},
    "write_trajectory": {"trajectory.csv"},
    "write_radiograph": {"radiograph.npz"},
    "write_picture": {"overlay.png"},
    "write_gif": {"refinement.gif"},
    "write_report": {"report.html"},
}


@pytest.mark.slow
@pytest.mark.parametrize("writer", WRITERS)
def test_a_file_that_cannot_be_written_costs_the_others_nothing(
    refined, tmp_path, monkeypatch, writer
):
    def fails(path, *args, **options):
        raise TypeError("of a format")

    if writer == "write_result":  # what it writes may be what cannot be made
        monkeypatch.setattr(exporting, "result_to_json", fails)
    else:
        monkeypatch.setattr(exporting, writer, fails)
    monkeypatch.setattr(exporting, "FILM_FRAMES", 2)
    done = run(export(asked(tmp_path, refined, film="gif", with_radiographs=True)))
    assert set(done.missing) == WRITERS[writer]
    assert all("of a format" in why or "result.json" in why for why in done.missing.values())
    there = {file.name for file in tmp_path.iterdir() if not file.name.startswith(".")}
    assert there == set(done.files) == set.union(*WRITERS.values()) - WRITERS[writer]
    if "report.html" in there:
        shown = (tmp_path / "report.html").read_text(encoding="utf-8")
        assert ("refinement.gif" in shown) == ("refinement.gif" in there)
