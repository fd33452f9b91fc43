"""Every benchmark once, tiny: that it runs on today's library and writes its table.

In processes of their own: the peers load torch's compiler, which no process survives that has
opened a viewer.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TITLES = {
    "refinement": "Refinement", "capture": "Capture range", "rendering": "Rendering against",
    "precision": "Precision and", "confidence": "Confidence", "pnp": "Pose from correspondences",
    "rayemb": "RayEmb, trained", "landmarks": "phantoms, ", "rayemb_trust": "RayEmb: does",
    "rayemb_speed": "RayEmb: times", "gpu": "On a GPU", "wrist": "Real radiographs of a wrist",
    "bodies": "Bones that moved", "starts": "As many starts", "sequences": "A moving patient",
    "landscapes": "Landscapes", "similarity": "A learned similarity", "regression": "A pose network, trained", "reg_quality": "Verdict on 2D3D-RegQuality",
}  # fmt: skip
WITH_A_WINDOW = {
    "dragging": "Dragging a pose", "heatmap_click": "A click on a point", "streaming": "Streaming a",
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.peers
@pytest.mark.parametrize("titles", [TITLES, WITH_A_WINDOW], ids=["quiet", "with a window"])
def test_in_miniature(titles, data_dir, tmp_path):
    pytest.importorskip("nanodrr")
    pytest.importorskip("diffdrr")
    root = Path(__file__).resolve().parents[1]
    paths = os.pathsep.join([str(root / "src"), str(root)])
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--smoke", *titles],
        capture_output=True, text=True, timeout=600, check=False, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": paths, "NAPARI_XREG_DATA": str(data_dir),
             "NAPARI_XREG_BENCHMARK_CACHE": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert "REPORT.md" in done.stdout
    if titles is TITLES or os.environ.get("DISPLAY"):
        for name, title in titles.items():
            assert f"# {title}" in done.stdout, name
