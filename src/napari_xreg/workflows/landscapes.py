"""Landscape: the loss around a pose, from a request to sections, a map and words."""

from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float
from torch import Tensor

from napari_xreg.images import Volume
from napari_xreg.progress import Control
from napari_xreg.registration import (
    Landscape,
    LandscapeSample,
    LandscapeSettings,
    View,
    empty_landscape,
    loss_landscape,
    unit_of,
)
from napari_xreg.session import Rendering, rendered
from napari_xreg.similarity import learned_loss, load_similarity
from napari_xreg.workflows.preparing import WeightsRead


@dataclass(frozen=True, eq=False)
class LandscapeRequest:
    """Everything a landscape needs, captured: `landscape` may run in any thread.

    Parameters
    ----------
    volume
        The CT, or what of it is rendered (`Patient.rendering`).
    views
        Radiographs, masked, with their poses: the first is the centre, the others move along.
    settings
        Which sections, how far, at which level.
    isocenter
        Gives the C-arm terms their meaning, world mm.
    weights
        Of a learned similarity, where one is a measure.
    """

    volume: Volume | Rendering
    views: tuple[View, ...]
    settings: LandscapeSettings = field(default_factory=LandscapeSettings)
    isocenter: Float[Tensor, "3"] | None = None
    weights: Path | None = None

    def empty(self) -> Landscape:
        """With nothing computed yet: to be filled in while the samples arrive (`Landscape.set`)."""
        isocenter = self.isocenter
        if isocenter is None:
            isocenter = rendered(self.volume).center
        return empty_landscape(
            self.views[0].radiograph.carm, self.views[0].world_from_camera, isocenter,
            self.settings, simulated=any(view.radiograph.simulated for view in self.views),
        )  # fmt: skip


def landscape(
    request: LandscapeRequest, *, control: Control | None = None
) -> Generator[WeightsRead | LandscapeSample, None, Landscape]:
    """Sample the loss around a pose, coarsely first, so that the picture sharpens.

    Yields, returns and raises as `loss_landscape`, and as `load_similarity` where a network is asked: its weights are
    the first event. It is asked about the whole CT, whatever structures of it are rendered: it learned no others.
    """
    learned = None
    if request.settings.learned and request.weights is not None:
        network, about = load_similarity(request.weights)
        yield WeightsRead(request.weights.name, about)
        of = request.volume
        learned = learned_loss(network, of.whole if isinstance(of, Rendering) else of)
    return (
        yield from loss_landscape(
            rendered(request.volume), request.views, settings=request.settings,
            isocenter=request.isocenter, learned=learned, control=control,
        )
    )  # fmt: skip


def landscape_words(shown: Landscape, *, complete: bool) -> str:
    """What there is to read from sections and map, of every measure: a line for each."""
    lines = [] if complete else ["Cancelled; some samples are missing."]
    for each in shown.each:
        if shown.beside is not None:
            lines.append(f"{each.settings.title}:")
        lines += [*_sections_read(each), *_map_read(each)]
    if shown.simulated:
        lines.append("A radiograph here was simulated.")
    return "\n".join(lines)


def _sections_read(shown: Landscape) -> list[str]:
    lines = []
    for name, profile in shown.profiles.items():
        minima = profile.minima
        if not minima:
            continue
        best = minima[0]
        words = f"{name}: lowest at {with_unit(best.offset, name)}"
        if best.at_edge:
            words += " (an end of the range: the optimum may lie beyond)"
        low, high = best.basin
        if len(minima) > 1:
            words += (
                f", converges from {with_unit(low, name)} to {with_unit(high, name)} (capture range); further minima "
                "at " + ", ".join(with_unit(m.offset, name) for m in minima[1:4])
            )
        else:
            words += ", no other minimum"
        lines.append(words + ".")
    return lines


def _map_read(shown: Landscape) -> list[str]:
    pair = shown.pair
    if pair is None or not np.isfinite(pair.leads_home):
        return []
    others = len(pair.minima) - 1
    further = (
        "no other minimum"
        if not others
        else f"{others} further minim{'um' if others == 1 else 'a'}"
    )
    home = f"from {100 * pair.leads_home:.0f} % of it the way down leads nearer to the middle"
    return [f"Map of {' and '.join(pair.parameters)}: {further}; {home}."]


def with_unit(value: float, parameter: str) -> str:
    """An offset with sign and unit: +3.2°, −14.0 mm."""
    sign = "\N{DEGREE SIGN}" if unit_of(parameter) == "degrees" else " mm"
    return f"{value:+.1f}{sign}".replace("-", "\N{MINUS SIGN}")
