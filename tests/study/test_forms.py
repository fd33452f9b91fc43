"""Tables in the form of papers, by hand."""

import csv
import io
import math
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from study_twins import Recorded, plan, row_of

from napari_xreg.progress import run
from napari_xreg.study import (
    FORM_TITLES,
    StudyRequest,
    blocks_of,
    evaluate,
    run_study,
    write_forms,
)
from napari_xreg.study.curves import COLOURS, DASHES, line_style, mark
from napari_xreg.study.evaluating import Evaluation
from napari_xreg.study.forms.files import form_csv, form_text
from napari_xreg.study.forms.filling import filled, lines_of
from napari_xreg.study.forms.form import FORMS
from napari_xreg.study.forms.xvr_figure import figure_rows, xvr_figure
from napari_xreg.study.running import FolderRecord


def row(subject, case, mtre, *, method="ours", start="near", **said):
    """One whose mPD is a third of its mTRE, DiffPose's figure a quarter; None: it failed."""
    job = plan().jobs[0]
    errors = {} if mtre is None else {
        "mtre_mm": mtre, "mpd_mm": mtre / 3, "diffpose_mtre": mtre / 4, "xvr_mpe_mm": mtre / 8,
        "xvr_mrpe_mm": mtre / 2, "double_geodesic_mm": 3 * mtre, "xvr_mtre_mm": 10 * mtre,
        "rayemb_mpd_mm": mtre / 3 * 1536 / 1436,
    }  # fmt: skip
    fields = {
        "subject": subject, "case": case, "start": start, "method": method, "errors": errors,
        "start_errors": {"mtre_mm": 20.0}, "failure": "lost" if mtre is None else "", "trusted": False,
        "wall_seconds": 0.0 if mtre is None else 4.0, "cpu_seconds": 3.0,
    }  # fmt: skip
    return row_of(job, job.items[0]).model_copy(update=fields | said)


# Of subject a 0.4, 1, 6 and 12 mm; of b 2 mm, one that failed, one left out and one of nobody's truth.
ROWS = [
    *(row("a", f"a{n}", mm) for n, mm in enumerate((6.0, 0.4, 12.0, 1.0))),
    row("b", "b0", 2.0),
    row("b", "b1", None),
    row("b", "b2", 900.0, excluded="its calibration is wrong"),
    row("b", "b3", None, truth_known=False, failure=""),
]


def evaluation(rows, **changes) -> Evaluation:
    # Not by `evaluation_of`, for which subjects and exclusions are those of the manifest.
    folder = FolderRecord(folder="", manifest=plan(**changes).manifest, files=())
    return Evaluation(folder, tuple(rows), tuple(blocks_of(rows)))


def table(form: str, rows, heading: str) -> list[dict[str, str]]:
    """Of the Markdown, by its head."""
    text = written(form, rows)
    lines = text.split(f"## {heading}\n\n")[1].split("\n\n")[0].splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [dict(zip(cells[0], each, strict=True)) for each in cells[2:]]


def written(form: str, rows) -> str:
    made = evaluation(rows)
    return form_text(made, FORMS[form], filled(FORMS[form], made.blocks))


def numbers(form: str, rows) -> list[dict[str, str]]:
    text = form_csv(FORMS[form], filled(FORMS[form], evaluation(rows).blocks))
    return list(csv.DictReader(io.StringIO(text)))


def test_every_form_has_a_title():
    assert list(FORM_TITLES) == ["rayemb", "xvr", "xvr-figure", "chen"]
    assert {*FORMS, "xvr-figure"} == set(FORM_TITLES)


def test_rayembs_tables_have_a_line_a_subject_and_one_for_all():
    a, b, both = table("rayemb", ROWS, "mTRE by subject")
    assert (a["subject"], b["subject"], both["subject"]) == ("a", "b", "all")
    assert [each["cases (failed)"] for each in (a, b, both)] == ["4 (0)", "2 (1)", "6 (1)"]
    # Sorted 0.4, 1, 6, 12: a quarter does not exceed 0.4, a half 1; of two, one of which failed, 2 and infinity.
    names = [f"{p} (mm)" for p in ("25th", "50th", "95th")]
    assert [a[name] for name in names] == ["0.40", "1.00", "12.00"]
    assert [b[name] for name in names] == ["2.00", "2.00", "∞"]
    # Of all six 0.4, 1, 2, 6, 12 and infinity; the draws are a alone, b alone, or both.
    assert [both[name] for name in names] == ["1.00 [0.40, 2.00]", "2.00 [1.00, 2.00]", "∞ [12.00, ∞]"]  # fmt: skip
    beyond = [f"GFR@{mm} (%)" for mm in (10, 5)]
    assert [a[name] for name in beyond] == ["25.0", "50.0"]
    assert [b[name] for name in beyond] == ["50.0", "50.0"]
    assert [both[name] for name in beyond] == ["33.3 [25.0, 50.0]", "50.0 [50.0, 50.0]"]
    # mPD: 0.1333, 0.3333, 2, 4 mm, and as their code has it 7 % more.
    assert table("rayemb", ROWS, "mPD by subject")[0]["95th (mm)"] == "4.00"
    theirs = table("rayemb", ROWS, "mPD as RayEmb's code has it by subject")
    assert theirs[0]["95th (mm)"] == "4.28"


