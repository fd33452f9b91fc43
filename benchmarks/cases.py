"""The cases every benchmark shares: five real CTs, seeded poses and starts, simulated radiographs.

A radiograph comes from `napari_xreg.simulation`, which has its own integrator and physics, never
from the renderer that then registers it. Simulating takes longer than registering, so images are
kept on disk under ``NAPARI_XREG_BENCHMARK_CACHE`` (default: a folder in the system's temporary
directory), named by everything they depend on.
"""

import functools
import hashlib
import inspect
import json
import os
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import napari_xreg.simulation as simulation
from benchmarks.single_bones import BONES, cut, points_of
from napari_xreg.geometry import CArm, CArmPose, Detector, Pose
from napari_xreg.images import LabelMap, Radiograph, Volume, read_labels, read_volume
from napari_xreg.metrics import mean_target_registration_error
from napari_xreg.registration import Spread, perturbed
from napari_xreg.simulation import (
    EVALUATION_SEEDS,
    TUNING_SEEDS,
    Phantom,
    phantom,
    simulate_radiograph,
)

VOLUMES = ("pelvis_totalseg", "chest_lidc", "skull_phantom", "hip_sts020", "knee_sts013")
LABELLED = ("pelvis_totalseg", "chest_lidc")

PHANTOM = "phantom"
"""The built-in one at 1.5 mm, of a seed that no shipped weights were trained on."""

PHANTOM_SEED = 10_500

SOURCE_TO_DETECTOR_MM = 1020.0
SOURCE_TO_ISOCENTER_MM = 750.0
DETECTOR_MM = 300.0
PIXELS = 256
MINIATURE_PIXELS, MINIATURE_MM = 96, 4.0
"""Of radiographs, and of the phantom's voxels, where it shall only be seen that everything runs."""
PRIMARY_DEG, SECONDARY_DEG = 20.0, 15.0
"""True poses are drawn evenly within plus or minus these angles; the isocenter is the bone centre."""

SPREAD = Spread(rotation_deg=3.0, in_plane_mm=10.0, depth_mm=15.0)
"""One standard deviation of a start, about the isocenter, in camera axes; times the factor."""

_HERE = Path(__file__).resolve().parent
_miniature = False
POINTS_FILE = _HERE / "bone_points.json"


def make_miniature() -> None:
    """From now on radiographs have few pixels, phantoms large voxels, and RayEmb few points."""
    global _miniature
    _miniature = True


def in_miniature() -> bool:
    """Whether it shall only be seen that everything runs."""
    return _miniature


def data_folder() -> Path:
    """The real CTs: ``NAPARI_XREG_DATA``, else ``shared/data`` beside the repository."""
    named = os.environ.get("NAPARI_XREG_DATA")
    folder = Path(named) if named else _HERE.parent.parent / "shared" / "data"
    if not folder.is_dir():
        raise SystemExit(
            f"the benchmarks need the CTs of {folder}, which does not exist: "
            "set NAPARI_XREG_DATA to the folder that holds pelvis_totalseg, chest_lidc ..."
        )
    return folder


def cache_folder() -> Path:
    """Where simulated images are kept, outside the repository."""
    named = os.environ.get("NAPARI_XREG_BENCHMARK_CACHE")
    folder = Path(named) if named else Path(tempfile.gettempdir()) / "napari-xreg-benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@functools.cache
def phantom_made() -> Phantom:
    """The phantom, with its labels and landmarks."""
    return phantom(spacing_mm=MINIATURE_MM if _miniature else 1.5, seed=PHANTOM_SEED)


@functools.cache
def volume_of(name: str) -> Volume:
    """A CT at full resolution, float32, or a single bone cut from one."""
    if name in BONES:
        parent, label = BONES[name]
        return cut(volume_of(parent), labels_of(parent), label)
    if name == PHANTOM:
        return phantom_made().volume.to(dtype=torch.float32)
    return read_volume(data_folder() / name / "ct.nii.gz").to(dtype=torch.float32)


@functools.cache
def labels_of(name: str) -> LabelMap | None:
    """Its label map, where there is one (only then may bones move)."""
    if name == PHANTOM:
        return phantom_made().labels
    return read_labels(data_folder() / name / "labels.nii.gz") if name in LABELLED else None


@functools.cache
def committed_points(name: str) -> tuple[Tensor, Tensor]:
    """20 bone points [20, 3] and the isocenter [3], world (LPS) mm, as committed.

    Of the phantom: its 14 landmarks, and their mean. Of a single bone: `single_bones.points_of`.
    """
    if name in BONES:
        return points_of(volume_of(name))
    if name == PHANTOM:
        marks = torch.tensor(list(phantom_made().landmarks.values()), dtype=torch.float64)
        return marks, marks.mean(0)
    if not POINTS_FILE.is_file():
        raise SystemExit(f"{POINTS_FILE.name} is missing: run python -m benchmarks.bone_points")
    entry = json.loads(POINTS_FILE.read_text())["volumes"][name]
    points = torch.tensor(entry["points_lps_mm"], dtype=torch.float64)
    return points, torch.tensor(entry["isocenter_lps_mm"], dtype=torch.float64)


def carm(pixels: int | None = None) -> CArm:
    """The C-arm of all benchmarks; None: so many pixels as they have."""
    pixels = pixels or (MINIATURE_PIXELS if _miniature else PIXELS)
    spacing = DETECTOR_MM / pixels
    detector = Detector((pixels, pixels), (spacing, spacing))
    return CArm(SOURCE_TO_DETECTOR_MM, SOURCE_TO_ISOCENTER_MM, detector)


