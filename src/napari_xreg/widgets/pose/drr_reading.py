"""What is said of the DRR on the canvas: how alike it is to the radiograph, its size, its emptiness."""

from operator import is_

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer, Signal
from qtpy.QtWidgets import QLabel

from napari_xreg.geometry import Pose
from napari_xreg.images import Radiograph
from napari_xreg.session import Preview, Session
from napari_xreg.widgets.jobs.lane import Lane
from napari_xreg.widgets.jobs.live_preview import LivePreview
from napari_xreg.widgets.parts.small_print import SmallPrint
from napari_xreg.widgets.pose.ncc_profile import NccProfile
from napari_xreg.widgets.pose.similarity_reading import (
    GradientNcc,
    SmallRadiographs,
    ncc_of,
)

READING_MS = 250
"""The similarity is read at most this often while a pose moves."""
WORDS_MS = 200
"""The numbers follow at most this often while a pose is dragged."""


class DrrReading(QObject):
    """A line and two labels, for a form to take, that follow the DRR.

    Parameters
    ----------
    session
        Whose active radiograph is compared.
    preview
        Renders the DRR.
    parent
        Who ends with it.
    """

    due = Signal()
    """Numbers are to follow now: while dragging only some pictures bring them along."""
    judged = Signal()
    """`empty` may be another."""

    def __init__(self, session: Session, preview: LivePreview, parent: QObject) -> None:
        super().__init__(parent)
        self._session, self._preview = session, preview
        self.empty = ""
        """Why nothing is to be seen, and what to do; empty where something is."""
        self.profile = NccProfile()
        self.similarity = QLabel("—")
        self.similarity.setToolTip(
            "How alike the edges of radiograph and DRR are, inside the mask: mean NCC over 11 × 11 "
            "windows of their Sobel images, as xvr refines with. At most 1, higher is better; at "
            "256 pixels a side at most. Grey: of a pose before this one."
        )
        self.words = SmallPrint(lines=1)
        self.words.setToolTip(
            "Size of the DRR shown and how long it took to render. While a pose is dragged it has "
            "fewer pixels where all of them would take longer than 33 ms."
        )
        self._reading = QTimer(self)
        self._reading.setSingleShot(True)
        self._reading.timeout.connect(self._read)
        self._saying = QTimer(self)
        self._saying.setSingleShot(True)
        self._saying.timeout.connect(self._say)
        self._lane = Lane(self._show, name="Similarity")
        self._small = SmallRadiographs()
        # For the line, in the main thread; of what, and of which pose.
        self._smaller = SmallRadiographs()
        self._compared: tuple[object, ...] = ()
        self._masked: Radiograph | None = None
        self._pose: Pose | None = None

    def follow_pose(self) -> None:
        """Grey: it is of a pose before this one."""
        self.similarity.setEnabled(False)
        self.profile.pose_moved()

    def follow_picture(self, preview: Preview) -> None:
        """The line moves with every picture, in the same repaint.

        While dragging, numbers and words follow a few times a second: each repaint of a widget
        makes Qt compose the whole window anew, canvas included.
        """
        self._draw(preview)
        if not self._preview.dragging:
            self._saying.stop()
            self._say()
        elif not self._saying.isActive():
            self._saying.start(WORDS_MS)
        if not self._reading.isActive():
            self._reading.start(READING_MS if self._preview.dragging else 0)

    def follow_mask(self) -> None:
        """Other pixels are compared."""
        if self._preview.latest is not None:
            self._judge(self._preview.latest.image)
            self._draw(self._preview.latest)
        self._reading.start(READING_MS)

    def follow_scene(self) -> None:
        """Another CT or radiograph, or none."""
        nothing = self._session.exposures.active is None or self._session.patient.volume is None
        if nothing:
            self.empty = ""
        self.judged.emit()
        self._lane.drop()
        if nothing:
            self.similarity.setText("—")
            self.words.setText("")
            self.profile.clear()

    def close(self) -> None:
        """For good."""
        self._saying.stop()
        self._reading.stop()
        self.profile.close_timer()
        self._lane.close(wait_seconds=1.0)

    def _draw(self, preview: Preview) -> None:
        """Its NCC into the line; what is shown of another pose for comparison is left out."""
        self.profile.caught_up(again_behind=self._preview.busy)
        active = self._session.exposures.active
        if active is None or self._preview.elsewhere:
            return
        what = (active.radiograph, active.painted, preview.request.volume)
        if len(what) != len(self._compared) or not all(map(is_, what, self._compared)):
            self.profile.clear()
            self._compared, self._masked = what, active.masked
        assert self._masked is not None
        value = ncc_of(self._masked, preview, self._smaller)
        if value is not None:
            pose = preview.request.world_from_camera
            self.profile.put(value, again=pose is self._pose)
            self._pose = pose

    def _say(self) -> None:
        preview = self._preview.latest
        self.due.emit()
        if preview is None:
            return
        self._judge(preview.image)
        rows, columns = preview.image.shape
        full = preview.request.carm.detector.shape
        active = self._session.exposures.active
        if active is not None:
            full = active.radiograph.carm.detector.shape
        share = max(preview.image.shape) / max(full)
        words = f"DRR {rows} × {columns} px in {1000 * preview.seconds:.0f} ms"
        if share < 0.999:
            words += f", {100 * share:.0f} % of the radiograph's pixels a side"
        if words != self.words.words:
            self.words.setText(words)

    def _judge(self, image: NDArray[np.float32]) -> None:
        """A DRR with nothing where the radiograph has pixels says so, and how to get one."""
        seen, words = image > 0, ""
        if not seen.any():
            words = "⚠ The beam misses the CT: the DRR is empty. Press Centre."
        elif not self._usable(image.shape)[seen].any():
            words = "⚠ The beam misses the CT where the radiograph has usable pixels. Press Centre."
        self.empty = words
        self.judged.emit()

    def _usable(self, shape: tuple[int, ...]) -> NDArray[np.bool_]:
        """Pixels of the radiograph that are compared, at the size of the DRR."""
        active = self._session.exposures.active
        mask = None if active is None else active.masked.mask
        if mask is None:
            return np.ones(shape, bool)
        rows, columns = (
            np.arange(n) * full // n for n, full in zip(shape, mask.shape, strict=True)
        )
        usable: NDArray[np.bool_] = mask.cpu().numpy()[np.ix_(rows, columns)]
        return usable

    def _read(self) -> None:
        active, preview = self._session.exposures.active, self._preview.latest
        if self.empty:
            self._lane.drop()
            self._show(None)
        elif active is not None and preview is not None:
            self._lane.ask(GradientNcc(active.masked, preview, self._small))

    def _show(self, gradient_ncc: float | None) -> None:
        if (
            gradient_ncc is None
            or self._session.exposures.active is None
            or self._preview.latest is None
        ):
            self.similarity.setText("—")
            return
        self.similarity.setEnabled(not self._preview.busy)
        self.similarity.setText(f"{gradient_ncc:.3f}")
