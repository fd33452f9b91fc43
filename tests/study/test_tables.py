"""The field's tables, by hand."""

import numpy as np
import pytest
import torch
from study_twins import Recorded, plan, row_of

from napari_xreg.files import ReadError
from napari_xreg.geometry import Pose
from napari_xreg.metrics import (
    area_of_draws,
    bootstrap_over_subjects,
    capture_range,
    error_percentiles,
    mean_of_draws,
    percentile_of_draws,
    success_by_start,
    success_curve,
)
from napari_xreg.progress import run
from napari_xreg.study import (
    StudyRequest,
    blocks_of,
    evaluate,
    failure_lines,
    figures,
    run_study,
    summary,
    worst,
)
from napari_xreg.study.errors import claimed_error
from napari_xreg.study.evaluating import MAIN_HEAD, Evaluation, case_row, main_row
from napari_xreg.study.running import FolderRecord
from napari_xreg.study.tables import exclusions
from napari_xreg.study.worst import session_name, worst_rows


def rows(errors, *, starts=None, subjects=None, trusted=None):
    job = plan().jobs[0]
    made = []
    for n, error in enumerate(errors):
        said = {"errors": {} if error is None else {"mtre_mm": error}}
        said["failure"] = "lost" if error is None else ""
        said["start_errors"] = {"mtre_mm": 5.0 if starts is None else starts[n]}
        said["subject"] = "a" if subjects is None else subjects[n]
        said["trusted"] = error is not None if trusted is None else bool(trusted[n])
        made.append(row_of(job, job.items[0]).model_copy(update=said))
    return made


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ReadError("ct.nii: is\ngone"), "ct.nii: is gone"),
        (OSError(28, "No space left on device"), "[Errno 28] No space left on device"),
        (MemoryError(), "MemoryError"),
        (TypeError("a defect"), None),
    ],
)
def test_a_worst_case_that_cannot_be_shown_costs_no_page_and_a_defect_is_no_such_case(
    monkeypatch, tmp_path, error, said
):
    def fails(*of):
        raise error

    monkeypatch.setattr(worst, "prepared_again", fails)
    (row,) = rows([3.0])
    folder = FolderRecord(folder="", manifest=plan().manifest, files=())
    asked = Evaluation(folder, (row,), ()), row, tmp_path
    if said is None:
        with pytest.raises(TypeError, match="a defect"):
            worst.shown(*asked)
    else:
        assert worst.shown(*asked).problem == said


def test_figures_of_a_block_by_hand():
    # 0.5, 0.9, 1.0, 3, 6, 12 mm and one without a result.
    (block,) = blocks_of(rows([0.5, 0.9, 1.0, 3.0, 6.0, 12.0, None], trusted=[1, 1, 0, 1, 0, 0, 0]))
    f = figures(block)
    assert f["cases"] == 7
    assert f["failed"] == 1
    assert f["subjects"] == 1
    assert f["smsr"] == pytest.approx(2 / 7)  # 1 mm itself does not count
    assert f["under_2mm"] == pytest.approx(3 / 7)
    assert f["gfr_10mm"] == pytest.approx(2 / 7)
    assert f["gfr_5mm"] == pytest.approx(3 / 7)
    assert f["median_mm"] == 3.0
    assert f["p75_mm"] == 12.0
    assert f["p95_mm"] == float("inf")
    # (9.5 + 9.1 + 9 + 7 + 4 + 0 + 0) / 70
    assert f["auc_10mm"] == pytest.approx(38.6 / 70)
    assert (f["trusted"], f["trusted_wrong"], f["right_refused"]) == (3, 1, 1)
    assert "smsr_low" not in f  # one subject tells of no other


def test_what_is_left_out_is_in_no_figure_and_said(tmp_path):
    made = rows([0.5, 30.0, 0.5])
    made[1] = made[1].model_copy(update={"excluded": "its calibration is wrong"})
    made[2] = made[2].model_copy(update={"errors": {}})  # nobody knows the truth
    (block,) = blocks_of(made)
    f = figures(block)
    assert f["cases"] == 1
    assert f["excluded"] == 1
    assert f["gfr_10mm"] == 0.0
    run(run_study(StudyRequest(plan(), tmp_path, Recorded())))
    found = evaluate(tmp_path)
    text = summary(type(found)(found.folder, tuple(made), tuple(blocks_of(made))))
    assert f"{made[1].case}: its calibration is wrong" in text
    assert f"{made[2].case}: nobody knows its true pose" in text
    assert "SIMULATED" in text
    assert "mean distance of the fiducials between their places" in text  # the definition of mTRE


