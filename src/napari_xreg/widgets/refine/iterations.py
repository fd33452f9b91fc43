"""Curves, slider and words of the iterations, and which of them is looked at."""

from collections.abc import Sequence
from dataclasses import replace

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QSizePolicy, QTabWidget, QVBoxLayout, QWidget

from napari_xreg.registration import Iterate
from napari_xreg.session import Session
from napari_xreg.widgets.parts.data_buttons import button
from napari_xreg.widgets.parts.quiet_choice import quiet_slider
from napari_xreg.widgets.parts.small_print import SmallPrint
from napari_xreg.widgets.pose.plot import PosePlot
from napari_xreg.widgets.pose.words import carm_words, truth_error_mm
from napari_xreg.widgets.refine.loss_plot import LossPlot
from napari_xreg.widgets.refine.shown import ShownRefinement


class IterationsPanel(QWidget):
    """Shows one refinement, `shown`, and of it one iterate, `current`.

    Parameters
    ----------
    session
        For the isocenter and the truth.
    """

    picked = Signal(int)
    """The user chose an iteration: on a curve or with the slider."""
    resume_requested = Signal()
    """The user wants to refine from the iterate looked at."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self.shown: ShownRefinement | None = None
        self.current: Iterate | None = None
        self.losses, self.poses = LossPlot(), PosePlot()
        self.tabs = QTabWidget()
        self.tabs.addTab(self.losses, "Loss")
        self.tabs.addTab(self.poses, "Pose")
        self.tabs.currentChanged.connect(lambda _: self._fit_tabs())
        self._fit_tabs()
        self.slider = quiet_slider()
        self.slider.setToolTip(
            "Scrub through the iterations (also: the viewer's iteration slider)."
        )
        self.readout = SmallPrint(lines=4)
        self.resume_here = button(
            "Restart from this iteration",
            "Move the C-arm to this iteration's pose and refine from there.",
        )
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(6)
        column.addWidget(self.tabs, 2)
        column.addWidget(self.slider)
        column.addWidget(self.readout)
        column.addWidget(self.resume_here)
        for chosen in (self.slider.valueChanged, self.losses.picked, self.poses.picked):
            chosen.connect(self._pick)
        self.resume_here.clicked.connect(lambda _: self.resume_requested.emit())

    def begin(self, shown: ShownRefinement | None) -> None:
        """Show another refinement, whose iterates are still to come; None: none."""
        self.shown, self.current = shown, None
        self.losses.clear()
        self.poses.clear()
        if shown is not None:
            self.slider.setRange(0, 0)

    def append(self, iterates: Sequence[Iterate]) -> None:
        """More iterates of what is shown."""
        shown = self.shown
        assert shown is not None
        # The pictures are in the layer; a second copy here would only cost memory.
        light = [replace(iterate, image=None) for iterate in iterates]
        shown.iterates.extend(light)
        self.losses.append(light)
        isocenter = self._session.patient.isocenter
        self.poses.append(
            light, [shown.carm.carm_pose(it.world_from_camera, isocenter) for it in light]
        )
        self.slider.blockSignals(True)
        self.slider.setRange(0, len(shown.iterates) - 1)
        self.slider.blockSignals(False)

    def look_at(self, iterate: Iterate) -> None:
        """Mark one iterate as the one looked at."""
        self.current = iterate
        self.losses.mark(iterate.index)
        self.poses.mark(iterate.index)
        self.slider.blockSignals(True)
        self.slider.setValue(iterate.index)
        self.slider.blockSignals(False)

    def follow(self, *, running: bool, ncc: float | None) -> None:
        """Say what is shown.

        Parameters
        ----------
        running
            Whether a refinement is under way: none begins meanwhile.
        ncc
            Of what the curve shows, for its legend; None: not known.
        """
        self.losses.note("" if ncc is None else f"NCC {ncc:.4f} over all pixels")
        self.resume_here.setEnabled(self.current is not None and not running)
        self.slider.setEnabled(self.current is not None)
        self.readout.setText(self._words())

    def _words(self) -> str:
        shown, iterate = self.shown, self.current
        if shown is None or iterate is None:
            return ""
        start = f", start {iterate.start + 1}" if iterate.start else ""
        taken = "" if iterate.accepted else ", taken back"
        simulated = ", simulated radiograph" if shown.simulated else ""
        words = [
            f"Iteration {iterate.index}, level {iterate.level + 1}{start}{taken}",
            f"loss {iterate.loss:.3g}",
            carm_words(
                shown.carm.carm_pose(iterate.world_from_camera, self._session.patient.isocenter)
            ),
        ]
        pose = iterate.world_from_camera
        error = truth_error_mm(self._session, shown.ids[0], pose) if shown.bone is None else None
        if error is not None:
            words[1] += f", mTRE {error:.2f} mm"
        words[1] += simulated
        return "\n".join(words)

    def _pick(self, index: int) -> None:
        if self.shown is not None and 0 <= index < len(self.shown.iterates):
            self.picked.emit(index)

    def _fit_tabs(self) -> None:
        """Only the page in front asks for room: one curve needs half of what two do."""
        for number in range(self.tabs.count()):
            page, in_front = self.tabs.widget(number), number == self.tabs.currentIndex()
            policy = QSizePolicy.Policy.Preferred if in_front else QSizePolicy.Policy.Ignored
            assert page is not None
            page.setSizePolicy(policy, policy)
