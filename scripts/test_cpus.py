"""The tests of what computes, as other processors would run it.

    python scripts/test_cpus.py [VARIANT ...] [-- PYTEST ARGUMENT ...]

torch, its MKL and oneDNN, numpy's and scipy's OpenBLAS and numba choose their code by the
processor, and each can be told by an environment variable to choose as for an older one. A sum in
another order has other last digits: a test that turns red here holds on to rounding, or the code
does. Rooms that compute nothing (session, viewer, widgets, command line) and what opens a window
are left out; a name of a file or folder after `--` chooses fewer.
"""

import argparse
import os
import re
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
ROOMS = (
    "geometry", "images", "metrics", "rendering", "simulation", "registration", "training",
    "landmarks", "rayemb", "regression", "similarity", "workflows",
)  # fmt: skip

# A processor of 2008, of 2013 and of 2017. What this one lacks, each library replaces by the best
# it has, so the last says something on a machine with AVX-512 only.
SSE = {
    "ATEN_CPU_CAPABILITY": "default",
    "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "OPENBLAS_CORETYPE": "Nehalem",
    "NUMBA_CPU_NAME": "generic",
    "NUMBA_CPU_FEATURES": "",
}
AVX2 = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "OPENBLAS_CORETYPE": "Haswell",
    "NUMBA_CPU_NAME": "haswell",
    "NUMBA_CPU_FEATURES": "+avx2,+fma,+bmi2",
}
AVX512 = {"ATEN_CPU_CAPABILITY": "avx512", "OPENBLAS_CORETYPE": "SkylakeX"}
TWO = {"NAPARI_XREG_TEST_THREADS": "2"}
VARIANTS = {
    "sse": SSE,
    "avx2": AVX2,
    "avx512": AVX512,
    "sse-2-threads": SSE | TWO,
    "avx2-2-threads": AVX2 | TWO,
    "as-it-is-2-threads": TWO,
}


def run(name, arguments):
    """Run the tests under a variant: whether they passed, and its line of the table."""
    cache = REPOSITORY / ".numba_cache" / name
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(cache), **VARIANTS[name]}
    command = [
        sys.executable, "-m", "pytest", "-q", "-n", "logical", "--maxprocesses=4",
        "--dist", "loadfile", "-p", "no:cacheprovider", "-m", "not window",
        *(arguments or [f"tests/{room}" for room in ROOMS]),
    ]  # fmt: skip
    began = time.perf_counter()
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False
    )
    seconds = time.perf_counter() - began
    lines = done.stdout.strip().splitlines() or ["pytest said nothing"]
    red = [line for line in lines if re.match(r"(FAILED|ERROR) ", line)]
    print(f"{name:20} {seconds:5.0f} s  {lines[-1]}", *red, sep="\n    ", flush=True)
    if done.returncode not in (0, 1):
        print(done.stdout[-3000:], done.stderr[-3000:], sep="\n")
    return done.returncode == 0


def main():
    own, _, theirs = " ".join(sys.argv[1:]).partition("-- ")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "variant", nargs="*", help=f"of {', '.join(VARIANTS)}; none: each, one after the other"
    )
    names = parser.parse_args(own.split()).variant or list(VARIANTS)
    if unknown := set(names) - set(VARIANTS):
        parser.error(f"no variant {', '.join(sorted(unknown))}: there are {', '.join(VARIANTS)}")
    passed = [run(name, theirs.split()) for name in names]
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
