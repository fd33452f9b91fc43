"""A detector that knows where its landmarks are on its heatmaps, and trembles when told to."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from napari_xreg.landmarks import Heatmaps, LandmarkDetector
from napari_xreg.training import Framing


class StubDetector(LandmarkDetector):
    """Gaussian peaks at fixed heatmap places; dropout shifts them down by up to a pixel.

    Parameters
    ----------
    places
        Row, column on the heatmap.
    sigma
        Standard deviation of a peak, heatmap pixels.
    tremble
        Rows by which a pass may move all peaks.
    """

    kind = "stub"

    def __init__(
        self,
        names: Sequence[str],
        places: Sequence[tuple[float, float]],
        *,
        stride: int = 2,
        framing: Framing | None = None,
        sigma: float = 1.0,
        tremble: float = 0.0,
        visible: float = 3.0,
    ) -> None:
        super().__init__()
        self.names, self.stride, self.trusted_mm = tuple(names), stride, None
        self.framing = framing or Framing(pixel_mm=2.3, multiple=16)
        self.places = nn.Parameter(torch.tensor(places, dtype=torch.float32))
        self.sigma, self.tremble, self.shown = sigma, tremble, visible
        self.dropout = nn.Dropout(0.5)

    def inputs(self, images: Tensor, masks: Tensor, carm: object) -> Tensor:
        return images[:, None]

    def encode(self, inputs: Tensor) -> tuple[Tensor, ...]:
        return (inputs,)

    def decode(self, features: tuple[Tensor, ...]) -> Heatmaps:
        b, _, rows, columns = features[0].shape
        rows, columns = rows // self.stride, columns // self.stride
        # 0 or 2 where dropout is active, 1 where it is not: down, up, or not at all.
        moved = (self.dropout(torch.ones(b, len(self.names))) - 1) * self.tremble
        place = self.places + torch.stack([moved, torch.zeros_like(moved)], -1)
        v = torch.arange(rows) - place[..., :1]
        u = torch.arange(columns) - place[..., 1:]
        away = v[..., :, None].square() + u[..., None, :].square()
        return Heatmaps(-0.5 * away / self.sigma**2, torch.full((b, len(self.names)), self.shown))

    def spread_logits(self, logits: Tensor) -> Tensor:
        return logits

    def configuration(self) -> dict[str, object]:
        return {}
