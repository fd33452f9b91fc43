"""A small trial of Autoscoper written by hand: two cameras that differ in everything, two bones."""

from pathlib import Path

import cv2
import numpy as np
import tifffile

SHAPE = (60, 80)
VOXEL = (0.5, 0.7, 1.3)
STACK = (6, 5, 4)
# K, R, t (OpenCV, mm): one looks along z, the other nearly against x; both see (20, -10, 30).
CAMERAS = (
    (
        ((900.0, 0.0, 35.5), (0.0, 880.0, 33.25), (0.0, 0.0, 1.0)),
        ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
        (-18.0, 12.0, 770.0),
    ),
    (
        ((1000.0, 0.0, 44.0), (0.0, 1010.0, 25.5), (0.0, 0.0, 1.0)),
        ((0.0, 0.6, 0.8), (0.0, 0.8, -0.6), (-1.0, 0.0, 0.0)),
        (-15.0, 29.0, 920.0),
    ),
)
# Volume axes of Autoscoper to the rig: a turn about z by 36.87 degrees, then to the middle.
TRACKED = np.array(
    [[0.8, -0.6, 0.0, 19.0], [0.6, 0.8, 0.0, -12.0], [0.0, 0.0, 1.0, 34.0], [0.0, 0.0, 0.0, 1.0]]
)


def mayacam(k, rotation, translation, scale=1.0):
    """MayaCam 2.0."""

    def rows(matrix):
        return "\n".join(",".join(map(repr, row)) for row in matrix)

    lengths = "\n".join(repr(scale * value) for value in translation)
    return (
        f"image size\n{SHAPE[1]},{SHAPE[0]}\n\ncamera matrix\n{rows(k)}\n\nrotation\n{rows(rotation)}\n\n"
        f"translation\n{lengths}\n"
    )


def voxels(seed=0):
    """12-bit numbers, 0 around."""
    values = np.random.default_rng(seed).integers(1100, 3000, STACK).astype(np.uint16)
    values[0] = values[:, 0] = 0
    return values


def write_trial(
    folder: Path, *, frames=(7,), bones=("rad", "uln"), scale=1.0, flip=(0, 0, 0)
) -> Path:
    """The trial; `scale` is that of all lengths: 0.1 for centimetres."""
    lines = ["# made for a test", "Version 1.1"]
    for number, camera in enumerate(CAMERAS, start=1):
        calibration = folder / "calibration" / f"cam{number}.txt"
        calibration.parent.mkdir(parents=True, exist_ok=True)
        calibration.write_text(mayacam(*camera, scale=scale))
        lines.append(f"mayaCam_csv calibration\\cam{number}.txt")
        pictures = folder / "radiographs" / f"cam {number}"
        pictures.mkdir(parents=True)
        for frame in frames:
            image = np.random.default_rng(frame + 10 * number).integers(30, 250, SHAPE)
            cv2.imwrite(str(pictures / f"x_cam{number}.{frame:04d}.tif"), image.astype(np.uint8))
        lines.append(f"CameraRootDir radiographs/cam {number}")
    for seed, bone in enumerate(bones):
        path = folder / "volumes" / f"{bone}.tif"
        path.parent.mkdir(exist_ok=True)
        tifffile.imwrite(path, voxels(seed), photometric="minisblack")
        lines += [
            f"VolumeFile volumes/{bone}.tif",
            f"VolumeFlip {flip[0]} {flip[1]} {flip[2]}",
            "VoxelSize " + " ".join(repr(scale * size) for size in VOXEL),
        ]
    lines += ["RenderResolution 512 512", "OptimizationOffsets 0.1 0.1 0.1 0.1 0.1 0.1"]
    path = folder / "trial.cfg"
    path.write_text("\r\n".join(lines) + "\r\n")
    return path


def seen(index, camera, tracked=TRACKED):
    """Row, column of the middle of voxel (x, y, z) by Autoscoper's and OpenCV's formulas alone."""
    deep, high, _ = STACK
    x, y, z = index
    model = np.array(
        [(x + 0.5) * VOXEL[0], (high - y - 0.5) * VOXEL[1], -(z + 0.5) * VOXEL[2], 1.0]
    )
    assert 0 <= z < deep
    k, rotation, translation = (np.array(part) for part in CAMERAS[camera])
    u, v, w = k @ (rotation @ (tracked @ model)[:3] + translation)
    return v / w, u / w