def test_of_one_subject_no_line_is_for_all_and_no_interval_is_known():
    (only,) = table("rayemb", ROWS[:4], "mTRE by subject")
    assert (only["subject"], only["50th (mm)"]) == ("a", "1.00")
    (line,) = numbers("xvr", ROWS[:4])
    assert (line["mtre_mm_p50"], line["mtre_mm_p50_low"], line["subjects"]) == ("1.0", "", "1")


def test_a_subject_without_a_name_is_not_all_of_them():
    made = [row("", "c0", 1.0), row("b", "b0", 3.0)]
    lines = table("rayemb", made, "mTRE by subject")
    assert [line["subject"] for line in lines] == ["–", "b", "all"]
    assert [line["50th (mm)"] for line in lines] == ["1.00", "3.00", "1.00 [1.00, 3.00]"]


def test_a_gross_failure_lies_beyond_its_threshold():
    (line,) = numbers("rayemb", [row("a", "a0", 10.0), row("a", "a1", 5.0)])
    assert (line["mtre_mm_gfr_10mm"], line["mtre_mm_gfr_5mm"]) == ("0.0", "0.5")


def test_what_xvr_calls_mtre_stands_beside_ours():
    (line,) = table("xvr", ROWS, "Median error and SMSR")
    assert line["mPE as xvr's code has it, median (mm)"].startswith("0.25 ")
    assert line["mRPE as xvr's code has it, median (mm)"].startswith("1.00 ")
    # dGeo is three times mTRE here, xvr's mTRE ten times: of 1.2, 3, 6 ... and 4, 10, 20 ... the third of six.
    assert line["dGeo, median (mm)"].startswith("6.00 ")
    assert line["mTRE as xvr's code has it, median (mm)"].startswith("20.00 ")
    assert line["mTRE, median (mm)"] == "2.00 [1.00, 2.00]"
    # Below 1 mm: mPE 0.05, 0.125, 0.25, 0.75 and not 1.5; mTRE 0.4 alone, since 1 mm itself does not count.
    assert line["mPE as xvr's code has it, SMSR (%)"].startswith("66.7 ")
    assert line["mTRE, SMSR (%)"] == "16.7 [0.0, 25.0]"
    text = written("xvr", ROWS)
    assert "compares with none of theirs" in text
    assert "camera-to-world pose put them" in text
    assert "* b2: its calibration is wrong" in text
    assert "* b3: nobody knows its true pose" in text
    assert "* b1, near, ours: lost" in text
    assert "SIMULATED" in text


def test_rows_of_before_an_error_was_measured_have_none_and_are_no_failures():
    old = [*ROWS]
    del (errors := dict(old[0].errors))["xvr_mtre_mm"]
    old[0] = old[0].model_copy(update={"errors": errors})
    (line,) = numbers("xvr", old)
    assert line["xvr_mtre_mm_p50"] == ""
    assert line["mtre_mm_p50"] == "2.0"
    (said,) = table("xvr", old, "Median error and SMSR")
    assert said["mTRE as xvr's code has it, median (mm)"] == "–"
    # Another error that is no number (a point behind the camera) is infinitely far off.
    del (errors := dict(ROWS[1].errors))["mpd_mm"]
    behind = ROWS[1].model_copy(update={"errors": errors})
    (line,) = numbers("rayemb", [behind])
    assert (line["mpd_mm_p50"], line["mtre_mm_p50"], line["failed"]) == ("inf", "0.4", "0")


def test_chens_table_has_the_mean_of_what_is_there_and_the_time_it_took():
    slow = [*ROWS, row("b", "b4", 2.0, wall_seconds=90.0)]
    (line,) = table("chen", slow, "mTRE")
    # 6, 0.4, 12, 1, 2 and 2: mean 3.9; squares off it 4.41, 12.25, 65.61, 8.41, 3.61, 3.61 over 5: 19.58.
    assert line["mean ± SD (mm)"] == f"3.90 ± {math.sqrt(19.58):.2f}"
    assert line["median (mm)"].startswith("2.00 ")
    assert line["75th (mm)"].startswith("12.00 ")  # the sixth of seven
    assert line["run time (s)"] == "4.0 (3.0)"
    (theirs,) = table("chen", slow, "mTRE as DiffPose's code has it")
    # A quarter: 0.1, 0.25, 0.5, 0.5 of seven below 1; no unit, since it is no length of the patient.
    assert theirs["SMSR (%)"].startswith("57.1 ")
    assert theirs["mean ± SD"] == "0.97 ± 1.11"
    (single,) = table("chen", [row("a", "a0", 2.5, wall_seconds=0.0, cpu_seconds=0.0)], "mTRE")
    assert (single["mean ± SD (mm)"], single["run time (s)"]) == ("2.50 ± –", "– (–)")
    (lost,) = table("chen", ROWS[5:6], "mTRE")
    assert (lost["median (mm)"], lost["mean ± SD (mm)"]) == ("∞", "–")


