"""What the RayEmb widget asks of the library, as frozen requests; nothing here knows Qt."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from napari_xreg.geometry import CArm, Pose
from napari_xreg.images import LabelMap, Volume
from napari_xreg.progress import Control, run
from napari_xreg.rayemb import (
    ENOUGH_DRRS,
    CorrespondSettings,
    Embedded,
    Found,
    Polarity,
    RayEncoder,
    Round,
    TemplateMade,
    Templates,
    TemplateSettings,
    Verdict,
    choose_templates,
    correspond,
    embed,
    heatmap_carm,
    load_encoder,
    make_templates,
    point_heatmaps,
    polarity_of,
    pose_of,
    probabilities,
    sample_points,
    shipped_encoder,
    start_of,
    templates_for,
    trust_of,
    usable_cells,
    verdict_of,
)
from napari_xreg.registration import PnPSolution
from napari_xreg.rendering import torch_threads
from napari_xreg.session import Exposure, Prepared, WeightsFile
from napari_xreg.training import covariance_between, pixels_between

Picture = npt.NDArray[np.float32]

SEED = 0
"""Of the draw of templates for a single point: the same wherever it is dragged."""


@dataclass(frozen=True, eq=False)
class PrepareRequest:
    """Everything that has to be made before the first heatmap.

    Parameters
    ----------
    weights, settings
        Of the network; of the templates (published weights have their own).
    volume, labels
        Of the patient; labels say where the bone is.
    isocenter
        Middle of the templates' poses, world mm; None: the middle of the bone.
    exposure
        The radiograph, with what is masked by hand.
    before
        What was prepared last: as much of it is used again as still holds.
    cache
        Folder where templates are kept; None: nowhere.
    """

    weights: WeightsFile
    settings: TemplateSettings
    volume: Volume
    labels: LabelMap | None
    isocenter: Float[Tensor, "3"] | None
    exposure: Exposure
    before: Prepared | None = None
    cache: Path | None = None

    @property
    def key(self) -> object:
        """Of weights and templates."""
        place = None if self.isocenter is None else tuple(self.isocenter.tolist())
        return self.weights.key, self.settings, place

    @property
    def quick(self) -> bool:
        """Whether only the radiograph is to be embedded."""
        return self.kept() is not None

    def kept(self) -> Prepared | None:
        """What was prepared before, if its templates will do."""
        old = self.before
        if old is None or old.volume is not self.volume or old.key != self.key:
            return None
        encoder, carm = old.encoder, self.exposure.radiograph.carm
        if encoder.align == "rayemb-v1":
            return old
        fits = encoder.framing.template_carm(carm, self.settings.extent) == old.templates.carm
        return old if fits else None

    def events(self, control: Control) -> Generator[TemplateMade, None, Prepared | None]:
        """Make it; None if cancelled."""
        old = self.kept()
        if old is not None:
            return replace(
                old, exposure=self.exposure, embedded=embed(old.encoder, self.exposure.masked),
                polarity=self._polarity(old.templates),
            )  # fmt: skip
        encoder, about = self._encoder()
        # First: it says in a moment what is wrong with the radiograph.
        embedded = embed(encoder, self.exposure.masked)
        center = self.isocenter
        if center is None:
            bone = sample_points(self.volume, labels=self.labels, count=20_000)
            center = bone.double().mean(0)
        templates = yield from make_templates(
            encoder, self.volume, self.exposure.radiograph.carm, center,
            settings=templates_for(encoder, about, self.settings), cache=self.cache, control=control,
        )  # fmt: skip
        if templates is None:
            return None
        return Prepared(
            encoder, about, self.weights, self.key, self.volume, templates, self.exposure,
            embedded, self._polarity(templates),
        )  # fmt: skip

    def _polarity(self, templates: Templates) -> Polarity | None:
        if len(templates) < ENOUGH_DRRS:
            return None
        return polarity_of(self.exposure.masked, templates.images, templates.carm)

    def _encoder(self) -> tuple[RayEncoder, Any]:
        if self.weights.file is None:
            return shipped_encoder()
        return load_encoder(self.weights.file)


@dataclass(frozen=True, eq=False)
class Heatmap:
    """Where a point may be on the radiograph.

    Parameters
    ----------
    request
        What was asked.
    similarity, probability
        Of every pixel of the heatmap, rows and columns as of the radiograph; probabilities of
        pixels that may be an answer sum to 1.
    found
        Peak, covariance, similarity, in the radiograph's pixels: one row.
    templates
        Numbers of the templates that span its subspace.
    seen
        Whether the point lies in the image of each of them.
    template_pixels
        Where it lies there.
    """

    request: "HeatmapRequest"
    similarity: Picture
    probability: Picture
    found: Found
    templates: Int[Tensor, "k"]
    seen: Bool[Tensor, "k"]
    template_pixels: Float[Tensor, "k 2"]


@dataclass(frozen=True, eq=False)
class HeatmapRequest:
    """One point; `answer` may run in any thread.

    Parameters
    ----------
    prepared
        CT and radiograph.
    position
        World (LPS), mm.
    per_point
        Templates that span its subspace.
    asked
        `time.perf_counter` at the click, for measuring how long it took to be seen.
    """

    prepared: Prepared
    position: tuple[float, float, float]
    per_point: int = 4
    asked: float = 0.0

    # A few ms of small operations, that took 50 where several threads of torch waited for each other
    # while the window was drawn.
    @torch_threads(1)
    def answer(self) -> Heatmap:
        """Look for it."""
        ready = self.prepared
        point = torch.tensor([self.position], dtype=torch.float64)
        count = min(self.per_point, len(ready.templates))
        with torch.no_grad():
            maps, read = point_heatmaps(
                ready.encoder, ready.embedded, ready.templates, point, seed=SEED, per_point=count
            )
        rows, columns = maps.shape[1:]
        usable = usable_cells(ready.embedded.usable[None], rows, columns)[0]
        shares = probabilities(maps, ready.encoder.temperature.detach(), usable=usable)
        grid = heatmap_carm(ready.embedded, (rows, columns))
        target = ready.embedded.radiograph_carm
        # As in `correspond`: not finer than a pixel of the heatmap can tell.
        covariance = read.covariance_about_peak.double().cpu()
        covariance = covariance + torch.eye(2, dtype=torch.float64) / 4
        found = Found(
            point,
            torch.zeros(1, dtype=torch.long),
            pixels_between(read.peak.double().cpu(), grid, target),
            covariance_between(covariance, grid, target),
            read,
            read.similarity,
        )
        pixels, inside = ready.templates.project(point)
        generator = torch.Generator().manual_seed(SEED)
        choice, seen = choose_templates(inside, count, generator)
        return Heatmap(
            self, as_stored(maps[0], ready.embedded), as_stored(shares[0], ready.embedded), found,
            choice[0], seen[0], pixels[choice[0], 0],
        )  # fmt: skip


def as_stored(picture: Float[Tensor, "rows columns"], embedded: Embedded) -> Picture:
    """A picture on the encoder's grid with its columns in the order of the radiograph's.

    Encoders see every radiograph as a reader who faces the patient does.
    """
    plain = picture.detach().cpu().float().numpy()
    if embedded.carm.detector.mirrored != embedded.radiograph_carm.detector.mirrored:
        plain = plain[:, ::-1]
    return np.ascontiguousarray(plain)


@dataclass(frozen=True, eq=False)
class ScoreRequest:
    """Many points, once each: what a list shows; `answer` may run in any thread."""

    prepared: Prepared
    positions: Float[Tensor, "n 3"]
    per_point: int = 4

    def answer(self) -> tuple["ScoreRequest", Found]:
        """Look for all of them; `Found.index` says which row is which."""
        ready = self.prepared
        count = min(self.per_point, len(ready.templates))
        settings = CorrespondSettings(
            per_point=count, top=len(self.positions), redraws=0, seed=SEED
        )
        found = run(
            correspond(
                ready.encoder, ready.embedded, ready.templates, self.positions, settings=settings
            )
        )
        return self, found


@dataclass(frozen=True, eq=False)
class FindRequest:
    """Correspondences for a pose.

    Parameters
    ----------
    prepared
        CT and radiograph.
    labels, structures
        Where to sample points: these structures; no ids: all of them.
    above_hu
        Without labels: in what is denser than this.
    points
        How many to sample.
    settings
        Of the search.
    """

    prepared: Prepared
    labels: LabelMap | None
    structures: tuple[int, ...]
    above_hu: float
    points: int
    settings: CorrespondSettings

    def events(self, control: Control) -> Generator[Round, None, Found]:
        """Look for them, round after round."""
        ready = self.prepared
        points = sample_points(
            ready.volume, labels=self.labels, label_ids=self.structures or None,
            above_hu=self.above_hu, count=self.points, seed=self.settings.seed,
        )  # fmt: skip
        return (
            yield from correspond(
                ready.encoder, ready.embedded, ready.templates, points,
                settings=self.settings, control=control,
            )
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class PoseFound:
    """A pose from a list of points.

    Parameters
    ----------
    request
        What was asked.
    solution
        The pose, or why there is none.
    world_from_camera
        That pose at the depth where the CT looks most like the radiograph.
    verdict
        How far to trust it.
    """

    request: "PoseRequest"
    solution: PnPSolution
    world_from_camera: Pose | None
    verdict: Verdict


@dataclass(frozen=True, eq=False)
class PoseRequest:
    """The pose that a list of found points gives."""

    prepared: Prepared
    found: Found

    def answer(self) -> PoseFound:
        """Solve."""
        radiograph = self.prepared.exposure.masked
        solution = pose_of(self.found, radiograph)
        trust = trust_of(
            self.found, solution, radiograph, self.prepared.polarity, self.prepared.volume
        )
        start = start_of(self.found, solution, radiograph, self.prepared.volume)
        return PoseFound(self, solution, start, verdict_of(trust, solution))


def millimetres(pixels: Float[Tensor, "n 2"], carm: CArm) -> Float[Tensor, "n"]:
    """Length of (row, column) distances on a radiograph, mm at the isocenter."""
    ratio = carm.source_to_isocenter / carm.source_to_detector
    return (pixels * pixels.new_tensor(carm.detector.spacing) * ratio).square().sum(-1).sqrt()


def spread_mm(found: Found, carm: CArm) -> Float[Tensor, "n"]:
    """Standard deviation of each posterior, the mean of both directions, mm at the isocenter."""
    ratio = carm.source_to_isocenter / carm.source_to_detector
    scale = found.covariances.new_tensor(carm.detector.spacing) * ratio
    variances = found.covariances.diagonal(dim1=1, dim2=2) * scale**2
    return variances.mean(1).sqrt()


def embedding_colours(prepared: Prepared) -> npt.NDArray[np.uint8]:
    """The embedding of the radiograph as colours: its first three principal components.

    Rows and columns as of the radiograph, one pixel for each cell; like colours are alike to the
    network.
    """
    embedding = prepared.embedded.embedding.detach().cpu().float()
    d, h, w = embedding.shape
    cells = embedding.reshape(d, h * w).T
    cells = cells / cells.norm(dim=1, keepdim=True).clamp_min(1e-8)
    centred = cells - cells.mean(0)
    _, _, axes = torch.linalg.svd(centred, full_matrices=False)
    # A direction has no sign of its own: the largest entry is made positive.
    largest = axes.gather(1, axes.abs().argmax(1, keepdim=True))
    parts = centred @ (axes * largest.sign())[:3].T
    low, high = parts.quantile(0.02, dim=0), parts.quantile(0.98, dim=0)
    shares = ((parts - low) / (high - low).clamp_min(1e-8)).clamp(0, 1)
    colours = (255 * shares).round().to(torch.uint8).reshape(h, w, -1).numpy()
    if prepared.embedded.carm.detector.mirrored != prepared.carm.detector.mirrored:
        colours = colours[:, ::-1]
    return np.ascontiguousarray(colours)


def numbered(word: str, count: int) -> Sequence[str]:
    """ "bone 1", "bone 2", …"""
    return [f"{word} {number}" for number in range(1, count + 1)]
