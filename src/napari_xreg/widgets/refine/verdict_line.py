"""The verdict on a result in colour and words, beside the button that accepts it."""

from qtpy.QtWidgets import QWidget

from napari_xreg.registration import COLORS, Registration, Status, likelihood_of
from napari_xreg.widgets.parts.small_print import SmallPrint

_MARKS = {"trusted": "✓ ", "look again": "! ", "not trusted": "✗ "}


def verdict_words(registration: Registration) -> str:
    """One or two short sentences."""
    likelihood = likelihood_of(registration)
    said = _MARKS.get(likelihood.word, "") + likelihood.words
    if likelihood.probability is not None:
        said += " (fitted on simulated radiographs)"
        if registration.status is Status.NOT_TRUSTED and likelihood.word == "look again":
            said += ", but the distances contradict the header"
    return f"{said}."


class VerdictLine(SmallPrint):
    """Room for three lines, whatever they say."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent=parent, lines=3)
        self.show_verdict(None)

    def show_verdict(self, registration: Registration | None, before: str = "") -> None:
        """None: no result is chosen; `before`: what it is the verdict on, or what to say of none."""
        color = COLORS[None] if registration is None else likelihood_of(registration).color
        self.setStyleSheet(f"font-size: 8pt; border-left: 5px solid {color}; padding-left: 5px;")
        self.setText(
            before or "No result yet."
            if registration is None
            else before + verdict_words(registration)
        )
