"""An image opened in napari that is none of ours: asked about once, and not shown twice if it is taken."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from weakref import WeakSet

from napari.layers import Image, Layer
from qtpy.QtCore import QTimer

from napari_xreg.session import Session
from napari_xreg.viewer import adoptable, value_of
from napari_xreg.widgets.saving.closing import seen

_CT_VALUES = {"Hounsfield units": "hu", "attenuation (1/mm)": "attenuation"}
_LEAVE = "no: leave it as a layer of napari"


@dataclass(frozen=True, eq=False)
class Foreign:
    """Images in the queue, behind what was opened before them; nothing is left to be read.

    Parameters
    ----------
    layers
        Opened together, of as many dimensions.
    """

    layers: tuple[Layer, ...]
    words: str = "Looking at layers"

    def answer(self) -> "Foreign":
        """Itself."""
        return self


class ForeignImages:
    """Asks about images that a user opened from files, by whatever reader; never about computed ones.

    Parameters
    ----------
    viewer
        In a window that nobody sees (a script's) layers are left alone.
    session
        That may take them.
    queue
        Takes `Foreign`, and hands it back to `ask` in its turn.
    question
        Asks the user for one of several, and does what was chosen.
    adopt
        Takes a layer over as "radiograph", "hu" or "attenuation".
    """

    def __init__(
        self,
        viewer: Any,
        session: Session,
        queue: Callable[[Foreign], None],
        question: Callable[[str, Mapping[str, Callable[[], None]]], None],
        adopt: Callable[[Layer, str], None],
    ) -> None:
        self._viewer, self._session, self._queue = viewer, session, queue
        self._question, self._adopt = question, adopt
        self._waiting: list[Layer] = []
        self._adopted: list[Layer] = []
        self._asked: WeakSet[Layer] = WeakSet()  # taken out and put back, a layer is nothing new
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._queue_up)
        viewer.layers.events.inserted.connect(self._inserted)
        session.exposures.changed.connect(self._close_eyes)
        session.patient.changed.connect(self._close_eyes)

    def close(self) -> None:
        """Follow the list no longer."""
        self._timer.stop()
        self._waiting.clear()
        self._adopted.clear()
        self._viewer.layers.events.inserted.disconnect(self._inserted)
        self._session.exposures.changed.disconnect(self._close_eyes)
        self._session.patient.changed.disconnect(self._close_eyes)

    def adopted(self, layer: Layer) -> None:
        """This layer is being taken over: once the session has it, its eye is closed."""
        self._adopted.append(layer)

    def ask(self, foreign: Foreign) -> None:
        """The question, when its turn has come."""
        there = [layer for layer in self._there(foreign.layers) if layer not in self._asked]
        if not there:
            return
        self._asked.update(there)
        name = f"“{there[0].name}”" if len(there) == 1 else f"these {len(there)} images"
        session = self._session
        if there[0].ndim == 2:
            article = "another" if session.exposures.all else "the"
            role = f"{article} radiograph" if len(there) == 1 else "radiographs"
            answers = {"yes": partial(self._take, there, "radiograph")}
        else:
            role, several = "the CT", len(there) > 1  # there is one CT
            name = f"one of {name}" if several else name
            answers = {
                f"yes: {f'{layer.name}; ' if several else ''}its values are {words}": (
                    partial(self._take, [layer], values)
                )
                for layer in there
                for words, values in _CT_VALUES.items()
            }
        self._question(f"Use {name} as {role}?", {**answers, _LEAVE: lambda: None})

    def _there(self, layers: Iterable[Layer]) -> list[Layer]:
        """Those that the user has not removed meanwhile."""
        return [layer for layer in layers if layer in self._viewer.layers]

    def _take(self, layers: list[Layer], values: str) -> None:
        for layer in self._there(layers):
            self._adopt(layer, values)

    def _inserted(self, event: Any) -> None:
        layer = event.value
        window = getattr(getattr(self._viewer, "window", None), "_qt_window", None)
        if window is None or not isinstance(layer, Image) or not _opened(layer):
            return
        if seen(window):
            self._waiting.append(layer)
            self._timer.start(0)  # once all that was opened together is there

    def _queue_up(self) -> None:
        layers, self._waiting = self._waiting, []
        for flat in (False, True):  # a CT comes before what belongs to it
            alike = tuple(layer for layer in layers if (layer.ndim == 2) == flat)
            if alike:
                self._queue(Foreign(alike))

    def _close_eyes(self) -> None:
        """Of layers that the session has by now."""
        session = self._session
        patient = session.patient
        volume = patient.volume if patient.volume_source is None else None  # of a layer: no file
        sources = {exposure.radiograph.source for exposure in session.exposures.all}
        for layer in list(self._adopted):
            ct = volume is not None and layer.ndim == 3 and layer.data.shape == volume.shape
            if ct or f"layer {layer.name!r}" in sources:
                layer.visible = False
                self._adopted.remove(layer)


def _opened(layer: Layer) -> bool:
    """From a file, and by another reader than ours; of a kind that could be one."""
    possible = adoptable([layer], "ct") or adoptable([layer], "radiograph")
    return bool(possible) and layer.source.path is not None and value_of(layer) is None
