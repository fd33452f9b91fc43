"""A tour of six steps, each of which notices that it was done."""

import time
from dataclasses import dataclass
from typing import Any

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
)

from napari_xreg.widgets.docks.docked import Docked
from napari_xreg.widgets.docks.opening import dock_of
from napari_xreg.widgets.docks.tabs import to_front
from napari_xreg.workflows import compiled

FIRST_S, AGAIN_S = 20, 6
"""Until the demo is ready on two quiet processors: with and without compiling."""


@dataclass(frozen=True)
class Step:
    """One thing to do.

    Parameters
    ----------
    title, text
        What the panel says.
    tab
        Name of the dock widget to bring to the front.
    sign
        What the tour notices when it is done; empty: there is nothing to do.
    """

    title: str
    text: str
    tab: str = ""
    sign: str = ""


STEPS = (
    Step(
        "A radiograph and a CT that do not match yet",
        "Grey is a radiograph, simulated from a phantom; orange is a DRR, rendered from the CT at a "
        "pose that is wrong by some degrees and centimetres.",
        tab="Pose",
    ),
    Step(
        "Move the C-arm",
        "Hold <b>Control</b> and drag on the image: the DRR follows. Control+Shift turns it. The "
        "sliders of the Pose tab do the same, in degrees and mm.",
        tab="Pose",
        sign="moved",
    ),
    Step(
        "Take it back",
        "Press <b>Undo</b>: every change of the pose can be undone.",
        tab="Pose",
        sign="undone",
    ),
    Step(
        "Let it be found",
        "Press <b>Refine</b> and watch: each iteration lands in the layers, its losses in the "
        "curve. Pause, step and cancel whenever you like.",
        tab="Refine",
        sign="refined",
    ),
    Step(
        "Go back in time",
        "Drag the slider under the curve, or click the curve: every pose tried is still there. "
        "<b>Restart from this iteration</b> would start again from it.",
        tab="Refine",
        sign="scrubbed",
    ),
    Step(
        "Accept it",
        "Click the result in the table: its best iteration is shown again. Then press <b>Accept</b>, which "
        "says what it takes: now the pose is the refined one, and the orange lies on the grey.",
        tab="Refine",
        sign="accepted",
    ),
    Step(
        "That was it",
        "<b>3D view</b> shows all of it in 3D. Under <b>Tools</b>: <b>Confidence</b> says how sure the "
        "pose is, <b>Loss landscape</b> where else the optimiser might end. Your own CT and X-rays: "
        "<b>Data</b>.",
        tab="3D view",
    ),
)


