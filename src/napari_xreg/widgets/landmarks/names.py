"""Names of landmarks: a template list to pick from, completed while typing."""

from collections.abc import Iterable

from qtpy.QtCore import QStringListModel, Qt, QTimer
from qtpy.QtGui import QFocusEvent
from qtpy.QtWidgets import QCompleter, QLineEdit, QPlainTextEdit, QWidget

from napari_xreg.widgets.data.questions import Question
from napari_xreg.widgets.parts.small_print import SmallPrint

PELVIS = (
    *("ASIS-l", "ASIS-r", "FH-l", "FH-r", "GSN-l", "GSN-r", "IOF-l", "IOF-r"),
    *("IPS-l", "IPS-r", "MOF-l", "MOF-r", "SPS-l", "SPS-r"),
)
"""The 14 of the pelvis phantom: anterior superior iliac spine, femoral head, greater sciatic notch,
inferior obturator foramen, inferior pubic symphysis, medial obturator foramen, superior pubic
symphysis; left and right of the patient."""


class NameField(QLineEdit):
    """A name, completed from those that are known; Enter hands it over."""

    def __init__(self) -> None:
        super().__init__()
        self._model = QStringListModel()
        completer = QCompleter(self._model, self)
        completer.setCaseSensitivity(Qt.CaseSensitivity.CaseInsensitive)
        completer.setFilterMode(Qt.MatchFlag.MatchContains)
        completer.setCompletionMode(QCompleter.CompletionMode.PopupCompletion)
        self.setCompleter(completer)
        self.setPlaceholderText("name")
        self.setMinimumWidth(60)
        self.setToolTip(
            "Which landmark to pick; Enter starts. Names of the template are completed, others are "
            "as good."
        )

    def focusInEvent(self, event: QFocusEvent | None) -> None:
        """What stands there is replaced by what is typed."""
        super().focusInEvent(event)
        QTimer.singleShot(0, self.selectAll)  # after the click has put the cursor

    @property
    def name(self) -> str:
        """Cleaned of what no name may have; a template's spelling where only the case differs."""
        text = " ".join(self.text().split())
        alike = [name for name in self._model.stringList() if name.casefold() == text.casefold()]
        return text if text in alike or not alike else alike[0]

    def offer(self, names: Iterable[str]) -> None:
        """What is completed."""
        names = list(names)
        if names != self._model.stringList():
            self._model.setStringList(names)


class TemplateQuestion(Question):
    """The template list, one name a line."""

    def __init__(self, names: Iterable[str], parent: QWidget) -> None:
        super().__init__("Names of landmarks", parent)
        self.text = QPlainTextEdit("\n".join(names))
        self.text.setToolTip("One name a line, in the order in which they are to be picked.")
        self.body.addWidget(SmallPrint("One name a line, in the order to pick them."))
        self.body.addWidget(self.text)
        self.body.addWidget(self.buttons)

    def value(self) -> tuple[str, ...]:
        """Each name once."""
        lines = (" ".join(line.split()) for line in self.text.toPlainText().splitlines())
        return tuple(dict.fromkeys(line for line in lines if line))
