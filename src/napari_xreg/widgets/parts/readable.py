"""A colour as it can be seen on the paper of a theme."""

from qtpy.QtGui import QColor

CONTRAST = 3.0
"""Least contrast of a line with its paper: WCAG 2.1, 1.4.11, for graphics."""
_STEPS = 20


def readable(colour: QColor, paper: QColor, ink: QColor) -> QColor:
    """The colour, mixed with as much of the ink as it takes to be seen on the paper."""
    for step in range(_STEPS):
        share = step / _STEPS
        mixed = QColor.fromRgbF(
            *(
                (1 - share) * own + share * other
                for own, other in zip(_channels(colour), _channels(ink), strict=True)
            )
        )
        if contrast(mixed, paper) >= CONTRAST:
            return mixed
    return ink


def contrast(one: QColor, other: QColor) -> float:
    """Contrast ratio of WCAG 2.1, 1 to 21."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def _channels(colour: QColor) -> tuple[float, float, float]:
    return colour.redF(), colour.greenF(), colour.blueF()


def _luminance(colour: QColor) -> float:
    red, green, blue = (
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in _channels(colour)
    )
    return float(0.2126 * red + 0.7152 * green + 0.0722 * blue)
