"""Simulate: a radiograph of a patient with a known answer, and a start that is off."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import CArm, Detector, Pose
from napari_xreg.images import LabelMap, Radiograph, Volume
from napari_xreg.session import with_nominal
from napari_xreg.simulation import SimulatedRadiograph, simulate_radiograph
from napari_xreg.workflows.opening.sample_settings import SIZE_MM, SampleSettings


@dataclass(frozen=True, eq=False)
class SimulateRequest:
    """What is simulated.

    Parameters
    ----------
    volume, labels
        The patient; labels let bones move in "hard" images.
    isocenter
        The C-arm turns about it, world mm.
    settings
        What it should look like.
    carm
        Detector and distances; None: the usual ones, with as many pixels as `settings` says.
    world_from_camera
        Where it stands; None: at the angles of `settings`.
    """

    volume: Volume
    labels: LabelMap | None
    isocenter: Float[Tensor, "3"]
    settings: SampleSettings = field(default_factory=SampleSettings)
    carm: CArm | None = None
    world_from_camera: Pose | None = None


@dataclass(frozen=True, eq=False)
class Simulation:
    """A simulated radiograph.

    Parameters
    ----------
    radiograph
        Its nominal pose is off, as the pose in a file's header is.
    simulated
        How it was made; its `world_from_camera` is the truth, of the bone that is registered.
    """

    radiograph: Radiograph
    simulated: SimulatedRadiograph

    @property
    def truth(self) -> Pose:
        """``world_from_camera`` that a registration should find."""
        return self.simulated.world_from_camera


def simulate(request: SimulateRequest) -> Simulation:
    """Make a radiograph as a C-arm might have acquired it; a second or two.

    Raises
    ------
    ValueError
        If the severity is unknown, or the geometry makes no sense.
    """
    settings, carm, pose = request.settings, request.carm, request.world_from_camera
    isocenter = torch.as_tensor(request.isocenter, dtype=torch.float64)
    if carm is None:
        pixels, spacing = settings.pixels, SIZE_MM / settings.pixels
        carm = CArm(1020.0, 750.0, Detector((pixels, pixels), (spacing, spacing)))
    if pose is None:
        angles = (settings.primary_deg, settings.secondary_deg, settings.roll_deg)
        pose = carm.world_from_camera(*angles, isocenter=isocenter)
    made = simulate_radiograph(
        request.volume, request.labels, carm, pose, severity=settings.severity, seed=settings.seed
    )
    radiograph = with_nominal(
        made.radiograph, made.world_from_camera, isocenter,
        error=settings.start_error, seed=settings.seed,
    )  # fmt: skip
    return Simulation(radiograph, made)
