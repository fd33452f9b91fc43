"""A sentence at the foot of a widget that stays until the next action."""

from qtpy.QtWidgets import QAbstractButton, QHBoxLayout, QToolButton, QWidget

from napari_xreg.widgets.parts.small_print import SmallPrint

_COLOURS = {True: "#d9482b", False: "#c98a00"}


class KeptWords(QWidget):
    """Hidden while there is nothing to say.

    Parameters
    ----------
    owner
        The widget whose buttons are the next action.
    """

    def __init__(self, owner: QWidget) -> None:
        super().__init__(owner)
        self._owner = owner
        self._known: set[int] = set()
        self.label = SmallPrint()
        self.close_button = QToolButton()
        self.close_button.setText("×")
        self.close_button.setToolTip("Dismiss this message")
        self.close_button.clicked.connect(lambda _: self.forget())
        layout = QHBoxLayout(self)
        layout.setContentsMargins(4, 2, 4, 2)
        layout.addWidget(self.label, 1)
        layout.addWidget(self.close_button)
        self.hide()

    @property
    def words(self) -> str:
        """What is kept; empty: nothing."""
        return self.label.words if self.isVisibleTo(self._owner) else ""

    def keep(self, words: str, *, error: bool) -> None:
        """In place of what was kept."""
        colour = _COLOURS[error]
        style = f"font-size: 8pt; border-left: 5px solid {colour}; padding-left: 5px;"
        self.label.setStyleSheet(style)
        self.label.setText(words)
        self.show()
        for button in self._owner.findChildren(QAbstractButton):
            if id(button) not in self._known and button is not self.close_button:
                self._known.add(id(button))
                # As it is pressed: what it does, and may say, comes after that.
                button.pressed.connect(self.forget)

    def forget(self, *_: object) -> None:
        """The next action came."""
        self.label.setText("")
        self.hide()
