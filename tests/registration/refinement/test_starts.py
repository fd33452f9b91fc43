"""Perturbed starts: units, axes and evenness."""

from dataclasses import replace

import pytest
import torch
from blobs import CENTER, blob_radiograph, blob_volume, carm

from napari_xreg.geometry import CArm, Detector
from napari_xreg.progress import run
from napari_xreg.registration import (
    Level,
    RefineSettings,
    Spread,
    View,
    perturbed,
    refine,
    spread_starts,
)
from napari_xreg.registration.refinement.starts import going_on

CARM = CArm(1020.0, 720.0, Detector((40, 50), (2.0, 2.1)))
ISOCENTER = torch.tensor([10.0, -20.0, 30.0], dtype=torch.float64)
POSE = CARM.world_from_camera(35.0, -12.0, 7.0, isocenter=ISOCENTER)


def _normal(k: int) -> torch.Tensor:
    normals = torch.zeros(1, 6, dtype=torch.float64)
    normals[0, k] = 2.0
    return normals


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_rotation_is_about_a_camera_axis_through_the_isocenter(axis):
    moved = perturbed(POSE, ISOCENTER, _normal(axis), Spread(3.0, 10.0, 15.0))[0]
    before = POSE.inverse().apply(ISOCENTER[None])
    torch.testing.assert_close(moved.inverse().apply(ISOCENTER[None]), before)
    turn = POSE.rotation.mT @ moved.rotation
    angle = torch.rad2deg(torch.arccos((turn.trace() - 1) / 2))
    assert float(angle) == pytest.approx(6.0)
    assert float(turn[axis, axis]) == pytest.approx(1.0)


def test_shifts_are_along_camera_axes():
    spread = Spread(3.0, 10.0, 15.0)
    for k, expected in ((3, (20.0, 0, 0)), (4, (0, 20.0, 0)), (5, (0, 0, 30.0))):
        moved = perturbed(POSE, ISOCENTER, _normal(k), spread)[0]
        offset = POSE.rotation.mT @ (moved.translation - POSE.translation)
        torch.testing.assert_close(offset, torch.tensor(expected, dtype=torch.float64))


def test_starts_begin_with_the_given_one_and_spread_as_asked():
    starts = spread_starts(POSE, ISOCENTER, 129, Spread(3.0, 10.0, 15.0), seed=5)
    assert len(starts) == 129
    assert starts[0] is POSE
    depths = torch.stack([POSE.rotation.mT @ (s.translation - POSE.translation) for s in starts])
    # each start is also rotated about an isocenter 720 mm away, which shifts its source sideways;
    # the depth of the isocenter is free of that
    iso = torch.stack([s.inverse().apply(ISOCENTER[None])[0] for s in starts[1:]])
    assert float(iso[:, 2].std()) == pytest.approx(15.0, rel=0.1)
    assert float(iso[:, 0].std()) == pytest.approx(10.0, rel=0.1)
    assert depths.shape == (129, 3)
    again = spread_starts(POSE, ISOCENTER, 129, Spread(3.0, 10.0, 15.0), seed=5)
    torch.testing.assert_close(again[7].matrix(), starts[7].matrix())


def test_a_negative_spread_is_refused():
    with pytest.raises(ValueError, match="negative"):
        Spread(-1.0)


def test_the_given_start_goes_on_while_several_do():
    losses = {3: 0.2, 0: 0.9, 5: 0.1, 1: 0.4}
    assert going_on(losses, 2) == [5, 3, 0]
    assert going_on(losses, 1) == [5]
    assert going_on({**losses, 0: 0.15}, 2) == [5, 0]
    assert going_on({3: 0.2, 5: 0.1}, 2) == [5, 3]


@pytest.mark.slow
def test_the_winner_is_the_best_of_the_finest_level():
    """A start that was dropped at a coarse level, where noise is averaged away, has a lower loss."""
    arm = carm()
    true = arm.world_from_camera(24.0, -13.0, 5.0, isocenter=CENTER)
    clean = blob_radiograph(arm, true)
    noise = torch.randn(clean.line_integrals.shape, generator=torch.Generator().manual_seed(5))
    view = View(replace(clean, line_integrals=clean.line_integrals + 0.4 * noise), true)
    settings = RefineSettings(
        levels=(Level(24, 8.0, 6), Level(104, 4.0, 6)), starts=4, carried=(1,), antipode=False,
        spread=Spread(0.5, 1.0, 2.0), threads=1, keep_images=False,
    )  # fmt: skip
    result = run(refine(blob_volume(4.0), view, settings=settings))
    fine = [i.loss for i in result.trajectory if i.level == 1 and i.accepted]
    dropped = [c for c in result.candidates if c.level == 0]
    assert len(dropped) == 3
    assert min(c.loss for c in dropped) < min(fine)
    assert result.losses["loss"] == min(fine)
    winner = result.candidates[0]
    assert winner.level == 1
    assert torch.equal(winner.final.matrix(), result.world_from_camera.matrix())


def test_another_seed_spreads_other_starts_and_the_same_one_the_same():
    arm = carm()
    pose = arm.world_from_camera(24.0, -13.0, 5.0, isocenter=CENTER)
    first, again, other = (spread_starts(pose, CENTER, 5, Spread(), seed) for seed in (3, 3, 4))
    for a, b, c in zip(first[1:], again[1:], other[1:], strict=True):
        assert torch.equal(a.matrix(), b.matrix())
        assert not torch.allclose(a.matrix(), c.matrix())
