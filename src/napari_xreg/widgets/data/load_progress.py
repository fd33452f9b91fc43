"""What is being loaded, and a button that stops it; out of sight while nothing is."""

from qtpy.QtWidgets import QHBoxLayout, QProgressBar, QVBoxLayout, QWidget

from napari_xreg.widgets.data.load_queue import LoadQueue
from napari_xreg.widgets.parts.data_buttons import button
from napari_xreg.widgets.parts.small_print import SmallPrint


class LoadProgress(QWidget):
    """The words of the request, a bar, Cancel.

    Parameters
    ----------
    queue
        Whose requests they are.
    """

    def __init__(self, queue: LoadQueue) -> None:
        super().__init__()
        self._queue = queue
        self.words = SmallPrint()
        self.cancel = button("Cancel", "Stop loading; what is loaded already stays", queue.cancel)
        bar = QProgressBar()
        bar.setRange(0, 0)
        bar.setTextVisible(False)
        line = QHBoxLayout()
        line.addWidget(bar, 1)
        line.addWidget(self.cancel)
        below = QVBoxLayout(self)
        below.setContentsMargins(0, 0, 0, 0)
        below.addWidget(self.words)
        below.addLayout(line)
        queue.changed.connect(self._show)
        self._show()

    def _show(self) -> None:
        self.setVisible(self._queue.busy)
        self.words.setText(f"{self._queue.words}…" if self._queue.busy else "")
