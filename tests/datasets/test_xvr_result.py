"""Results of xvr: a file as its class writes it, by hand; ours read back, and by DiffDRR."""

import json
import math
from pathlib import Path

import pytest
import torch

from napari_xreg.datasets import is_xvr_result, read_xvr_result, write_xvr_result
from napari_xreg.files import ReadError
from napari_xreg.geometry import CArm, CArmPose, Detector, matrix_from_xvr_parameters
from napari_xreg.images import Radiograph
from napari_xreg.registration import Iterate, Registration, Status
from napari_xreg.workflows import inspect

CENTER = torch.tensor([10.0, -20.0, 300.0])


def content(**changes):
    """What xvr 0.1.0 saves: a frontal pose 850 mm away, moved by two steps."""
    rots = torch.tensor([[0.01, 0.0, 0.0], [0.02, -0.01, 0.03]])
    xyzs = torch.tensor([[1.0, 849.0, 2.0], [2.0, 848.0, 3.0]])
    start = matrix_from_xvr_parameters(torch.zeros(1, 3), torch.tensor([[0.0, 850.0, 0.0]]))
    return {
        "detector": {"sdd": 1020.0, "height": 60, "width": 80, "delx": 2.0, "dely": 2.5, "reverse_x_axis": False},
        "runtime": 1.5,
        "init_pose": start,
        "final_pose": matrix_from_xvr_parameters(rots[1:], xyzs[1:]),
        "gt": torch.zeros(1, 1, 60, 80),
        "log": {
            "losses": [0.5, 0.75], "scales": [8.0, 8.0], "rescale_factors": [0.125, 0.125],
            "times": [0.5, 1.0], "rots": rots, "xyzs": xyzs,
        },
    } | changes  # fmt: skip


def saved(path: Path, **changes) -> Path:
    torch.save(content(**changes), path)
    return path


def test_what_stands_there(tmp_path):
    found = read_xvr_result(saved(tmp_path / "view.pth"))
    assert (found.sdd, found.height, found.width, found.delx, found.dely) == (1020, 60, 80, 2, 2.5)
    assert (found.seconds, found.similarities) == (1.5, (0.5, 0.75))
    start = saved(tmp_path / "start.pth", final_pose=content()["init_pose"])
    # "AP": the source lies before the patient (RAS +y, LPS -y), and looks to the back.
    first = read_xvr_result(start).pose(CENTER)
    assert first.translation.tolist() == pytest.approx([10.0, -870.0, 300.0])
    assert first.rotation[:, 2].tolist() == pytest.approx([0.0, 1.0, 0.0])
    # "PA": the same numbers, from behind.
    behind = read_xvr_result(start).pose(CENTER, orientation="PA")
    assert behind.translation.tolist() == pytest.approx([10.0, -870.0, 300.0])
    assert behind.rotation[:, 2].tolist() == pytest.approx([0.0, -1.0, 0.0])
    assert read_xvr_result(saved(tmp_path / "c.pth", log=None)).similarities == ()


def test_what_is_not_needed_for_a_pose_may_be_absent(tmp_path):
    said = content()
    del said["init_pose"], said["runtime"], said["log"]
    torch.save(said, tmp_path / "short.pth")
    found = read_xvr_result(tmp_path / "short.pth")
    whole = read_xvr_result(saved(tmp_path / "whole.pth"))
    assert torch.equal(found.pose(CENTER).matrix(), whole.pose(CENTER).matrix())
    assert (found.seconds, inspect(tmp_path / "short.pth")["seconds"]) == (None, None)
    with pytest.raises(ReadError, match="does not say where it began: it holds no init_pose"):
        found.pose(CENTER, began=True)


