"""What the Sequence widget is operated with: buttons, the strip of frames, the curves."""

from collections.abc import Mapping, Sequence

from qtpy.QtWidgets import QCheckBox, QComboBox, QSpinBox, QVBoxLayout, QWidget

from napari_xreg.widgets.parts.collapsible import Collapsible
from napari_xreg.widgets.parts.data_buttons import button, row
from napari_xreg.widgets.parts.form import SettingsForm
from napari_xreg.widgets.parts.small_print import SmallPrint
from napari_xreg.widgets.sequence import autoscoper_keys
from napari_xreg.widgets.sequence.bone_rows import BoneRows
from napari_xreg.widgets.sequence.curves import MotionPlots
from napari_xreg.widgets.sequence.several import SeveralBones
from napari_xreg.widgets.sequence.strip import LEGEND, FrameStrip
from napari_xreg.workflows import TrackSettings, bone_words

HINT = (
    "Open a CT and one frame of a sequence (a file or folder of frames, a trial of Autoscoper), register it, "
    "and track from there, both ways."
)

UNTRACKED = (
    "{} frames, not tracked yet. Go through them, keep poses that are right, and track from the frame that is "
    "shown, both ways."
)
NOWHERE = "frame {}: not tracked yet, and no pose is known. Bring the bone to where it is, then keep its pose."
BEHIND = "Kept poses not tracked yet: Track again."


class SequenceControls(QWidget):
    """One below the other; what they do is the widget's."""

    def __init__(self) -> None:
        super().__init__()
        self.settings = SettingsForm(TrackSettings())
        self.go = button(
            "Track",
            "From the frame that is shown, at its current pose: refine every frame from where those before "
            "lead to expect the bone, and judge it.",
        )
        self.export_button = button(
            "Export…",
            "A folder with a table of all poses and a film; of several bones one for each, and a table of how they lie to each other.",
        )
        self.key_button = button(
            "Keep this pose",
            "The current pose of the frame that is shown is right: tracking takes it as it is, and goes on "
            "from it.",
        )
        self.forget_button = button(
            "Do not keep it", "The frame that is shown is tracked like others again."
        )
        self.copy_button = button(
            "Copy pose", "Remember the current pose of the frame that is shown, for another frame."
        )
        self.paste_button = button(
            "Paste pose",
            "Bring the bone in the frame that is shown to where it lay when its pose was copied. Keep this pose then makes it a key frame. "
            "Of bones that have CTs of their own, a pose is of that bone alone.",
        )
        self.trial_button = button(
            "Keep the trial's poses",
            "Every pose that the trial's own files (.tra) have of these bones is a key frame: tracking takes it as it is. "
            "Poses that you have kept stay.",
        )
        self.strip = FrameStrip()
        self.rows = BoneRows()
        self.against = QComboBox()
        self.against.setToolTip(
            "What the curves show: how the chosen bone moved by itself, or against another one."
        )
        self.against.setVisible(False)
        self.several = SeveralBones()
        self.number = QSpinBox()
        self.number.setPrefix("frame ")
        self.number.setToolTip(
            "The frame that is shown. Arrow keys go through the sequence, as napari's slider and its play button do."
        )
        self.number.setKeyboardTracking(False)
        self.plots = MotionPlots()
        self.words = SmallPrint(lines=3)
        self.behind = SmallPrint(BEHIND)
        self.behind.setVisible(False)
        self.legend = SmallPrint(LEGEND)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        layout.addLayout(row([self.go, self.export_button]))
        layout.addWidget(self.words)
        layout.addWidget(self.strip)
        layout.addWidget(self.rows)
        layout.addWidget(self.legend)
        layout.addWidget(self.number)
        layout.addLayout(row([self.key_button, self.forget_button]))
        layout.addLayout(row([self.copy_button, self.paste_button]))
        layout.addWidget(self.trial_button)
        layout.addWidget(self.behind)
        layout.addWidget(self.against)
        layout.addWidget(self.plots)
        self.bones = Collapsible("Several bones", self.several)
        layout.addWidget(self.bones)
        layout.addWidget(Collapsible("Settings", self.settings))
        self.autoscoper = QCheckBox(autoscoper_keys.TITLE)
        self.autoscoper.setToolTip(autoscoper_keys.TIP)
        layout.addWidget(self.autoscoper)
        layout.addStretch(1)

    def follow(
        self, *, running: bool, ready: bool, shown: bool, kept: bool, behind: bool, tracked: bool,
        copied: bool, said: bool,
    ) -> None:  # fmt: skip
        """Which can be used now.

        Parameters
        ----------
        running
            Whether frames are being tracked.
        ready
            Whether there is something to track.
        shown, kept
            Whether a frame of the sequence is shown, and its pose was kept.
        behind
            Whether other poses are kept than were tracked with.
        tracked
            Whether there is a track.
        copied
            Whether there is a pose to paste.
        said
            Whether a trial has poses of its own that are not kept.
        """
        self.several.setEnabled(not running)
        self.go.setText("Cancel" if running else "Track")
        self.go.setEnabled(running or ready)
        for each in (self.number, self.key_button, self.copy_button):
            each.setEnabled(shown and not running)
        self.forget_button.setEnabled(kept and not running)
        self.paste_button.setEnabled(copied and shown and not running)
        self.trial_button.setVisible(said)
        self.trial_button.setEnabled(not running)
        self.behind.setVisible(behind and not running)
        self.export_button.setEnabled(tracked and not running)

    def show_number(self, number: int, first: int, last: int) -> None:
        """The frame that is shown, as if nobody had chosen it here."""
        self.number.blockSignals(True)
        self.number.setRange(first, last)
        self.number.setValue(number)
        self.number.blockSignals(False)

    def begin(
        self, names: Sequence[str], colours: Mapping[str, str], numbers: Sequence[int], chosen: str
    ) -> None:
        """Frames of which nothing is known.

        Parameters
        ----------
        names, colours
            Of several bones; of one alone none.
        numbers
            Of the frames.
        chosen
            The bone that is chosen.
        """
        self.strip.setVisible(not names)
        self.strip.begin(() if names else numbers)
        self.rows.show_bones(names, colours, numbers, chosen)

    def strip_of(self, name: str) -> FrameStrip:
        """The strip of a bone."""
        return self.rows.strips.get(name, self.strip)

    @property
    def strips(self) -> tuple[FrameStrip, ...]:
        """Of all bones."""
        return tuple(self.rows.strips.values()) or (self.strip,)

    def offer_others(self, names: Sequence[str]) -> None:
        """What the curves may be of: the chosen bone by itself, or against one of these; hidden where there is none."""
        before = self.against.currentData()
        self.against.blockSignals(True)
        self.against.clear()
        self.against.addItem("Curves: since the first frame", None)
        for name in names:
            self.against.addItem(f"Curves: against {bone_words(name)}", name)
        self.against.setCurrentIndex(max(0, self.against.findData(before)))
        self.against.blockSignals(False)
        self.against.setVisible(bool(names))
