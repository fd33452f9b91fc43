"""A radiograph through a detector many times, with dropout active: landmarks and their spread."""

from collections.abc import Generator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import CArm, covariance_between, pixels_between
from napari_xreg.images import Radiograph
from napari_xreg.landmarks.detections import Detections
from napari_xreg.landmarks.detector import LandmarkDetector, dropout_active
from napari_xreg.landmarks.soft_argmax import WINDOW, local_soft_argmax
from napari_xreg.progress import Control
from napari_xreg.training import drawn_from


@dataclass(frozen=True)
class DetectSettings:
    """How a radiograph is read.

    Parameters
    ----------
    passes
        Stochastic passes, S of the paper (100 there). 0: one pass with dropout off, of which only
        the spread within the heatmaps is known.
    batch
        Passes made together. 5: every few tenths of a second there is something to see, also of a
        large network on a CPU. The dropout masks follow from seed and batch.
    window
        Of the local soft-argmax, heatmap pixels, odd.
    seed
        Of the dropout masks: the same seed, the same detections.
    keep_heatmaps
        Keep the mean heatmaps.
    """

    passes: int = 40
    batch: int = 5
    window: int = WINDOW
    seed: int = 0
    keep_heatmaps: bool = True

    def __post_init__(self) -> None:
        if self.passes < 0 or self.batch < 1:
            raise ValueError(
                f"passes must not be negative and a batch holds at least one: got {self!r}"
            )


@dataclass(frozen=True, eq=False)
class PassesDone:
    """Some more passes.

    Parameters
    ----------
    done, of
        Passes made so far, and in all.
    detections
        From those made so far.
    """

    done: int
    of: int
    detections: Detections


def detect(
    detector: LandmarkDetector,
    radiograph: Radiograph,
    *,
    settings: DetectSettings | None = None,
    control: Control | None = None,
) -> Generator[PassesDone, None, Detections | None]:
    """Find landmarks on a radiograph, and how sure the detector is of each.

    Parameters
    ----------
    detector
        Trained for this anatomy. Its layers' modes are left as they were.
    radiograph
        With its geometry; mirrored or not.
    settings
        See `DetectSettings`.
    control
        Cancel, pause.

    Yields
    ------
    PassesDone
        After each batch of passes.

    Returns
    -------
    Detections or None
        From the passes made before it was cancelled; None if there was none.

    Raises
    ------
    ValueError
        If no pixel of the radiograph is usable.
    """
    chosen, control = settings or DetectSettings(), control or Control()
    framed = detector.framing.resample(radiograph)
    usable = framed.usable
    if not usable.any():
        raise ValueError("no pixel of the radiograph is usable: check its mask")
    images = torch.where(usable, framed.line_integrals, 0.0)[None].float().to(detector.device)
    with torch.no_grad(), dropout_active(detector, False):
        inputs = detector.inputs(images, usable[None].to(detector.device), framed.carm)
        features = detector.encode(inputs)
    grid = heatmap_carm(framed.carm, detector.stride)
    count = max(1, chosen.passes)
    gathered = _Gathered()
    while gathered.passes < count:
        if not control.proceed():
            break
        b = min(chosen.batch, count - gathered.passes)
        gathered.add(_passes(detector, features, b, gathered.passes, chosen))
        found = gathered.detections(detector.names, grid, radiograph.carm, chosen.keep_heatmaps)
        yield PassesDone(gathered.passes, count, found)
    if not gathered.passes:
        return None
    return gathered.detections(detector.names, grid, radiograph.carm, chosen.keep_heatmaps)


def heatmap_carm(carm: CArm, stride: int) -> CArm:
    """The pixel grid of heatmaps over that of the network's image."""
    rows, columns = carm.detector.shape
    return replace(carm, detector=carm.detector.resize(rows // stride, columns // stride))


@dataclass(frozen=True, eq=False)
class _Batch:
    """Of some passes over one image, on the CPU, in heatmap pixels."""

    pixels: Float[Tensor, "s n 2"]
    covariances: Float[Tensor, "s n 2 2"]
    visible: Float[Tensor, "s n"]
    heatmaps: Float[Tensor, "n rows columns"]


def _passes(
    detector: LandmarkDetector,
    features: tuple[Tensor, ...],
    count: int,
    done: int,
    chosen: DetectSettings,
) -> _Batch:
    generator = torch.Generator().manual_seed(chosen.seed * 1_000_003 + done)
    with (
        torch.no_grad(),
        dropout_active(detector, chosen.passes > 0),
        drawn_from(generator),
    ):
        maps = detector.decode(tuple(f.expand(count, *f.shape[1:]) for f in features))
        logits = detector.spread_logits(maps.logits.float())
        peak = local_soft_argmax(logits, window=chosen.window)
        shown = (logits - logits.amax((-2, -1), keepdim=True)).exp()
    return _Batch(
        peak.pixels.double().cpu(), peak.covariances.double().cpu(),
        maps.visible.double().sigmoid().cpu(), shown.sum(0).cpu(),
    )  # fmt: skip


class _Gathered:
    """Batches so far."""

    def __init__(self) -> None:
        self._batches: list[_Batch] = []
        self.passes = 0

    def add(self, batch: _Batch) -> None:
        self._batches.append(batch)
        self.passes += len(batch.pixels)

    def detections(
        self, names: tuple[str, ...], grid: CArm, stored: CArm, keep_heatmaps: bool
    ) -> Detections:
        pixels = torch.cat([b.pixels for b in self._batches])
        within = torch.cat([b.covariances for b in self._batches]).mean(0)
        samples = pixels_between(pixels, grid, stored)
        within = covariance_between(within, grid, stored)
        away = samples - samples.mean(0)
        between = (away[..., :, None] * away[..., None, :]).mean(0)
        heatmaps = None
        if keep_heatmaps:
            total = torch.stack([b.heatmaps for b in self._batches]).sum(0)
            heatmaps = total / self.passes
        return Detections(
            names, samples.mean(0), between + within,
            torch.cat([b.visible for b in self._batches]).mean(0), samples, heatmaps,
            grid if keep_heatmaps else None,
        )  # fmt: skip