def test_the_gallery_begins_with_what_was_trusted_though_wrong():
    made = rows([3.0, 30.0, 1.0, None, 20.0], trusted=[1, 0, 1, 0, 0])
    made = [row.model_copy(update={"case": f"c{n // 3}"}) for n, row in enumerate(made)]
    found = [row.errors["mtre_mm"] for row in worst_rows(made, 4)]
    assert found == [3.0, 30.0, 20.0]  # two of a case at most
    assert [row.errors["mtre_mm"] for row in worst_rows(made, 2)] == [3.0, 30.0]


def test_sessions_of_two_cases_are_two_files():
    (row,) = rows([3.0])
    names = ["患者一", "患者二"]
    two = [
        row.model_copy(update={"case": n, "key": f"{i:064x}"[::-1]}) for i, n in enumerate(names)
    ]
    assert len({session_name(each) for each in two}) == 2


def test_bootstrap_draws_subjects_not_cases():
    errors, whose = [0.0, 0.0, 0.0, 0.0, 4.0], ["a", "a", "a", "a", "b"]
    mean = mean_of_draws(np.asarray)
    found = bootstrap_over_subjects(errors, whose, mean, seed=1)
    # Both of a, of b, or one of each: 0, 4, or 4 / 5.
    assert (found.value, found.bounds, found.subjects) == (0.8, (0.0, 4.0), 2)
    same = bootstrap_over_subjects(errors, ["a"] * 5, mean)
    assert (same.value, same.low, same.high, same.bounds) == (0.8, 0.8, 0.8, None)
    with pytest.raises(ValueError, match="one subject a case"):
        bootstrap_over_subjects(errors, whose[:2], mean)


FIGURES = [
    (mean_of_draws(lambda error: error < 2.0), lambda errors: np.mean(np.less(errors, 2.0))),
    (area_of_draws(7.0), lambda errors: success_curve(errors, 7.0).area),
    *(
        (percentile_of_draws(p), lambda errors, p=p: error_percentiles(errors, (p,))[0])
        for p in (0.0, 25.0, 50.0, 95.0, 100.0)
    ),
]


@pytest.mark.parametrize(("figure", "plainly"), FIGURES)
@pytest.mark.parametrize("at_once", [10**6, 29])
def test_draws_looked_at_together_are_those_looked_at_one_by_one(
    monkeypatch, figure, plainly, at_once
):
    monkeypatch.setattr("napari_xreg.metrics.by_subject._AT_ONCE", at_once)
    draw = np.random.default_rng(3)
    errors = [*draw.exponential(3.0, 21).tolist(), 2.0, 2.0, float("inf")]
    whose = [("c", "a", "e", "b")[n % 7 % 4] for n in range(len(errors))]
    own = [[e for e, s in zip(errors, whose, strict=True) if s == name] for name in "caeb"]
    draws = np.random.default_rng(5).integers(4, size=(40, 4))
    each = sorted(plainly(np.concatenate([own[i] for i in one])) for one in draws)
    # The smallest of 40 that a tenth, and nine, do not exceed.
    found = bootstrap_over_subjects(errors, whose, figure, resamples=40, confidence=0.8, seed=5)
    assert found.value == pytest.approx(plainly(errors), rel=1e-14)
    assert found.bounds == pytest.approx((each[3], each[35]), rel=1e-14)


def test_success_by_start_and_capture_range():
    starts = [0.0, 9.99, 10.0, 25.0, 60.0, 400.0]
    errors = [1.0, 1.99, 2.0, 0.5, 0.1, float("inf")]
    bins = success_by_start(errors, starts)
    assert [each.words for each in bins] == [
        "0-10",
        "10-20",
        "20-30",
        "30-40",
        "40-50",
        "50-60",
        "60+",
    ]
    counts = [None if b.rate is None else (b.rate.count, b.rate.cases) for b in bins]
    assert counts == [(2, 2), (0, 1), (1, 1), None, None, None, (1, 2)]
    assert capture_range(bins) == 10.0
    # An empty bin says nothing; the last one has no end.
    assert capture_range(success_by_start([0.1, 0.1], [25.0, 70.0])) == 60.0
    assert capture_range(success_by_start([5.0], [3.0])) == 0.0
    with pytest.raises(ValueError, match="a start for each result"):
        success_by_start([1.0], [1.0, 2.0])


