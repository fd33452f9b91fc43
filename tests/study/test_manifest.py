"""Manifests: what they may say, in one sentence what is wrong, and as text again."""

import re
from pathlib import Path
from typing import get_args

import pytest
from study_twins import MANIFEST, plan
from trial_maker import write_trial

from napari_xreg.files import ReadError
from napari_xreg.records import StartEntry, StudyFile, read_manifest
from napari_xreg.records.study_manifest import StartKind
from napari_xreg.study import (
    job_script,
    manifest_of,
    manifest_text,
    opened_manifest,
    plan_of,
    read_slurm,
)
from napari_xreg.study.case import content
from napari_xreg.study.starts import draws
from napari_xreg.workflows import INITIALISERS

HEAD = 'schema = "napari-xreg/study"\nversion = 1\n'
ONE = '[[simulated]]\ncts = ["phantom:1"]\n'


def test_a_thousand_cases_in_a_few_lines(tmp_path):
    file = tmp_path / "study.toml"
    file.write_text(HEAD + '[[simulated]]\ncts = ["phantom:10500-10509"]\nviews = 100\n')
    made = plan_of(read_manifest(file), tmp_path)
    assert (len(made.jobs), made.count) == (1000, 1000)
    assert len({job.items[0].key for job in made.jobs}) == 1000
    assert made.jobs[-1].case.name == "phantom:10509 typical 10099"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[simulated]]\ncts = ["phantom:7"]\nveiws = 3\n', "unknown name 'simulated[0].veiws'"),
        ('[[simulated]]\ncts = []\n', "simulated[0].cts should name at least one"),
        ('[[simulated]]\ncts = ["phantom:9-7"]\n', "got 'phantom:9-7'"),
        ('[[simulated]]\ncts = ["phantom:1"]\nseverities = ["mild"]\n', "got 'mild'"),
        ("", "names no case"),
        ('[[starts]]\nname = "s"\nknd = "header"\n[[simulated]]\ncts = ["phantom:1"]\n', "unknown name 'starts[0].knd'; the known ones are name, kind, given, spread,"),
        ('titel = "s"\n', "unknown name 'titel'; the known ones are title, seed, cases,"),
        ('[[cases]]\nname = "a"\nct = "ct.nii"\n', "'cases[0].xrays' is missing"),
        ('[[cases]]\nname = "a"\nct = "c"\nxrays = ["x"]\n' * 2, "two cases are called 'a'"),
        ('[[simulated]]\ncts = ["phantom:1"]\n[[methods]]\nname = "m"\nsolver = "x"\n', "methods, m: a solver is"),
        ('[[simulated]]\ncts = ["phantom:1"]\n[[methods]]\nname = "m"\nsolver = "adam"\nstarts = 3\n', "one start"),
        (ONE + '[[methods]]\nname = "m"\nresults = "{case}.pth"\nstarts = 3\nsolver = "lm"\n', "methods, m: solver, starts: nothing is computed"),
        (ONE + '[[methods]]\nname = "m"\nresults = "{case}.pth"\ncompare = "gncc"\n', "methods, m: compare: nothing is computed"),
        (ONE + '[[methods]]\nname = "m"\norientation = "AP"\n', "methods, m: orientation is that of results"),
        (ONE + '[[starts]]\nname = "s"\nkind = "header"\ngiven = "truth"\n', "starts, s: given is of starts of the kind similarity, this one is of the kind header"),
        (ONE + '[[starts]]\nname = "s"\nkind = "header"\nspread = 3.0\n', "starts, s: spread is of starts of the kind truth or similarity"),
        (ONE + '[[starts]]\nname = "s"\nkind = "header"\nrepeats = 5\n', "starts, s: repeats is of starts of the kind truth, rayemb, landmarks, regression or similarity, this one is of the kind header: leave it out"),
        (ONE + '[[starts]]\nname = "s"\nkind = "frontal"\nweights = "w.pt"\n', "starts, s: weights is of starts of the kind rayemb, landmarks, regression or similarity, this one is of the kind frontal: leave it out"),
        (ONE + '[[starts]]\nname = "s"\nweights = "w.pt"\n', "starts, s: weights is of starts of the kind rayemb,"),
        *(
            (ONE + f'[[starts]]\nname = "s"\nkind = "{kind}"\n', f'starts, s: a start of the kind {kind} needs the weights of a network: add the line weights = "FILE", of `napari-xreg train {recipe}`')
            for kind, recipe in (("similarity", "similarity"), ("regression", "pose"), ("landmarks", "landmarks"))
        ),
        ('[[starts]]\nname = "s"\n' * 2 + '[[simulated]]\ncts = ["phantom:1"]\n', "'s' is the name of two"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_sentence(tmp_path, text, said):
    file = tmp_path / "study.toml"
    file.write_text(HEAD + text)
    with pytest.raises(ReadError) as error:
        plan_of(read_manifest(file), tmp_path)
    assert said in str(error.value)


def test_repeats_are_refused_exactly_where_they_would_be_ignored(tmp_path):
    file = tmp_path / "study.toml"
    for kind in get_args(StartKind):
        weights = 'weights = "w.pt"\n' if kind in INITIALISERS else ""
        file.write_text(
            f'{HEAD}{ONE}[[starts]]\nname = "s"\nkind = "{kind}"\nrepeats = 3\n{weights}'
        )
        ignored = len(draws(StartEntry(name="s", kind=kind, repeats=3))) == 1
        assert ignored == (kind in ("header", "frontal", "file"))
        if ignored:
            with pytest.raises(ReadError, match="repeats is of"):
                read_manifest(file)
        else:
            assert read_manifest(file).starts[0].repeats == 3


def test_what_is_used_may_be_said(tmp_path):
    file = tmp_path / "study.toml"
    entries = (
        '[[starts]]\nname = "s"\nkind = "similarity"\ngiven = "truth"\nspread = 4.0\nweights = "w.pt"\n',
        '[[starts]]\nname = "points"\nkind = "rayemb"\n[[methods]]\nname = "m"\nsolver = "lm"\nstarts = 2\n',
        '[[methods]]\nname = "x"\nresults = "{case}.pth"\norientation = "PA"\n',
    )  # fmt: skip
    file.write_text(HEAD + ONE + "".join(entries))
    made = plan_of(read_manifest(file), tmp_path)
    assert made.count == 10 * (2 + 1)
    # What a folder keeps says every entry, and is read as before.
    assert StudyFile.of(made.manifest.model_dump(), "study.json") == made.manifest


@pytest.mark.parametrize(
    ("head", "came"),
    [
        ("", ""),
        ('schema = "napari-xreg/study"\n', ": got schema = 'napari-xreg/study'"),
        ('schema = "xreg"\nversion = 1\n', ": got schema = 'xreg'"),
    ],
)
def test_how_a_manifest_begins_is_said(tmp_path, head, came):
    file = tmp_path / "study.toml"
    file.write_text(head + ONE)
    with pytest.raises(ReadError) as error:
        read_manifest(file)
    said = 'study.toml: begin the manifest with schema = "napari-xreg/study" and version = 1'
    assert str(error.value) == said + came


def test_weights_that_are_not_there_are_said_before_anything_is_done(tmp_path):
    (tmp_path / "there.pt").write_bytes(b"")
    starts = [
        {"name": name, "kind": "regression", "weights": f"{name}.pt"} for name in ("there", "gone")
    ]
    made = plan_of(StudyFile.of(MANIFEST | {"starts": starts}, "m"), tmp_path)
    assert made.absent == (f"start gone: {tmp_path / 'gone.pt'}",)


def test_no_toml(tmp_path):
    file = tmp_path / "study.toml"
    file.write_text("cases = [")
    with pytest.raises(ReadError, match="is no manifest in TOML"):
        read_manifest(file)
    file.write_text("cases = " + "[" * 5000)
    for reader in (read_manifest, read_slurm):
        with pytest.raises(ReadError, match=r"study\.toml: nests too deeply"):
            reader(file)


def test_a_manifest_is_written_and_read_back(tmp_path):
    rich = MANIFEST | {
        "cases": [{"name": "ä \"b\"", "ct": "c", "xrays": ["x", "y"], "geometry": ["g.json"]}],
        "trials": [{"path": "t.cfg", "volumes": ["radius"], "cameras": [[1], [1, 2]]}],
        "methods": [{"name": "far", "starts": 128, "spread": 4.0, "locked": ["depth"]}],
        "seed": 3,
    }  # fmt: skip
    manifest = StudyFile.of(rich, "rich")
    file = tmp_path / "study.toml"
    file.write_text(manifest_text(manifest), encoding="utf-8")
    assert read_manifest(file) == manifest


def test_what_is_no_manifest_may_be_a_study_by_itself(tmp_path):
    made, _ = opened_manifest("phantom:3-4")
    assert made.simulated[0].cts == ("phantom:3-4",)
    assert [start.name for start in made.starts] == ["usual"]
    with pytest.raises(ReadError, match="no such manifest"):
        opened_manifest(tmp_path / "absent.h5")
    with pytest.raises(ReadError, match="no such data set"):
        manifest_of(["absent.h5"])


def test_a_trial_starts_near_its_poses_where_it_has_some(tmp_path):
    path = write_trial(tmp_path)
    made = manifest_of([str(path)])
    assert made.trials[0].volumes == ("rad", "uln")
    assert [start.kind for start in made.starts] == ["header"]
    (tmp_path / "Tracking").mkdir()
    (tmp_path / "Tracking" / "rad.tra").write_text("")
    assert [start.kind for start in manifest_of([str(path)]).starts] == ["truth"]


def test_a_trial_of_several_frames_is_done_at_the_first_until_somebody_says_another(tmp_path):
    path = write_trial(tmp_path, frames=(7, 9))
    assert manifest_of([str(path)]).trials[0].frame == 7
    made = plan_of(*opened_manifest(path))
    assert [job.case.name for job in made.jobs] == [
        f"trial {b} frame 7 camera 1+2" for b in ("rad", "uln")
    ]


def test_a_folder_that_a_case_is_read_of_may_hold_the_study(tmp_path):
    (tmp_path / "ct").mkdir()
    (tmp_path / "ct" / "1.dcm").write_bytes(b"a slice")
    before = content(tmp_path)
    (tmp_path / "s" / "rows").mkdir(parents=True)
    (tmp_path / "s" / "study.json").write_text("{}")
    (tmp_path / "s" / "rows" / "a.json").write_text("{}")
    assert content(tmp_path) == before
    (tmp_path / "ct" / "1.dcm").write_bytes(b"another")
    changed = content(tmp_path)
    (tmp_path / "ct" / "1.dcm").rename(tmp_path / "ct" / "2.dcm")
    assert len({before, changed, content(tmp_path), "absent"}) == 4


def test_a_phantom_depends_on_no_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = [item.key for job in plan().jobs for item in job.items]
    (tmp_path / "labels.nii.gz").write_bytes(b"of something else")
    assert [item.key for job in plan().jobs for item in job.items] == before


def test_keys_follow_what_an_answer_depends_on_and_nothing_else():
    before = {item.key for job in plan().jobs for item in job.items}
    again = {item.key for job in plan(title="Another").jobs for item in job.items}
    assert before == again
    assert len(before) == 8
    for change in (
        {"seed": 1},
        {"methods": [{"name": "lm", "starts": 2}]},
        {"starts": [{"name": "near", "spread": 2.0}, {"name": "own", "kind": "frontal"}]},
        {"simulated": [{"cts": ["phantom:7-8"], "views": 2, "seed": 10400, "pixels": 128}]},
    ):
        changed = {item.key for job in plan(**change).jobs for item in job.items}
        assert not before & changed, change
    # The name of a method is for people.
    renamed = {item.key for job in plan(methods=[{"name": "ours"}]).jobs for item in job.items}
    assert renamed == before
    more = {item.key for job in plan(methods=[{"name": "lm"}, {"name": "b", "starts": 1}]).jobs for item in job.items}  # fmt: skip
    assert before < more
    assert len(more) == 16


def test_rows_of_an_older_algorithm_are_done_anew(monkeypatch):
    now = {item.key for job in plan().jobs for item in job.items}
    # 3: starts in a study with labels were drawn about the middle of the whole CT.
    monkeypatch.setattr("napari_xreg.study.plan.ALGORITHM", 3)
    assert now.isdisjoint({item.key for job in plan().jobs for item in job.items})


def test_the_first_cases_alone():
    whole = MANIFEST["simulated"]
    assert len(plan_of(StudyFile.of(MANIFEST, ""), plan().folder, limit=3).jobs) == 3
    assert whole == MANIFEST["simulated"]


def test_manifests_of_the_page_are_ones(tmp_path):
    page = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "study.md"
    simulated, own, trial, xvr, slurm = re.findall(
        r"```toml\n(.*?)```", page.read_text("utf-8"), re.DOTALL
    )
    write_trial(tmp_path / "wrist", frames=(98, 99))
    assert "views = 100\n" in simulated
    for text, count in (
        (simulated.replace("views = 100\n", "views = 2\n"), 180),
        (own, 1),
        (trial, 3),
        (own + xvr, 1),
    ):
        (tmp_path / "study.toml").write_text(text, encoding="utf-8")
        assert plan_of(read_manifest(tmp_path / "study.toml"), tmp_path).count == count
    (tmp_path / "study.toml").write_text(own + xvr, encoding="utf-8")
    (item,) = plan_of(read_manifest(tmp_path / "study.toml"), tmp_path).jobs[0].items
    assert item.method.results == str(tmp_path / "xvr" / "anna" / "ap.pth")
    (tmp_path / "cluster.toml").write_text(slurm, encoding="utf-8")
    script = job_script(read_slurm(tmp_path / "cluster.toml"), ["a b.toml", "--out", "o"], tmp_path)
    assert "#SBATCH --array=1-20\n" in script
    assert "#SBATCH --constraint=avx2\n" in script
    assert script.endswith("napari-xreg study 'a b.toml' --out o --workers 4 --quiet\n")
    (tmp_path / "cluster.toml").write_text("nodes = 3")
    with pytest.raises(ReadError, match="unknown name 'nodes'"):
        read_slurm(tmp_path / "cluster.toml")
