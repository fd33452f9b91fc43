"""A simulated radiograph: an acquired-looking image of a CT whose pose is known."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import scipy  # its parts are imported when they are used
import torch
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from torch import Tensor

from napari_xreg.files import TooLarge, free_memory
from napari_xreg.geometry import CArm, Pose
from napari_xreg.images import (
    LARGEST_MM,
    LabelMap,
    Radiograph,
    Volume,
    is_bone_only,
    line_integrals_from_intensity,
)
from napari_xreg.simulation.acquisition import Exposure, expose
from napari_xreg.simulation.beyond import beads_and_rings, other_bones, with_beyond
from napari_xreg.simulation.decomposition import Decomposition
from napari_xreg.simulation.instruments import Instrument, random_instruments
from napari_xreg.simulation.moved_bones import (
    BoneMotion,
    BonePart,
    cut_out_bones,
    random_bone_motions,
)
from napari_xreg.simulation.projector import PathLengths, path_lengths, subpixel_rays
from napari_xreg.simulation.severity import Severity, severity_named
from napari_xreg.simulation.spectrum import Spectrum

Array = NDArray[np.float64]

EDGE_PIXELS = 2

AIR, WATER = 0.0, 1.0
"""Attenuation over that of water."""


@dataclass(frozen=True, eq=False)
class SimulatedRadiograph:
    """An image with a known answer.

    Parameters
    ----------
    radiograph
        What a user would have: line integrals from an estimated I0, ``simulated=True``.
    intensity
        What the detector wrote: bone dark, unknown gain. For tests of reading and calibration.
    world_from_camera
        The truth: pose of the camera in the CT of `named_bone`.
    named_bone
        Which bone the truth is about. ``patient`` where nothing moved.
    severity, seed
        What the image was made with.
    bone_motions
        Where bones were moved to, by name.
    instruments
        The metal put into the beam.
    exposure
        Field mask, noise-free primary and scatter, quanta, true I0.
    spectrum
        The beam.
    """

    radiograph: Radiograph
    intensity: Float[Tensor, "rows columns"]
    world_from_camera: Pose
    named_bone: str
    severity: Severity
    seed: int
    bone_motions: Mapping[str, BoneMotion] = field(default_factory=dict)
    instruments: tuple[Instrument, ...] = ()
    exposure: Exposure | None = None
    spectrum: Spectrum | None = None

    @property
    def field(self) -> Bool[Tensor, "rows columns"]:
        """True between the collimator blades."""
        if self.exposure is None:
            return torch.ones_like(self.intensity, dtype=torch.bool)
        return torch.from_numpy(self.exposure.field)


def simulate_radiograph(
    volume: Volume,
    labels: LabelMap | None,
    carm: CArm,
    world_from_camera: Pose,
    *,
    severity: str | Severity = "typical",
    seed: int = 0,
    noise_seed: int | None = None,
    named_bone: str | None = None,
    step_mm: float = 0.5,
    rays_per_side: int = 2,
    mask_collimator: bool = True,
) -> SimulatedRadiograph:
    """Simulate what a C-arm would have acquired of a patient at a pose.

    Polyenergetic beam through water, bone and metal, metal objects, scatter, collimator, noise,
    blur, nonlinear response and an unknown gain. The same arguments give the same image, bit for
    bit, on one machine.

    Parameters
    ----------
    volume
        The CT, with its HU.
    labels
        TotalSegmentator ids on the grid of the CT. Bones move only where there are labels.
    carm
        Source, detector and their distance.
    world_from_camera
        Where the C-arm stands in the CT of the patient's pelvis and trunk, which do not move.
    severity
        How far from a DRR: a name or a value.
    seed
        Seed of everything random. Tuning may use `TUNING_SEEDS`, reports `EVALUATION_SEEDS`.
    noise_seed
        Of the noise alone, which is then another in each frame of a sequence whose beam, blades and metal stay
        (`seed`). None: that of `seed`.
    named_bone
        Bone whose pose is the truth. None: the trunk, ``patient``, which does not move.
    step_mm
        Longest integration step.
    rays_per_side
        Rays per pixel are the square of this.
    mask_collimator
        Mask the pixels behind the blades and two pixels along them, as a user would have done;
        else leave them in, to try `collimator_mask` on.

    Raises
    ------
    ValueError
        If the volume has no HU, the labels lie on another grid, `named_bone` is not among the
        bones that moved, or the pose is not finite or a kilometre away.
    TooLarge
        If the rays of the detector's pixels do not fit into memory.

    See Also
    --------
    severity : The settings; docs/decisions/0002-simulated-severities.md says why.
    """
    chosen = severity_named(severity)
    if volume.hu is None:
        raise ValueError(
            "the simulator needs the HU of the CT to tell bone from soft tissue: read the volume "
            "with read_volume, or pass Volume(lac, world_from_index, hu=...)"
        )
    if labels is not None:
        labels.check_grid(volume)
    _check_beam(carm, world_from_camera, rays_per_side)
    rng_motion, rng_tools, rng_beam = (
        np.random.default_rng([seed, stream]) for stream in (1, 2, 3)
    )
    motions: dict[str, BoneMotion] = {}
    if labels is not None and (chosen.bone_motion_deg > 0 or chosen.bone_motion_mm > 0):
        motions = random_bone_motions(
            labels, chosen.bone_motion_deg, chosen.bone_motion_mm, rng_motion
        )
    truth = _truth(world_from_camera, named_bone, motions)
    source, r = subpixel_rays(carm, world_from_camera, rays_per_side)
    beyond, rng_beyond = chosen.beyond, np.random.default_rng([seed, 4])
    # Bones alone lie in a limb: what is empty about them is as water, not a gap that fades to air.
    around = WATER if beyond is not None and is_bone_only(volume) else AIR
    paths = patient_paths(volume, labels, motions, source, r, step_mm=step_mm, around=around)
    tools = random_instruments(chosen, volume, carm, world_from_camera, rng_tools)
    if beyond is not None:
        bones = other_bones(beyond, volume, world_from_camera, rng_beyond)
        paths = with_beyond(paths, beyond, volume, bones, source, r)
        tools += beads_and_rings(beyond, volume, carm, world_from_camera, rng_beyond)
    spectrum = random_spectrum(chosen, rng_beam)
    iron = sum(
        (t.chord_lengths(source, r) for t in tools if t.material == "iron"), 0.0 * paths.soft
    )
    titanium = sum(
        (t.chord_lengths(source, r) for t in tools if t.material == "titanium"), paths.metal
    )
    transmission = spectrum.transmission(
        {
            "water": paths.soft * chosen.soft_scale,
            "bone": paths.bone * chosen.bone_scale,
            "titanium": titanium,
            "iron": iron,
        }
    ).mean(-1)
    noise = None if noise_seed is None else np.random.default_rng([noise_seed, 5])
    exposure = expose(transmission, carm.detector, chosen, rng_beam, rng_beyond, noise)
    intensity = torch.from_numpy(exposure.intensity).to(torch.float32)
    name = f"simulated, {chosen.name} quality, seed {seed}"
    radiograph = as_a_user_reads_it(intensity, exposure, carm, name, mask_collimator)
    return SimulatedRadiograph(
        radiograph,
        intensity,
        truth,
        named_bone or "patient",
        chosen,
        seed,
        motions,
        tools,
        exposure,
        spectrum,
    )


def _check_beam(carm: CArm, world_from_camera: Pose, rays_per_side: int) -> None:
    """Refuse rays that no memory holds and those from nowhere, before they are made."""
    rows, columns = carm.detector.shape
    rays = rows * columns * rays_per_side**2
    # Source to subpixel, float64, and a length in four materials.
    needed, free = 8 * (3 + 4) * rays, free_memory()
    if needed > free:
        raise TooLarge(
            f"a simulated radiograph of {rows} x {columns} pixels takes {needed / 1e9:,.0f} GB, and "
            f"{free / 1e9:,.0f} GB of memory are free: use fewer pixels"
        )
    translation = world_from_camera.translation.detach()
    if not bool(torch.isfinite(world_from_camera.rotation.detach()).all()) or not bool(
        (translation.abs() <= LARGEST_MM).all()
    ):
        raise ValueError(
            "the pose to simulate from is not finite, or further than a kilometre away: check its unit"
        )
    if carm.source_to_detector > LARGEST_MM:
        raise ValueError(
            f"source_to_detector must be at most {LARGEST_MM:g} mm: got {carm.source_to_detector:g}"
        )


def patient_paths(
    volume: Volume,
    labels: LabelMap | None,
    motions: Mapping[str, BoneMotion],
    source: Array,
    r: Array,
    *,
    step_mm: float,
    around: float = AIR,
) -> PathLengths:
    """Thickness of materials in the patient along rays, moved bones at their new places, mm.

    Parameters
    ----------
    around
        Attenuation over that of water: of what is empty (-1000 HU). It is taken off along every ray,
        so that bones in water add only what they add to it, and displace some.
    """
    if volume.hu is None:
        raise ValueError("path lengths per material need the HU of the volume")
    decomposition = Decomposition.standard()
    relative = (1.0 + volume.hu.to(torch.float32) / 1000.0).clamp_min(0.0).numpy()
    relative = np.where(relative == AIR, np.float32(around), relative)
    index_from_world = volume.index_from_world.double().numpy()
    parts: list[BonePart] = []
    if motions and labels is not None:
        relative, parts = cut_out_bones(relative, labels, motions)
    total = path_lengths(
        relative, index_from_world, source, r, decomposition=decomposition, step_mm=step_mm,
        outside=around,
    )  # fmt: skip
    for part in parts:
        inverse = part.motion.inverse()
        turn = inverse.rotation.numpy()
        total = total + path_lengths(
            part.relative,
            part.index_from_grid @ index_from_world,
            turn @ source + inverse.translation.numpy(),
            r @ turn.T,
            decomposition=decomposition,
            step_mm=step_mm,
            outside=part.outside,
        )
    return total


def random_spectrum(severity: Severity, rng: np.random.Generator) -> Spectrum:
    """The beam of an exposure: a tube voltage within the range of the severity."""
    if severity.kvp is None:
        return Spectrum.monoenergetic()
    return Spectrum.tungsten(float(rng.uniform(*severity.kvp)))


def as_a_user_reads_it(
    intensity: Float[Tensor, "rows columns"],
    exposure: Exposure,
    carm: CArm,
    name: str,
    mask_collimator: bool,
) -> Radiograph:
    """Line integrals from raw values: I0 is estimated from the image, blades are masked."""
    field = torch.from_numpy(exposure.field)
    collimated = not bool(field.all())
    # The outermost pixels of the field are blurred with those behind the blades.
    inner = torch.from_numpy(
        scipy.ndimage.binary_erosion(exposure.field, iterations=EDGE_PIXELS, border_value=1)
    )
    read = line_integrals_from_intensity(
        intensity, mask=inner if collimated else None, saturation=exposure.saturation
    )
    values = read.values
    partial = collimated or exposure.saturation is not None
    if not mask_collimator:
        values = -torch.log(intensity.clamp_min(0.5) / read.i0)
    return Radiograph(
        line_integrals=values,
        carm=carm,
        mask=read.mask if partial and mask_collimator else None,
        read_as="intensity",
        photometric="MONOCHROME2",
        i0=read.i0,
        simulated=True,
        source=name,
        notes=read.notes,
    )


def _truth(pose: Pose, named_bone: str | None, motions: Mapping[str, BoneMotion]) -> Pose:
    if named_bone in (None, "patient"):
        return pose
    if named_bone not in motions:
        known = ", ".join(["patient", *motions])
        raise ValueError(f"the pose is known for {known}: got named_bone={named_bone!r}")
    moved = motions[named_bone]
    return moved.world_from_rest.inverse() @ pose.to(dtype=torch.float64)
