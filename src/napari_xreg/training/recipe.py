"""What can be trained: the seam between the training workflow and the networks."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from jaxtyping import Bool, Float
from torch import Generator, Tensor

from napari_xreg.geometry import CArm
from napari_xreg.training.images.appearance import Appearance
from napari_xreg.training.loop import Task, TrainSettings
from napari_xreg.training.network import RadiographNetwork
from napari_xreg.training.patients.cases import LOST_MM
from napari_xreg.training.patients.patients import Patients
from napari_xreg.training.patients.pose_range import PoseRange

USABLE_MTRE_MM = 30.0
"""Nearer than this, a refinement with several starts can be expected to find the pose."""

Start = Literal["scratch", "shipped"] | Path
"""Where the weights come from at the beginning."""


@dataclass(frozen=True, eq=False)
class Cloud:
    """Something that the network says against how wrong it is: what the scatter shows.

    Parameters
    ----------
    said
        What it says; `label` names it.
    error_mm
        How wrong it is, mm at the isocenter.
    counts
        False for points that are not in the image.
    label
        Of the horizontal axis.
    surer_is_higher
        False where a high value means doubt.
    """

    said: npt.NDArray[np.float64]
    error_mm: npt.NDArray[np.float64]
    counts: npt.NDArray[np.bool_]
    label: str
    surer_is_higher: bool = True


@dataclass(frozen=True, eq=False)
class ErrorsByDirection:
    """How wrong poses are, taken apart as Fig. S3 of the xvr paper has them.

    Parameters
    ----------
    names
        Of the directions.
    units
        Of each.
    errors
        Of every image, with their signs.
    """

    names: tuple[str, ...]
    units: tuple[str, ...]
    errors: npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Shown:
    """How the network sees radiographs, for the samples.

    Parameters
    ----------
    carm
        On the network's pixels.
    appearance
        What the images look like.
    """

    carm: CArm
    appearance: Appearance

    def draw(
        self, kinds: Float[Tensor, "b 2 rows columns"], generator: Generator
    ) -> tuple[Float[Tensor, "b rows columns"], Bool[Tensor, "b rows columns"]]:
        """Images and masks of rendered views."""
        return self.appearance.draw(kinds, generator)


@runtime_checkable
class Recipe(Protocol):
    """One kind of network that can be trained.

    A new one is a class of its own beside its network, and a line in `workflows.RECIPES`.

    Attributes
    ----------
    kind
        As `session.Weights`, and what the command line calls it.
    title, help
        For the user.
    widget
        Title of the tab (`widgets.docks.table`) of the widget that uses the weights; empty where none does yet.
    shipped
        Whether weights come with the package.
    settings
        Of the loop; what a training was asked (rate, time, seed) is filled in.
    step_errors
        Of `Step.losses`: those in mm that are shown, with their names for the user.
    scores
        The same of `Validation.scores`; the first is the one that decides.
    """

    kind: str
    title: str
    help: str
    widget: str
    shipped: bool
    settings: TrainSettings
    step_errors: Mapping[str, str]
    scores: Mapping[str, str]

    def network(self, patients: Patients, start: Start) -> RadiographNetwork:
        """A new network, or one with the weights to begin with.

        Raises
        ------
        ValueError
            If these patients do not have what it learns; in the user's words.
        """
        ...

    def task(
        self,
        network: RadiographNetwork,
        patients: Patients,
        *,
        carm: CArm,
        poses: PoseRange,
        seed: int,
    ) -> Task:
        """What is learned, and what it is measured on; takes seconds."""
        ...

    def finish(self, network: RadiographNetwork, detail: Any) -> None:
        """Add to a network what follows from its validation (`Validation.detail`)."""
        ...

    def picture(self, detail: Any) -> Cloud | ErrorsByDirection | None:
        """Of `Validation.detail`; None: there is nothing to be seen beside the scores."""
        ...

    def shown(self, carm: CArm) -> Shown:
        """How the network would see this C-arm's radiographs."""
        ...

    def words(self, scores: Mapping[str, float]) -> str:
        """How good it is, and what to do next: whole sentences."""
        ...


class FindsPoints(ABC):
    """What recipes of networks that find points on a radiograph have in common.

    Attributes
    ----------
    found
        What they find, for the user.
    widget
        As of `Recipe`.
    """

    found: str
    widget: str
    settings = TrainSettings(learning_rate=2e-3)
    step_errors: Mapping[str, str] = {"median_error_mm": "training, median"}
    scores: Mapping[str, str] = {
        "median_error_mm": "validation, median",
        "median_mtre_mm": "pose, median mTRE",
    }

    @abstractmethod
    def new(self) -> RadiographNetwork:
        """A network that knows nothing."""

    def shown(self, carm: CArm) -> Shown:
        """On the pixels of a new network."""
        return Shown(self.new().framing.carm(carm), Appearance())

    def words(self, scores: Mapping[str, float]) -> str:
        """See `Recipe`; of `median_error_mm`, `within_10mm_share` and `median_mtre_mm`."""
        missed, pose = scores["median_error_mm"], scores["median_mtre_mm"]
        found = (
            f"On simulated radiographs that it did not learn from, half of the {self.found} are found within "
            f"{missed:.1f} mm, {100 * scores['within_10mm_share']:.0f} % within 10 mm; "
        )
        more = "Next: raise the minutes and resume, or narrow the poses."
        if pose >= LOST_MM:
            return f"{found}usually too few to solve for a pose. {more}"
        found += f"the pose that follows is off by {pose:.0f} mm (median mTRE). "
        if pose > USABLE_MTRE_MM:
            return f"{found}Too inaccurate as an initial pose. {more}"
        return f"{found}Next: use it in {self.widget}, then refine with several starts."
