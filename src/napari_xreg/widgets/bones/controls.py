"""What the Bones widget is operated with."""

from qtpy.QtWidgets import QLabel, QProgressBar, QVBoxLayout, QWidget

from napari_xreg.widgets.bones.choice import BonesChoice
from napari_xreg.widgets.bones.table import BonesTable
from napari_xreg.widgets.parts.collapsible import Collapsible
from napari_xreg.widgets.parts.data_buttons import button, row
from napari_xreg.widgets.parts.form import SettingsForm
from napari_xreg.widgets.parts.small_print import SmallPrint
from napari_xreg.widgets.refine.verdict_line import VerdictLine
from napari_xreg.workflows import BonesSettings

NO_LABELS = "Load a label map of the CT first (Data): it says which voxels belong to which bone."
FINDING = "Looking through the label map …"


class BonesControls(QWidget):
    """One below the other; what they do is the widget's."""

    def __init__(self) -> None:
        super().__init__()
        self.title = QLabel("Bones that moved since the CT")
        self.title.setStyleSheet("font-weight: bold;")
        self.choice = BonesChoice()
        self.structures = self.choice.structures
        self.without = SmallPrint(NO_LABELS)
        self.start_words = SmallPrint()
        self.go = button(
            "Register bones",
            "From the current pose, which every bone starts at: first the patient as a whole, then each bone by "
            "itself, then all of them together.",
        )
        self.bar = QProgressBar()
        self.bar.setRange(0, 1000)
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(6)
        self.words = SmallPrint(lines=2)
        self.table = BonesTable()
        self.verdict = VerdictLine()
        self.moved = SmallPrint()
        self.accept = button(
            "Show as current pose",
            "Set the C-arm to where it stands about this bone: the DRR and the 3D view then show the CT as this "
            "bone lies (undo: ⟲ in Pose).",
        )
        self.save = button(
            "Save…",
            "A folder for each bone, and a table of how they lie to each other: what `napari-xreg bones` writes.",
        )
        self.settings = SettingsForm(BonesSettings())
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 4, 4, 4)
        for each in (
            self.title, self.choice, self.without, self.start_words, self.go, self.bar, self.words,
            self.table, self.verdict, self.moved,
        ):  # fmt: skip
            layout.addWidget(each)
        layout.addLayout(row([self.accept, self.save]))
        layout.addWidget(Collapsible("Settings", self.settings))
        layout.addStretch(1)

    def follow(self, *, running: bool, ready: bool, found: bool) -> None:
        """Which can be used now.

        Parameters
        ----------
        running
            Whether bones are being registered.
        ready
            Whether there is something to register.
        found
            Whether there is a result.
        """
        self.go.setText("Cancel" if running else "Register bones")
        self.go.setEnabled(running or ready)
        self.choice.setEnabled(not running)
        self.settings.setEnabled(not running)
        self.bar.setVisible(running)
        self.verdict.setVisible(found)
        self.moved.setVisible(found)
        for each in (self.accept, self.save):
            each.setVisible(found)
            each.setEnabled(not running)
