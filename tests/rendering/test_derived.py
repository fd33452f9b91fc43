"""What is kept with a volume: made once, made anew after a change in place, gone with the volume."""

import gc
import threading
import weakref

import pytest
import torch
from rendering_phantoms import AFFINES

from napari_xreg.images import Volume
from napari_xreg.rendering import at_voxel_size, prepare
from napari_xreg.rendering.derived import derived
from napari_xreg.rendering.excess import excess_of


def volume() -> Volume:
    lac = torch.full((4, 5, 6), 0.02)
    lac[3, 4, 5] = 0.03
    return Volume(lac, AFFINES["oblique"].clone())


KEPT = {
    "level": lambda ct: at_voxel_size(ct, 5.0),
    "prepared": prepare,
    "packed": lambda ct: prepare(ct, packed=True),
    "excess": lambda ct: excess_of(ct, 0.01),
}


@pytest.mark.parametrize("kept", KEPT)
def test_made_once_and_gone_with_the_volume(kept):
    ct = volume()
    made = KEPT[kept](ct)
    assert KEPT[kept](ct) is made
    watch = weakref.ref(made)
    del made, ct
    gc.collect()
    assert watch() is None


@pytest.mark.parametrize("kept", KEPT)
def test_made_anew_when_the_volume_was_moved_in_place(kept):
    ct = volume()
    before = KEPT[kept](ct)
    ct.world_from_index[0, 3] += 7.0
    after = KEPT[kept](ct)
    assert after is not before
    if isinstance(after, Volume):
        assert after.world_from_index[0, 3] - 7.0 == pytest.approx(_x_of(before, kept), abs=1e-12)
    else:
        assert (after.offset != before.offset).any()


def _x_of(before: Volume, kept: str) -> float:
    # A level has its own affine: half of a voxel along x and y further. Others share the volume's.
    fresh = at_voxel_size(volume(), 5.0) if kept == "level" else volume()
    return float(fresh.world_from_index[0, 3])


def test_a_coarser_level_follows_a_change_in_place():
    """Blocks of 2 x 2 x 2 voxels of 1.9, 2.3 and 2.4 mm; the mean of a full block is its value."""
    ct = volume()
    assert float(at_voxel_size(ct, 5.0).lac[0, 0, 0]) == pytest.approx(0.02)
    ct.lac.mul_(0.5)
    assert float(at_voxel_size(ct, 5.0).lac[0, 0, 0]) == pytest.approx(0.01)


def test_threads_that_ask_at_once_get_the_same_made_once():
    ct, made, found = volume(), [], []
    begin, going_on = threading.Barrier(4), threading.Event()

    def make() -> object:
        made.append(object())
        going_on.wait(5)
        return made[-1]

    def ask() -> None:
        begin.wait(5)
        found.append(derived(ct, "slow", make))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    begin.wait(5)
    # Another key of the same volume is not held up by the slow one.
    assert derived(ct, "quick", lambda: 7) == 7
    going_on.set()
    for thread in threads:
        thread.join(5)
    assert len(made) == 1
    assert found == [made[0]] * 3


def test_a_failure_is_not_kept():
    ct = volume()

    def fail() -> int:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        derived(ct, "thing", fail)
    assert derived(ct, "thing", lambda: 3) == 3
