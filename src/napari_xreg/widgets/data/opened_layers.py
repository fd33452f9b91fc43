"""What a script opened as layers, by our readers, becomes part of the session."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

from napari.layers import Layer
from qtpy.QtCore import QTimer

from napari_xreg.images import LabelMap, Radiograph, Volume
from napari_xreg.session import Session
from napari_xreg.viewer import Carried, at_home, value_of
from napari_xreg.widgets.data.answers import CT, Labelled, Marks, Xray
from napari_xreg.widgets.data.load_queue import LoadQueue
from napari_xreg.widgets.jobs.workbench import Workbench
from napari_xreg.widgets.saving.closing import seen

_TURN = (Volume, LabelMap, tuple, Radiograph)
"""A CT comes before what belongs to it."""
_taken: "WeakKeyDictionary[Workbench, WeakSet[Carried]]" = WeakKeyDictionary()


class OpenedLayers:
    """Takes layers that the plugin's readers and samples made; hides what the plugin shows itself.

    The CT is in the 3D view and in Slices, the radiograph on the canvas: their layers would show them
    twice, and a CT lies over the radiograph. They stay in the list, with the eye closed (software
    OpenGL, Mesa 22.3, crashes when one is removed, be it half a second after the canvas has drawn its
    own), and a radiograph's leaves its name to the canvas's own. Layers that were opened before the first widget of ours are taken too.

    Parameters
    ----------
    bench
        Of the viewer. In a window that nobody sees (a script's) layers are left alone.
    queue
        Hands `Brought` and `Settled` back to `take` and `settle` in their turn.
    take
        Called with each answer, as if it had been read by the Data widget: it may ask.
    """

    def __init__(self, bench: Workbench, queue: LoadQueue, take: Callable[[Any], None]) -> None:
        self._bench, self._queue, self._take = bench, queue, take
        self._waiting: list[Layer] = []
        # A copy or conversion of a layer shares what it was made from: nothing new, nor for a Data
        # widget that is opened again.
        self._taken = _taken.setdefault(bench, WeakSet())
        self._timer = QTimer()
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self._take_all)
        for layer in bench.viewer.layers:  # opened before the first widget of ours was
            self._look_at(layer)
        bench.viewer.layers.events.inserted.connect(self._inserted)

    def close(self) -> None:
        """Follow the list no longer."""
        self._timer.stop()
        self._waiting.clear()
        self._bench.viewer.layers.events.inserted.disconnect(self._inserted)

    def _inserted(self, event: Any) -> None:
        self._look_at(event.value)

    def _look_at(self, layer: Layer) -> None:
        carry = value_of(layer)
        # What is at home here is the canvas's own or was taken, and so are copies of it.
        if carry is None or carry in self._taken or carry.home is self._bench.session:
            return
        window = getattr(getattr(self._bench.viewer, "window", None), "_qt_window", None)
        if window is None or not seen(window):
            return
        self._taken.add(carry)
        self._waiting.append(layer)
        self._timer.start(0)  # once all layers of a file or sample are there

    def _take_all(self) -> None:
        """Through the queue: what belongs to a CT waits while the user is asked about it."""
        layers, self._waiting = self._waiting, []
        carried = [(layer, carry) for layer in layers if (carry := value_of(layer)) is not None]
        carried.sort(
            key=lambda one: next(k for k, t in enumerate(_TURN) if isinstance(one[1].value, t))
        )
        ct = next((c.value for _, c in carried if isinstance(c.value, Volume)), None)
        opened: set[int] = set()
        for layer, carry in carried:
            if id(carry.session) not in opened:
                self._queue.ask(Brought(layer.name, carry, ct))
            if carry.session is not None:
                opened.add(id(carry.session))
        self._queue.ask(Settled(tuple(carried)))

    def take(self, brought: "Brought") -> None:
        """What a layer brought, when its turn has come.

        Raises
        ------
        ValueError
            If the session refuses it.
        """
        carry, name = brought.carry, brought.name
        value, patient = carry.value, self._bench.session.patient
        if carry.session is not None:
            self._take(Opened(carry.session, name))
        elif isinstance(value, LabelMap | tuple) and brought.ct not in (None, patient.volume):
            return  # the user did not want the CT that it came with
        elif not self._known(value):
            self._take(_answer(carry, name))

    def settle(self, settled: "Settled") -> None:
        """Hide the layers that were taken; what was refused stays in sight."""
        there = {mark.name for mark in self._bench.session.landmarks.all}
        for layer, carry in settled.layers:
            value = carry.value
            if isinstance(value, tuple):
                taken = {mark.name for mark in value} <= there
            else:
                taken = self._known(value)
            if not taken and carry.session is None:
                continue
            layer.visible = False
            at_home(layer, self._bench.session)
            if isinstance(value, Radiograph):
                layer.name = f"{layer.name} (as opened)"
        self._bench.canvas.name_radiograph()

    def _known(self, value: Any) -> bool:
        """Whether the session has it already."""
        session = self._bench.session
        there: list[Any] = [session.patient.volume, session.patient.labels]
        there += [exposure.radiograph for exposure in session.exposures.all]
        return any(value is one for one in there)


@dataclass(frozen=True, eq=False)
class Brought:
    """A layer's value in the queue; nothing is left to be read.

    Parameters
    ----------
    name
        Of the layer.
    carry
        What it was made from.
    ct
        That came with it; None: none did.
    """

    name: str
    carry: Carried
    ct: Volume | None

    @property
    def words(self) -> str:
        """For the progress bar, and before what the session says against it."""
        return f"Loading {self.name}"

    def answer(self) -> "Brought":
        """Itself."""
        return self


@dataclass(frozen=True, eq=False)
class Settled:
    """Behind the last layer of a read, in the queue.

    Parameters
    ----------
    layers
        With what they were made from.
    """

    layers: tuple[tuple[Layer, Carried], ...]
    words: str = "Loading layers"

    def answer(self) -> "Settled":
        """Itself."""
        return self


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
        return CT(value, carry.source, carry.notes)
    if isinstance(value, LabelMap):
        return Labelled(value, carry.source)
    if isinstance(value, Radiograph):
        truth = None if carry.case is None else carry.case.truth
        return Xray(value, carry.source, name, truth)
    return Marks(value, name)
