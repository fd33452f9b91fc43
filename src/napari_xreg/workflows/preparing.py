"""Prepare a network for a CT and a radiograph: what heatmaps, points and poses by RayEmb begin with."""

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from napari_xreg import rayemb
from napari_xreg.images import LabelMap, Radiograph, Volume
from napari_xreg.progress import Control
from napari_xreg.rayemb import (
    PreparedNetwork,
    TemplateMade,
    TemplateSettings,
    WeightsFile,
    bone_center,
    templates_for,
)


@dataclass(frozen=True, eq=False)
class PrepareNetworkRequest:
    """Everything that has to be made before the first heatmap.

    Parameters
    ----------
    volume
        The CT.
    radiograph
        With its geometry, without what is masked.
    labels
        Say where the bone is.
    center
        Middle of the templates' poses, world mm; None: the middle of the bone.
    weights, settings
        Of the network; of the templates (published weights have their own).
    before
        What was prepared last: as much of it is used again as still holds.
    cache
        Folder where templates are kept; None: nowhere.
    """

    volume: Volume
    radiograph: Radiograph
    labels: LabelMap | None = None
    center: Float[Tensor, "3"] | None = None
    weights: WeightsFile = field(default_factory=WeightsFile)
    settings: TemplateSettings = field(default_factory=TemplateSettings)
    before: PreparedNetwork | None = None
    cache: Path | None = None

    @property
    def key(self) -> object:
        """Of weights and templates."""
        place = None if self.center is None else tuple(self.center.tolist())
        return self.weights.key, self.settings, place

    @property
    def quick(self) -> bool:
        """Whether only the radiograph is to be embedded."""
        return self.kept() is not None

    def kept(self) -> PreparedNetwork | None:
        """What was prepared before, if its templates will do."""
        old = self.before
        if old is None or old.volume is not self.volume or old.key != self.key:
            return None
        return old if old.fits(self.radiograph.carm, self.settings.extent) else None


@dataclass(frozen=True)
class WeightsRead:
    """The weights of a network were read.

    Parameters
    ----------
    name
        Of their file, or of those that come with the package.
    about
        What they say of themselves.
    own
        Whether somebody chose them.
    landmarks
        How many a detector knows.
    """

    name: str
    about: Mapping[str, Any]
    own: bool = True
    landmarks: int = 0

    @property
    def trained_on(self) -> str:
        """What the network learned from, in words."""
        trained = self.about.get("trained_on", self.about.get("trained_by"))
        if trained is None:
            return "which do not say what they learned from"
        return f"trained on {trained}"


def prepare_network(
    request: PrepareNetworkRequest, *, control: Control | None = None
) -> Generator[WeightsRead | TemplateMade, None, PreparedNetwork | None]:
    """Render reference views of the CT and embed them, and embed the radiograph.

    Yields
    ------
    WeightsRead, TemplateMade
        In this order; nothing where only the radiograph was to be embedded, no template where the
        cache had all.

    Returns
    -------
    PreparedNetwork or None
        None if cancelled.

    Raises
    ------
    CheckpointError
        If the weights cannot be read.
    ValueError
        If no pixel of the radiograph is usable, or there is no bone.
    """
    old = request.kept()
    if old is not None:
        return old.on(request.radiograph)
    encoder, about = request.weights.load()
    yield WeightsRead(request.weights.words, about, own=request.weights.file is not None)
    center = request.center
    if center is None:
        center = bone_center(request.volume, labels=request.labels)
    prepared = yield from rayemb.prepare_network(
        encoder, request.volume, request.radiograph, center=center,
        settings=templates_for(encoder, about, request.settings),
        cache=request.cache, control=control,
    )  # fmt: skip
    if prepared is None:
        return None
    return replace(prepared, weights=request.weights, about=about, key=request.key)
