"""The part of the Landmarks widget that picks: name, template, guide, mouse, Escape."""

import weakref
from collections.abc import Callable
from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_xreg.images import patterns
from napari_xreg.widgets.jobs.workbench import Workbench
from napari_xreg.widgets.landmarks.names import NameField, NamesChosen, TemplateQuestion
from napari_xreg.widgets.landmarks.picking import PickMouse
from napari_xreg.widgets.parts.data_buttons import button, row
from napari_xreg.widgets.parts.file_dialogs import file_to_save, open_file
from napari_xreg.widgets.parts.small_print import SmallPrint
from napari_xreg.workflows import PickGuide, Places, places_of, templates

FILES = f"Landmarks ({patterns('landmarks')})"


class PickPanel(QWidget):
    """Click here, then there.

    Parameters
    ----------
    workbench
        Of the viewer, whose canvas is clicked.
    """

    changed = Signal()
    """The template is another."""
    remove_wanted = Signal()
    visibility_wanted = Signal()
    slices_wanted = Signal()
    placing_wanted = Signal(object)
    """A `Template` whose landmarks are to be placed from the label map."""
    file_chosen = Signal(str, bool)
    """A file, and whether it is to be written."""

    def __init__(self, workbench: Workbench) -> None:
        super().__init__()
        self._bench = workbench
        self.template, self.usual = templates()[0].names, True
        self.guide = PickGuide()
        self.mouse = PickMouse(workbench, lambda: self.guide.name is not None)
        self.question: TemplateQuestion | None = None
        self.field = NameField()
        self.field.returnPressed.connect(self.begin)
        self.start_button: QPushButton = button(
            "Pick", "Pick this landmark (no name: the first that lacks a place).", self.toggle
        )
        self.skip_button: QPushButton = button(
            "Next", "Leave this landmark for later.", lambda: self.guide.skip(self.places)
        )
        self.names_button: QPushButton = button(
            "Names…",
            "Which landmarks: pelvis, spine, chest, hip, knee, ankle, wrist, skull, or an own list; what "
            "follows from the label map is placed.",
            self._ask_names,
        )
        self.slices_button: QPushButton = button(
            "Slices", "The CT in slices, to click landmarks in it.", self.slices_wanted.emit
        )
        self.load_button: QPushButton = button(
            "Load…",
            ".fcsv or .mrk.json of 3D Slicer, or .csv with x, y, z in mm and row, column in pixels "
            "of this radiograph.",
            self._choose_file,
        )
        self.save_button: QPushButton = button(
            "Save…",
            "For 3D Slicer (.fcsv, .mrk.json: positions in the CT) or as .csv (positions and pixels).",
            self._choose_where,
        )
        self.hide_button: QPushButton = button(
            "Not visible in this X-ray",
            "The chosen landmark cannot be seen on this radiograph: keep it, and do not use it. "
            "Again: it can.",
            self.visibility_wanted.emit,
        )
        self.remove_button: QPushButton = button(
            "Remove",
            "Delete the pick of the chosen landmark on this radiograph; where there is none, its "
            "position in the CT (Delete).",
            self.remove_wanted.emit,
        )
        self.words = SmallPrint()
        self.guide.changed.connect(self._follow_guide)
        self._bound: Callable[[Any], None] | None = None
        self._bind_escape()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        line = QHBoxLayout()
        line.setSpacing(4)
        line.addWidget(self.field, 1)
        line.addWidget(self.start_button)
        line.addWidget(self.skip_button)
        layout.addLayout(line)
        layout.addWidget(self.words)
        layout.addLayout(
            row((self.slices_button, self.names_button, self.load_button, self.save_button))
        )
        layout.addLayout(row((self.hide_button, self.remove_button)))
        self.refresh()

    @property
    def places(self) -> Places:
        """Which landmarks there are, and where; those of the label map's region until chosen otherwise.

        The list does not change while one of it is being picked.
        """
        labels = self._bench.session.patient.labels
        if self.usual and self.guide.name is None:
            known = labels is not None and labels.present_known
            self.template = templates(labels if known else None)[0].names
        return places_of(self._bench.session, self.template, usual=self.usual)

    def toggle(self) -> None:
        """Start or stop."""
        if self.guide.name is None:
            self.begin()
        else:
            self.stop()

    def stop(self) -> None:
        """Pick nothing."""
        self.guide.stop()
        self.field.clear()

    def begin(self) -> None:
        """Pick what is in the field, else the first landmark that lacks a place."""
        layer = self._bench.viewer.layers.selection.active
        if str(getattr(layer, "mode", "pan_zoom")) != "pan_zoom":
            layer.mode = "pan_zoom"  # or napari's own tool would have the clicks
        name = self.field.name
        places = self.places
        if name and name not in places.names:
            self._set_template((*places.names, name))
        self.guide.start(self.places, name or None)
        if self.guide.name is None:
            self.words.setText(
                "Every landmark is marked in CT and X-ray: choose one to pick it again."
            )

    def choose(self, name: str) -> None:
        """Another landmark: into the field, and picked if picking is on."""
        self.field.setText(name)
        if self.guide.name is not None and self.guide.name != name:
            self.guide.start(self.places, name)

    def renamed(self, old: str, new: str) -> None:
        """The template follows."""
        if self.guide.name == old:
            self.guide.stop()
        self._set_template(tuple(new if name == old else name for name in self.template))

    def refresh(self) -> None:
        """Say what to click next."""
        places, name = self.places, self.guide.name
        self.field.offer(places.names)
        self.start_button.setText("Pick" if name is None else "Stop")
        self.skip_button.setEnabled(name is not None)
        if name is None:
            open_ones = [n for n in places.names if not places.complete(n)]
            done = len(places.names) - len(open_ones)
            self.words.setText(f"{done} of {len(places.names)} marked in CT and X-ray.")
            return
        self.field.setText(name)
        if self.guide.wanted(places) == "patient":
            where = "in the CT: in Slices, on bone in the 3D view, or in a CT layer of this viewer"
        else:
            where = "on the radiograph"
        self.words.setText(f"Click {name} {where}. Escape stops.")

    def let_go(self) -> None:
        """Leave mouse and keys alone."""
        self.mouse.close()
        viewer, bound = self._bench.viewer, self._bound
        for key in [key for key, action in viewer.keymap.items() if action is bound]:
            del viewer.keymap[key]
        self._bound = None
        if self.question is not None:
            self.question.close()

    def _bind_escape(self) -> None:
        panel = weakref.ref(self)

        def stop(viewer: Any) -> None:
            here = panel()
            if here is not None:
                here.stop()

        self._bench.viewer.bind_key("Escape", stop, overwrite=True)
        self._bound = stop

    def _choose_file(self) -> None:
        open_file(self, "Load landmarks", FILES, lambda path: self.file_chosen.emit(path, False))

    def _choose_where(self) -> None:
        file_to_save(
            self,
            "Save landmarks",
            "landmarks.csv",
            FILES,
            lambda path: self.file_chosen.emit(path, True),
        )

    def _ask_names(self) -> None:
        labels = self._bench.session.patient.labels
        self.question = TemplateQuestion(self.places.names, labels, self)
        self.question.answered.connect(self._take_names)
        self.question.finished.connect(self._forget_question)
        self.question.open()

    def _follow_guide(self) -> None:
        before = self.template
        self.refresh()
        if self.template != before:  # the label map became another meanwhile
            self.changed.emit()

    def _forget_question(self) -> None:
        self.question = None

    def _take_names(self, chosen: NamesChosen) -> None:
        self._set_template(chosen.names)
        if chosen.place is not None:
            self.placing_wanted.emit(chosen.place)

    def _set_template(self, names: tuple[str, ...]) -> None:
        self.template, self.usual = names, False
        self.changed.emit()
