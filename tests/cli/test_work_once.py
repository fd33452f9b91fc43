"""What a registration does once, and what a start of the program leaves out."""

import subprocess
import sys
from collections import Counter

import pytest
import torch

from napari_xreg.images import Volume
from napari_xreg.progress import ahead
from napari_xreg.records import result_files
from napari_xreg.registration import SOLVERS, RefineSettings
from napari_xreg.rendering import prepared, pyramid


@pytest.mark.slow
def test_files_are_hashed_once_and_levels_made_once(call, case, monkeypatch):
    hashed, made, prepared_of = Counter(), Counter(), Counter()

    def counted(target, name, counter, key):
        plain = getattr(target, name)

        def call_and_count(*given, **named):
            counter[key(*given, **named)] += 1
            return plain(*given, **named)

        monkeypatch.setattr(target, name, call_and_count)

    counted(result_files, "input_files", hashed, lambda path: path.name)
    counted(Volume, "downsample", made, lambda volume, factors: (volume.shape, factors))
    counted(prepared, "_make", prepared_of, lambda volume, packed: (volume.shape, packed))
    done = call(
        "register", case.ct, case.xray, "--init", "rayemb", "--multi-start", "3", "--film", "none",
        "--threads", "1",
    )  # fmt: skip
    assert done.code in (0, 1), done.err
    assert hashed == {"ct.nii.gz": 1, "x.npz": 1}
    assert made
    assert set(made.values()) == {1}
    shapes = [key for key in prepared_of if key[0] != (2, 2, 2)]  # those that warm the kernels up
    assert shapes
    assert {prepared_of[key] for key in shapes} == {1}


def test_levels_may_be_made_while_something_else_goes_on(monkeypatch):
    """Asked for from two threads at once, they are made once."""
    volume = Volume(torch.rand(9, 10, 11), torch.eye(4, dtype=torch.float64))
    made = []
    plain = Volume.downsample
    monkeypatch.setattr(
        Volume, "downsample", lambda self, factors: made.append(factors) or plain(self, factors)
    )
    both = [ahead(lambda: SOLVERS["lm"].prepare(volume, RefineSettings())) for _ in range(2)]
    for one in both:
        one.result()
    assert len(made) == len(set(made)) > 0
    assert pyramid.at_voxel_size(volume, 6.0) is pyramid.at_voxel_size(volume, 6.0)


@pytest.mark.slow
def test_a_word_comes_before_torch_and_no_command_that_reads_a_ct_needs_scipy_s_statistics(case):
    code = (
        "import sys\n"
        "from napari_xreg.cli import console, main\n"
        "class Watch(console.Console):\n"
        "    def step(self, text): print(text, 'torch' in sys.modules); super().step(text)\n"
        "console.Console = Watch\n"
        "main_module = sys.modules['napari_xreg.cli.main']\n"
        "main_module.Console = Watch\n"
        f"main(['inspect', {case.ct!r}, '--quiet'])\n"
        "print([m for m in ('scipy.stats', 'scipy.interpolate', 'numba', 'triton') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert lines[0] == "starting False"
    assert lines[-1] == "[]"
