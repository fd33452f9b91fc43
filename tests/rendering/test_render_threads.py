"""Two threads rendering at once, on every numba threading layer."""

import os
import subprocess
import sys
import threading

import pytest

from napari_xreg.rendering import set_thread_count, thread_count
from napari_xreg.rendering.threads import split

TWO_AT_ONCE = """
import threading
import numba
import torch
from napari_xreg.geometry import CArm, Detector
from napari_xreg.images import Volume
from napari_xreg.rendering import render_with_jacobian, set_thread_count

torch.set_num_threads(1)
generator = torch.Generator().manual_seed(5)
volume = Volume(torch.rand(40, 37, 43, generator=generator) * 0.02, torch.eye(4))
carm = CArm(500.0, 300.0, Detector((96, 80), (1.1, 1.3)))
views = [(20.0, 10.0), (75.0, -15.0)]
poses = [carm.world_from_camera(p, s, isocenter=volume.center) for p, s in views]

def render(pose, method):
    return render_with_jacobian(volume, carm, pose, pivot=volume.center, method=method)

set_thread_count(1)
expected = {(i, m): render(p, m) for i, p in enumerate(poses) for m in ("joseph", "trilinear")}
set_thread_count(3)
wrong = []

def work(which):
    for _ in range(12):
        for method in ("joseph", "trilinear"):
            found = render(poses[which], method)
            if not all(torch.equal(a, b) for a, b in zip(found, expected[which, method])):
                wrong.append((which, method))

threads = [threading.Thread(target=work, args=(i,)) for i in (0, 1)]
for t in threads:
    t.start()
for t in threads:
    t.join()
assert not wrong, wrong
try:
    print("layer", numba.threading_layer())
except ValueError:
    print("no layer")
"""


@pytest.mark.slow
@pytest.mark.parametrize("layer", ["workqueue", "omp", "tbb"])
def test_two_threads_at_once(layer):
    done = subprocess.run(
        [sys.executable, "-c", TWO_AT_ONCE],
        env={**os.environ, "NUMBA_THREADING_LAYER": layer},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    # numba's layers are what aborts: the kernels never start one.
    assert done.stdout.strip() == "no layer"


def test_every_ray_once_whatever_the_threads():
    for threads in (1, 2, 7):
        for size in (0, 1, 99, 1000):
            seen = [0] * size
            split(
                lambda a, b, seen=seen: seen.__setitem__(slice(a, b), [n + 1 for n in seen[a:b]]),
                size,
                threads=threads,
                smallest=10,
            )
            assert seen == [1] * size


def test_errors_of_a_worker_reach_the_caller():
    def fail(start, stop):
        if start > 50:
            raise RuntimeError("ray")

    with pytest.raises(RuntimeError, match="ray"):
        split(fail, 1000, threads=4, smallest=10)


def test_renders_inside_renders_do_not_lock_up():
    # As many callers as the pool has threads, each splitting again.
    def outer(start, stop):
        split(lambda a, b: None, 100, threads=8, smallest=1)

    finished = threading.Event()
    worker = threading.Thread(
        target=lambda: (split(outer, 100, threads=8, smallest=1), finished.set()), daemon=True
    )
    worker.start()
    assert finished.wait(20)


def test_thread_count_is_a_setting():
    try:
        set_thread_count(3)
        assert thread_count() == 3
    finally:
        set_thread_count(None)
    assert thread_count() >= 1
    with pytest.raises(ValueError, match="at least one thread"):
        set_thread_count(0)
