"""Where a case is started from."""

from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch

from napari_xreg.images import Landmark, write_landmarks
from napari_xreg.records import SimulatedCases, StartEntry
from napari_xreg.registration import Spread, perturbed
from napari_xreg.study import starts
from napari_xreg.study.simulated_cases import SimulatedCase
from napari_xreg.study.starts import seed_of_start, spread_words, start_of

NEAR = StartEntry(name="near", rotation_deg=3.0, in_plane_mm=5.0, depth_mm=11.0)


@pytest.fixture(scope="module")
def case():
    entry = SimulatedCases(cts=("phantom:7",), pixels=32, phantom_voxel_mm=9.0)
    return SimulatedCase("phantom:7", "clean", 4, entry).prepare()


def near(case, seed):
    return start_of(case, NEAR, Path(), seed).pose.matrix()


def test_a_learned_similarity_begins_at_the_start_that_is_given(case, monkeypatch):
    asked = []

    def found(request):
        asked.append(request)
        yield from ()
        return request.given

    monkeypatch.setattr(starts, "initialise", found)
    entry = NEAR.model_copy(update={"kind": "similarity", "weights": "w.safetensors"})
    start = start_of(case, entry, Path("there"), 3)
    assert start.pose.matrix().tolist() == near(case, 3).tolist()
    assert (asked[0].method, asked[0].weights) == ("similarity", Path("there/w.safetensors"))
    frontal = entry.model_copy(update={"given": "frontal"})
    assert start_of(case, frontal, Path(), 3).origin == "frontal view"
    assert spread_words(frontal) == (
        "C-arm angles 0 and 0 about the isocenter; then down a learned similarity"
    )


def test_draws_near_a_truth_are_those_of_their_seeds(case):
    for seed in (3, 4):
        normals = torch.randn(
            1, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
        )
        by_hand = perturbed(case.truth, case.isocenter, normals, Spread(3.0, 5.0, 11.0))[0]
        assert torch.equal(near(case, seed), by_hand.matrix())
    assert float((near(case, 3) - near(case, 4)).abs().max()) > 1.0


def test_every_case_and_every_repeat_has_a_seed_of_its_own():
    seeds = {
        seed_of_start(study, name, NEAR, repeat)
        for study in (0, 1)
        for name in ("a", "b")
        for repeat in (0, 1)
    }
    assert len(seeds) == 8


def test_landmarks_beside_a_simulated_ct_are_where_its_errors_are_measured(tmp_path):
    folder = tmp_path / "anna"
    folder.mkdir()
    hu = np.full((16, 14, 12), -1000.0, np.float32)
    hu[4:11, 3:10, 2:9], hu[6:9, 5:8, 3:8] = 30.0, 900.0
    nibabel.Nifti1Image(hu, np.diag([8.0, 9.0, 10.0, 1.0])).to_filename(folder / "ct.nii.gz")
    ct = str(folder / "ct.nii.gz")
    plain = SimulatedCase(ct, "clean", 4, SimulatedCases(cts=(ct,), pixels=32))
    before = plain.described()
    assert "landmarks" not in before  # the keys of rows that are there
    marks = [Landmark("tip", (-50.0, -60.0, 41.0)), Landmark("knob", (-62.0, -40.0, 33.0))]
    write_landmarks(folder / "landmarks.csv", [*marks, Landmark("seen", pixel=(3.0, 4.0))])
    described = plain.described()
    assert before == {k: v for k, v in described.items() if k != "landmarks"}
    case = plain.prepare()
    assert case.fiducials.tolist() == [list(mark.position) for mark in marks]
    assert case.isocenter.tolist() == [-56.0, -50.0, 37.0]
    assert [mark.name for mark in case.patient.landmarks] == ["tip", "knob"]
    write_landmarks(folder / "landmarks.csv", marks[:1])
    assert plain.described() != described
