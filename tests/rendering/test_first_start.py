"""The first start after an installation compiles the kernels, later ones load them: the same numbers."""

import os
import subprocess
import sys

import pytest

RENDERED = """
import numpy as np, torch
from napari_xreg.geometry import CArm, Detector
from napari_xreg.images import Volume
from napari_xreg.rendering import render_drr
torch.set_num_threads(1)
values = np.random.default_rng(5).random((41, 37, 46)).astype(np.float32)
place = torch.diag(torch.tensor([3.5, 2.5, 3.0, 1.0], dtype=torch.float64))
volume = Volume(torch.from_numpy(values) * 0.02, place)
arm = CArm(1020.0, 750.0, Detector((64, 60), (5.0, 4.5)))
for method in ("joseph", "trilinear", "siddon"):
    for turn in range(6):
        pose = arm.world_from_camera(5.3 * turn - 30, 20 - 3.1 * turn, isocenter=volume.center)
        print(method, render_drr(volume, arm, pose, method=method).numpy().tobytes().hex())
"""


@pytest.mark.slow
def test_kernels_that_were_just_compiled_give_the_bits_of_those_that_were_kept(tmp_path):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    starts = [
        subprocess.run(
            [sys.executable, "-c", RENDERED],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
        for _ in range(2)
    ]
    assert list(tmp_path.rglob("*.nbc"))
    assert len(starts[0]) == 18
    assert [line.split()[0] for line in starts[0]] == [line.split()[0] for line in starts[1]]
    differ = [one.split()[0] for one, other in zip(*starts, strict=True) if one != other]
    assert differ == []
