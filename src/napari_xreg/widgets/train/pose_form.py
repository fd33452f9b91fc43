"""The range of C-arm poses that a network is trained for."""

from collections.abc import Mapping, Sequence
from typing import Any

from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import QGridLayout, QLabel, QWidget

from napari_xreg.geometry import CArmPose
from napari_xreg.training import PoseRange
from napari_xreg.widgets.parts.quantity import Quantity

_ANGLES = {
    "primary": ("Primary", "Primary angle of the C-arm, degrees (+ LAO)"),
    "secondary": ("Secondary", "Secondary angle of the C-arm, degrees (+ cranial)"),
    "roll": ("Roll", "Rotation about the central ray, degrees"),
}


class PoseRangeForm(QWidget):
    """Smallest and largest angles, and the spread of the offset."""

    changed = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        default = PoseRange()
        self.ends: dict[str, tuple[Quantity, Quantity]] = {}
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setSpacing(4)
        for row, (name, (title, tip)) in enumerate(_ANGLES.items()):
            low, high = (
                Quantity(value, -180.0, 180.0, "°", f"{tip}: {which}.", step=5.0)
                for value, which in zip(
                    getattr(default, f"{name}_deg"), ("smallest", "largest"), strict=True
                )
            )
            self.ends[name] = (low, high)
            grid.addWidget(QLabel(title), row, 0)
            grid.addWidget(low, row, 1)
            grid.addWidget(_centred("to"), row, 2)
            grid.addWidget(high, row, 3)
        self.offset = Quantity(
            default.offset_mm, 0.0, 500.0, " mm",
            "Standard deviation of the C-arm's offset along each camera axis, mm; cut at "
            f"{default.cut:g} standard deviations.", step=5.0,
        )  # fmt: skip
        grid.addWidget(QLabel("Offset σ"), len(_ANGLES), 0)
        grid.addWidget(self.offset, len(_ANGLES), 1)
        for number in self.numbers:
            number.valueChanged.connect(lambda _: self.changed.emit())

    @property
    def numbers(self) -> Sequence[Quantity]:
        """All fields."""
        return (*(number for pair in self.ends.values() for number in pair), self.offset)

    def value(self) -> PoseRange:
        """What is set; ValueError where a range runs backwards."""
        ends = {name: (low.number, high.number) for name, (low, high) in self.ends.items()}
        for name, (low, high) in ends.items():
            if low > high:
                raise ValueError(
                    f"the smallest {name} angle must not be above the largest: got {low:g}° to "
                    f"{high:g}°"
                )
        return PoseRange(ends["primary"], ends["secondary"], ends["roll"], self.offset.number)

    def show_value(self, poses: Mapping[str, Any]) -> None:
        """Take over what a file of weights says (see `TrainRequest.described`)."""
        for name, pair in self.ends.items():
            for number, value in zip(pair, poses[f"{name}_deg"], strict=True):
                number.setValue(float(value))
        self.offset.setValue(float(poses["offset_mm"]))


def outside(poses: PoseRange, pose: CArmPose) -> str:
    """What is wrong with a range for a radiograph of this nominal pose; empty: nothing."""
    wrong = []
    for name in _ANGLES:
        low, high = getattr(poses, f"{name}_deg")
        angle = getattr(pose, f"{name}_deg")
        if not low <= angle <= high:
            wrong.append(f"{name} {angle:.0f}° is outside {low:g}° to {high:g}°")
    return "; ".join(wrong).replace("-", "−")


def _centred(text: str) -> QLabel:
    label = QLabel(text)
    label.setAlignment(Qt.AlignmentFlag.AlignCenter)
    return label
