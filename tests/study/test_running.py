"""A study that goes on where it was, whoever did the rest."""

import json
import os
import platform
from contextlib import contextmanager

import pytest
from study_twins import MANIFEST, READ, Ends, Fails, IsRead, Recorded, job_of, plan, row_of

from napari_xreg.files import WriteError
from napari_xreg.images import Landmark
from napari_xreg.progress import Control, run
from napari_xreg.records import StudyFile
from napari_xreg.study import (
    InProcess,
    Processes,
    StudyRequest,
    evaluate,
    evaluating,
    plan_of,
    read_rows,
    run_study,
    write_tables,
)
from napari_xreg.study.claims import Claims
from napari_xreg.study.registering import rows_of, settings_of


def done(out, runner, **how):
    return run(run_study(StudyRequest(plan(), out, runner, **how)))


def tables(out):
    write_tables(evaluate(out), out)
    return [(out / name).read_bytes() for name in ("cases.csv", "summary.csv")]


def test_a_table_of_the_last_time_stays_where_it_cannot_be_written(tmp_path, monkeypatch):
    done(tmp_path, Recorded())
    before = tables(tmp_path)
    whole = evaluating.written

    @contextmanager
    def full(path):
        with whole(path) as beside:
            if path.name == "cases.csv":
                raise OSError(28, "No space left on device", str(beside))
            yield beside

    monkeypatch.setattr(evaluating, "written", full)
    with pytest.raises(WriteError, match=r"cases\.csv \(No space left on device; an older one"):
        tables(tmp_path)
    assert [(tmp_path / n).read_bytes() for n in ("cases.csv", "summary.csv")] == before


def test_a_damaged_row_is_named_and_costs_the_others_nothing(tmp_path):
    done(tmp_path, Recorded())
    before = tables(tmp_path)
    file = sorted((tmp_path / "rows").glob("*.json"))[3]
    file.write_text(file.read_text()[:100])
    evaluation = evaluate(tmp_path)
    assert len(evaluation.rows) == len(read_rows(tmp_path)) == 7
    assert evaluation.waiting == 1
    (said,) = (words for words in evaluation.exclusions if file.name in words)
    assert said.startswith(f"rows/{file.name}: ")
    assert said.endswith("the next run does it again")
    tables(tmp_path)
    assert file.name in (tmp_path / "summary.md").read_text()
    again = Recorded()
    done(tmp_path, again)
    assert len(again.asked) == 1
    assert tables(tmp_path) == before


@pytest.mark.slow
def test_an_interrupted_study_goes_on_and_ends_the_same(tmp_path):
    whole = done(tmp_path / "whole", Recorded())
    assert (whole.done, whole.total, whole.computed, whole.failed) == (8, 8, 8, 0)
    stopped = Recorded(stop_after=2)
    with pytest.raises(KeyboardInterrupt):
        done(tmp_path / "cut", stopped)
    assert len(read_rows(tmp_path / "cut")) == 4
    rest = Recorded()
    ended = done(tmp_path / "cut", rest)
    assert set(rest.asked) & set(stopped.asked) == set()
    assert len(rest.asked) == 2
    assert (ended.done, ended.computed) == (8, 4)
    assert tables(tmp_path / "cut") == tables(tmp_path / "whole")
    assert not list((tmp_path / "cut" / "rows").glob("*.claim"))
    again = Recorded()
    done(tmp_path / "cut", again)
    assert again.asked == []
    done(tmp_path / "cut", again, resume=False)
    assert len(again.asked) == 4


@pytest.mark.slow
def test_rows_stand_in_the_order_of_the_manifest_whoever_was_first(tmp_path):
    class Backwards(Recorded):
        def run(self, jobs):
            yield from reversed(list(super().run(jobs)))

    done(tmp_path / "a", Recorded())
    done(tmp_path / "b", Backwards())
    assert tables(tmp_path / "a") == tables(tmp_path / "b")


