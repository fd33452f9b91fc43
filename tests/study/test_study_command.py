"""``napari-xreg study`` from end to end, on cases of a second."""

import json
import os
import shlex
import stat
import sys
from pathlib import Path

import pytest
import torch

from napari_xreg.cli import main
from napari_xreg.files import ReadError
from napari_xreg.session import read_session
from napari_xreg.simulation import phantom
from napari_xreg.study import job_script, opened_manifest, plan_of, read_rows, read_slurm, report
from napari_xreg.study.case import digest
from napari_xreg.study.plan import slug
from napari_xreg.study.slurm import SlurmSettings

SMALL = """schema = "napari-xreg/study"
version = 1
title = "Small"
[[simulated]]
cts = ["phantom:10500"]
views = 2
pixels = 64
severities = ["clean"]
phantom_voxel_mm = 6.0
[[cases]]
name = "broken"
ct = "absent.nii.gz"
xrays = ["absent.dcm"]
[[starts]]
name = "near"
spread = 0.5
[[methods]]
name = "one"
starts = 1
"""

OWN = 'schema = "napari-xreg/study"\nversion = 1\n[[cases]]\nname = "broken"\nct = "absent.nii.gz"\nxrays = ["a.dcm"]\n'


@pytest.fixture
def manifest(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.toml").write_text(SMALL)
    return tmp_path


def test_a_report_that_cannot_be_written_is_not_drawn(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(report, "worst_rows", lambda *_: drawn.append(1) or [])
    (tmp_path / "report.html").mkdir()
    nothing = object.__new__(report.Evaluation)
    object.__setattr__(nothing, "rows", ())
    with pytest.raises(OSError, match="is a folder"):
        next(report.write_study_report(nothing, tmp_path))
    assert drawn == []


@pytest.mark.slow
def test_a_study_with_a_broken_case(manifest, capsys):
    assert main(["study", "study.toml", "--out", "s", "--quiet", "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert (answer["registrations"], answer["done"], answer["failed"]) == (3, 3, 1)
    serial = (manifest / "s" / "cases.csv").read_bytes()
    text = (manifest / "s" / "summary.md").read_text(encoding="utf-8")
    assert "SIMULATED" in text
    assert "broken, near, one: " in text
    assert "absent.nii.gz" in text
    # Another process, the same to the last digit; then nothing is left to be done.
    assert main(["study", "study.toml", "--out", "p", "--quiet", "--workers", "1"]) == 1
    assert (manifest / "p" / "cases.csv").read_bytes() == serial
    capsys.readouterr()
    assert main(["study", "study.toml", "--out", "p", "--json", "--quiet"]) == 1
    assert json.loads(capsys.readouterr().out)["computed"] == 0
    assert main(["study", "evaluate", "p"]) == 0
    assert "near" in capsys.readouterr().out
    # The page stands by itself, and its worst case opens where the study left it.
    assert main(["study", "report", "p", "--worst", "1"]) == 0
    page = (manifest / "p" / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 2
    assert page.count("<circle") >= 1
    assert page.count("src='data:image/jpeg;base64,") == page.count("<img") == 1
    assert "SIMULATED" in page
    assert "absent.nii.gz" in page
    (file,) = (manifest / "p" / "worst").glob("*.xreg.json")
    assert f"href='worst/{file.name}'" in page
    rows = [row for row in read_rows(manifest / "p") if row.errors]
    worst = max(rows, key=lambda row: row.errors["mtre_mm"])
    session = read_session(file)
    (exposure,) = session.exposures.all
    assert exposure.name == worst.case
    assert torch.allclose(exposure.world_from_camera.matrix(), worst.poses[0].matrix())
    assert torch.allclose(exposure.start.matrix(), worst.start_poses[0].matrix())
    assert exposure.truth is not None
    assert session.missing == ()
    assert session.patient.volume.shape == phantom(spacing_mm=6.0, seed=10500).volume.shape
    (result,) = session.results.all
    assert result.registration.status is worst.status


@pytest.mark.slow
def test_on_dask_the_same(manifest):
    pytest.importorskip("distributed")
    small = SMALL.replace("views = 2", "views = 1")
    (manifest / "study.toml").write_text(small)
    main(["study", "study.toml", "--out", "s", "--quiet"])
    main(["study", "study.toml", "--out", "d", "--quiet", "--dask"])
    read = [(manifest / each / "cases.csv").read_bytes() for each in "sd"]
    assert read[0] == read[1]


def test_what_would_be_done(manifest, capsys):
    assert main(["study", "study.toml", "--out", "s", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "3 cases of 2 subjects, 1 kinds of start, 1 methods: 3 registrations" in said
    absent = [line for line in said.splitlines() if line.startswith("not there: ")]
    assert absent == [
        f"not there: broken: {manifest / name}" for name in ("absent.nii.gz", "absent.dcm")
    ]
    assert not (manifest / "s").exists()
    assert main(["study", "study.toml", "--out", "s", "--dry-run", "--limit", "2"]) == 0
    assert "2 registrations" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("study.toml", "--out DIR says where"),
        ("study.toml another.toml --out s", "one manifest or data set"),
        (
            "study.toml --out s another.toml",
            "one manifest or data set: got study.toml another.toml",
        ),
        (
            "study.toml --out s another.toml --unknown",
            "unrecognized arguments: another.toml --unknown",
        ),
        ("study.toml --out s --dask --scheduler tcp://x:1", "one of --dask"),
        ("evaluate s --workers 2", "leave --workers out"),
        ("evaluate", "takes the folder of a study"),
        ("evaluate study.toml", "is no folder of a study"),
        ("study.toml --out s --slurm c.toml --workers 2", "leave --workers out"),
        ("study.toml --out s --slurm c.toml --no-resume", "in place of --no-resume"),
        ("absent.toml --out s", "absent.toml"),
        (". --out .", "--out . is the data set itself"),
        ("init --out study.toml", "is there already"),
        ("init absent.h5 --out new.toml", "no such data set"),
        ("init ap.png --out new.toml", "ap.png: is of the kind radiograph, no CT"),
        ("init notes.txt --out new.toml", "is nothing that can be read"),
    ],
)
def test_one_sentence(manifest, capsys, line, said):
    (manifest / "ap.png").write_bytes(b"")
    (manifest / "notes.txt").write_text("to do")
    assert main(["study", *line.split()]) == 2
    assert said in capsys.readouterr().err


def test_init_writes_what_can_be_done(manifest, capsys):
    assert main(["study", "init", "--out", "new.toml", "phantom:3-4"]) == 0
    assert main(["study", "new.toml", "--out", "n", "--dry-run"]) == 0
    assert "20 cases of 2 subjects" in capsys.readouterr().out


@pytest.mark.skipif(sys.platform == "win32", reason="a job script of a shell")
def test_slurm_gets_a_script_that_runs_the_study(manifest, capsys, monkeypatch):
    (manifest / "cluster.toml").write_text('jobs = 2\ncommand = "echo"\n')
    line = ["study", "study.toml", "--out", "s", "--slurm", "cluster.toml"]
    assert main([*line, "--dry-run"]) == 0
    script = capsys.readouterr().out
    assert "#SBATCH --array=1-2" in script
    assert f"study {manifest}/study.toml --out {manifest}/s --workers 1" in script
    folder = manifest / "bin"
    folder.mkdir()
    sbatch = folder / "sbatch"
    sbatch.write_text(f'#!/bin/bash\nbash "$1" > {manifest}/said\necho Submitted batch job 7\n')
    sbatch.chmod(sbatch.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    assert main(line) == 0
    assert "Submitted batch job 7" in capsys.readouterr().out
    assert (manifest / "said").read_text().startswith(f"study {manifest}/study.toml --out")
    monkeypatch.setenv("PATH", str(manifest / "empty"))
    assert main(line) == 2
    assert "sbatch was not found" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a job script of a shell")
def test_an_array_of_jobs_shares_a_folder_and_its_table_is_that_of_one_process(
    manifest, monkeypatch
):
    # A stand-in for SLURM: every job of the array at once, and what each says into its own file.
    sbatch = manifest / "bin" / "sbatch"
    sbatch.parent.mkdir()
    sbatch.write_text(
        "#!/bin/bash\n"
        "last=$(sed -n 's/^#SBATCH --array=1-//p' \"$1\")\n"
        'for n in $(seq $last); do SLURM_ARRAY_TASK_ID=$n bash "$1" > said$n 2>&1 & done; wait\n'
        "echo Submitted batch job 7\n"
    )
    sbatch.chmod(sbatch.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{sbatch.parent}{os.pathsep}{os.environ['PATH']}")
    command = shlex.join(
        [sys.executable, "-c", "import sys; from napari_xreg.cli import main; sys.exit(main())"]
    )
    (manifest / "cluster.toml").write_text(f"jobs = 2\ncommand = {json.dumps(command)}\n")
    assert main(["study", "study.toml", "--out", "one", "--quiet"]) == 1
    assert main(["study", "study.toml", "--out", "s", "--slurm", "cluster.toml"]) == 0
    assert main(["study", "evaluate", "s"]) == 0
    tables = [
        [(manifest / out / name).read_bytes() for name in ("cases.csv", "summary.csv")]
        for out in ("one", "s")
    ]
    assert tables[0] == tables[1]
    assert len(list((manifest / "s" / "rows").glob("*.json"))) == 3
    assert not list((manifest / "s" / "rows").glob("*.claim"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("command = 'echo \"a'", "command.*as a shell takes it: No closing quotation"),
        ("command = '  '", "command.*words on one line"),
        ("command = \"''\"", "command.*names no program"),
        ("command = '# napari-xreg'", "command.*names no program"),
        ('partition = "a\\n#SBATCH --nice"', "partition.*words on one line"),
    ],
)
def test_settings_that_would_make_another_script_are_refused(tmp_path, text, said):
    (tmp_path / "c.toml").write_text(text)
    with pytest.raises(ReadError, match=rf"^c\.toml: .*{said}"):
        read_slurm(tmp_path / "c.toml")


def test_a_job_script_of_paths_with_spaces_and_a_command_of_several_words():
    settings = SlurmSettings(command="~/bin/python -m napari_xreg")
    script = job_script(settings, ["a.toml"], Path("/my data/out"))
    assert "#SBATCH --output='/my data/out/slurm-%A-%a.log'\n" in script
    assert script.endswith("\n~/bin/python -m napari_xreg study a.toml --workers 1 --quiet\n")


@pytest.mark.skipif(sys.platform == "win32", reason="a stand-in of a shell")
def test_failures_are_done_again_once_by_an_array_of_jobs(manifest, monkeypatch):
    (manifest / "study.toml").write_text(OWN)
    assert main(["study", "study.toml", "--out", "s", "--quiet"]) == 1
    (row,) = (manifest / "s" / "rows").glob("*.json")
    (manifest / "cluster.toml").write_text("jobs = 2\n")
    sbatch = manifest / "bin" / "sbatch"
    sbatch.parent.mkdir()
    sbatch.write_text("#!/bin/bash\necho Submitted\n")
    sbatch.chmod(sbatch.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{sbatch.parent}{os.pathsep}{os.environ['PATH']}")
    line = ["study", "study.toml", "--out", "s", "--slurm", "cluster.toml", "--retry-failed"]
    assert main([*line, "--dry-run"]) == 0
    assert row.is_file()
    assert main(line) == 0
    assert not row.is_file()
    assert "--retry-failed" not in (manifest / "s" / "slurm-job.sh").read_text()


def test_what_another_runner_has_in_hand_is_not_done(manifest, capsys):
    (manifest / "study.toml").write_text(OWN)
    (manifest / "s" / "rows").mkdir(parents=True)
    (job,) = plan_of(*opened_manifest("study.toml")).jobs
    claim = {"host": "another machine", "pid": 1, "born": 0.0}
    name = f"{slug(job.case.name)}.{digest(job.case.name)[:8]}.claim"
    (manifest / "s" / "rows" / name).write_text(json.dumps(claim))
    assert main(["study", "study.toml", "--out", "s", "--quiet", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["done"] == 0
