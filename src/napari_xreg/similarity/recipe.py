"""The learned similarity as it is trained: for one patient, or for many."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from napari_xreg.geometry import CArm
from napari_xreg.similarity.network.encoder import CAMERA, SimilarityNetwork
from napari_xreg.similarity.network.weights_file import load_similarity
from napari_xreg.similarity.pose_distance import Metric
from napari_xreg.similarity.spaces import Space
from napari_xreg.similarity.task import SimilaritySettings, SimilarityTask
from napari_xreg.similarity.validation import (
    HOME_MM,
    DescentValidator,
    descent_cases,
    phantom_descent_cases,
)
from napari_xreg.similarity.view_pool import PairSettings
from napari_xreg.training import (
    Appearance,
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

VALIDATION_PHANTOMS = (957, 958, 959, 960)
VALIDATION_PIXELS = 128  # of the simulated radiographs: the network sees fewer


class SimilarityRecipe:
    """A `training.Recipe`.

    Parameters
    ----------
    space
        Where embeddings lie (`SimilarityNetwork`): for comparisons.
    metric
        Of the poses that it learns (`SimilaritySettings`): for comparisons.
    validation_images
        Of one patient; a phantom of the population has a quarter of them.
    """

    kind = "similarity"
    title = "Learned similarity"
    help = (
        "A network that says how far the pose of a rendering is from that of a radiograph: for Loss landscape, and "
        "to come nearer before a refinement."
    )
    widget = "Loss landscape"
    shipped = False
    settings = TrainSettings(learning_rate=2e-3)
    step_errors: Mapping[str, str] = {"median_error_mm": "training, median error of distances"}
    scores: Mapping[str, str] = {"median_mtre_mm": "after descent, median mTRE"}

    def __init__(
        self,
        space: Space = "sphere",
        validation_images: int = 9,
        metric: Metric = "double_quaternion",
    ) -> None:
        self.space, self.validation_images, self.metric = space, validation_images, metric

    def network(self, patients: Patients, start: Start) -> SimilarityNetwork:
        """See `Recipe`."""
        if isinstance(start, Path):
            return load_similarity(start)[0]
        return SimilarityNetwork(self.space)

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
        assert isinstance(network, SimilarityNetwork)
        pairs = PairSettings(carm=carm, poses=poses)
        if isinstance(patients, OneCT):
            population = patients.population()
            assert isinstance(population, OnePatient)
            cases = descent_cases(
                patients.volume, patients.labels, seeds=images_of_one(self.validation_images),
                poses=poses, carm=carm.at_most(VALIDATION_PIXELS, least=8),
                isocenter=population.patient.isocenter.double(), bone_above_hu=patients.bone_above_hu,
            )  # fmt: skip
        else:  # a patient takes longer to make than to render
            pairs = replace(pairs, views=24, kept=48, renew_every=8)
            each = max(1, self.validation_images // len(VALIDATION_PHANTOMS))
            cases = tuple(
                case
                for number, (phantom, images) in enumerate(
                    images_of_phantoms(VALIDATION_PHANTOMS, each)
                )
                for case in phantom_descent_cases(phantom, images, poses=poses, first=each * number)
            )
            population = patients.population()
        settings = SimilaritySettings(pairs=pairs, metric=self.metric, seed=seed)
        return SimilarityTask(network, population, DescentValidator(cases), settings)

    def finish(self, network: RadiographNetwork, detail: Any) -> None:
        """Nothing follows from its validation."""

    def picture(self, detail: Any) -> None:
        """It does not say how sure it is."""
        return

    def shown(self, carm: CArm) -> Shown:
        """As a new network would see them."""
        return Shown(CAMERA.carm(carm), Appearance())

    def words(self, scores: Mapping[str, float]) -> str:
        """See `Recipe`."""
        shares = ", ".join(
            f"{100 * value:.0f} % of starts spread {_widely(name)}"
            for name, value in scores.items()
            if name.startswith("home_share_")
        )
        found = (
            "On simulated radiographs that it did not learn from, a descent from "
            f"{scores['start_mtre_mm']:.0f} mm off ends {scores['median_mtre_mm']:.0f} mm off (medians, mTRE); within "
            f"{HOME_MM:.0f} mm end {shares}. "
        )
        if scores["home_share"] < 0.5:
            return f"{found}Next: raise the minutes and resume, or narrow the poses."
        return f"{found}Next: look at it in {self.widget}, or register --init similarity."


def _widely(score: str) -> str:
    """How widely the starts of a ``home_share_...x`` are spread."""
    times = score.removeprefix("home_share_").removesuffix("x")
    return "as usual" if times == "1" else f"{times} times as widely"