def test_a_row_of_other_settings_is_done_anew(tmp_path):
    done(tmp_path, Recorded())
    file = min((tmp_path / "rows").glob("*.json"))
    data = json.loads(file.read_text())
    file.write_text(json.dumps(data | {"key": "0" * 64}))
    runner = Recorded()
    assert done(tmp_path, runner).computed == 1
    file.write_text("{")  # a disk that was full
    assert done(tmp_path, Recorded()).computed == 1


def test_failures_are_rows_and_are_tried_again_when_asked(tmp_path):
    first = plan().jobs[0].case.name
    ended = done(tmp_path, Recorded(fail=(first,)))
    assert (ended.done, ended.failed) == (8, 2)
    assert done(tmp_path, Recorded()).computed == 0
    ended = done(tmp_path, Recorded(), retry_failed=True)
    assert (ended.computed, ended.failed) == (2, 0)


def test_what_no_result_depends_on_is_what_the_manifest_says_now(tmp_path):
    entry = {"name": "anna", "ct": "ct.nii", "xrays": ["ap.png"], "subject": "a"}

    def rows(**said):
        asked = plan_of(StudyFile.of({"cases": [entry | said]}, ""), tmp_path)
        ended = run(run_study(StudyRequest(asked, tmp_path / "s", runner)))
        return ended.computed, *(
            (r.subject, r.group, r.excluded) for r in read_rows(tmp_path / "s")
        )

    runner = Recorded()
    assert rows() == (1, ("a", "", ""))
    assert rows(subject="b", group="knees", excluded="moved") == (0, ("b", "knees", "moved"))
    assert rows() == (0, ("a", "", ""))
    assert runner.asked == ["anna"]


@pytest.mark.parametrize(("truth", "known"), [(None, False), ("truth.json", True)])
def test_whether_the_truth_of_a_case_is_known_is_said_where_it_cannot_be_read(
    tmp_path, truth, known
):
    entry = {"name": "anna", "ct": "ct.nii", "xrays": ["ap.png"], "truth": truth}
    (job,) = plan_of(StudyFile.of({"cases": [entry]}, ""), tmp_path).jobs
    (row,) = rows_of(job)
    assert "ct.nii" in row.failure
    assert row.truth_known is known


def test_landmarks_of_both_sides_bring_the_sagittal_plane():
    sides = [Landmark(f"ASIS-{s}", (x, 0.0, 0.0)) for s, x in (("left", 90.0), ("right", -110.0))]
    method = plan().manifest.methods[0]
    assert settings_of(method).sagittal is None
    found = settings_of(method, landmarks=sides).sagittal
    assert found.point.tolist() == [-10.0, 0.0, 0.0]
    assert found.normal[0] > 0


def test_cancelling_offers_no_more(tmp_path):
    control = Control()

    class Cancels(Recorded):
        def run(self, jobs):
            for each in super().run(jobs):
                control.cancel()
                yield each

    runner = Cancels()
    ended = run(run_study(StudyRequest(plan(), tmp_path, runner), control=control))
    assert ended.cancelled
    assert len(runner.asked) == 1
    assert ended.done == 2


def test_cancelling_ends_within_a_case_and_what_is_done_of_it_stays(tmp_path):
    control = Control()
    manifest = StudyFile.of(MANIFEST | {"starts": [{"name": "near", "repeats": 7}]}, "")
    asked = plan_of(manifest, tmp_path)

    class Cancels(Recorded):
        def run(self, jobs):
            for number, each in enumerate(super().run(jobs), 1):
                if number == 2:
                    control.cancel()
                yield each

    runner = Cancels(at_once=3)
    request = StudyRequest(asked, tmp_path, runner)
    events = []
    ended = run(run_study(request, control=control), events.append)
    assert [len(event.rows) for event in events] == [3, 3]
    assert (ended.done, ended.computed, ended.elsewhere) == (6, 6, 0)
    assert not list((tmp_path / "rows").glob("*.claim"))
    rest = Recorded(at_once=3)
    ended = run(run_study(StudyRequest(asked, tmp_path, rest)))
    # The one of the first case that was left, then 3, 3 and 1 of each of the other three.
    assert len(rest.asked) == 1 + 3 * 3
    assert (ended.done, ended.computed) == (28, 22)


