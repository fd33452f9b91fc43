"""A list to choose from that a narrow dock does not widen for, and the wheel does not change."""

from qtpy.QtWidgets import QComboBox, QSizePolicy

from napari_xreg.widgets.parts.number_field import QuietWheel


def quiet_choice(tip: str) -> QComboBox:
    """An empty one, with this tooltip."""
    box = QComboBox()
    box.setToolTip(tip)
    box.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
    box.setMinimumContentsLength(8)
    box.installEventFilter(QuietWheel(box))
    return box
