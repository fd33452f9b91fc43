"""Where the template of a pose network lies in the CT: a file of its warp, or the template itself."""

from pathlib import Path

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_xreg.widgets.parts.data_buttons import button, row
from napari_xreg.widgets.parts.file_dialogs import open_file
from napari_xreg.widgets.parts.small_print import SmallPrint

NEITHER = "Without the template's warp, or its CT, this network's pose is off."
_WARPS = "Transforms (*.txt *.tfm *.mat *.h5 *.xfm);;All files (*)"
_CTS = "CTs (*.nii *.nii.gz *.nrrd *.mha *.mhd *.npz);;All files (*)"


class TemplateFiles(QWidget):
    """Two buttons and a line; hidden where the network speaks of no template."""

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.warp: Path | None = None
        self.template: Path | None = None
        self.words = SmallPrint(NEITHER)
        self.none_button = button("Neither", "Forget both files.", self.forget)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(18, 0, 0, 0)
        layout.setSpacing(2)
        layout.addWidget(self.words)
        layout.addLayout(
            row(
                (
                    button(
                        "Warp…",
                        "Any linear transform of ITK, ANTs or elastix from the template to the CT.",
                        lambda: open_file(self, "Warp of the template", _WARPS, self.take_warp),
                    ),
                    button(
                        "Template…",
                        "The template's CT in Hounsfield units: it is registered to the patient's.",
                        lambda: open_file(self, "CT of the template", _CTS, self.take_template),
                    ),
                    self.none_button,
                )
            )
        )
        self._show()

    def take_warp(self, path: str | Path) -> None:
        """A transform from the template's points to the CT's."""
        self.warp = Path(path)
        self._show()

    def take_template(self, path: str | Path) -> None:
        """The template's CT."""
        self.template = Path(path)
        self._show()

    def forget(self) -> None:
        """Neither of them."""
        self.warp = self.template = None
        self._show()

    def _show(self) -> None:
        chosen = (("warp", self.warp), ("template", self.template))
        said = [f"{what}: {file.name}" for what, file in chosen if file is not None]
        self.words.setText("; ".join(said) or NEITHER)
        self.none_button.setEnabled(bool(said))
        self.changed.emit()
