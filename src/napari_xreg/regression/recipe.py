"""The pose network as it is trained: for one patient, or for many."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from napari_xreg.geometry import CArm
from napari_xreg.regression.frame import Place, PoseFrame
from napari_xreg.regression.network.pose_network import PoseNetwork
from napari_xreg.regression.network.weights_file import load_pose_network
from napari_xreg.regression.task import PoseSettings, PoseTask
from napari_xreg.regression.validation import (
    DEGREES_OF_FREEDOM,
    PoseValidator,
    phantom_pose_cases,
    pose_cases,
    standard_errors,
)
from napari_xreg.regression.view_pool import PoseViewSettings
from napari_xreg.training import (
    USABLE_MTRE_MM,
    Appearance,
    ErrorsByDirection,
    FixedCamera,
    OneCT,
    OnePatient,
    Patients,
    PoseRange,
    RadiographNetwork,
    Shown,
    Start,
    Task,
    TrainSettings,
    images_of_one,
    images_of_phantoms,
)

CAMERA = FixedCamera(1020.0, 64, 300 / 64)
"""What a new network sees: 300 mm, the field of a mobile C-arm."""

VALIDATION_PHANTOMS = (953, 954, 955, 956)
VALIDATION_PIXELS = 128  # of the simulated radiographs: the networks see fewer


class PoseRecipe:
    """A `training.Recipe`.

    Parameters
    ----------
    similarity, overlap
        See `PoseSettings`.
    validation_images
        Of one patient; a phantom of the population has a quarter of them.
    """

    kind = "pose"
    title = "Pose network"
    help = "A network that says the C-arm's pose from one radiograph: a start for a refinement."
    widget = "Find a pose"
    shipped = False
    settings = TrainSettings(learning_rate=2e-3)
    step_errors: Mapping[str, str] = {"median_error_mm": "training, median geodesic"}
    scores: Mapping[str, str] = {"median_mtre_mm": "validation, median mTRE"}

    def __init__(
        self, similarity: float = 0.0, validation_images: int = 16, overlap: float = 0.0
    ) -> None:
        self.similarity, self.validation_images, self.overlap = (
            similarity, validation_images, overlap,
        )  # fmt: skip

    def described(self) -> dict[str, float]:
        """What a file of weights keeps, to go on with."""
        return {"similarity": self.similarity, "overlap": self.overlap}

    def as_described(self, settings: Mapping[str, Any]) -> "PoseRecipe":
        """The recipe of an interrupted training.

        Raises
        ------
        ValueError
            If its file does not say how much the similarity counted.
        """
        if "similarity" not in settings:
            raise ValueError(
                "the file does not say how much the similarity of the images counted in its training"
            )
        # Files from before there was one had none.
        overlap = float(settings.get("overlap", 0.0))
        return PoseRecipe(float(settings["similarity"]), self.validation_images, overlap)

    def network(self, patients: Patients, start: Start) -> PoseNetwork:
        """See `Recipe`. One patient's network speaks about the middle of that patient's bones."""
        center: str | tuple[float, float, float] = "bone"
        if isinstance(patients, OneCT):
            x, y, z = _bone_of(patients).tolist()
            center = (x, y, z)
        if isinstance(start, Path):
            network, _ = load_pose_network(start)
            if network.frame.center == "volume":
                # A published network is learned on where it spoke about: the middle of the grid.
                center = "volume"
                if isinstance(patients, OneCT):
                    x, y, z = patients.volume.center.double().tolist()
                    center = (x, y, z)
            network.frame = replace(network.frame, center=center)
            return network
        network = PoseNetwork("compact", framing=CAMERA, frame=PoseFrame(center=center))
        network.new = True
        return network

    def task(
        self,
        network: RadiographNetwork,
        patients: Patients,
        *,
        carm: CArm,
        poses: PoseRange,
        seed: int,
    ) -> Task:
        """See `Recipe`."""
        assert isinstance(network, PoseNetwork)
        if network.new:
            nowhere = Place(torch.zeros(3, dtype=torch.float64))
            network.begin_at(poses.middle(carm, nowhere.center), nowhere)
        one = isinstance(patients, OneCT)
        views = PoseViewSettings(carm=carm, poses=poses)
        if not one:  # a patient takes longer to make than to render
            views = replace(views, views=24, kept=100, renew_every=8)
        settings = PoseSettings(
            views=views, similarity=self.similarity, overlap=self.overlap, seed=seed
        )
        if isinstance(patients, OneCT):
            center = _bone_of(patients)
            cases = pose_cases(
                patients.volume, patients.labels, seeds=images_of_one(self.validation_images),
                poses=poses, carm=carm.at_most(VALIDATION_PIXELS, least=8), isocenter=center,
                bone_above_hu=patients.bone_above_hu,
            )  # fmt: skip
            population = patients.population(center)
        else:
            each = max(1, self.validation_images // len(VALIDATION_PHANTOMS))
            cases = tuple(
                case
                for phantom, images in images_of_phantoms(VALIDATION_PHANTOMS, each)
                for case in phantom_pose_cases(phantom, images, poses=poses)
            )
            population = patients.population()
        return PoseTask(network, population, PoseValidator(cases), settings)

    def finish(self, network: RadiographNetwork, detail: Any) -> None:
        """How far off it is, for the starts of a refinement; after a resume, as before."""
        assert isinstance(network, PoseNetwork)
        if detail:
            network.errors = standard_errors(detail)

    def picture(self, detail: Any) -> ErrorsByDirection | None:
        """See `Recipe`."""
        if not detail:
            return None
        errors = torch.stack([result.errors for result in detail]).double().cpu().numpy()
        return ErrorsByDirection(DEGREES_OF_FREEDOM, ("°",) * 3 + ("mm",) * 3, errors)

    def shown(self, carm: CArm) -> Shown:
        """As a new network would see them."""
        return Shown(CAMERA.carm(carm), Appearance())

    def words(self, scores: Mapping[str, float]) -> str:
        """See `Recipe`."""
        found = (
            "On simulated radiographs that it did not learn from, half of the poses are off by less than "
            f"{scores['median_mtre_mm']:.0f} mm (mTRE); turned by {scores['rotation_deg']:.1f}°, shifted by "
            f"{scores['in_plane_mm']:.0f} mm in the image and {scores['depth_mm']:.0f} mm in depth (medians). "
        )
        if scores["median_mtre_mm"] > USABLE_MTRE_MM:
            return f"{found}Next: raise the minutes and resume, or narrow the poses."
        return f"{found}Next: refine from the pose that it proposes, from several starts."


def _bone_of(patients: OneCT) -> torch.Tensor:
    population = patients.population()
    assert isinstance(population, OnePatient)
    return population.patient.isocenter.double()
