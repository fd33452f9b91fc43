"""The Study tool: rows as they come, sorted, chosen, and one of them as the session."""

import math
import shutil

import pytest
import torch
from qtpy.QtCore import Qt

from napari_xreg.progress import run
from napari_xreg.records import StudyFile, read_row, write_row
from napari_xreg.study import StudyRequest, plan_of, run_study, watch
from napari_xreg.widgets import DataWidget, StudyWidget
from napari_xreg.widgets.docks.opening import found
from napari_xreg.widgets.study.opening import get_study_reader
from napari_xreg.widgets.study.rows import COLUMNS, VERDICT, RowsTable
from napari_xreg.workflows import file_kind, inspect

WAIT = 60_000
ERROR = [column.title for column in COLUMNS].index("mTRE\n(mm)")
MANIFEST = {
    "title": "Two directions",
    "simulated": [
        {"cts": ["phantom:7"], "views": 2, "pixels": 48, "seed": 10420, "phantom_voxel_mm": 6.0}
    ],
    "starts": [{"name": "usual"}],
    "methods": [{"name": "one start", "starts": 1, "iterations": 3}],
}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Two registrations of one phantom, really computed."""
    out = tmp_path_factory.mktemp("study") / "two"
    run(run_study(StudyRequest(plan_of(StudyFile.of(MANIFEST, "two"), out.parent), out)))
    return out


@pytest.fixture
def changed(study, tmp_path):
    """A copy whose first row is trusted and 7 mm off, and whose second is not trusted and 11 mm off."""
    out = tmp_path / "changed"
    shutil.copytree(study, out)
    for (name, (_, row)), error in zip(watch(out).seen.items(), (7.0, 11.0), strict=True):
        said = {"errors": {**row.errors, "mtre_mm": error}, "claimed_mm": error}
        said["trusted"] = error == 7.0
        write_row(out / "rows" / name, row.model_copy(update=said))
    return out


@pytest.fixture
def widget(viewer, bench):
    made = StudyWidget(viewer)
    viewer.window.add_dock_widget(made, name="Study", area="right")
    return made


def opened(widget, folder, qtbot):
    widget.open_study(folder)
    qtbot.waitUntil(
        lambda: widget.watched is not None and widget.watched.out == folder, timeout=WAIT
    )


def errors_shown(widget):
    rows = widget.table.rows
    return [
        widget.table.all.rows[rows.mapToSource(rows.index(n, 0)).row()].errors.get("mtre_mm")
        for n in range(rows.rowCount())
    ]


def test_a_case_becomes_the_session_at_its_result_and_undo_brings_the_old_one_back(
    viewer, bench, study, qtbot
):
    before = [entry.name for entry in bench.session.exposures.all]
    viewer.open(str(study), plugin="napari-xreg")  # dropped on the canvas
    widget = found(bench.viewer, StudyWidget)
    qtbot.waitUntil(lambda: widget.watched is not None, timeout=WAIT)
    assert widget.words.words.startswith("Two directions, 2 of 2 done. Radiographs are SIMULATED")
    assert not widget.show_button.isEnabled()
    row = widget.watched.evaluation.rows[1]
    widget.table.go_to(row.key)
    widget.show_button.click()
    qtbot.waitUntil(lambda: not widget.running, timeout=WAIT)
    (entry,) = bench.session.exposures.all
    assert entry.name == row.case
    assert torch.allclose(entry.world_from_camera.matrix(), row.poses[0].matrix())
    assert torch.allclose(entry.start.matrix(), row.start_poses[0].matrix())
    assert entry.truth is not None
    assert entry.radiograph.simulated
    (result,) = bench.session.results.all
    assert result.registration.status is row.status
    bench.session.undo()
    assert [entry.name for entry in bench.session.exposures.all] == before


def test_rows_are_sorted_by_numbers_and_what_has_none_comes_last(widget, changed, qtbot):
    third = next((changed / "rows").glob("*.json"))
    failed = read_row(third).model_copy(
        update={
            "failure": "no luck",
            "errors": {},
            "poses": (),
            "start_poses": (),
            "loss": math.nan,
        }
    )
    write_row(third, failed)
    opened(widget, changed, qtbot)
    for order in (Qt.SortOrder.AscendingOrder, Qt.SortOrder.DescendingOrder):
        widget.table.sortByColumn(ERROR, order)
        assert errors_shown(widget)[-1] is None


def test_what_is_shown_can_be_chosen(widget, changed, qtbot):
    opened(widget, changed, qtbot)
    widget.table.sortByColumn(ERROR, Qt.SortOrder.DescendingOrder)
    assert errors_shown(widget) == [11.0, 7.0]  # as texts, 7 would come first
    widget.table.selectRow(0)
    widget.table.sortByColumn(ERROR, Qt.SortOrder.AscendingOrder)
    assert errors_shown(widget) == [7.0, 11.0]
    assert next(iter(widget.table.row.errors.values())) == 11.0  # the same one is chosen
    widget.table.put(tuple(reversed(widget.watched.evaluation.rows)))
    assert errors_shown(widget) == [7.0, 11.0]  # those that come are sorted too
    widget.which.setCurrentText("trusted, but wrong")
    assert errors_shown(widget) == [7.0]
    assert widget.tabs.tabText(0) == "Registrations (1 of 2)"
    widget.which.setCurrentText("all")
    widget.search.setText("10421 USUAL")
    assert len(errors_shown(widget)) == 1
    widget.search.setText("10421 nowhere")
    assert errors_shown(widget) == []


def test_rows_come_while_the_study_is_done(widget, study, tmp_path, qtbot):
    out = tmp_path / "growing"
    shutil.copytree(study, out)
    late, *_ = sorted((out / "rows").glob("*.json"))
    kept = late.read_bytes()
    late.unlink()
    opened(widget, out, qtbot)
    assert "1 of 2 done" in widget.words.words
    (row,) = widget.watched.evaluation.rows
    widget.table.go_to(row.key)
    late.write_bytes(kept)
    widget.look()
    qtbot.waitUntil(lambda: "2 of 2 done" in widget.words.words, timeout=WAIT)
    assert widget.table.row.key == row.key  # still the one that was chosen
    assert widget.figures.item(0, 4).text() == "2 (0)"


def test_a_failure_opens_where_the_radiograph_starts(widget, bench, study, tmp_path, qtbot):
    out = tmp_path / "failed"
    shutil.copytree(study, out)
    name, (_, row) = next(iter(watch(out).seen.items()))
    said = {
        "failure": "it is upside down",
        "status": None,
        "poses": (),
        "start_poses": (),
        "errors": {},
    }
    write_row(out / "rows" / name, row.model_copy(update=said))
    opened(widget, out, qtbot)
    assert "1 failed" in widget.words.words
    widget.table.go_to(row.key)
    assert "it is upside down" in widget.case_words.words
    widget.open_chosen()
    qtbot.waitUntil(lambda: not widget.running, timeout=WAIT)
    (entry,) = bench.session.exposures.all
    assert entry.name == row.case
    assert not bench.session.results.all
    shot = entry.radiograph
    assert torch.allclose(
        entry.world_from_camera.matrix(), shot.carm.pose_from(shot.nominal).matrix()
    )


def test_a_folder_that_is_no_study_says_so_and_the_one_before_stays(widget, study, tmp_path, qtbot):
    opened(widget, study, qtbot)
    widget.open_study(tmp_path)
    qtbot.waitUntil(
        lambda: "holds no study.json" in widget._kept_words.words if widget._kept_words else False,
        timeout=WAIT,
    )
    assert widget.watched.out == study
    assert len(widget.table.all.rows) == 2
    assert widget.words.words.startswith("Two directions, 2 of 2 done")
    assert widget._timer.isActive()  # and is watched on


def test_a_row_without_an_end_is_shown_and_cannot_be_opened(widget, study, tmp_path, qtbot):
    """As other programs, or hands, may write them."""
    out = tmp_path / "odd"
    shutil.copytree(study, out)
    name, (_, row) = next(iter(watch(out).seen.items()))
    write_row(out / "rows" / name, row.model_copy(update={"pivot": None, "status": None}))
    opened(widget, out, qtbot)
    widget.table.go_to(row.key)
    index = widget.table.currentIndex().siblingAtColumn(VERDICT)
    assert index.data() == "–"
    assert "No result." in widget.case_words.words
    widget.open_chosen()
    qtbot.waitUntil(lambda: not widget.running, timeout=WAIT)
    assert "has no result" in widget._kept_words.words


def test_who_reads_further_down_stays_there_when_a_row_comes(study, qtbot):
    (one, two) = watch(study).evaluation.rows
    many = [one.model_copy(update={"key": f"{n:064x}"}) for n in range(150)]
    table = RowsTable()
    qtbot.addWidget(table)
    table.resize(400, 250)
    table.show()
    table.put(many)
    table.go_to(many[1].key)
    bar = table.verticalScrollBar()
    qtbot.waitUntil(lambda: bar.maximum() > 100, timeout=WAIT)
    bar.setValue(100)
    table.put([*many, two])
    qtbot.wait(50)
    assert bar.value() == 100
    assert table.row.key == many[1].key


def test_the_data_widget_hands_it_over(viewer, bench, study, qtbot):
    data = DataWidget(viewer)
    viewer.window.add_dock_widget(data, name="Data", area="right")
    data.load(study / "study.json")
    qtbot.waitUntil(lambda: found(bench.viewer, StudyWidget) is not None, timeout=WAIT)
    widget = found(bench.viewer, StudyWidget)
    qtbot.waitUntil(lambda: widget.watched is not None, timeout=WAIT)


def test_a_study_is_told_from_other_folders(study, tmp_path):
    assert file_kind(study) == file_kind(study / "study.json") == "study"
    assert get_study_reader(str(study)) is not None
    assert get_study_reader(str(tmp_path)) is None
    assert get_study_reader([str(study), str(study)]) is None
    said = inspect(study)
    assert (said["kind"], said["registrations"], said["done"]) == ("study", 2, 2)
