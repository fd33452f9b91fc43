"""Start, pause, step, cancel, and how it goes."""

from qtpy.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from napari_xreg.session import Exposure, Session
from napari_xreg.widgets.parts.data_buttons import button
from napari_xreg.widgets.parts.small_print import SmallPrint


class RunButtons(QWidget):
    """The row of buttons, and a status below it that moves nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.go = button("Refine", "Refine from the current pose.")
        self.pause = button("Pause", "Pause after this iteration; click again to resume.")
        self.step = button("Step", "One iteration, then wait.")
        self.cancel = button(
            "Cancel", "End after this iteration; the best pose so far is kept as a result."
        )
        self.status = SmallPrint(lines=2)
        rows = QVBoxLayout(self)
        rows.setContentsMargins(6, 6, 6, 2)
        rows.setSpacing(4)
        buttons = QHBoxLayout()
        buttons.setSpacing(4)
        for one in (self.go, self.pause, self.step, self.cancel):
            buttons.addWidget(one)
        rows.addLayout(buttons)
        rows.addWidget(self.status)

    def follow(self, session: Session, *, running: bool, waiting: bool) -> None:
        """Which can be clicked now."""
        ready = session.patient.volume is not None and any(
            exposure.used for exposure in session.exposures.all
        )
        self.go.setEnabled(ready and not running)
        self.pause.setEnabled(running)
        self.pause.setText("Resume" if running and waiting else "Pause")
        self.step.setEnabled(ready)
        self.cancel.setEnabled(running)

    def say_ready(self, session: Session) -> None:
        """What would be refined."""
        if session.patient.volume is None or not session.exposures.all:
            self.status.setText("Load a CT and a radiograph first (Data).")
            return
        names = ", ".join(
            entry.name + (" (simulated)" if _simulated_unsaid(entry) else "")
            for entry in session.exposures.all
            if entry.used
        )
        self.status.setText(f"Ready: {names or 'no radiograph: tick one'}.")


def _simulated_unsaid(entry: Exposure) -> bool:
    """Whether it is simulated and its name does not say so."""
    return entry.radiograph.simulated and "simulated" not in entry.name
