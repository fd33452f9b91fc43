"""The Triton kernels compile for cards, which needs none: Triton brings NVIDIA's assembler.

In a process of its own: in this one the interpreter may have taken their place.
"""

import importlib.util
import os
import subprocess
import sys

import pytest

if importlib.util.find_spec("triton") is None:
    pytest.skip("Triton is not installed (pip install triton)", allow_module_level=True)

COMPILE = """
import re, subprocess, sys, tempfile
from pathlib import Path

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from napari_xreg.rendering.cuda import adjoint, frame, joseph, structures, trilinear

KERNELS = {
    "trilinear": trilinear.trilinear, "joseph": joseph.joseph, "frame": frame.frame,
    "structures": structures.structures, "spread": adjoint.spread,
}
POINTERS = {
    "cells": "*u8", "channels": "*u8", "rotation": "*fp64", "translation": "*fp64",
    "pivot": "*fp64", "volume": "*fp64", "view": "*fp64", "scale": "fp32",
}
OTHER = {"frames": "*fp32", "pixels": "*fp32", "out": "*fp32", "grid": "*fp32", "worth": "*fp32"}
tool = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
for line in sys.argv[1:]:
    name, capability, *given = line.split()
    fixed = {key: int(value) for key, value in (pair.split("=") for pair in given)}
    kernel = KERNELS[name]
    types = {"values": "*i32" if fixed.get("STORE") else "*fp32", **POINTERS, **OTHER}
    signature = {a: types.get(a, "i32") if a not in fixed else "constexpr" for a in kernel.arg_names}
    source = ASTSource(kernel, signature=signature, constexprs=fixed)
    made = triton.compile(source, target=GPUTarget("cuda", int(capability), 32))
    with tempfile.TemporaryDirectory() as folder:
        binary = Path(folder) / "kernel.cubin"
        binary.write_bytes(made.asm["cubin"])
        used = subprocess.run([tool, "-res-usage", binary], capture_output=True, text=True)
    numbers = re.search(r"REG:(\\d+) STACK:(\\d+) .*?LOCAL:(\\d+)", used.stdout + used.stderr)
    print(name, *numbers.groups())
"""
TILES = "SPLIT=1 WIDE=16 BLOCK=128"
MARCH = f"TURNED=1 LISTED=0 UNROLL=1 {TILES}"


MOST_REGISTERS = {
    f"trilinear 90 MODE=1 STORE=0 SKIP=0 SCALED=0 {MARCH}": 64,
    f"trilinear 90 MODE=1 STORE=0 SKIP=0 SCALED=1 {MARCH}": 64,
    f"joseph 90 MODE=2 STORE=2 SKIP=8 SCALED=0 {MARCH}": 80,
    f"joseph 75 MODE=1 STORE=1 SKIP=0 SCALED=0 {MARCH}": 64,
    f"joseph 90 MODE=1 STORE=0 SKIP=0 SCALED=1 {MARCH}": 64,
    f"structures 90 STORE=0 LISTED=1 {TILES}": 64,
    "spread 90 PLANES=0 LISTED=0 WIDE=16 BLOCK=128": 64,
    "frame 90": 128,
}


@pytest.mark.slow
def test_for_cards_without_spilling():
    free = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-c", COMPILE, *MOST_REGISTERS],
        capture_output=True, text=True, env=free, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    for kernel, line in zip(MOST_REGISTERS, done.stdout.splitlines(), strict=True):
        name, registers, stack, local = line.split()
        assert name == kernel.split()[0]
        # 64 registers a lane let 1024 lanes share a multiprocessor; values pushed to memory would
        # be read back in every turn of the loop.
        assert int(registers) <= MOST_REGISTERS[kernel], kernel
        assert (int(stack), int(local)) == (0, 0), kernel
