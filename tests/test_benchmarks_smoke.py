"""The benchmarks' own parts, cheaply: committed points, seeds, starts, time stamps, lengths."""

import json
import math

import pytest
import torch

from benchmarks import cases, confidence, refinement, report
from napari_xreg.geometry import Pose


def test_committed_points_are_twenty_distinct_points_about_the_isocenter():
    content = json.loads(cases.POINTS_FILE.read_text())
    assert set(content["volumes"]) == set(cases.VOLUMES)
    for name in cases.VOLUMES:
        points, isocenter = cases.committed_points(name)
        assert points.shape == (20, 3)
        assert isocenter.shape == (3,)
        distances = torch.cdist(points, points) + 1e3 * torch.eye(20)
        assert distances.min() > 10  # mm: spread, not a cluster
        assert (points - isocenter).norm(dim=1).max() < 250


def test_committed_points_lie_in_the_frontal_view():
    for name in cases.VOLUMES:
        points, isocenter = cases.committed_points(name)
        arm = cases.carm()
        x, y, z = isocenter.tolist()
        pixels = arm.project(points, arm.world_from_camera(0.0, 0.0, isocenter=(x, y, z)))
        assert pixels.min() > 10
        assert pixels.max() < cases.PIXELS - 10


@pytest.mark.slow
def test_starts_of_a_seed_grow_with_the_factor_and_have_the_stated_spread():
    name = "chest_lidc"
    arm = cases.carm()
    _, isocenter = cases.committed_points(name)
    moved = []
    for seed in range(400):
        truth = cases.true_pose(name, seed, arm)
        start = cases.start_pose(name, seed, 1.0, truth)
        camera = truth.inverse().apply(isocenter[None]) - start.inverse().apply(isocenter[None])
        moved.append(camera[0])
    spread = torch.stack(moved).std(0)
    # The isocenter is the pivot: it moves by the shifts alone, 10 mm in plane and 15 mm in depth
    # (4 standard errors of 400 cases are 14 %; turning the axes by up to 10 degrees adds a little).
    assert torch.allclose(spread, torch.tensor([10.0, 10.0, 15.0]).double(), rtol=0.2)
    truth = cases.true_pose(name, 7, arm)
    near, far = (cases.start_pose(name, 7, factor, truth) for factor in (1.0, 3.0))

    def angle(pose: Pose) -> float:
        turn = pose.rotation @ truth.rotation.mT
        return math.acos(float((turn.trace() - 1) / 2))

    assert angle(far) == pytest.approx(3 * angle(near), rel=1e-6)


def test_seed_ranges_do_not_mix():
    assert cases.seed_kind(10_000, 50) == "evaluation seeds 10000..10049"
    assert cases.seed_kind(3, 5) == "tuning seeds 3..7"
    for first, count in ((150, 100), (9_990, 20), (500, 2), (2_000, 5)):
        with pytest.raises(SystemExit):
            cases.seed_kind(first, count)
    tuning = [cases.image_seed(name, seed) for name in cases.VOLUMES for seed in range(190)]
    assert len(set(tuning)) == len(tuning)
    assert max(tuning) < 1000


def test_first_pose_within_a_millimetre():
    stamps = [(0.1, 7.0), (0.3, 1.0), (0.4, 0.9), (0.6, 2.0), (0.7, 0.2)]
    assert refinement.first_within(stamps) == 0.4
    assert refinement.first_within(stamps[:2]) is None


def test_ratio_is_taken_over_the_cases_that_both_did():
    def record(seed: int, cpu: float, reached: float | None) -> dict[str, object]:
        return {"seed": seed, "cpu_s": cpu, "cpu_to_1mm_s": reached, "wall_s": cpu, "final_mm": 0.5}

    ours = [record(1, 0.5, 0.2), record(2, 0.7, 0.4), record(3, 99.0, 99.0)]
    adam = [record(1, 50.0, 30.0), record(2, 76.0, None)]
    found = refinement.ratios(ours, adam)
    assert found["cpu_total"] == pytest.approx(63.0 / 0.6)
    assert found["cpu_to_1mm"] == pytest.approx(150.0)
    assert (found["pairs"], found["pairs_within_1mm"]) == (2, 1)


