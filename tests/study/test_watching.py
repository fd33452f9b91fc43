"""A study that others write into, looked at again and again."""

import os

import pytest
from study_twins import Recorded, plan

from napari_xreg.files import ReadError
from napari_xreg.progress import run
from napari_xreg.study import StudyRequest, evaluate, run_study, watch


def do(out, **changes):
    run(run_study(StudyRequest(plan(**changes), out, Recorded())))


def rows_in(out):
    return sorted((out / "rows").glob("*.json"))


def test_only_what_was_written_since_is_read_again(tmp_path):
    do(tmp_path)
    first, *_ = rows_in(tmp_path)
    kept = first.read_bytes()
    first.unlink()
    before = watch(tmp_path)
    assert (len(before.evaluation.rows), before.in_hand) == (7, 0)
    again = watch(tmp_path, before)
    assert again.same_as(before)
    assert again.evaluation is before.evaluation  # nothing was tabulated anew
    first.write_bytes(kept)
    now = watch(tmp_path, again)
    assert not now.same_as(again)
    assert list(now.evaluation.rows) == list(evaluate(tmp_path).rows)  # in the manifest's order
    assert sum(now.seen[name] is again.seen.get(name) for name in now.seen) == 7


def test_a_row_written_anew_is_read_anew(tmp_path):
    do(tmp_path)
    before = watch(tmp_path)
    file, name = rows_in(tmp_path)[0], rows_in(tmp_path)[0].name
    file.write_text(file.read_text().replace('"CONVERGED"', '"STALLED"'))
    os.utime(file, ns=(1, before.seen[name][0][0] + 1))
    now = watch(tmp_path, before)
    assert now.seen[name][1].status.name == "STALLED"
    assert sum(row.status.name == "STALLED" for row in now.evaluation.rows) == 1


def test_what_the_manifest_says_now_holds(tmp_path):
    do(tmp_path)
    before = watch(tmp_path)
    plan_file = tmp_path / "study.json"
    plan_file.write_text(
        plan_file.read_text().replace('"subject": "phantom:7"', '"subject": "anna"')
    )
    assert {row.subject for row in watch(tmp_path).evaluation.rows} != {
        row.subject for row in before.evaluation.rows
    }
    os.utime(plan_file, ns=(1, before.planned[0] + 1))
    assert {row.subject for row in watch(tmp_path, before).evaluation.rows} == {
        row.subject for row in watch(tmp_path).evaluation.rows
    }


def test_a_damaged_row_is_named_and_the_rest_is_there(tmp_path):
    do(tmp_path)
    file = rows_in(tmp_path)[2]
    file.write_text(file.read_text()[:40])
    found = watch(tmp_path)
    assert len(found.evaluation.rows) == 7
    (words,) = found.problems
    assert file.name in words


def test_cases_in_hand_are_counted(tmp_path):
    do(tmp_path)
    (tmp_path / "rows" / "a.claim").write_text("just being written")
    before = watch(tmp_path)
    assert before.in_hand == 1
    (tmp_path / "rows" / "a.claim").unlink()
    assert not watch(tmp_path, before).same_as(before)


def test_no_study_is_refused(tmp_path):
    with pytest.raises(ReadError, match=r"holds no study.json"):
        watch(tmp_path)
