"""RayEmb's benchmarks' own parts, cheaply: who counts as what, the fit, the naive projection."""

import numpy as np
import pytest
import torch

from benchmarks import rayemb_cases, rayemb_speed, rayemb_trust
from napari_xreg.images import Radiograph
from napari_xreg.rayemb import similarity, subspace_basis
from napari_xreg.rayemb.trust import MEASURES


def test_fifty_seeds_give_fifty_of_each_and_ten_mirrored():
    kinds = [kind for index in range(50) for kind in rayemb_trust.kinds_of(index)]
    assert kinds.count("matching") == 50
    assert {kind: kinds.count(kind) for kind in rayemb_cases.BAD} == dict.fromkeys(
        rayemb_cases.BAD, 10
    )
    assert kinds.count("mirrored") == 10
    assert not set(rayemb_trust.TUNING_PHANTOMS) & set(rayemb_trust.EVALUATION_PHANTOMS)


def test_noise_has_the_spectrum_of_the_image_and_not_its_content():
    rows, columns = torch.meshgrid(torch.arange(40.0), torch.arange(48.0), indexing="ij")
    values = 2 + torch.sin(rows / 3) + 0.4 * torch.cos(columns / 2) * (rows > 13)
    image = Radiograph(values, rayemb_cases.CARM.__class__(
        1020.0, 750.0, rayemb_cases.CARM.detector.resize(40, 48)
    ))  # fmt: skip
    noise = rayemb_cases._noise(np.random.default_rng(3), image)
    assert noise.shape == (40, 48)
    assert float(noise.mean()) == pytest.approx(float(values.mean()), rel=0.05)
    # Half of what varies along the rows alone is lost: those terms must be real.
    assert float(noise.std()) == pytest.approx(float(values.std()), rel=0.3)
    assert abs(float(torch.corrcoef(torch.stack([noise.ravel(), values.ravel()]))[0, 1])) < 0.5


def record(kind, near, spread, polarity, likeness):
    trust = {"inlier_share": 1.0, "residual_mm": 5.0, "spread_mm": spread, "in_image": None,
             "near_share": near, "polarity": polarity, "likeness": likeness}  # fmt: skip
    error = 20.0 if kind == "matching" else None
    return {"kind": kind, "pose": True, "trust": trust, "patient": "p", "seed": 0, "mtre_mm": error}


def test_the_fit_parts_what_can_be_parted_and_no_weight_points_the_wrong_way():
    random = np.random.default_rng(4)
    records = []
    for _ in range(60):
        # The likeness is backwards here, which nothing may learn from.
        records.append(record("matching", random.normal(0.9, 0.05), 11.0, random.normal(20, 5),
                              random.normal(0.2, 0.05)))  # fmt: skip
        records.append(record("anatomy", random.normal(0.4, 0.1), random.normal(16, 1),
                              random.normal(0, 8), random.normal(0.6, 0.05)))  # fmt: skip
    records.append(record("mirrored", 0.0, 99.0, -30.0, -1.0))
    fit = rayemb_trust.fitted(records)
    assert set(fit) == {"constant", *MEASURES}
    assert fit["near_share"] > 0
    assert fit["likeness"] == 0
    logits = []
    for r in records[:-1]:
        trust = rayemb_trust.trust_in(r)
        logits.append(fit["constant"] + sum(fit[k] * f(trust) for k, f in MEASURES.items()))
    right = [(x > 0) == (r["kind"] == "matching") for x, r in zip(logits, records, strict=False)]
    assert np.mean(right) > 0.97


def test_a_row_counts_warnings_and_polarity():
    good = record("matching", 0.95, 10.0, 20.0, 0.9)
    bad = record("matching", 0.1, 30.0, -20.0, 0.0)
    lost = {**good, "pose": False}
    row = rayemb_trust.row_of([good, bad, lost, record("noise", 0.1, 30.0, 0.0, 0.0)], "matching")
    assert row[1] == 3
    assert row[2] == "2 (67%)"
    assert row[4] == 1
    assert row[5] == "2 / 0 / 1"
    assert rayemb_trust.row_of([good], "far")[1] == 0


def test_the_naive_projection_is_the_same():
    generator = torch.Generator().manual_seed(6)
    embedding = torch.randn(9, 5, 4, generator=generator)
    features = torch.randn(3, 9, 3, generator=generator)
    naive = rayemb_speed.naive_similarity(embedding, features, 2)
    fast = similarity(embedding, subspace_basis(features), upsampling=2)
    torch.testing.assert_close(naive, fast, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_memory_that_grew_is_seen():
    if not rayemb_speed.CLEAR.exists():
        pytest.skip("needs Linux's /proc")
    assert rayemb_speed.grown_mb(lambda: np.ones(25_000_000)) == pytest.approx(200, rel=0.3)
    assert rayemb_speed.grown_mb(lambda: None) < 50