@dataclass(frozen=True, eq=False)
class Case:
    """One radiograph with its answer and a start.

    Parameters
    ----------
    volume
        Name of the CT.
    seed
        Of pose, start and image.
    severity, factor
        Of the simulated image; of the spread of the start.
    truth, start
        ``world_from_camera``.
    isocenter
        World, mm: about it the start was perturbed.
    points
        Fiducials, world, mm.
    radiograph
        Simulated.
    """

    volume: str
    seed: int
    severity: str
    factor: float
    truth: Pose
    start: Pose
    isocenter: Tensor
    points: Tensor
    radiograph: Radiograph

    def mtre(self, pose: Pose) -> float:
        """Camera-frame mean target registration error over the bone points, mm."""
        predicted = pose.to(dtype=torch.float64)
        return float(mean_target_registration_error(predicted, self.truth, self.points))


def true_pose(name: str, seed: int, arm: CArm) -> Pose:
    """The pose of a seed."""
    _, isocenter = committed_points(name)
    primary, secondary = _rng(name, seed, 0).uniform(-1, 1, 2) * (PRIMARY_DEG, SECONDARY_DEG)
    x, y, z = isocenter.tolist()
    return arm.pose_from(CArmPose(float(primary), float(secondary), isocenter=(x, y, z)))


def start_pose(name: str, seed: int, factor: float, truth: Pose) -> Pose:
    """The start of a seed: the same six normal numbers for every factor."""
    _, isocenter = committed_points(name)
    normals = torch.from_numpy(_rng(name, seed, 1).standard_normal((1, 6)))
    return perturbed(truth, isocenter, normals, SPREAD.scaled(factor))[0]


def case(name: str, seed: int, *, severity: str = "typical", factor: float = 1.0) -> Case:
    """The case of a volume and a seed, its image from the cache or simulated now."""
    arm = carm()
    truth = true_pose(name, seed, arm)
    points, isocenter = committed_points(name)
    return Case(
        name, seed, severity, factor, truth, start_pose(name, seed, factor, truth), isocenter,
        points, radiograph_of(name, seed, severity, arm, truth),
    )  # fmt: skip


def cases(
    name: str, count: int, *, severity: str = "typical", factor: float = 1.0, first: int = 10_000
) -> Iterator[Case]:
    """Cases of consecutive seeds, made one by one."""
    for seed in range(first, first + count):
        yield case(name, seed, severity=severity, factor=factor)


def seed_kind(first: int, count: int) -> str:
    """In words, for the tables; refuses a range that mixes tuning and evaluation."""
    seeds = range(first, first + count)
    if seeds[-1] in TUNING_SEEDS and seeds[-1] >= 190:
        raise SystemExit("tuning seeds of the benchmarks are 0 to 189 (190 for each of five CTs)")
    for kind, allowed in (("tuning", TUNING_SEEDS), ("evaluation", EVALUATION_SEEDS)):
        if seeds[0] in allowed and seeds[-1] in allowed:
            return f"{kind} seeds {seeds[0]}..{seeds[-1]}"
    raise SystemExit(
        f"seeds {seeds[0]}..{seeds[-1]} are neither all for tuning ({TUNING_SEEDS}) nor all for "
        f"evaluation ({EVALUATION_SEEDS})"
    )


def _rng(name: str, seed: int, stream: int) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(name.encode()), stream])


def image_seed(name: str, seed: int) -> int:
    """The simulator's seed: another one for every volume, on the same side of the fence."""
    index = (*VOLUMES, PHANTOM).index(BONES[name][0] if name in BONES else name)
    return seed + (1000 * index if seed in EVALUATION_SEEDS else 190 * index)


def radiograph_of(
    name: str, seed: int, severity: str, arm: CArm, truth: Pose, frame: int | None = None
) -> Radiograph:
    """The simulated image of a pose, from the cache or made now; a frame of a sequence has noise of its own."""
    key = hashlib.sha256(repr(truth.matrix().tolist()).encode())
    key.update(_simulator_fingerprint().encode())
    if _miniature:
        key.update(b"in miniature")
    if frame is not None:
        key.update(f"frame {frame}".encode())
    file = cache_folder() / f"{name}-{severity}-{seed}-{key.hexdigest()[:12]}.npz"
    if file.is_file():
        with np.load(file) as kept:
            mask = torch.from_numpy(kept["mask"])
            return Radiograph(
                torch.from_numpy(kept["line_integrals"]),
                arm,
                mask=None if bool(mask.all()) else mask,
                read_as="intensity",
                i0=float(kept["i0"]),
                simulated=True,
                source=str(kept["source"]),
            )
    made = simulate_radiograph(
        volume_of(name),
        labels_of(name),
        arm,
        truth,
        severity=severity,
        seed=image_seed(name, seed),
        noise_seed=None if frame is None else image_seed(name, seed) + frame,
    )
    radiograph = made.radiograph
    part = file.with_name(f"{file.stem}.{os.getpid()}.part.npz")
    np.savez_compressed(
        part,
        line_integrals=radiograph.line_integrals.float().numpy(),
        mask=radiograph.usable.numpy(),
        i0=np.float64(radiograph.i0 or np.nan),
        source=radiograph.source,
    )
    part.replace(file)  # two runs may fill the cache at once; neither reads half a file
    return radiograph


@functools.cache
def _simulator_fingerprint() -> str:
    """A changed simulator must not be fed old images."""
    digest = hashlib.sha256()
    folder = Path(inspect.getfile(simulation)).parent
    for source in sorted(folder.rglob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()
