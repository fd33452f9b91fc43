"""The range of C-arm poses that a network is trained for."""

from collections.abc import Mapping
from typing import Any

from qtpy.QtWidgets import QWidget

from napari_xreg.geometry import CArmPose
from napari_xreg.training import PoseRange
from napari_xreg.widgets.parts.form import SettingsForm

_ANGLES = ("primary", "secondary", "roll")


class PoseRangeForm(SettingsForm[PoseRange]):
    """Smallest and largest angles, and the spread of the translation."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(PoseRange(), parent=parent)

    def show_described(self, poses: Mapping[str, Any]) -> None:
        """Take over what a file of weights says (see `PoseRange.described`)."""
        given: dict[str, Any] = {key: tuple(poses[key]) for key in list(self.fields)[:3]}
        self.show_value(PoseRange(**given, offset_mm=float(poses["offset_mm"])))
        self.changed.emit()


def outside(poses: PoseRange, pose: CArmPose) -> str:
    """What is wrong with a range for a radiograph of this nominal pose; empty: nothing."""
    wrong = []
    for name in _ANGLES:
        low, high = getattr(poses, f"{name}_deg")
        angle = getattr(pose, f"{name}_deg")
        if not low <= angle <= high:
            wrong.append(f"{name} {angle:.0f}° is outside {low:g}° to {high:g}°")
    return "; ".join(wrong).replace("-", "−")
