"""Pictures of iterates that came without: a session file keeps poses and losses, no pictures."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from napari_xreg.session import PreviewRequest
from napari_xreg.viewer import IterateLayers
from napari_xreg.widgets.jobs.lane import Lane


@dataclass(frozen=True, eq=False)
class _Wanted:
    """The picture of one iterate, by its place in the order."""

    number: int
    request: PreviewRequest

    def answer(self) -> tuple[int, npt.NDArray[np.float32]]:
        return self.number, self.request.answer().image


class IteratePictures:
    """Renders them again off the main thread: first the one that is looked at, then its neighbours.

    Parameters
    ----------
    layers
        Where they are shown.
    """

    def __init__(self, layers: IterateLayers) -> None:
        self._layers = layers
        self._lane = Lane(self._take, name="pictures of the iterations")
        self._request: Callable[[int], PreviewRequest] | None = None

    def fill(self, request: Callable[[int], PreviewRequest]) -> None:
        """Begin; `request` says how the picture of an iterate is made."""
        self._request = request
        self._ask()

    def stop(self) -> None:
        """Other iterates are shown now."""
        self._request = None
        self._lane.drop()

    def close(self) -> None:
        """For good."""
        self._request = None
        self._lane.close(wait_seconds=1.0)

    def _ask(self) -> None:
        number = self._layers.next_without_picture()
        if number is not None and self._request is not None:
            self._lane.ask(_Wanted(number, self._request(number)))

    def _take(self, answer: tuple[int, npt.NDArray[np.float32]]) -> None:
        self._layers.fill(*answer)
        self._ask()
