"""Answers into the session, in the main thread; where the user has to say something first, a question."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from napari.layers import Layer
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QWidget

from napari_xreg.images import Volume
from napari_xreg.session import Source, supply
from napari_xreg.widgets.data.answers import (
    CT,
    Choice,
    Found,
    Labelled,
    Marks,
    Requests,
    SessionFile,
    StudyFolder,
    Unfinished,
    Unscaled,
    Xray,
)
from napari_xreg.widgets.data.foreign_images import Foreign, ForeignImages
from napari_xreg.widgets.data.load_queue import LoadQueue
from napari_xreg.widgets.data.opened_layers import Brought, Opened, OpenedLayers, Settled
from napari_xreg.widgets.data.questions import MeaningOfValues, MissingGeometry, OneOf, Question
from napari_xreg.widgets.docks.opening import opened
from napari_xreg.widgets.jobs.telling import show_info, show_warning
from napari_xreg.widgets.jobs.workbench import Workbench
from napari_xreg.widgets.study.opening import show_study
from napari_xreg.workflows import NetworkFile, OpenedCase, SampleData, take_landmarks


class Taking:
    """Takes what was read, adopted or made.

    Parameters
    ----------
    bench
        Whose session is filled.
    over
        The parent of questions.
    adopt
        As of `ForeignImages`.
    """

    def __init__(
        self, bench: Workbench, over: QWidget, adopt: Callable[[Layer, str], None]
    ) -> None:
        self._bench, self._session, self._over = bench, bench.session, over
        self.queue = LoadQueue(bench.jobs, self.take, over)
        self.question: Question | None = None
        """That is open."""
        self._opened = OpenedLayers(bench, self.queue, self.take)
        self.foreign = ForeignImages(
            bench.viewer, bench.session, self.queue.ask, self._ask_first, adopt
        )

    def close(self) -> None:
        """Nobody takes what is still being read."""
        self._opened.close()
        self.foreign.close()
        self.queue.cancel()
        if self.question is not None:
            self.question.close()

    def ask(self, question: Question, answered: Callable[[Any], object]) -> None:
        """Open a question; `answered` is called with what the user said."""
        question.answered.connect(answered)
        question.finished.connect(lambda _: self._asked(question))
        self.question = question
        question.open()

    def _asked(self, question: Question) -> None:
        if self.question is question:
            self.question = None

    def take(self, answer: Any) -> None:
        """What one request came to.

        Raises
        ------
        ValueError
            If the session refuses it.
        """
        session = self._session
        match answer:
            case CT():
                self._take_ct(answer.volume, answer.source)
                for note in answer.notes:
                    show_warning(note)
            case Labelled():
                session.patient.set_labels(answer.labels, answer.source)
            case Xray():
                self._take_radiograph(answer)
            case Marks():
                self._take_landmarks(answer)
            case SessionFile():
                session.restore(answer.session.capture()(), f"open {answer.name}")
                for problem in answer.session.problems:
                    show_warning(problem)
            case Brought():
                self._opened.take(answer)
            case Settled():
                self._opened.settle(answer)
            case Foreign():
                self.foreign.ask(answer)
            case Opened():
                session.restore(answer.session.capture()(), "open session")
            case Requests():
                if answer.licence:
                    show_info(answer.licence)
                for note in answer.notes:
                    show_warning(note)
                self.queue.ask_next(*answer.files)
            case Found(name=name, value=value, source=source):
                supply(self._session, name, value, source)
            case Choice():
                self._ask_before_more(
                    OneOf(answer.question, answer.options, self._over), self.queue.ask_next
                )
            case Unfinished():
                request = answer.request
                self._ask_before_more(
                    MissingGeometry(answer.stored, self._over),
                    lambda said: self.queue.ask_next(request.completed(*said)),
                )
            case Unscaled():
                read = answer.request
                self._ask_before_more(
                    MeaningOfValues(answer.question, self._over),
                    lambda said: self.queue.ask_next(read.scaled(said)),
                )
            case SampleData():
                if not answer.source.built_in:
                    show_info(f"{answer.title}: {answer.licence}")
                self._take_whole(answer.title, partial(self._fill, answer))
            case OpenedCase():
                terms = answer.data_set.terms
                show_info(f"Licence: {terms.licence}. To be cited: {terms.citation}")
                for note in answer.notes:
                    show_warning(note)
                self._take_whole(answer.patient.name, partial(answer.fill, session))
            case NetworkFile():
                self._take_network(answer)
            case StudyFolder():
                show_study(self._bench.viewer, answer.path)

    def _take_radiograph(self, xray: Xray) -> None:
        """Add it; one that is there already is shown, not taken twice."""
        exposures = self._session.exposures
        for there in exposures.all:
            if there.radiograph is xray.radiograph:
                exposures.activate(there.id)
                return
        exposures.add(
            xray.radiograph,
            name=xray.name,
            source=xray.source,
            truth=xray.truth,
            edited=xray.edited,
        )

    def _take_network(self, network: NetworkFile) -> None:
        from napari_xreg.widgets.starts.widget import StartsWidget  # with it all networks

        opened(self._bench.viewer, StartsWidget, "Find a pose").use(network)

    def _take_landmarks(self, answer: Marks) -> None:
        if not take_landmarks(self._session, answer.landmarks):
            show_warning(
                f"{answer.file} holds pixels: load the radiograph they were picked on first."
            )

    def _take_ct(self, volume: Volume, source: Source | None) -> None:
        session = self._session
        if not session.patient.in_use:
            session.patient.set_volume(volume, source)
            return
        new = "the new one" if source is None else Path(source.path).name
        self._ask_first(
            f"There is a CT already. Is {new} of the same patient? Either way the current label map "
            "and results are removed; Undo (Pose widget) brings everything back.",
            {
                "another patient: landmarks are removed too, each C-arm returns to its start": (
                    partial(session.patient.replace, volume, source)
                ),
                "the same patient: landmarks, radiographs and poses stay": (
                    partial(session.patient.set_volume, volume, source)
                ),
            },
        )

    def _ask_first(self, question: str, answers: Mapping[str, Callable[[], None]]) -> None:
        """What was chosen is done; nothing else is loaded before."""
        self._ask_before_more(OneOf(question, answers, self._over), lambda chosen: chosen())

    def _ask_before_more(self, question: Question, answered: Callable[[Any], object]) -> None:
        """One question at a time: what comes next may belong to what is answered now."""
        self.queue.hold(True)
        self.ask(question, answered)
        # Only then: the dialog closes before it hands the answer over.
        question.finished.connect(lambda _: QTimer.singleShot(0, lambda: self.queue.hold(False)))

    def _take_whole(self, title: str, fill: Callable[[], None]) -> None:
        """A patient with radiographs: a sample, a case of a data set."""
        if self._session.empty:
            fill()
            return
        self._ask_first(
            f"There is a session already. What should become of it with {title}?",
            {
                "start over with the new one (undo brings this session back)": (
                    partial(self._start_over, fill)
                ),
                "keep its radiographs and poses, and add those of the new one": fill,
            },
        )

    def _start_over(self, fill: Callable[[], None]) -> None:
        with self._session.one_step("start over", work=False):
            for exposure in self._session.exposures.all:
                self._session.exposures.remove(exposure.id)
            self._session.landmarks.set([])
            fill()

    def _fill(self, sample: SampleData) -> None:
        if sample.case is not None:
            sample.case.fill(self._session)
            return
        with self._session.one_step("load sample", work=False):
            self._session.patient.set_volume(sample.volume, sample.source)
            if sample.labels is not None:
                self._session.patient.set_labels(sample.labels, sample.labels_source)
            if sample.landmarks:
                self._session.landmarks.set(sample.landmarks)
