"""A list to choose from that a narrow dock does not widen for, and a slider: the wheel changes neither."""

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QComboBox, QSizePolicy, QSlider

from napari_xreg.widgets.parts.number_field import QuietWheel


def quiet_choice(tip: str) -> QComboBox:
    """An empty one, with this tooltip."""
    box = QComboBox()
    box.setToolTip(tip)
    box.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    box.setMinimumContentsLength(8)
    box.installEventFilter(QuietWheel(box))
    return box


def quiet_slider() -> QSlider:
    """A horizontal one: who scrolls past it with the wheel leaves it as it is, until it has the focus."""
    slider = QSlider(Qt.Orientation.Horizontal)
    slider.setFocusPolicy(Qt.FocusPolicy.StrongFocus)  # not by the wheel
    slider.installEventFilter(QuietWheel(slider))
    return slider
