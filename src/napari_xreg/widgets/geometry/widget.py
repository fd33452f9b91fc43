"""The Geometry widget: how the active radiograph was taken, value by value, and what to correct."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from qtpy.QtWidgets import (
    QGridLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QVBoxLayout,
    QWidget,
)

from napari_xreg.images import (
    GeometryRecord,
    Radiograph,
    ReadError,
    geometry_record,
    read_geometry,
    with_geometry,
    write_geometry,
)
from napari_xreg.session import Exposure, Session, flip_exposure, rotate_exposure
from napari_xreg.widgets.docks.docked import Docked
from napari_xreg.widgets.geometry.form import GEOMETRY_FILES, GeometryForm, edited
from napari_xreg.widgets.jobs.telling import show_error, show_info
from napari_xreg.widgets.parts.data_buttons import button
from napari_xreg.widgets.parts.file_dialogs import file_to_save, open_file
from napari_xreg.widgets.parts.pixel_values import pixel_values
from napari_xreg.widgets.parts.scrolling import scrolled
from napari_xreg.widgets.parts.small_print import SmallPrint

_GROUPS = {
    "C-arm": ("source_to_detector", "source_to_isocenter"),
    "Detector": ("pixel_spacing", "principal_point", "mirrored", "field_diameter"),
    "Pose in the file header": (
        "primary_deg",
        "secondary_deg",
        "roll_deg",
        "offset_mm",
        "isocenter",
    ),
}
_POSE = set(_GROUPS["Pose in the file header"]) | {"source_to_isocenter"}
_JSON = "Geometry (*.json)"


class GeometryWidget(Docked):
    """Every value with its unit and where it came from; an override; what DICOM leaves open.

    Parameters
    ----------
    napari_viewer
        The viewer whose session's active radiograph is shown.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        self._session: Session = self.workbench.session
        self._shown: Radiograph | None = None
        self.title = QLabel()
        self.title.setWordWrap(True)
        self.summary = SmallPrint()
        self.warnings = QGroupBox("Warnings")
        self._warning_words = SmallPrint()
        QVBoxLayout(self.warnings).addWidget(self._warning_words)
        self.forms: list[GeometryForm] = []
        self.problem = SmallPrint()
        self.apply_button = button(
            "Apply", "Take over the values above; the pixels stay as they are", self.apply
        )
        self.reset_button = button(
            "Reset", "Back to the values that hold now, for everything above", self.show_active
        )
        self.load_button = button(
            "Load…", "Values from a geometry file (JSON) or a calibration of XMALab, Autoscoper or JointTrack, to look at "
            "before they are applied",
            self._choose_load,
        )  # fmt: skip
        self.save_button = button(
            "Save…", "Write the values that hold now to a geometry file (JSON)", self._choose_save
        )
        self.invert_button = button(
            "Invert", "Exchange bright and dark, if bone is dark in the picture", self._invert
        )
        self.flip_button = button(
            "Flip",
            "Exchange left and right in the picture and in its geometry: what projects onto it "
            "stays on it. If only the file is wrong about it, change that entry instead.",
            self._flip,
        )
        self.turn_button = button(
            "Turn 90°", "Turn the picture clockwise, and its C-arm with it", self._turn
        )
        self._lay_out()
        self.listen(self._session.exposures.active_changed, self._follow)
        self.listen(self._session.exposures.changed, self._follow)
        self.show_active()

    # ------------------------------------------------------------------ what is shown

    def show_active(self) -> None:
        """Show the active radiograph as it is; what was typed and not applied is dropped."""
        active = self._session.exposures.active
        self._shown = None if active is None else active.radiograph
        for control in (self._body, self._buttons):
            control.setEnabled(active is not None)
        if active is None:
            self.title.setText("No radiograph is loaded.")
            self.summary.setText("Add one in the Data widget.")
            self._show_record(GeometryRecord())
            self._warn(())
        else:
            self.title.setText(f"<b>{_escaped(active.name)}</b>")
            self.summary.setText(_summary(active))
            self._show_record(geometry_record(active.radiograph))
            self._warn(_doubts(active.radiograph))
        self._judge()

    def record(self) -> GeometryRecord:
        """The record with what was typed.

        Raises
        ------
        ValueError
            If a value is incomplete.
        """
        fields = (field for form in self.forms for field in form.fields.values())
        return edited(self.forms[0].base, fields)

    @property
    def touched(self) -> tuple[str, ...]:
        """Names of the values that were typed and not applied."""
        return tuple(name for form in self.forms for name in form.touched)

    def apply(self) -> None:
        """Take the typed values over into the session."""
        active = self._session.exposures.active
        if active is None or not self.touched:
            return
        names = set(self.touched)
        try:
            changed = with_geometry(active.radiograph, self.record())
        except ValueError as error:
            show_error(f"The geometry cannot be applied: {error}.")
            return
        self._shown = changed
        with self._session.one_step(f"geometry of {active.name}"):
            self._session.exposures.replace_image(active.id, changed)
            if names & _POSE:
                self._declare(active)
        self.show_active()

    def load(self, path: str | Path) -> None:
        """Show the values of a geometry file over those that hold; nothing is applied yet."""
        active = self._session.exposures.active
        try:
            read = read_geometry(path, shape=None if active is None else _stored(active.radiograph))
        except ReadError as error:
            show_error(str(error))
            return
        for form in self.forms:
            form.load(read)

    def save(self, path: str | Path) -> None:
        """Write the geometry that holds now."""
        active = self._session.exposures.active
        if active is None:
            return
        try:
            write_geometry(path, geometry_record(active.radiograph))
        except OSError as error:
            show_error(f"{Path(path).name} cannot be written: {error.strerror or error}.")
            return
        show_info(f"Geometry of {active.name} written to {Path(path).name}")

    # ------------------------------------------------------------------ inside

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        self._body = QWidget()
        body = QVBoxLayout(self._body)
        body.setContentsMargins(0, 0, 4, 0)
        body.addWidget(self.warnings)
        for title, names in _GROUPS.items():
            box = QGroupBox(title)
            form = GeometryForm(names)
            form.changed.connect(self._judge)
            self.forms.append(form)
            QVBoxLayout(box).addWidget(form)
            body.addWidget(box)
        body.addStretch(1)
        self._buttons = QWidget()
        grid = QGridLayout(self._buttons)
        grid.setContentsMargins(0, 0, 0, 0)
        for place, one in enumerate(
            (self.apply_button, self.reset_button, self.load_button, self.save_button)
        ):
            grid.addWidget(one, 0, place)
        picture = QHBoxLayout()
        label = QLabel("View")
        label.setToolTip("These change the image together with its geometry")
        picture.addWidget(label)
        for one in (self.invert_button, self.flip_button, self.turn_button):
            picture.addWidget(one, 1)
        grid.addLayout(picture, 1, 0, 1, 4)
        layout.addWidget(self.title)
        layout.addWidget(self.summary)
        layout.addWidget(scrolled(self._body), 1)
        layout.addWidget(self.problem)
        layout.addWidget(self._buttons)

    def _show_record(self, record: GeometryRecord) -> None:
        for form in self.forms:
            form.show_record(record)

    def _warn(self, doubts: tuple[str, ...]) -> None:
        self._warning_words.setText("\n".join(f"• {doubt}" for doubt in doubts))
        self.warnings.setVisible(bool(doubts))

    def _follow(self) -> None:
        """Another radiograph, or another image under the same name; typing survives the rest."""
        active = self._session.exposures.active
        if (None if active is None else active.radiograph) is not self._shown:
            self.show_active()
        elif active is not None:
            self.title.setText(f"<b>{_escaped(active.name)}</b>")
            self.summary.setText(_summary(active))

    def _judge(self) -> None:
        """Say at once what cannot hold."""
        active, words = self._session.exposures.active, ""
        if active is not None and self.touched:
            try:
                with_geometry(active.radiograph, self.record())
            except ValueError as error:
                words = f"⚠ {error}"
        self.problem.setText(words)
        self.apply_button.setEnabled(active is not None and bool(self.touched) and not words)
        self.reset_button.setEnabled(bool(self.touched))

    def _declare(self, before: Exposure) -> None:
        """The declared pose is the new start; one that was never moved goes there."""
        id, session = before.id, self._session
        if session.exposures[id].radiograph.nominal is None:
            return
        start = session.patient.nominal_start(session.exposures[id].radiograph)
        session.exposures.set_start(id, start)
        if before.world_from_camera is before.start:
            session.poses.set_several({id: start}, "geometry changed")

    def _change(self, change: Callable[[Exposure], Exposure], why: str) -> None:
        active = self._session.exposures.active
        if active is not None:
            self._session.exposures.replace(change(active), why=f"{why} {active.name}")

    def _invert(self) -> None:
        active = self._session.exposures.active
        if active is not None:
            self._session.exposures.replace_image(
                active.id, active.radiograph.invert(), why=f"invert {active.name}"
            )

    def _flip(self) -> None:
        self._change(flip_exposure, "flip")

    def _turn(self) -> None:
        self._change(lambda exposure: rotate_exposure(exposure, 1), "turn")

    def _choose_load(self) -> None:
        open_file(self, "Load geometry", GEOMETRY_FILES, self.load)

    def _choose_save(self) -> None:
        file_to_save(self, "Save geometry", "geometry.json", _JSON, self.save)


def _stored(radiograph: Radiograph) -> tuple[int, int] | None:
    """Rows and columns of the image as it was read, where nothing was cut off or resampled since."""
    return None if radiograph.operations else radiograph.carm.detector.shape


def _summary(exposure: Exposure) -> str:
    radiograph = exposure.radiograph
    rows, columns = radiograph.carm.detector.shape
    words = [f"{rows} × {columns} pixels"]
    if radiograph.simulated:
        words.append("simulated")
    words.append(pixel_values(radiograph))
    line = ", ".join(words)
    if radiograph.operations and radiograph.geometry is not None:
        line += ". Values describe the image as stored; since then: "
        line += "; ".join(map(str, radiograph.operations))
    return line


def _doubts(radiograph: Radiograph) -> tuple[str, ...]:
    """What a careful reader should know, each once."""
    record = geometry_record(radiograph)
    problems = tuple(f"{name}: {why}" for name, why in record.problems.items())
    return tuple(dict.fromkeys((*record.notes, *radiograph.notes, *problems)))


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
