"""The verdict on a result in colour and words, beside the button that accepts it."""

from qtpy.QtWidgets import QWidget

from napari_xreg.registration import TRUSTED, WITHIN_MM, Registration, Status
from napari_xreg.widgets.parts.small_print import SmallPrint

GOOD, DOUBTFUL, BAD, UNKNOWN = "#1a9c5b", "#c98a00", "#d9482b", "#808080"
"""Legible as a bar on light and on dark; the words say the same."""


def verdict_colour(registration: Registration) -> str:
    """Green: may be used; amber: look again; red: do not rely on it; grey: nobody judged it."""
    if registration.status is Status.NO_OVERLAP:
        return BAD
    if registration.probability is None:
        return BAD if registration.status is Status.NOT_TRUSTED else UNKNOWN
    if registration.probability < TRUSTED:
        return BAD
    return GOOD if registration.status.ok else DOUBTFUL


def verdict_words(registration: Registration) -> str:
    """One or two short sentences."""
    probability = registration.probability
    colour = verdict_colour(registration)
    said = {
        GOOD: "✓ Trusted",
        DOUBTFUL: "! Look again",
        BAD: "✗ Do not rely on this pose",
        UNKNOWN: "Not judged",
    }[colour]
    if probability is not None:
        share = f"{100 * min(max(probability, 0.01), 0.99):.0f} %"
        if not 0.01 <= probability <= 0.99:
            share = ("more than " if probability > 0.5 else "less than ") + share
        said += f": {share} likely within {WITHIN_MM:.0f} mm (fitted on simulated radiographs)"
        if registration.status is Status.NOT_TRUSTED and colour == DOUBTFUL:
            said += ", but the distances contradict the header"
    return f"{said}."


class VerdictLine(SmallPrint):
    """Room for two lines, whatever they say."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent=parent, lines=2)
        self.show_verdict(None)

    def show_verdict(self, registration: Registration | None) -> None:
        """None: no result is chosen."""
        colour = UNKNOWN if registration is None else verdict_colour(registration)
        self.setStyleSheet(f"font-size: 8pt; border-left: 5px solid {colour}; padding-left: 5px;")
        self.setText("No result yet." if registration is None else verdict_words(registration))