class Tour(Docked):
    """A small panel that says what to do next; the user may go on, back, or close it."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        self._at = -1
        self._expected_s = AGAIN_S if compiled(simulator=True) else FIRST_S
        self._signs: set[str] = set()
        self._poses = 0
        self._undone_to = 0
        self._results = 0
        self.title = QLabel()
        self.text = QLabel()
        self.text.setWordWrap(True)
        self.text.setTextFormat(Qt.TextFormat.RichText)
        self.text.setMinimumHeight(36)
        self.done = QLabel()
        self.bar = QProgressBar()
        self.bar.setRange(0, self._expected_s)
        self.bar.setTextVisible(False)
        self.bar.setMaximumHeight(6)
        self.back = QPushButton("Back")
        self.back.setToolTip("The step before.")
        self.next = QPushButton("Next")
        self.next.setToolTip("The next step, whether or not this one was done.")
        self.skip = QPushButton("End tour")
        self.skip.setToolTip("Close this panel; everything else stays.")
        self.back.clicked.connect(lambda _: self.go(self._at - 1))
        self.next.clicked.connect(lambda _: self._forward())
        self.skip.clicked.connect(lambda _: self.dismiss())
        self._began, self._waiting = time.monotonic(), ""
        self._clock = QTimer(self)
        self._clock.timeout.connect(self._tick)
        self._clock.start(1000)
        self._lay_out()
        self.say_waiting("Preparing the demo …")
        session = self.workbench.session
        self.listen(session.poses.changed, self._on_pose)
        self.listen(session.history_changed, self._on_history)
        self.listen(session.results.changed, self._on_results)

    @property
    def at(self) -> int:
        """Number of the step shown; -1 while the demo is being prepared."""
        return self._at

    @property
    def step(self) -> Step | None:
        """The step shown."""
        return STEPS[self._at] if self._at >= 0 else None

    def say_waiting(self, words: str) -> None:
        """What is being prepared; the seconds count on until `start`."""
        if self._at >= 0:
            return
        self.title.setText("<b>One moment</b>")
        self._waiting = words
        self._tick()
        self.bar.show()
        self.back.setEnabled(False)
        self.next.setEnabled(False)

    def _tick(self) -> None:
        if self._at >= 0:
            self._clock.stop()
            return
        seconds = round(time.monotonic() - self._began)
        left = self._expected_s - seconds
        self.bar.setValue(min(seconds, self._expected_s - 1))
        words = f"about {left} s left" if left > 0 else "longer than usual: the machine is busy"
        self.text.setText(f"{self._waiting} {seconds} s, {words}.")

    def start(self) -> None:
        """The first step; what happened before does not count."""
        self.bar.hide()
        self._signs.clear()
        self.go(0)

    def go(self, number: int) -> None:
        """Show a step."""
        self._at = min(max(number, 0), len(STEPS) - 1)
        step = STEPS[self._at]
        session = self.workbench.session
        self._undone_to = session.history.at
        self._results = len(session.results.all)
        self.title.setText(f"<b>{self._at + 1} of {len(STEPS)}: {step.title}</b>")
        self.text.setText(step.text)
        self.back.setEnabled(self._at > 0)
        self.next.setEnabled(True)
        self._raise(step.tab)
        if step.sign == "scrubbed":
            self._listen_to_refine()
        if step.sign == "accepted":
            self._show_results()
        self._follow()

    def notice(self, sign: str) -> None:
        """Something was done; it counts if the step shown asks for it."""
        step = self.step
        if step is not None and step.sign == sign and sign not in self._signs:
            self._signs.add(sign)
            self._follow()

    def dismiss(self) -> None:
        """Close the panel."""
        dock = dock_of(self)
        self.tear_down()
        if dock is not None:
            self.workbench.viewer.window.remove_dock_widget(dock)
        else:
            self.hide()

    # ------------------------------------------------------------------ what was done

    def _on_pose(self) -> None:
        self.notice("moved")

    def _on_history(self) -> None:
        history = self.workbench.session.history
        if history.at < self._undone_to:
            self.notice("undone")
        self._undone_to = history.at
        if history.now.why.endswith("accepted"):
            self.notice("accepted")

    def _on_results(self) -> None:
        count = len(self.workbench.session.results.all)
        if count > self._results:
            self.notice("refined")
        self._results = count

    def _listen_to_refine(self) -> None:
        widget = self._widget("Refine")
        if widget is not None:
            self.listen(widget.replay.looked_back, self._on_look_back)

    def _show_results(self) -> None:
        """On a low screen the table is further down."""
        widget = self._widget("Refine")
        area = None if widget is None else widget.findChild(QScrollArea)
        if area is not None:
            area.ensureWidgetVisible(widget.results.table)

    def _on_look_back(self, _: object) -> None:
        self.notice("scrubbed")

    # ------------------------------------------------------------------ inside

    def _forward(self) -> None:
        if self._at == len(STEPS) - 1:
            self.dismiss()
        else:
            self.go(self._at + 1)

    def _follow(self) -> None:
        step = self.step
        if step is None:
            return
        done = step.sign in self._signs
        self.done.setText("✓ done" if done else "")
        last = self._at == len(STEPS) - 1
        self.next.setText("Finish" if last else "Next" if done or not step.sign else "Skip step")
        self.skip.setVisible(not last)

    def _widget(self, name: str) -> Any:
        return self.workbench.viewer.window.dock_widgets.get(name)

    def _raise(self, name: str) -> None:
        widget = self._widget(name) if name else None
        dock = None if widget is None else dock_of(widget)
        if dock is not None:
            to_front(dock)

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(4)
        head.addWidget(self.title)
        head.addWidget(self.done)
        head.addWidget(self.bar, 1)
        head.addStretch(1)
        for button in (self.back, self.next, self.skip):
            head.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 4, 8, 4)
        layout.setSpacing(2)
        layout.addLayout(head)
        layout.addWidget(self.text, 1)
        self.setMaximumHeight(90)
