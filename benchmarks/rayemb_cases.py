"""Radiographs for the benchmarks of RayEmb: of the patient the network knows, and of what it is not.

``matching``: a simulated radiograph of the patient over the poses of training. Everything else
is not: ``anatomy`` (another CT: pelvis, chest, skull, knee), ``inverted``
(bone dark), ``intensity`` (raw detector values read as line integrals), ``mirrored`` (left and right
exchanged, and the geometry does not say so), ``noise`` (of the spectrum of an image), ``far`` (the
patient, from the side or rolled by 60 to 120 degrees).
"""

import functools
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks import cases
from napari_xreg.geometry import CArm, Pose
from napari_xreg.images import LabelMap, Radiograph, Volume
from napari_xreg.rayemb import sample_points
from napari_xreg.simulation import phantom, simulate_radiograph
from napari_xreg.training import STANDARD_CARM, PoseRange

CARM = replace(STANDARD_CARM, detector=STANDARD_CARM.detector.resize(128, 128))
"""An encoder looks at about 64 x 64 pixels: simulating four times as many would change nothing."""

MATCHING = "matching"
BAD = ("anatomy", "inverted", "intensity", "noise", "far")
MIRRORED = "mirrored"

OTHERS = {
    "pelvis": ("chest_lidc", "skull_phantom", "knee_sts013"),
    "chest_lidc": ("pelvis_totalseg", "skull_phantom", "knee_sts013"),
}
"""CTs of another part of the body; whatever is no chest counts as a pelvis."""


@dataclass(frozen=True, eq=False)
class Patient:
    """Who the network is asked about.

    Parameters
    ----------
    name
        A CT of `cases.VOLUMES`, `cases.PHANTOM`, or ``phantom:7`` for one of the population.
    volume, labels
        The CT.
    points
        3D points to look for, world mm.
    fiducials
        On which errors are measured, world mm.
    """

    name: str
    volume: Volume
    labels: LabelMap | None
    points: Tensor
    fiducials: Tensor

    @property
    def isocenter(self) -> Tensor:
        """Mean of the points in bone."""
        return self.points.mean(0)


@functools.cache
def patient(name: str) -> Patient:
    """Read or made once."""
    if name.startswith("phantom:"):
        # The population is judged on a coarser grid: making one takes a second instead of ten.
        spacing_mm = cases.MINIATURE_MM if cases.in_miniature() else 2.0
        made = phantom(spacing_mm=spacing_mm, seed=int(name.partition(":")[2]))
        volume, labels = made.volume.to(dtype=torch.float32), made.labels
    else:
        volume, labels = cases.volume_of(name), cases.labels_of(name)
    points = sample_points(volume, count=60) if cases.in_miniature() else sample_points(volume)
    return Patient(name, volume, labels, points, points[:50])


def radiograph(
    name: str, kind: str, seed: int, *, severity: str = "typical", carm: CArm = CARM
) -> tuple[Radiograph, Pose | None]:
    """The radiograph of a seed, and its true pose where the method may find it.

    Matching, inverted, read as intensity and mirrored ones of a seed are the same exposure.
    """
    rng = np.random.default_rng([seed, zlib.crc32(kind.encode())])
    if kind == "anatomy":
        others = OTHERS.get(name, OTHERS["pelvis"])
        return _exposure(others[seed % len(others)], _pose_seed(seed), severity, carm)[0], None
    if kind == "far":
        return _exposure(name, seed, severity, carm, far=rng)[0], None
    image, truth = _exposure(name, seed, severity, carm)
    values, usable = image.line_integrals, image.usable
    if kind == MATCHING:
        return image, truth
    if kind == "inverted":
        return image.invert(), None
    if kind == "intensity":
        return replace(image, line_integrals=torch.exp(-values)), None
    if kind == MIRRORED:
        mask = None if image.mask is None else image.mask.flip(1)
        return replace(image, line_integrals=values.flip(1), mask=mask), None
    if kind == "noise":
        return replace(image, line_integrals=torch.where(usable, _noise(rng, image), values)), None
    raise ValueError(f"kind is {MATCHING} or one of {', '.join(BAD)}: got {kind!r}")


def _pose_seed(seed: int) -> int:
    """Another pose than the matching radiograph's, on the same side of the fence."""
    return seed + 500


def _exposure(
    name: str,
    seed: int,
    severity: str,
    carm: CArm,
    far: np.random.Generator | None = None,
) -> tuple[Radiograph, Pose]:
    who = patient(name)
    generator = torch.Generator().manual_seed(seed)
    pose = PoseRange().sample(carm, who.isocenter, 1, generator)[0]
    if far is not None:
        sign = 1.0 if far.random() < 0.5 else -1.0
        aside = far.random() < 0.5
        primary = sign * far.uniform(75, 105) if aside else far.uniform(-45, 45)
        roll = far.uniform(-10, 10) if aside else sign * far.uniform(60, 120)
        pose = carm.world_from_camera(primary, far.uniform(-20, 20), roll, isocenter=who.isocenter)
    file = _file(name, seed, severity, pose, carm)
    if file.is_file():
        with np.load(file) as kept:
            mask = torch.from_numpy(kept["mask"])
            values = torch.from_numpy(kept["values"])
        return Radiograph(values, carm, mask=mask, read_as="intensity", simulated=True), pose
    made = simulate_radiograph(
        who.volume, who.labels, carm, pose, severity=severity, seed=seed
    ).radiograph
    values, mask = made.line_integrals.float(), made.usable
    np.savez_compressed(file, values=values.numpy(), mask=mask.numpy())
    return replace(made, line_integrals=values, mask=mask), pose


def _file(name: str, seed: int, severity: str, pose: Pose, carm: CArm) -> Path:
    key = zlib.crc32(repr((pose.matrix().tolist(), carm)).encode())
    return cases.cache_folder() / f"rayemb-{name.replace(':', '_')}-{severity}-{seed}-{key:08x}.npz"


def _noise(rng: np.random.Generator, image: Radiograph) -> Tensor:
    """Amplitudes of a radiograph, phases at random."""
    values = torch.where(image.usable, image.line_integrals, 0.0).double()
    spectrum = torch.fft.rfft2(values - values.mean())
    phases = torch.from_numpy(rng.uniform(0, 2 * np.pi, tuple(spectrum.shape)))
    noise = torch.fft.irfft2(torch.polar(spectrum.abs(), phases), s=tuple(values.shape))
    return (noise + values.mean()).to(image.line_integrals)
