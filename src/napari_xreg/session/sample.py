"""A sample with a known answer: the phantom, a simulated radiograph of it, and a start that is off."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import CArm, Detector, Pose
from napari_xreg.images import LabelMap, Landmark, Radiograph, Volume
from napari_xreg.registration import Spread, perturbed
from napari_xreg.session.files.sources import PHANTOM
from napari_xreg.session.session import Session
from napari_xreg.session.source import Source
from napari_xreg.simulation import Phantom, phantom, simulate_radiograph


@dataclass(frozen=True, eq=False)
class SampleCase:
    """A CT and a simulated radiograph of it.

    Parameters
    ----------
    volume, labels
        Of the phantom.
    landmarks
        Its 14 named points.
    isocenter
        Where the C-arm turns: the middle of the landmarks, world mm.
    radiograph
        Its `nominal` pose is off, as the pose in a file's header is.
    truth
        The pose it was made at.
    source
        Of the CT and the labels.
    """

    volume: Volume
    labels: LabelMap
    landmarks: tuple[Landmark, ...]
    isocenter: Float[Tensor, "3"]
    radiograph: Radiograph
    truth: Pose
    source: Source

    def session(self) -> Session:
        """A new session that holds it, the radiograph at its nominal pose."""
        session = Session()
        self.fill(session)
        return session

    def fill(self, session: Session) -> str:
        """Put it into a session, in place of the CT there; the id of the radiograph."""
        with session.one_step("load sample", work=False):
            session.patient.set_volume(self.volume, self.source)
            session.patient.set_labels(self.labels, self.source)
            session.patient.set_isocenter(self.isocenter)
            session.landmarks.set(self.landmarks)
            return session.exposures.add(self.radiograph, name="simulated pelvis", truth=self.truth)


def sample_case(
    *,
    spacing_mm: float = 1.5,
    pixels: int = 256,
    severity: str = "typical",
    seed: int = 20000,
    start_error: float = 1.5,
    source: Phantom | None = None,
) -> SampleCase:
    """Make it; a few seconds at the defaults.

    Parameters
    ----------
    spacing_mm
        Voxels of the phantom.
    pixels
        Rows and columns of the radiograph, 300 x 300 mm.
    severity
        How far from a rendering: "clean", "typical" or "hard".
    seed
        Of the simulation and of the start.
    start_error
        How far the nominal pose is off, in units of the usual spread (`Spread`).
    source
        A phantom that was made already, at `spacing_mm`.
    """
    made = source or phantom(spacing_mm=spacing_mm)
    carm = CArm(1020.0, 750.0, Detector((pixels, pixels), (300 / pixels, 300 / pixels)))
    points = torch.tensor(list(made.landmarks.values()), dtype=torch.float64)
    isocenter = points.mean(0)
    truth = carm.world_from_camera(18.0, -9.0, 4.0, isocenter=isocenter)
    simulated = simulate_radiograph(
        made.volume, made.labels, carm, truth, severity=severity, seed=seed
    )
    radiograph = with_nominal(simulated.radiograph, truth, isocenter, error=start_error, seed=seed)
    landmarks = tuple(Landmark(name, position) for name, position in made.landmarks.items())
    built_in = Source(PHANTOM, built_in=True, options={"spacing_mm": spacing_mm})
    return SampleCase(made.volume, made.labels, landmarks, isocenter, radiograph, truth, built_in)


def with_nominal(
    radiograph: Radiograph,
    world_from_camera: Pose,
    isocenter: Float[Tensor, "3"],
    *,
    error: float,
    seed: int,
) -> Radiograph:
    """The radiograph with a nominal pose that is off by `error` times the usual spread."""
    generator = torch.Generator().manual_seed(seed)
    normals = torch.randn(1, 6, generator=generator, dtype=torch.float64)
    truth = world_from_camera.to(dtype=torch.float64)
    off = perturbed(truth, isocenter, normals, Spread().scaled(error))[0]
    return replace(radiograph, nominal=radiograph.carm.carm_pose(off, isocenter))