def test_a_case_is_claimed_until_the_last_of_its_registrations(tmp_path):
    held = []

    class Looks(Recorded):
        def run(self, jobs):
            for each in super().run(jobs):
                held.append(len(list((tmp_path / "rows").glob("*.claim"))))
                yield each

    done(tmp_path, Looks(at_once=1))
    assert held == [1] * 8


def test_in_this_process_a_case_is_read_once_for_all_its_registrations():
    READ.clear()
    jobs = [job_of(IsRead(str(n)), n) for n in (1, 2)]
    single = [job for job in jobs for _ in range(3)]
    rows = [row.failure for _, (row,) in InProcess().run(single)]
    assert rows == ["it is read"] * 6
    assert READ == ["1", "2"]
    assert InProcess().at_once == 1


def test_a_case_that_another_runner_has_is_left_to_it(tmp_path):
    rows = tmp_path / "rows"
    rows.mkdir()
    other = Claims(rows)
    runner = Recorded()
    taken = []

    class Meanwhile(Recorded):
        def run(self, jobs):
            for number, each in enumerate(super().run(jobs)):
                if number == 0:  # a second runner of this folder begins
                    ended = done(tmp_path, runner)
                    taken.append(ended)
                yield each

    first = Meanwhile()
    ended = done(tmp_path, first)
    assert ended.done == 8
    assert ended.elsewhere == 0
    assert sorted(first.asked + runner.asked) == sorted(job.case.name for job in plan().jobs)
    assert len(first.asked) == 1
    assert taken[0].elsewhere == 2
    assert taken[0].done == 6
    assert other.take("x")
    assert not Claims(rows).take("x")
    other.give_back("x")
    assert Claims(rows).take("x")


def test_a_claim_of_a_process_that_is_gone_is_none(tmp_path):
    gone = {"host": platform.node(), "pid": os.getpid(), "born": 1.0}  # its number was used again
    (tmp_path / "a.claim").write_text(json.dumps(gone))
    elsewhere = gone | {"host": "another machine"}
    (tmp_path / "b.claim").write_text(json.dumps(elsewhere))
    claims = Claims(tmp_path)
    assert claims.take("a")
    assert not claims.take("b")
    os.utime(tmp_path / "b.claim", (1.0, 1.0))  # an hour ago, and more
    assert claims.take("b")


def test_a_case_that_cannot_be_read_is_a_row_with_its_sentence():
    (row,) = rows_of(job_of(Fails()))
    assert row.failure == "the radiograph is upside down"
    assert row.failure_kind == "ValueError"
    assert not row.trusted
    assert row.errors == {}


@pytest.mark.slow
def test_a_process_that_ends_takes_nothing_with_it():
    jobs = [job_of(Fails(), 0), job_of(Ends(), 1), job_of(Fails(), 2)]
    rows = {job.case.name: row for job, (row,) in Processes(1).run(jobs)}
    assert rows["case 0"].failure == rows["case 2"].failure == "the radiograph is upside down"
    assert "ended from outside, twice" in rows["case 1"].failure


def test_rows_are_read_as_they_were_written(tmp_path):
    job = plan().jobs[0]
    row = row_of(job, job.items[0], cpu_seconds=0.1 + 0.2, notes=("a", "b"))

    class One(Recorded):
        def run(self, jobs):
            for job in jobs:
                yield job, tuple(row.model_copy(update={"key": i.key}) for i in job.items)

    done(tmp_path, One())
    found = read_rows(tmp_path)[0]
    assert found.cpu_seconds == 0.1 + 0.2
    assert found.notes == ("a", "b")
    assert found.status is not None
    assert found.status.name == "CONVERGED"
    assert InProcess().words == "in this process"
