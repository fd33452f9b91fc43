"""Names of landmarks: a template list to pick from, completed while typing."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from qtpy.QtCore import QStringListModel, Qt, QTimer
from qtpy.QtGui import QFocusEvent
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QCompleter,
    QFormLayout,
    QLineEdit,
    QPlainTextEdit,
    QWidget,
)

from napari_xreg.images import LabelMap
from napari_xreg.widgets.data.questions import Question
from napari_xreg.widgets.parts.small_print import SmallPrint
from napari_xreg.workflows import Template, templates


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


OWN = "own list"


@dataclass(frozen=True, eq=False)
class NamesChosen:
    """What the question comes to.

    Parameters
    ----------
    names
        To pick, in this order.
    place
        Those of its landmarks that follow from the label map are wanted; None: none are.
    """

    names: tuple[str, ...]
    place: Template | None = None


class TemplateQuestion(Question):
    """The landmarks of a region, or an own list: one name a line.

    Parameters
    ----------
    names
        As they are now.
    labels
        Of the patient: regions that it holds come first.
    """

    def __init__(self, names: Iterable[str], labels: LabelMap | None, parent: QWidget) -> None:
        super().__init__("Names of landmarks", parent)
        names = tuple(names)
        self._templates = {one.title: one for one in templates(labels)}
        self.choice = QComboBox()
        self.choice.addItems([OWN, *self._templates])
        self.choice.setToolTip("What the label map holds comes first.")
        same = (title for title, one in self._templates.items() if one.names == names)
        self.choice.setCurrentText(next(same, OWN))
        self.text = QPlainTextEdit("\n".join(names))
        self.text.setToolTip("One name a line, in the order in which they are to be picked.")
        self._labels = labels
        self.place = QCheckBox("Place what follows from the label map")
        self.place.setToolTip(
            "Extreme points and centres of structures in the patient's axes: a beginning, a few mm off on "
            "curved bone.\nLandmarks that have a position keep it."
        )
        self.choice.textActivated.connect(self._show)
        line = QFormLayout()
        line.addRow("Region", self.choice)
        self.body.addLayout(line)
        self.body.addWidget(SmallPrint("One name a line, in the order to pick them."))
        self.body.addWidget(self.text)
        self.body.addWidget(self.place)
        self.body.addWidget(self.buttons)
        self._follow()

    def value(self) -> NamesChosen:
        """Each name once."""
        lines = (" ".join(line.split()) for line in self.text.toPlainText().splitlines())
        names = tuple(dict.fromkeys(line for line in lines if line))
        template = self._templates.get(self.choice.currentText())
        wanted = self.place.isChecked() and self.place.isEnabled() and template is not None
        if not wanted or template is None:
            return NamesChosen(names)
        kept = tuple(entry for entry in template.entries if entry.name in names)
        return NamesChosen(names, replace(template, entries=kept))

    def _show(self, title: str) -> None:
        template = self._templates.get(title)
        if template is not None:
            self.text.setPlainText("\n".join(template.names))
        self._follow()

    def _follow(self) -> None:
        template = self._templates.get(self.choice.currentText())
        rules = template is not None and any(entry.rule for entry in template.entries)
        self.place.setEnabled(self._labels is not None and rules)
