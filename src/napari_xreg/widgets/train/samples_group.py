"""Samples of a pose range, as the network would see them; renewed when the range changes."""

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_xreg.widgets.jobs.lane import Lane
from napari_xreg.widgets.jobs.telling import sentence
from napari_xreg.widgets.train.form import TrainForm
from napari_xreg.widgets.train.sample_strip import SampleStrip
from napari_xreg.workflows import KnownPatients, TrainingSample, TrainingSamplesRequest

_WAIT_MS = 250
"""After the last change, before samples are rendered."""


class SamplesGroup(QWidget):
    """A button and, while it is pressed, pictures.

    Parameters
    ----------
    form
        What the samples are of.
    """

    def __init__(self, form: TrainForm) -> None:
        super().__init__()
        self._form = form
        self._known = KnownPatients()
        self._lane = Lane(self._take, on_error=self._fail, name="Samples")
        self.button = QPushButton("Show samples")
        self.button.setCheckable(True)
        self.button.setToolTip(
            "Images as the network is shown them: poses drawn from this range, with the noise, "
            "contrast,\ncollimator and metal of training; reddish is masked. Below each: primary and "
            "secondary angle."
        )
        self.strip = SampleStrip()
        self.strip.setVisible(False)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_WAIT_MS)
        self._timer.timeout.connect(self._ask)
        self.button.toggled.connect(self._toggle)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(self.button)
        layout.addWidget(self.strip)

    @property
    def busy(self) -> bool:
        """Whether pictures are on their way."""
        return self._timer.isActive() or self._lane.busy

    def renew(self) -> None:
        """Other samples, once nothing has changed for a moment."""
        if self.button.isChecked():
            self.strip.wait()
            self._timer.start()

    def close_lane(self) -> None:
        """No more pictures."""
        self._timer.stop()
        self._lane.close()

    def _toggle(self, shown: bool) -> None:
        self.strip.setVisible(shown)
        self.button.setText("Hide samples" if shown else "Show samples")
        if shown:
            self.strip.wait()
            self._ask()
        else:
            self._timer.stop()
            self._lane.drop()

    def _ask(self) -> None:
        form = self._form
        try:
            request = TrainingSamplesRequest(
                form.who.value(),
                form.poses.value(),
                form.recipe.shown(form.carm()),
                self._known,
            )
        except ValueError as error:
            self._lane.drop()
            words = sentence(error)
            self.strip.say(words[0].upper() + words[1:])
            return
        self._lane.ask(request)

    def _take(self, samples: list[TrainingSample]) -> None:
        self.strip.show_samples(samples)

    def _fail(self, error: Exception) -> None:
        words = sentence(error)
        self.strip.say(words[0].upper() + words[1:])
