"""How many images a second the two networks take, in inference and in training; CPU or card.

The shipped architectures with random weights (they change no time). Training is forward, a sum and
backward with an Adam step: rendering the images is in the tables of the renderer.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch

from benchmarks.device_timing import Job

if TYPE_CHECKING:
    from benchmarks.gpu import Rows

PIXELS, CHANNELS = 128, 5


def encoder() -> torch.nn.Module:
    """RayEmb's compact encoder."""
    from napari_xreg.rayemb import CompactEncoder

    return CompactEncoder()


def detector() -> torch.nn.Module:
    """The compact landmark detector."""
    from napari_xreg.landmarks import CompactDetector

    return CompactDetector()


NETWORKS: dict[str, Callable[[], torch.nn.Module]] = {
    "RayEmb compact encoder": encoder,
    "landmark detector": detector,
}


def _total(outputs: Any) -> torch.Tensor:
    """Something to go back from."""
    if isinstance(outputs, torch.Tensor):
        return outputs.float().square().mean()
    parts = outputs if isinstance(outputs, tuple) else vars(outputs).values()
    return torch.stack([_total(part) for part in parts if isinstance(part, torch.Tensor)]).sum()


def job_of(make: Callable[[], torch.nn.Module], batch: int, what: str, device: torch.device) -> Job:
    """One pass over a batch."""
    torch.manual_seed(0)
    network = make().to(device)
    inputs = torch.randn(batch, CHANNELS, PIXELS, PIXELS, device=device)
    if what == "inference":
        network.eval()

        def infer() -> object:
            with torch.inference_mode():
                return network(inputs)

        return infer
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-5)

    def train() -> object:
        optimizer.zero_grad()
        loss = _total(network(inputs))
        loss.backward()
        optimizer.step()
        return loss

    return train


def networks(rows: "Rows", device: torch.device | None, *, tiny: bool) -> None:
    """Lines of both networks."""
    for name, make in NETWORKS.items():
        for batch in (1,) if tiny else (1, 16):
            for what in ("inference", "training"):
                rows.add(
                    [PIXELS, batch, name, what],
                    lambda m=make, b=batch, w=what: job_of(m, b, w, device),
                )