def test_a_case_without_a_truth_that_cannot_start_near_it_is_in_no_rate():
    made = rows([0.5, None, None])
    made[2] = made[2].model_copy(update={"failure": "nobody knows", "truth_known": False})
    (block,) = blocks_of(made)
    assert (len(block.used), block.failures) == (2, 1)
    assert list(exclusions(made, ())) == [f"{made[2].case}: nobody knows its true pose"]


def test_what_is_trusted_is_of_the_cases():
    made = rows([0.5, 5.0, None, None, 7.0, 2.0], trusted=[1, 1, 1, 0, 1, 1])
    # One with a result and one without, of nobody's truth; a pose of no numbers, though the truth is known.
    made[2] = made[2].model_copy(update={"failure": "", "truth_known": False})
    made[3] = made[3].model_copy(update={"truth_known": False})
    made[4] = made[4].model_copy(update={"errors": {}, "truth_known": True})
    (block,) = blocks_of(made)
    f = figures(block)
    # What has no error is infinitely far off, and 2 mm itself is wrong.
    assert (f["cases"], f["failed"], f["trusted"], f["trusted_wrong"]) == (4, 0, 4, 3)
    assert f["gfr_10mm"] == pytest.approx(1 / 4)


def test_trust_is_judged_by_what_the_verdict_speaks_of():
    made = rows([6.0, 6.0, 6.0, 6.0, 1.0, 5.0], trusted=[1, 1, 1, 1, 0, 0])
    # As seen in the one radiograph 0.3; the same in several of which the second alone is judged by; in space.
    one, alone, space, old, refused, wrong = made
    one, space = (r.model_copy(update={"claimed_mm": c}) for r, c in ((one, 0.3), (space, 6.0)))
    alone = alone.model_copy(update={"claimed_mm": 1.9, "seen_by": 1})
    # Rows of before it was kept: of one radiograph by mRPD, in space by mTRE.
    eye = torch.eye(4).tolist()
    old = old.model_copy(update={"poses": (eye,), "errors": {"mtre_mm": 6.0, "mrpd_mm": 2.0}})
    refused = refused.model_copy(update={"poses": (eye, eye)})
    wrong = wrong.model_copy(
        update={"poses": (eye, eye), "errors": {"mtre_mm": 5.0, "mrpd_mm": 1.0}}
    )
    (block,) = blocks_of([one, alone, space, old, refused, wrong])
    f = figures(block)
    assert (f["trusted"], f["trusted_wrong"], f["trusted_wrong_in_space"]) == (4, 2, 4)
    assert f["right_refused"] == 1
    # 0.3, 1.9 and 1.0 of six; in space only 1.0.
    assert (f["as_seen_under_2mm"], f["under_2mm"]) == (pytest.approx(3 / 6), pytest.approx(1 / 6))
    assert worst_rows([one, alone, space, old], 4)[0].claimed_mm == 6.0
    head = MAIN_HEAD.index("trusted (wrong; wrong in space)")
    assert main_row(block)[head : head + 2] == ["4 (2; 4)", "1"]
    assert main_row(block)[MAIN_HEAD.index("under 2 mm (as seen)")] == "17 % (50 %)"
    assert case_row(alone)[-1] == 1.9
    assert case_row(old)[-1] == 2.0


def test_what_a_verdict_speaks_of_by_hand():
    def at(x, y, z):
        return Pose.from_matrix(
            torch.tensor([[1, 0, 0, x], [0, 1, 0, y], [0, 0, 1, z], [0, 0, 0, 1.0]]).double()
        )

    point = torch.tensor([[70.0, 0, 700]])
    # The first camera is right; the second stands 7 mm too far back, so that it sees the point at 707.
    found, true = [at(0, 0, 0), at(0, 0, -7)], [at(0, 0, 0), at(0, 0, 0)]
    assert claimed_error(found, true, point, 0) == 0.0
    # |(70, 0, 700) x (70, 0, 707)| / |(70, 0, 707)|
    assert claimed_error(found, true, point, 1) == pytest.approx(490 / np.hypot(70, 707))
    assert claimed_error(found[::-1], true[::-1], point, None) == pytest.approx(7.0)


def test_a_reason_is_said_once_for_a_case():
    made = rows([0.5, None, None, None, None])
    same = [row.model_copy(update={"case": "a", "failure": "no such file"}) for row in made[1:4]]
    assert list(failure_lines([made[0], *same])) == ["a, 3 registrations: no such file"]
    other = made[4].model_copy(update={"case": "a", "failure": "no start"})
    assert list(failure_lines([*same[:1], other])) == [
        f"a, {same[0].start}, {same[0].method}: no such file",
        f"a, {other.start}, {other.method}: no start",
    ]
