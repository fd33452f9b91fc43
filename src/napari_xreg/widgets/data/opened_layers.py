"""What File > Open, a drop on the canvas or a sample brought as layers becomes part of the session."""

from collections.abc import Callable
from typing import Any
from weakref import WeakSet

from napari.layers import Layer
from qtpy.QtCore import QTimer

from napari_xreg.images import LabelMap, Radiograph, Volume
from napari_xreg.session import Session
from napari_xreg.viewer import Carried, value_of
from napari_xreg.widgets.data import loading
from napari_xreg.widgets.jobs.workbench import Workbench
from napari_xreg.widgets.saving.closing import seen

_TURN = (Volume, LabelMap, tuple, Radiograph)
"""A CT comes before what belongs to it."""


class OpenedLayers:
    """Takes layers that the plugin's readers and samples made; hides what the plugin shows itself.

    The CT is in the 3D view and in Slices, the radiograph on the canvas: their layers would show them
    twice, and a CT lies over the radiograph. They stay in the list, with the eye closed.

    Parameters
    ----------
    bench
        Of the viewer. In a window that nobody sees (a script's) layers are left alone.
    take
        Called with each answer, as if it had been read by the Data widget: it may ask.
    """

    def __init__(self, bench: Workbench, take: Callable[[Any], None]) -> None:
        self._bench, self._take = bench, take
        self._waiting: list[Layer] = []
        # A copy or conversion of a layer shares what it was made from: nothing new. What was there
        # before, the user chose to have as layers, or an earlier Data widget took.
        there = map(value_of, bench.viewer.layers)
        self._taken: WeakSet[Carried] = WeakSet(carry for carry in there if carry is not None)
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._take_all)
        bench.viewer.layers.events.inserted.connect(self._inserted)

    def close(self) -> None:
        """Follow the list no longer."""
        self._timer.stop()
        self._waiting.clear()
        self._bench.viewer.layers.events.inserted.disconnect(self._inserted)

    def _inserted(self, event: Any) -> None:
        window = getattr(getattr(self._bench.viewer, "window", None), "_qt_window", None)
        carry = value_of(event.value)
        if window is None or carry is None or carry in self._taken or not seen(window):
            return
        self._taken.add(carry)
        self._waiting.append(event.value)
        self._timer.start(0)  # once all layers of a file or sample are there

    def _take_all(self) -> None:
        layers, self._waiting = self._waiting, []
        carried = [(layer, carry) for layer in layers if (carry := value_of(layer)) is not None]
        carried.sort(
            key=lambda one: next(k for k, t in enumerate(_TURN) if isinstance(one[1].value, t))
        )
        opened: set[int] = set()
        for layer, carry in carried:
            layer.visible = False
            if carry.session is not None:
                if id(carry.session) not in opened:
                    opened.add(id(carry.session))
                    self._take(Opened(carry.session, layer.name))
            elif not self._known(carry.value):
                self._take(_answer(carry, layer.name))

    def _known(self, value: Any) -> bool:
        """Whether the session has it: a layer that was duplicated brings nothing new."""
        session = self._bench.session
        there: list[Any] = [session.patient.volume, session.patient.labels]
        there += [exposure.radiograph for exposure in session.exposures.all]
        return any(value is one for one in there)


class Opened:
    """A session that was read with its layers.

    Parameters
    ----------
    session
        As it was read.
    name
        Of the first of its layers.
    """

    def __init__(self, session: Session, name: str) -> None:
        self.session, self.name = session, name


def _answer(carry: Any, name: str) -> Any:
    value = carry.value
    if isinstance(value, Volume):
        return loading.CT(value, carry.source, carry.notes)
    if isinstance(value, LabelMap):
        return loading.Labelled(value, carry.source)
    if isinstance(value, Radiograph):
        truth = None if carry.case is None else carry.case.truth
        return loading.Xray(value, carry.source, name, truth)
    return loading.Marks(value, name)
