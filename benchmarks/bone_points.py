"""Choose the 20 bone points and the isocenter of every CT, and write ``bone_points.json``.

Run once (``python -m benchmarks.bone_points``); the file is committed, so that every later number
is measured on the same points. Bone is what the labels call bone of the trunk (it does not move in
any severity), or, without labels, the largest connected piece above a HU threshold. The isocenter
is the mean of the bone. Points are spread by farthest-point sampling over the bone that the frontal
view of the benchmark sees, well inside its border.
"""

import json
import re

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from benchmarks import cases
from benchmarks.single_bones import farthest_points
from napari_xreg.geometry import CArmPose
from napari_xreg.images import Volume

COUNT = 20
SEED = 1
BORDER_PIXELS = 12
THRESHOLD_HU = {"skull_phantom": 400.0, "hip_sts020": 250.0, "knee_sts013": 250.0}
TRUNK = {
    # sacrum, S1, L5..L1, T12, hips; femora can move
    "pelvis_totalseg": (25, 26, 27, 28, 29, 30, 31, 32, 77, 78),
    # vertebrae L5..C1, ribs, sternum; shoulders can move
    "chest_lidc": (*range(27, 51), *range(92, 117)),
}
# Inside a hollow label (a vertebra's canal) or at its blurred rim there is no bone.
LEAST_HU_IN_LABEL = 150.0


def bone_mask(name: str, volume: Volume) -> NDArray[np.bool_]:
    """True in bone, [z y x]."""
    assert volume.hu is not None
    hu = volume.hu.numpy()
    labels = cases.labels_of(name)
    if labels is not None:
        inside = torch.isin(labels.ids, torch.tensor(TRUNK[name], dtype=labels.ids.dtype)).numpy()
        return inside & (hu > LEAST_HU_IN_LABEL) & (hu < 2000)
    dense = hu > THRESHOLD_HU[name]
    pieces, count = ndimage.label(dense)
    if count == 0:
        raise SystemExit(f"{name}: nothing is denser than {THRESHOLD_HU[name]} HU")
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    return pieces == sizes.argmax()


def choose(name: str) -> dict[str, object]:
    """Points and isocenter of one CT."""
    volume = cases.volume_of(name)
    z, y, x = np.nonzero(bone_mask(name, volume))
    index = np.stack([x, y, z, np.ones_like(x)], -1).astype(np.float64)
    world = (index @ volume.world_from_index.double().numpy().T)[:, :3]
    isocenter = world.mean(0).round(1)
    arm = cases.carm()
    cx, cy, cz = (float(c) for c in isocenter)
    pixels = arm.project(torch.from_numpy(world), arm.pose_from(CArmPose(isocenter=(cx, cy, cz))))
    seen = ((pixels > BORDER_PIXELS) & (pixels < cases.PIXELS - 1 - BORDER_PIXELS)).all(-1).numpy()
    points = farthest_points(world[seen], COUNT, SEED).round(2)
    spread = np.linalg.norm(points - points.mean(0), axis=1)
    print(
        f"{name}: {len(world)} bone voxels, {seen.mean():.0%} in the frontal view, isocenter "
        f"{isocenter.tolist()}, points {spread.mean():.0f} mm from their mean on average"
    )
    return {"isocenter_lps_mm": isocenter.tolist(), "points_lps_mm": points.tolist()}


def main() -> None:
    """Write the file."""
    content = {
        "schema": "napari-xreg benchmark bone points 1",
        "frame": "patient LPS, mm",
        "made_by": f"python -m benchmarks.bone_points (seed {SEED})",
        "volumes": {name: choose(name) for name in cases.VOLUMES},
    }
    # One point a line: numbers are kept together, so that a change shows as a changed point.
    text = re.sub(
        r"\[\s*([-\d.]+),\s*([-\d.]+),\s*([-\d.]+)\s*\]", r"[\1, \2, \3]",
        json.dumps(content, indent=1),
    )  # fmt: skip
    cases.POINTS_FILE.write_text(text + "\n")
    print(f"wrote {cases.POINTS_FILE.name}")


if __name__ == "__main__":
    main()
