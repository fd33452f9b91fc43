"""The tables of solvers, channels and comparisons: what is added there works everywhere."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from backends import refined
from blobs import CENTER, blob_radiograph, blob_volume, carm

from napari_xreg.images import Volume
from napari_xreg.progress import run
from napari_xreg.registration import (
    COMPARISONS,
    SOLVERS,
    AdamSettings,
    Channel,
    Channels,
    Level,
    RefineSettings,
    View,
    Wanted,
    intensity,
    refine,
    solver_of,
)

TRUE = carm(48, 52).world_from_camera(
    24.0, -13.0, 5.0, isocenter=CENTER, offset_mm=(4.0, -6.0, 9.0)
)


@pytest.fixture(scope="module")
def volume() -> Volume:
    return blob_volume(4.0)


@pytest.mark.slow
def test_every_solver_is_found_by_its_settings_and_refines(volume):
    view = View(blob_radiograph(carm(48, 52), TRUE), TRUE)
    for name, solver in SOLVERS.items():
        wanted = Wanted(pixels=(24, 32), iterations=2, starts=1, threads=1, keep_images=False)
        settings = solver.settings_for(wanted)
        assert solver_of(settings).name == name == solver.name
        assert solver.level_pixels(settings) == (24, 32)
        seen = []
        found = run(refine(volume, view, settings=settings, isocenter=CENTER), seen.append)
        assert 0 < len(seen) <= solver.most_iterates(settings)
        assert (found.covariance is not None) == solver.covariance


def test_most_iterates_by_hand():
    # 16 starts at the first level; then the best 4 and the given one; then one: each tries its pose
    # before the first step.
    levels = (Level(16, 8.0, 5), Level(24, 8.0, 7), Level(32, None, 9))
    settings = RefineSettings(levels, starts=16, carried=(4, 1))
    assert SOLVERS["lm"].most_iterates(settings) == 16 * 6 + 5 * 8 + 1 * 10
    assert SOLVERS["adam"].most_iterates(AdamSettings((16, 24, 32), iterations=50)) == 150


def test_what_a_solver_cannot_do_is_refused():
    adam = SOLVERS["adam"]
    with pytest.raises(ValueError, match="from one start: got 8"):
        adam.settings_for(Wanted(starts=8))
    with pytest.raises(ValueError, match="depth cannot be locked"):
        adam.settings_for(Wanted(locked=("depth",)))
    with pytest.raises(ValueError, match="SSIM: got 'nonsense'"):
        adam.settings_for(Wanted(compare="nonsense"))
    with pytest.raises(TypeError, match=r"RefineSettings, AdamSettings, .*: got Wanted"):
        solver_of(Wanted())


def test_the_default_of_the_table_is_the_default_of_the_library():
    assert next(iter(SOLVERS.values())).settings_for(Wanted()) == RefineSettings()
    assert SOLVERS["adam"].settings_for(Wanted()) == AdamSettings()
    for name in COMPARISONS:
        settings = SOLVERS["lm"].settings_for(Wanted(compare=name, finest_only=True))
        assert [level.pixels for level in settings.levels] == [256]


@dataclass(frozen=True)
class Step:
    """A filter that nobody ships: differences over four rows, and nothing along a row."""

    edges = True

    def kernels(self):
        return np.float32([1]), np.float32([-0.25, 0, 0, 0, 0.25])


@pytest.mark.parametrize("alone", [True, False])
def test_a_channel_of_one_s_own_is_compared_by_both_codes(volume, alone):
    channels = Channels((Channel("step", 0.7, Step()), *(() if alone else intensity(0.3))))
    settings = RefineSettings(
        starts=1, levels=(Level(48, None, 40, channels),), threads=1, keep_images=False
    )
    start = TRUE.left_perturb(torch.tensor([0.005, -0.006, 0.004, 0.4, -0.3, 1.0]).double(), CENTER)
    view = View(blob_radiograph(carm(48, 52), TRUE), start)
    found = run(refine(volume, view, settings=settings, isocenter=CENTER))
    there = refined("batched", volume, [view], settings, CENTER)
    names = {"loss", "step"} | (set() if alone else {"intensity"})
    assert set(found.losses) == set(there.losses) == names
    assert found.losses["loss"] == pytest.approx(there.losses["loss"], abs=2e-4)
    for result in (found, there):
        assert result.losses["loss"] < 0.5 * result.trajectory[0].losses["loss"]
    points = CENTER + torch.tensor([[0.0, 0, 0], [20, 0, 0], [0, 20, 0], [0, 0, 20]]).double()
    seen = [result.world_from_camera.inverse().apply(points) for result in (found, there)]
    assert (seen[0] - seen[1]).norm(dim=1).max() < 0.1  # mm


def test_channels_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="not be negative nor all zero: got intensity=0"):
        Channels(intensity(0.0))
    with pytest.raises(ValueError, match="got no channel"):
        Channels(())
    with pytest.raises(ValueError, match="a name of its own: got intensity, intensity"):
        Channels((*intensity(0.5), replace(intensity(0.5)[0], weight=0.1)))