def test_numbers_that_are_not_finite_are_said_to_be_none(tmp_path):
    losses = [math.nan, 0.25, 10**400, 0.125, math.inf]
    path = saved(tmp_path / "odd.pth", log={"losses": losses})
    assert read_xvr_result(path).similarities == (None, 0.25, None, 0.125, None)
    entry = inspect(path)
    assert entry["best_and_last_similarity"] == [0.25, None]
    json.dumps(entry, allow_nan=False)
    none = saved(tmp_path / "none.pth", log={"losses": [math.nan]})
    assert inspect(none)["best_and_last_similarity"] == [None, None]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"final_pose": torch.ones(1, 4, 4)}, "final_pose: the"),
        ({"final_pose": torch.eye(3)}, "final_pose: expected a matrix"),
        ({"final_pose": torch.full((4, 4), math.nan)}, "final_pose: expected a matrix"),
        ({"init_pose": torch.eye(3)}, "init_pose: expected a matrix"),
        ({"runtime": "long"}, "runtime: expected a finite number"),
        ({"runtime": 10**400}, "runtime: expected a finite number"),
        (
            {"detector": content()["detector"] | {"sdd": torch.tensor(math.inf)}},
            "sdd: expected a finite number",
        ),
        (
            {"detector": content()["detector"] | {"reverse_x_axis": torch.ones(2)}},
            "expected true or false",
        ),
        ({"detector": content()["detector"] | {"reverse_x_axis": "no"}}, "expected true or false"),
        ({"detector": {"sdd": 1020.0}}, "detector: height: expected"),
        ({"detector": content()["detector"] | {"sdd": -1.0}}, "must be positive"),
        ({"detector": 3}, "is no result of xvr"),
        ({"log": {"losses": "many"}}, "log: losses"),
        ({"log": Path("x")}, "would run code"),
    ],
)
def test_what_is_refused(tmp_path, changes, words):
    with pytest.raises(ReadError, match=words):
        read_xvr_result(saved(tmp_path / "x.pth", **changes))


def registration(pose, start):
    steps = (
        Iterate(0, 0, 0, start, {"loss": 0.5}),
        Iterate(1, 0, 0, pose, {"loss": 0.2}, seconds=2.5),
    )
    return Registration(
        pose, Status.CONVERGED, {"loss": 0.2}, steps, pivot=torch.zeros(3).double(), covariance=None
    )


@pytest.mark.parametrize("orientation", ["AP", "PA", None])
def test_ours_is_read_back(tmp_path, orientation):
    carm = CArm(1015.0, 710.0, Detector((41, 53), (0.9, 1.3), (17.5, 29.25), mirrored=True))
    pose, start = (
        carm.pose_from(CArmPose(angle, -7.5, 3.25, (1.5, -2.5, 9.0), (11.0, -23.0, 340.0)))
        for angle in (20.5, 24.0)
    )
    shot = Radiograph(torch.rand(41, 53), carm)
    path = tmp_path / "result.pth"
    write_xvr_result(
        path, registration(pose, start), shot, start, volume_center=CENTER, orientation=orientation
    )
    found = read_xvr_result(path)
    stored = torch.load(path, weights_only=True)
    begun = tmp_path / "begun.pth"
    torch.save(stored | {"final_pose": stored["init_pose"]}, begun)
    for file, meant in ((path, pose), (begun, start)):
        again = read_xvr_result(file).pose(CENTER, orientation=orientation)
        assert torch.allclose(again.matrix(), meant.matrix(), atol=2e-4, rtol=0)
    assert (found.sdd, found.height, found.width, found.delx, found.dely) == (
        1015,
        41,
        53,
        1.3,
        0.9,
    )
    assert found.seconds == 2.5
    assert set(stored) == {"detector", "runtime", "init_pose", "final_pose", "gt", "log"}
    assert (stored["gt"].shape, stored["final_pose"].shape) == ((1, 1, 41, 53), (1, 4, 4))
    # 29.25 is 3.25 pixels of 1.3 mm right of the middle (26), 17.5 is 2.5 of 0.9 mm above (20).
    assert abs(stored["detector"]["x0"]) == pytest.approx(3.25 * 1.3)
    assert stored["detector"]["y0"] == pytest.approx(-2.5 * 0.9)


def test_inspect_and_weights_say_what_it_is(tmp_path):
    path = saved(tmp_path / "view.pth")
    assert is_xvr_result(path)
    entry = inspect(path)
    assert (entry["kind"], entry["steps"]) == ("result of xvr", 2)
    assert entry["best_and_last_similarity"] == [0.75, 0.75]
    from napari_xreg.workflows.opening.inspecting_weights import weights_entry

    with pytest.raises(ReadError, match="is a result of xvr, not the weights"):
        weights_entry(path)
    torch.save({"state_dict": {}}, tmp_path / "w.pth")
    assert not is_xvr_result(tmp_path / "w.pth")
    (tmp_path / "x.pth").write_bytes(b"no")
    assert not is_xvr_result(tmp_path / "x.pth")
