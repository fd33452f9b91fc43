"""`track` as it is typed: a folder of frames, a start, a table; what is said and what is refused."""

import json
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from napari_xreg.cli import main
from napari_xreg.geometry import CArm, Detector
from napari_xreg.images import write_radiograph
from napari_xreg.records import read_track, write_pose
from napari_xreg.registration import step_between
from napari_xreg.simulation import CLEAN, phantom, simulate_radiograph

ARM = CArm(1020.0, 740.0, Detector((96, 104), (2.9, 3.1), (44.0, 55.0)))


@pytest.fixture(scope="module")
def moving(tmp_path_factory):
    """Two frames of the phantom, called 11 and 12, and a start that is off in the second."""
    folder = tmp_path_factory.mktemp("moving")
    (folder / "cine").mkdir()
    patient = phantom(seed=2)
    center = patient.volume.center.double()
    first = ARM.world_from_camera(10.0, -6.0, 2.0, isocenter=center)
    step = torch.tensor([0.02, 0.03, -0.02, 2.0, -2.0, 1.0], dtype=torch.float64)
    truth = {11: first, 12: first.left_perturb(step, center)}
    for number, pose in truth.items():
        made = simulate_radiograph(patient.volume, None, ARM, pose, severity=CLEAN, seed=5)
        write_radiograph(
            folder / "cine" / f"f_{number}.npz", replace(made.radiograph, nominal=None)
        )
    write_pose(folder / "start.json", truth[12].left_perturb(-0.5 * step, center))
    write_pose(folder / "key.json", truth[11])
    return folder, truth, center


@pytest.mark.slow
def test_from_a_frame_in_the_middle_back(moving, capsys):
    folder, truth, center = moving
    code = main(
        [
            "track", "phantom:2", str(folder / "cine"), "--start", str(folder / "start.json"),
            "--frame", "12", "--pixels", "96", "--out", str(folder / "out"), "--json", "--no-film",
        ]
    )  # fmt: skip
    said = json.loads(capsys.readouterr().out)
    assert code == 0
    assert said["frames"] == {"given": 0, "tracked": 2, "doubtful": 0, "open": 0}
    assert said["simulated"]
    written = ("track.csv", "jointtrack.jts")
    assert said["files"] == [str(folder / "out" / name) for name in written]
    for row in read_track(folder / "out" / "track.csv").rows:
        off = step_between(truth[row.frame], row.world_from_camera, center)
        assert float(off[3:].norm()) < 1.0


@pytest.mark.slow
def test_a_key_stays_and_is_enough(moving, capsys):
    folder, truth, _ = moving
    code = main(
        [
            "track", "phantom:2", str(folder / "cine"), "--start", str(folder / "start.json"),
            "--last", "11", "--key", "11", str(folder / "key.json"), "--out", str(folder / "key"),
        ]
    )  # fmt: skip
    assert code == 0
    assert "1 simulated frames: 1 given." in capsys.readouterr().out
    (row,) = read_track(folder / "key" / "track.csv").rows
    torch.testing.assert_close(row.world_from_camera.matrix(), truth[11].matrix())
    assert (folder / "key" / "track.gif").exists()
    # The table of one run is a key of the next; it knows of no other frame.
    again = [
        "track",
        "phantom:2",
        str(folder / "cine"),
        "--start",
        str(folder / "start.json"),
        "--last",
        "11",
    ]
    table = str(folder / "key" / "track.csv")
    assert main([*again, "--key", "11", table, "--out", str(folder / "again"), "--no-film"]) == 0
    (row,) = read_track(folder / "again" / "track.csv").rows
    torch.testing.assert_close(row.world_from_camera.matrix(), truth[11].matrix())
    capsys.readouterr()
    assert main([*again, "--key", "12", table]) == 2
    assert "track.csv: has no pose of frame 12" in capsys.readouterr().err
    # So is what JointTrack keeps, a line for each frame: its own, or that of a run.
    kept = folder / "key" / "jointtrack.jts"
    by_hand = folder / "by_hand.JTS"
    lines = ["JT_EULER_312", "x_tran,y_tran,z_tran,z_rot,x_rot,y_rot", "10, 20, -740, 0, 0, 0"]
    by_hand.write_text("\n".join(lines))
    lying = torch.diag(torch.tensor([1.0, -1.0, -1.0, 1.0], dtype=torch.float64))
    lying[:3, 3] = torch.tensor([-10.0, -20.0, 740.0])
    for file, expected in ((kept, truth[11].matrix()), (by_hand, lying)):
        assert (
            main([*again, "--key", "11", str(file), "--out", str(folder / "again"), "--no-film"])
            == 0
        )
        (row,) = read_track(folder / "again" / "track.csv").rows
        torch.testing.assert_close(row.world_from_camera.matrix(), expected, atol=1e-5, rtol=0)
        capsys.readouterr()
        assert main([*again, "--key", "12", str(file)]) == 2
        assert f"{file.name}: has no pose of frame 12" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--frame", "13"], "has no frame 13: its frames are 11 to 12"),
        (["--frame", "11", "--frame", "12"], "give it once"),
        (["--frame", "mean"], "give it once"),
        (["--key", "x", "key.json"], "the number of a frame and a file: got 'x'"),
        (["--key", "11", "KEY", "--key", "011", "KEY"], "--key 11 was given twice"),
        (["--key", "99", "KEY"], "there is no frame 99: the frames are 11 to 12"),
        (["--first", "20"], "no frame is left from 20"),
        (["--pixels", "7"], "pixels"),
    ],
)
def test_what_is_refused_before_anything_is_tracked(moving, more, words, capsys):
    folder, _, _ = moving
    more = [str(folder / "key.json") if word == "KEY" else word for word in more]
    code = main(
        ["track", "phantom:2", str(folder / "cine"), "--start", str(folder / "start.json"),
         "--out", str(folder / "no"), *more]
    )  # fmt: skip
    assert code == 2
    assert words in capsys.readouterr().err
    assert not (folder / "no").exists()


@pytest.mark.slow
def test_the_script_of_the_guide(moving, tmp_path, monkeypatch, capsys):
    """As it is printed there, with the names and the numbers of these files."""
    folder, _, _ = moving
    page = Path(__file__).parents[2] / "docs" / "how-to" / "sequences.md"
    script = page.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    hu = phantom(seed=2).volume.hu.numpy().transpose(2, 1, 0)
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ phantom(seed=2).volume.world_from_index.numpy()
    nib.save(nib.Nifti1Image(hu.astype(np.int16), affine), tmp_path / "ct.nii.gz")
    monkeypatch.chdir(tmp_path)
    # The number first: the folder of this run may have it in its name.
    script = script.replace("40", "12")
    for ours, theirs in (("cine.dcm", folder / "cine"), ("frame12.json", folder / "start.json")):
        assert ours in script
        script = script.replace(ours, str(theirs))
    exec(script, {})
    assert "2 simulated frames: 2 tracked." in capsys.readouterr().out
