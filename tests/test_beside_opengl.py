"""Loading Triton's LLVM after Mesa's is a segmentation fault: nothing of ours on the CPU loads it.

In processes of their own, for this one may have either already.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

OPENGL = Path(__file__).with_name("opengl_first.py")


def own_process(*arguments):
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    environment["LIBGL_ALWAYS_SOFTWARE"] = "1"
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=240,
    )


def beside_opengl(what):
    done = own_process(str(OPENGL), what)
    if done.returncode == 77:
        pytest.skip(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


@pytest.mark.slow
def test_training_and_adam_run_where_opengl_was_first():
    said = beside_opengl("learn")
    assert said == [
        "encoder: 1 step",
        "detector: 1 step",
        "Adam: 2 iterations",
        "Triton for a CT on the CPU: refused",
        "loaded: nothing",
    ]


@pytest.mark.window
@pytest.mark.skipif(importlib.util.find_spec("triton") is None, reason="Triton is not installed")
def test_where_a_cuda_device_asks_for_it_triton_loads_beside_opengl():
    assert beside_opengl("kernels") == ["available: True"]


@pytest.mark.slow
def test_importing_all_of_it_leaves_triton_and_torchs_compiler_out():
    code = """
import importlib, pkgutil, sys
import napari_xreg
for module in pkgutil.walk_packages(napari_xreg.__path__, "napari_xreg."):
    if not module.name.startswith("napari_xreg.rendering.cuda."):
        importlib.import_module(module.name)
print([name for name in ("triton", "torch._dynamo", "torch._inductor") if name in sys.modules])
"""
    done = own_process("-c", code)
    assert done.stdout.strip() == "[]", done.stderr
