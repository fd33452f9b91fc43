"""The radiograph by itself and darker, under coloured pictures of a widget."""

from collections.abc import Collection
from typing import Protocol, runtime_checkable

from napari_xreg.viewer import OVERLAYS


@runtime_checkable
class Compared(Protocol):
    """What of a detector canvas says how radiograph and DRR are compared."""

    overlay: str
    backdrop: bool


class RadiographAlone:
    """Takes the DRR away and brings it back as it was.

    Parameters
    ----------
    canvas
        Whose pictures they are.
    instead_of
        The ways of comparing that make room; under others the radiograph is not seen anyhow.
    """

    def __init__(self, canvas: Compared, instead_of: Collection[str] = OVERLAYS) -> None:
        self._canvas, self._instead_of = canvas, instead_of
        self._before: str | None = None
        self._dimmed = False

    def show(self, alone: bool) -> None:
        """Under coloured pictures; or as it was before."""
        canvas = self._canvas
        if alone or self._dimmed:
            canvas.backdrop = self._dimmed = alone
        if alone and self._before is None and canvas.overlay in self._instead_of:
            self._before, canvas.overlay = canvas.overlay, "radiograph"
        elif not alone and self._before is not None:
            if canvas.overlay == "radiograph":  # else the user chose something meanwhile
                canvas.overlay = self._before
            self._before = None
