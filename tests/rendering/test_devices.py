"""Choosing a device, and what is said when it cannot be had or has too little memory."""

import pytest
import torch

from napari_xreg.geometry import CArm, Detector
from napari_xreg.images import Volume
from napari_xreg.rendering import OutOfMemory, backends, choose_device, render_drr, volume_on
from napari_xreg.rendering.memory import in_smaller_parts

CUBE = Volume(torch.full((4, 5, 6), 0.02), torch.eye(4, dtype=torch.float64))
ARM = CArm(500.0, 300.0, Detector((3, 4), (1.0, 1.0)))
FRONTAL = ARM.world_from_camera(0.0, 0.0, isocenter=(2.5, 2.0, 1.5))


def card(monkeypatch, count, built=True):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: built)


def test_auto_is_the_first_card_that_can_be_used(monkeypatch):
    from napari_xreg.rendering import cuda

    card(monkeypatch, 0)
    assert choose_device() == torch.device("cpu")
    card(monkeypatch, 2)
    monkeypatch.setattr(cuda, "available", lambda: True)
    assert choose_device("auto") == torch.device("cuda", 0)
    # Without Triton the CPU's compiled kernels are faster than plain torch.
    monkeypatch.setattr(cuda, "available", lambda: False)
    assert choose_device("AUTO ") == torch.device("cpu")


def test_named(monkeypatch):
    card(monkeypatch, 2)
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("cuda") == torch.device("cuda", 0)
    assert choose_device("cuda:1") == torch.device("cuda", 1)


@pytest.mark.parametrize(
    ("name", "count", "built", "said"),
    [
        ("gpu", 1, True, "one of auto, cpu, cuda"),
        ("cuda:x", 1, True, "one of auto, cpu, cuda"),
        ("cpu:0", 1, True, "one of auto, cpu, cuda"),
        ("cuda:0", 0, False, "built for the CPU alone"),
        ("cuda:0", 0, True, "finds no CUDA card"),
        ("cuda:2", 2, True, "finds 2 CUDA device"),
    ],
)
def test_what_is_missing_is_said(monkeypatch, name, count, built, said):
    card(monkeypatch, count, built)
    with pytest.raises(ValueError, match=said):
        choose_device(name)


def test_mps_elsewhere(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ValueError, match="Apple silicon"):
        choose_device("mps")


def test_a_volume_is_moved_once(monkeypatch):
    assert volume_on(CUBE, torch.device("cpu")) is CUBE
    meta = torch.device("meta")
    monkeypatch.setattr(Volume, "to", lambda self, **_: Volume(self.lac + 1, self.world_from_index))
    there = volume_on(CUBE, meta)
    assert there is not CUBE
    assert volume_on(CUBE, meta) is there
    CUBE.lac.add_(0.0)  # an optimiser's step
    assert volume_on(CUBE, meta) is not there


def test_a_volume_that_does_not_fit(monkeypatch):
    def full(self, **_):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3.00 GiB.\nmore")

    monkeypatch.setattr(Volume, "to", full)
    volume = Volume(CUBE.lac.clone(), CUBE.world_from_index)
    with pytest.raises(
        OutOfMemory, match=r"\(4, 5, 6\) voxels.*choose the device cpu.*3\.00 GiB"
    ) as e:
        volume_on(volume, torch.device("meta"))
    assert "\n" not in str(e.value)


def test_work_that_does_not_fit_is_done_in_parts():
    asked = []

    def work(start, stop):
        asked.append((start, stop))
        if stop - start > 3:
            raise torch.OutOfMemoryError("full")
        return torch.arange(start, stop)

    assert torch.equal(in_smaller_parts(work, 11, "things"), torch.arange(11))
    assert asked == [(0, 11), (0, 6), (0, 3), (3, 6), (6, 9), (9, 11)]
    with pytest.raises(OutOfMemory, match="too little memory for things: use"):
        in_smaller_parts(lambda *_: work(0, 9), 2, "things")


def test_backends(monkeypatch):
    chosen = backends.choose_backend
    assert chosen(CUBE, "joseph") == "numba"
    assert chosen(CUBE.to(dtype=torch.float64), "joseph") == "torch"
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    from napari_xreg.rendering import cuda

    def asked():
        raise AssertionError("Triton is not loaded for a CT on the CPU")

    monkeypatch.setattr(cuda, "available", asked)
    with pytest.raises(ValueError, match="on a CUDA device: this one is on cpu"):
        render_drr(CUBE, ARM, FRONTAL, backend="triton")
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    monkeypatch.setattr(cuda, "available", lambda: False)
    with pytest.raises(ValueError, match="needs the package triton"):
        render_drr(CUBE, ARM, FRONTAL, backend="triton")
    monkeypatch.setattr(cuda, "available", lambda: True)
    with pytest.raises(ValueError, match="does not know siddon"):
        render_drr(CUBE, ARM, FRONTAL, backend="triton", method="siddon")
    with pytest.raises(ValueError, match="one of auto, numba, triton, torch"):
        chosen(CUBE, "joseph", "opengl")


@pytest.mark.slow
def test_the_cpu_never_imports_the_kernels():
    import subprocess
    import sys

    code = (
        "import sys, torch; from napari_xreg.geometry import *; from napari_xreg.images import *;"
        "from napari_xreg.rendering import *; arm = CArm(500., 300., Detector((3, 4), (1., 1.)));"
        "v = Volume(torch.full((4, 5, 6), 0.02), torch.eye(4)); "
        "p = arm.world_from_camera(0., 0., isocenter=(2., 2., 2.));"
        "render_with_jacobian(v, arm, p, pivot=(0., 0., 0.)); render_drr(v, arm, p);"
        "print([m for m in sys.modules if m.startswith('napari_xreg.rendering.cuda.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