def test_lines_go_by_group_then_subject_then_method():
    made = [
        row(subject, f"{subject}{n}", 1.0, method=method, group=group)
        for group in ("pelvis", "vessels")
        for n in (0, 1)
        for method in ("ours", "theirs")
        for subject in ("b", "a")
    ]
    lines = [
        (line.block.group, line.subject, line.block.method)
        for line in lines_of(FORMS["rayemb"], evaluation(made).blocks)
    ]
    assert lines[:6] == [
        ("pelvis", subject, method) for subject in ("b", "a", None) for method in ("ours", "theirs")
    ]
    assert len(lines) == 12
    assert len(list(lines_of(FORMS["xvr"], evaluation(made).blocks))) == 4


def test_the_figure_of_xvr_is_a_drawing_by_itself_and_its_numbers_are_beside_it():
    made = [*ROWS, row("b", "b0", 3.0, method="a <b> & c"), row("b", "b5", 0.02, start_errors={})]
    drawn = xvr_figure(evaluation(made, title="Ours & theirs"))
    root = ET.fromstring(drawn)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    words = [each.text or "" for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "Ours & theirs" in words
    assert any("SIMULATED" in each for each in words)
    assert any("a <b> & c" in each for each in words)
    found = {
        (panel, *names, figure): value
        for panel, *names, figure, value, _, _ in figure_rows(evaluation(made).blocks)
    }
    group = made[0].group
    of = (group, "", "near", "ours")
    assert found["A", *of, "start_median_mm"] == 20.0
    assert found["A", *of, "result_median_mm"] == 2.0
    # 0.4 and 0.02 of seven.
    assert found["A", *of, "below_1mm"] == pytest.approx(2 / 7)
    assert found["D", *of, "below_2mm"] == pytest.approx(
        3 / 7
    )  # and 1.0; 2 mm itself does not count
    # (9.6 + 9 + 4 + 0 + 8 + 0 + 9.98) / 70
    assert found["F", *of, "auc_10mm"] == pytest.approx(40.58 / 70)
    # Every start once, whatever methods begin there; one that is not known is in none.
    assert found["C", group, "a", "near", "", "start_median_mm"] == 20.0


def test_a_start_counts_once_in_the_figure_by_subject():
    made = [
        row("a", "a0", 1.0, start_errors={"mtre_mm": 50.0}),
        row("a", "a1", 1.0, start_errors={"mtre_mm": 10.0}),
        row("a", "a2", 1.0, start_errors={"mtre_mm": 30.0}),
        *(row("a", "a0", 1.0, method=m, start_errors={"mtre_mm": 50.0}) for m in ("b", "c", "d")),
    ]
    (panel,) = [each for each in figure_rows(evaluation(made).blocks) if each[0] == "C"]
    assert panel[5:] == ["start_median_mm", 30.0, 10.0, 50.0]


def test_forms_are_files_beside_the_tables(tmp_path):
    run(run_study(StudyRequest(plan(), tmp_path, Recorded())))
    with pytest.raises(
        ValueError, match=r"a form is one of rayemb, xvr, xvr-figure, chen: got 'x'"
    ):
        write_forms(evaluate(tmp_path), tmp_path, ("x",))
    files = write_forms(evaluate(tmp_path), tmp_path)
    assert [file.name for file in files] == [
        "rayemb.md", "rayemb.csv", "xvr.md", "xvr.csv", "xvr-figure.svg", "xvr-figure.csv", "chen.md", "chen.csv",
    ]  # fmt: skip
    assert all(file.read_text("utf-8") for file in files)
    (tmp_path / "xvr.csv").unlink()
    (tmp_path / "xvr.csv").mkdir()
    (tmp_path / "chen.csv").unlink()
    with pytest.raises(OSError, match=r"xvr\.csv"):
        write_forms(evaluate(tmp_path), tmp_path, ("xvr", "chen"))
    assert (tmp_path / "chen.csv").is_file()


def test_nothing_with_a_truth_has_no_form(tmp_path):
    nothing = evaluation([ROWS[-1]])
    with pytest.raises(ValueError, match="no registration with a known truth is done yet"):
        write_forms(nothing, tmp_path, ("xvr",))
    assert not list(Path(tmp_path).iterdir())


def test_no_two_curves_of_a_report_look_alike():
    styles = {line_style(number) for number in range(len(COLOURS) * len(DASHES))}
    assert len(styles) == 32
    assert line_style(0)[1] == ""
    assert len({mark("1.0", "2.0", number) for number in range(32)}) == 32
