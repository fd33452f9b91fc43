"""A CT and a radiograph as one network sees them, made once: every heatmap is then a small product."""

from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import CArm
from napari_xreg.images import LabelMap, Radiograph, Volume
from napari_xreg.progress import Control
from napari_xreg.rayemb.network.encoder import Embedded, RayEncoder, embed
from napari_xreg.rayemb.network.weights_file import WeightsFile
from napari_xreg.rayemb.polarity import ENOUGH_DRRS, Polarity, coarse_drrs, polarity_of
from napari_xreg.rayemb.templates import TemplateMade, Templates, TemplateSettings, make_templates
from napari_xreg.training import bone_mask, no_bone, points_in

POINTS = 3000
"""3D points that are looked for: 600 of them go on, and more made no pose better (decision 9)."""

BONE_HU = 250.0
"""Above this is bone, where nothing else says where points are to lie."""


@dataclass(frozen=True, eq=False)
class PreparedNetwork:
    """A CT and a radiograph as one network sees them.

    Parameters
    ----------
    encoder
        The network, in evaluation mode.
    volume
        The CT, of which the templates were rendered.
    radiograph
        That was embedded, without what is masked.
    center
        Middle of the templates' poses, world mm.
    templates, embedded
        Of the CT; of the radiograph.
    polarity
        Whether bone is bright in the radiograph, as the network expects.
    weights, about
        Where the network came from, and what its file says of it.
    key
        Of whatever the templates depend on beside CT and C-arm: another key, other templates.
    """

    encoder: RayEncoder
    volume: Volume
    radiograph: Radiograph
    center: Float[Tensor, "3"]
    templates: Templates
    embedded: Embedded
    polarity: Polarity
    weights: WeightsFile = field(default_factory=WeightsFile)
    about: Mapping[str, Any] = field(default_factory=dict)
    key: object = None

    @property
    def carm(self) -> CArm:
        """Of the radiograph."""
        return self.radiograph.carm

    def on(self, radiograph: Radiograph) -> "PreparedNetwork":
        """The same templates, another radiograph, which `fits`."""
        embedded = embed(self.encoder, radiograph)
        polarity = _polarity(self.volume, radiograph, self.center, self.templates)
        return replace(self, radiograph=radiograph, embedded=embedded, polarity=polarity)

    def fits(self, carm: CArm, extent: float) -> bool:
        """Whether the templates show the patient at the scale of a radiograph of this C-arm."""
        if self.encoder.align == "rayemb-v1":
            return True
        return self.encoder.framing.template_carm(carm, extent) == self.templates.carm


def prepare_network(
    encoder: RayEncoder,
    volume: Volume,
    radiograph: Radiograph,
    *,
    center: Float[Tensor, "3"] | None = None,
    settings: TemplateSettings | None = None,
    cache: Path | None = None,
    control: Control | None = None,
) -> Generator[TemplateMade, None, PreparedNetwork | None]:
    """Render and embed templates of a CT, and embed a radiograph.

    Parameters
    ----------
    encoder
        Trained for this anatomy, in evaluation mode.
    radiograph
        With its geometry.
    center
        Middle of the templates' poses, world mm. None: `bone_center`.
    settings, cache
        See `make_templates`.
    control
        Cancel, pause.

    Returns
    -------
    PreparedNetwork or None
        None if cancelled.
    """
    # First: it says in a moment what is wrong with the radiograph.
    embedded = embed(encoder, radiograph)
    center = bone_center(volume) if center is None else center.double()
    templates = yield from make_templates(
        encoder, volume, radiograph.carm, center, settings=settings, cache=cache, control=control
    )
    if templates is None:
        return None
    polarity = _polarity(volume, radiograph, center, templates)
    return PreparedNetwork(encoder, volume, radiograph, center, templates, embedded, polarity)


def _polarity(
    volume: Volume, radiograph: Radiograph, center: Float[Tensor, "3"], templates: Templates
) -> Polarity:
    if len(templates) < ENOUGH_DRRS:
        return polarity_of(radiograph, *coarse_drrs(volume, radiograph.carm, center))
    return polarity_of(radiograph, templates.images, templates.carm)


def sample_points(
    volume: Volume,
    *,
    labels: LabelMap | None = None,
    label_ids: Iterable[int] | None = None,
    above_hu: float = BONE_HU,
    count: int = POINTS,
    seed: int = 0,
) -> Float[Tensor, "n 3"]:
    """3D points to look for: voxel centres of labelled structures, or above a threshold.

    Parameters
    ----------
    labels, label_ids
        All labelled structures where no ids are given.
    above_hu
        Without labels.
    count
        At most.

    Raises
    ------
    ValueError
        If there is no such voxel, or the labels lie on another grid.
    """
    mask = bone_mask(volume, labels, label_ids, above_hu)
    points = points_in(volume, mask, count, torch.Generator().manual_seed(seed))
    if not len(points):
        raise no_bone("the CT", above_hu)
    return points


def bone_center(
    volume: Volume, *, labels: LabelMap | None = None, above_hu: float = BONE_HU
) -> Float[Tensor, "3"]:
    """Middle of the bone, world mm: what templates are rendered about where nobody says better.

    The mean of all voxels that `sample_points` draws from, so that no count and no seed moves it.

    Raises
    ------
    ValueError
        As `sample_points`.
    """
    mask = bone_mask(volume, labels, None, above_hu).cpu().numpy()
    # As bytes: numpy and torch add up truth values forty times slower.
    columns = np.add.reduce(mask.view(np.uint8), axis=0, dtype=np.int64)
    slices = np.array([np.count_nonzero(plane) for plane in mask])
    counts = [torch.from_numpy(n).double() for n in (columns.sum(0), columns.sum(1), slices)]
    if not bool(counts[0].any()):
        raise no_bone("the CT", above_hu)
    x, y, z = ((n * torch.arange(len(n)).to(n)).sum() / n.sum() for n in counts)
    matrix = volume.world_from_index.double().cpu()
    return matrix[:3, :3] @ torch.stack([x, y, z]) + matrix[:3, 3]
