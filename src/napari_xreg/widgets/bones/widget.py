"""Bones: several bones of the CT, cut out by its label map, registered together."""

from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QVBoxLayout

from napari_xreg.registration import Status
from napari_xreg.widgets.bones.controls import FINDING, NO_LABELS, BonesControls
from napari_xreg.widgets.bones.on_canvas import BonesOnCanvas
from napari_xreg.widgets.docks.docked import Docked
from napari_xreg.widgets.jobs.jobs import Job
from napari_xreg.widgets.jobs.lane import Lane
from napari_xreg.widgets.jobs.telling import sentence, show_info, tell_written
from napari_xreg.widgets.parts.file_dialogs import choose_folder
from napari_xreg.widgets.parts.scrolling import scrolled
from napari_xreg.workflows import (
    PATIENT,
    BodiesRequest,
    FactsRequest,
    SessionBones,
    SessionBonesRequest,
    bone_words,
    bones_of_structures,
    bones_progress,
    export_bones,
    moved_since_ct,
    register_bones,
    session_bones,
)

HINT = "Tick the bones that do not lie as in the CT."
ONE_VIEW = "From one radiograph the depth of a bone is hardly known: take two."


class BonesWidget(Docked):
    """Registers ticked structures of the label map, and the rest of the CT, in the used radiographs.

    Parameters
    ----------
    napari_viewer
        Whose session it is.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        self._session = self.workbench.session
        self._job: Job | None = None
        self._asked: SessionBonesRequest | None = None
        self._request: BodiesRequest | None = None
        self._kept: dict[str, str] = {}  # ids of the session's results, by the names of the bones
        self.result: SessionBones | None = None
        """What is shown."""
        self._last: SessionBones | None = None  # the last answer; undo may bring back what it is of
        self.controls = BonesControls()
        self.on_canvas = BonesOnCanvas(self.workbench)
        self._facts = Lane(lambda _: self._follow(), name="Labels")
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.addWidget(scrolled(self.controls))
        self._connect()
        session = self._session
        for signal in (
            session.patient.changed,
            session.exposures.changed,
            session.exposures.active_changed,
        ):
            self.listen(signal, self._follow_data)
        self.listen(session.poses.changed, self.on_canvas.show_drr)
        self.controls.words.setText(HINT)
        self._follow()

    @property
    def running(self) -> bool:
        """Whether bones are being registered."""
        return self._job is not None and self._job.running

    def _connect(self) -> None:
        controls = self.controls
        for pressed, slot in (
            (controls.go, self.toggle),
            (controls.accept, self.show_as_current),
            (controls.save, self.ask_where_to_save),
        ):
            pressed.clicked.connect(lambda _=False, slot=slot: slot())
        controls.choice.changed.connect(self._switch)
        controls.table.itemSelectionChanged.connect(self._follow_row)
        controls.table.switched.connect(self._see)
        self.on_canvas.switched.connect(controls.table.tick)

    # ------------------------------------------------------------------ registering

    def toggle(self) -> None:
        """Register; while it runs, end it with what was found so far."""
        if self._job is not None and self._job.running:
            self.controls.words.setText("Cancelling …")
            self._job.cancel()
            return
        self.start()

    def start(self) -> None:
        """Register what is ticked."""
        session, controls = self._session, self.controls
        labels = session.patient.labels
        bones = {} if labels is None else bones_of_structures(labels, controls.choice.groups)
        try:
            asked = session_bones(session, bones, controls.settings.value())
        except ValueError as error:
            self.keep_words(sentence(error), error=True)
            return
        self._forget()
        self._asked = asked
        session.exposures.activate(asked.ids[0])
        controls.words.setText("Cutting the bones out of the CT …")
        controls.bar.setValue(0)
        self._job = self.workbench.jobs.start(
            "Registering bones",
            lambda control: register_bones(asked, control=control),
            on_event=lambda _, events: self._take(events),
            on_result=self._end,
            on_error=self._failed,
            description="Registering bones",
        )
        self._job.finished.connect(self._switch)
        self._switch()

    def _take(self, events: list[Any]) -> None:
        if self.torn_down:
            return
        assert self._asked is not None and self._job is not None
        if isinstance(events[0], BodiesRequest):
            self._request, *events = events
            assert self._request is not None
            self.on_canvas.begin(self._asked, self._request)
        if events and self._request is not None:
            self.on_canvas.extend(events)
            share, words = bones_progress(self._request, events[-1])
            self.controls.bar.setValue(round(1000 * share))
            if not self._job.control.cancelled:
                words = bone_words(words).replace("  ", ", ")
                self.controls.words.setText(f"Registering {words}")

    def _end(self, bones: SessionBones) -> None:
        if self.torn_down:
            if not self._gone(bones.asked):
                self._keep(bones)
            return
        self._last = bones
        self._keep(bones)
        self._show(bones)

    def _show(self, bones: SessionBones) -> None:
        self._asked, self._request, self.result = bones.asked, bones.request, bones
        self.on_canvas.finish(bones)
        assert self.on_canvas.layers is not None
        self.controls.table.show_bones(bones, self.on_canvas.layers.colours)
        self._follow_row()
        self._say()
        self._switch()

    def _keep(self, bones: SessionBones) -> None:
        """In the session, where closing asks and a saved file has them: a result for each bone."""
        described = {"kind": "bones", "starts": bones.asked.settings.starts}
        results = self._session.results
        with self._session.one_step("register bones"):
            self._kept = {
                name: results.add(
                    registration,
                    bones.asked.ids,
                    {**described, "bone": name},
                    name=bone_words(name),
                )
                for name, registration in zip(bones.found.names, bones.found.bodies, strict=True)
            }

    def _failed(self, error: Exception) -> None:
        if self.torn_down:
            return
        self.on_canvas.forget()
        self.controls.words.setText("")
        self.keep_words(sentence(error), error=True)

    def _say(self) -> None:
        """What came of it."""
        bones = self.result
        if bones is None:
            return
        found = bones.found
        trusted = sum(map(bool, found.bodies))
        words = f"{trusted} of {len(found.names)} trusted."
        if any(each.status is Status.CANCELLED for each in found.bodies):
            words = f"Cancelled: this is the best so far. {words}"
        self.controls.words.setText(words)

    # ------------------------------------------------------------------ a bone

    def show_as_current(self) -> None:
        """Move the C-arm to where it stands about the chosen bone, on record."""
        name = self.controls.table.chosen
        if self.result is None or name is None:
            return
        kept = self._session.results.find(self._kept.get(name))
        if kept is not None:
            self._session.results.accept(kept.id)
        else:  # discarded or undone meanwhile
            self._session.poses.set_several(
                self.result.poses_of(name), f"{bone_words(name)} accepted"
            )
        self.on_canvas.show_drr()
        show_info(f"The C-arm stands where {bone_words(name)} was found.")

    def _see(self, name: str, on: bool) -> None:
        if self.on_canvas.layers is not None:
            self.on_canvas.layers.switch(name, on)

    def _follow_row(self) -> None:
        name = self.controls.table.chosen
        if self.result is None or name is None:
            self.controls.verdict.show_verdict(None)
            return
        moved = ""
        if name != PATIENT:
            moved = f" Against the rest of the patient: {moved_since_ct(self.result.found, name).words}."
        self.controls.verdict.show_verdict(
            self.result.found[name], f"{bone_words(name).capitalize()}: "
        )
        self.controls.moved.setText(moved.strip())

    # ------------------------------------------------------------------ writing

    def ask_where_to_save(self) -> None:
        """Choose a folder and write the bones there."""
        choose_folder(self, "Write the bones into a folder", self.save)

    def save(self, folder: str | Path) -> None:
        """Write a folder for each bone, and how they lie to each other, into a folder."""
        bones = self.result
        if bones is None:
            return
        asked = bones.export(Path(folder))
        self.workbench.jobs.start(
            "Saving the bones",
            lambda _: export_bones(asked),
            on_result=lambda done: tell_written(
                f"{len(done.files)} files were written to {folder}", done.missing
            ),
            on_error=lambda error: self.keep_words(sentence(error), error=True),
            total=len(bones.found.names) * len(bones.asked.ids),
        )

    # ------------------------------------------------------------------ following

    def _follow_data(self) -> None:
        """Another CT, or radiographs that are gone, cropped or turned: what was found no longer holds, until undo brings
        back what it was found in. Else it holds for what was cut then.
        """
        why = "" if self._asked is None else self._gone(self._asked)
        words = ""
        if why:
            words = (
                HINT
                if self.result is None
                else f"Hidden: {why}. Undo that to see these bones again."
            )
            words = f"Stopped: {why}." if self.running else words
            self._forget()
        if self._asked is None and self._last is not None and not self._gone(self._last.asked):
            self._show(self._last)
        if words:
            self.controls.words.setText(words)
        self.on_canvas.draw()
        self._follow()

    def _gone(self, asked: SessionBonesRequest) -> str:
        """What of it is no longer there, in words; empty: nothing."""
        if self._session.patient.volume is not asked.volume:
            return "the CT was changed"
        for id, view in zip(asked.ids, asked.views, strict=True):
            exposure = self._session.exposures.find(id)
            if exposure is None:
                return "a radiograph was removed"
            # Not by value: a square detector that was turned is the same, its pose is not.
            if exposure.radiograph.carm is not view.radiograph.carm:
                return f"{exposure.name} was changed"
        return ""

    def _follow(self) -> None:
        session, controls = self._session, self.controls
        labels = session.patient.labels
        facts = FactsRequest(None, labels)
        if not facts.known:
            self._facts.ask(facts)
        known = controls.choice.show_labels(labels)
        controls.without.setText(NO_LABELS if labels is None else "" if known else FINDING)
        used = [entry.name for entry in session.exposures.all if entry.used]
        words = f"Starts at the current pose, in {' and '.join(used)}." if used else ""
        controls.start_words.setText(f"{words} {ONE_VIEW}" if len(used) == 1 else words)
        self._switch()

    def _forget(self) -> None:
        """What was found, or is being looked for, no longer holds."""
        if self._job is not None and self._job.running:
            self._job.abandon()
        self._job = self._asked = self._request = self.result = None
        self.on_canvas.forget()
        self.controls.table.show_bones(None, {})
        self.controls.words.setText(HINT)
        self._switch()

    def _switch(self) -> None:
        session = self._session
        self.controls.follow(
            running=self.running,
            ready=session.patient.labels is not None
            and any(entry.used for entry in session.exposures.all)
            and bool(self.controls.choice.groups),
            found=self.result is not None,
        )

    def teardown(self) -> None:
        """Cancel what runs: the best so far still reaches the session. The layers go with the widget."""
        if self._job is not None:
            self._job.finished.disconnect(self._switch)
            self._job.cancel()
        self._facts.close()
        self.on_canvas.close()
