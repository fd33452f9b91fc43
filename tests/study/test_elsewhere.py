"""Results of xvr in the tables of a study."""

import pytest
import torch

from napari_xreg.datasets import write_xvr_result
from napari_xreg.files import ReadError
from napari_xreg.records import StudyFile
from napari_xreg.registration import Registration, Status
from napari_xreg.study import blocks_of, figures, plan_of
from napari_xreg.study.evaluating import _timing, evaluate
from napari_xreg.study.registering import rows_of
from napari_xreg.study.tables import seconds

CASES = {"simulated": [{"cts": ["phantom:7"], "views": 2, "pixels": 96, "seed": 12, "severities": ["clean"], "phantom_voxel_mm": 5.0}]}  # fmt: skip
XVR = {"name": "xvr", "results": "its/{case}.pth"}


def planned(folder, *methods, **changes):
    return plan_of(StudyFile.of(CASES | {"methods": list(methods)} | changes, "m"), folder)


def file_of(case):
    """No colon: phantom:7 is no name of a file on Windows."""
    return f"{case.name.replace('phantom:7', 'phantom-7')}.pth"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What xvr would have written of the first of two cases: it began 30 mm too near, and ended 7 mm too near."""
    out = tmp_path_factory.mktemp("xvr")
    (out / "its").mkdir()
    case = planned(out, XVR).jobs[0].case
    prepared = case.described.prepare()
    begun, found = (
        prepared.truth.left_perturb(
            torch.cat([torch.zeros(3).double(), nearer * prepared.truth.rotation[:, 2]]),
            prepared.isocenter,
        )
        for nearer in (30.0, 7.0)
    )
    result = Registration(found, Status.CONVERGED, {}, (), prepared.isocenter)
    write_xvr_result(
        out / "its" / file_of(case), result, prepared.radiographs[0], begun,
        volume_center=prepared.patient.volume.center, orientation="PA",
    )  # fmt: skip
    return out


def test_a_result_of_xvr_is_a_row_beside_ours(folder):
    ours = {"name": "ours", "starts": 1, "iterations": 1, "pixels": [32]}
    plan = planned(folder, ours, XVR | {"orientation": "PA"})
    assert [(i.start.name, i.method.name) for i in plan.jobs[0].items] == [
        ("usual", "ours"),
        ("its own", "xvr"),
    ]
    other = plan.jobs[1].case
    assert other.name == "phantom:7 clean 13"
    assert plan.absent == (f"{other.name}: {folder / 'its' / 'phantom-7 clean 13.pth'}",)
    _, row = rows_of(plan.jobs[0])
    assert row.failure == ""
    assert row.start_errors["mtre_mm"] == pytest.approx(30.0, abs=1e-3)
    assert row.errors["mtre_mm"] == pytest.approx(7.0, abs=1e-3)
    assert row.claimed_mm < 1.0  # as the one radiograph shows it
    assert row.simulated
    # Our verdict on its pose; nothing is known of its processor.
    assert row.probability is not None
    assert row.notes[0] == "found by xvr"
    assert seconds(blocks_of([row])[0]) is None
    assert _timing(row)[4:6] == ["", ""]
    assert _timing(row.model_copy(update={"cpu_seconds": 0.25}))[4:6] == ["0.250", ""]
    _, absent = rows_of(plan.jobs[1])
    assert absent.failure_kind == "ReadError"
    assert figures(blocks_of([absent])[0])["gfr_10mm"] == 1.0


def test_a_result_that_changed_is_read_anew_and_ours_are_not_done_again(folder):
    def keys(plan):
        return [item.key for item in plan.jobs[1].items]

    file = folder / "its" / file_of(planned(folder, XVR).jobs[1].case)
    before = keys(planned(folder, {"name": "ours"}, XVR))
    file.write_bytes(b"\0")
    ours, xvr = keys(planned(folder, {"name": "ours"}, XVR))
    file.unlink()
    assert ours == before[0]
    assert xvr != before[1]


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("its/{subject}.pth", "would be the result of 'phantom:7 clean 12' and of 'phantom:7 clean 13': say {case}"),
        ("its/{patient}.pth", "can stand in braces: got 'its/{patient}.pth'"),
        ("its/{case.pth", "can stand in braces"),
    ],
)  # fmt: skip
def test_which_file_is_whose_has_to_be_said(folder, pattern, said):
    with pytest.raises(ReadError, match="methods, xvr: ") as caught:
        planned(folder, XVR | {"results": pattern})
    assert said in str(caught.value)


def test_a_result_that_does_not_say_where_it_began_is_a_failure_with_its_sentence(folder, tmp_path):
    (job, _) = planned(folder, XVR).jobs
    said = torch.load(folder / "its" / file_of(job.case), weights_only=True)
    del said["init_pose"], said["runtime"]
    (tmp_path / "its").mkdir()
    torch.save(said, tmp_path / "its" / file_of(job.case))
    (row,) = rows_of(planned(tmp_path, XVR).jobs[0])
    assert row.failure == "the result of xvr does not say where it began: it holds no init_pose"


def test_files_are_named_after_the_radiograph(tmp_path):
    own = [
        {"name": name, "ct": "ct.nii", "xrays": [f"{name}/ap.1.dcm"], "subject": "a"}
        for name in ("one", "two")
    ]
    pattern = XVR | {"results": "{case}/{radiograph}.pth"}
    plan = planned(tmp_path, pattern, simulated=[], cases=own)
    files = [item.method.results for job in plan.jobs for item in job.items]
    assert files == [str(tmp_path / name / "ap.1.pth") for name in ("one", "two")]


def test_a_folder_of_results_alone_is_no_study_and_what_to_do_is_said(tmp_path):
    (tmp_path / "ap.pth").write_bytes(b"")
    with pytest.raises(
        ReadError, match=r"results of xvr: write a manifest with results = .* under \[\[methods\]\]"
    ):
        evaluate(tmp_path)