def test_mahalanobis_length_of_a_correlated_error():
    covariance = torch.tensor([[4.0, 1.0], [1.0, 2.0]])
    # inverse = [[2, -1], [-1, 4]] / 7
    (length,) = confidence.mahalanobis(torch.tensor([[2.0, 3.0]]), covariance[None])
    assert length == pytest.approx((2 * 4 - 2 * 6 + 4 * 9) / 7)


def test_a_ct_of_another_scale_lies_within_the_scaled_region_alone():
    _, pivot = cases.committed_points("pelvis_totalseg")
    truth = cases.carm().world_from_camera(17.0, -9.0, isocenter=pivot.double())
    back = 0.01 * (truth.translation - pivot.double())  # a CT 1 % too large is found farther away
    scale = torch.cat([torch.zeros(3).double(), back])
    own = torch.diag(torch.tensor([1e-6] * 3 + [1e-2] * 3)).double()
    record = {
        "volume": "pelvis_totalseg", "seed": 3, "pose": truth.matrix().tolist(), "truth": truth.matrix().tolist(),
        "covariance": (own + scale.outer(scale)).tolist(), "scale": scale.tolist(),
    }  # fmt: skip
    found = confidence.inside(record, scaled=True)
    # Farther away and larger, it casts the same image.
    assert found["image"].min() == 1.0
    # Off along one line alone: of a normal distribution 88 % and 99 % lie within the regions of three.
    half, most = found["space"]
    assert 0.6 < half <= most
    assert most > 0.9
    # The same depth of a CT that is as large as it says is no error of scale.
    off = record | {"pose": truth.left_perturb(0.5 * scale, pivot.double()).matrix().tolist()}
    assert confidence.inside(off, scaled=False)["space"].max() == 0.0


def test_a_line_cut_short_by_a_kill_is_skipped(tmp_path):
    file = tmp_path / "folder" / "cases.jsonl"
    report.append(file, {"seed": 1})
    with file.open("a") as stream:
        stream.write('{"seed": 2, "fin')
    assert list(report.records(file)) == [{"seed": 1}]


def test_table_lines_up():
    lines = report.table(["a", "long name"], [["wide cell", 1], ["x", 22]]).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert len(lines) == 4


def test_without_a_card_nothing_is_measured_and_the_page_says_so(tmp_path, monkeypatch):
    import argparse

    from benchmarks import gpu

    monkeypatch.setattr(gpu.peers, "check_installed", lambda: None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    parser = argparse.ArgumentParser()
    gpu.add_arguments(parser)
    assert gpu.main(parser.parse_args([]), tmp_path)
    page = (tmp_path / "gpu.md").read_text()
    assert "nothing on this page was measured" in page
    lines = [line for line in page.splitlines() if line.startswith("| 1024 ")]
    assert len(lines) > 5
    assert all("not measured" in line for line in lines)
    assert json.loads((tmp_path / "gpu.json").read_text())["times"]["rendering"] == {}


def test_ratios_of_a_card_are_peer_over_ours():
    import argparse

    from benchmarks.device_timing import Timing
    from benchmarks.gpu import GRADIENT, ratio_rows

    found = {
        f"200 | 1 | nanodrr triton | {GRADIENT}": Timing(3.0, 3.5, 10.0, 5),
        f"200 | 1 | napari-xreg joseph | {GRADIENT}": Timing(0.5, 0.7, 10.0, 5),
    }
    rows = ratio_rows(found, argparse.Namespace(sizes=[200], batched=[]), "triton")
    assert rows == [
        [200, 1, "trilinear", "not measured", "not measured"],
        [200, 1, "joseph", "not measured", "6.00"],
    ]


@pytest.mark.slow
def test_one_report_of_all_tables(tmp_path):
    pytest.importorskip("matplotlib")
    from benchmarks import full_report

    (tmp_path / "cpu.md").write_text("# On the CPU\n\n## Part\n\nwords\n")
    times = {f"{n} | 1 | napari-xreg joseph | image + gradient": {"ms": n / 10} for n in (64, 128)}
    (tmp_path / "cpu.json").write_text(json.dumps({"times": {"rendering": times}}))
    page = full_report.write(tmp_path).read_text()
    assert "## On the CPU\n\n![Scaling and networks on the CPU](cpu.png)" in page
    assert "### Part" in page
    assert "* not run: On a GPU" in page
    assert (tmp_path / "cpu.png").stat().st_size > 5000
