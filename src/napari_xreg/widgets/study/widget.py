"""Study: look at many registrations while they are computed, and open any of them."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import (
    QComboBox,
    QLineEdit,
    QTableWidget,
    QTableWidgetItem,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)

from napari_xreg.progress import Control
from napari_xreg.records import StudyRow
from napari_xreg.session import Session
from napari_xreg.study import (
    MAIN_HEAD,
    FolderRecord,
    Watched,
    likelihood_of_row,
    main_row,
    opened_row,
    watch,
    write_study_report,
    write_tables,
)
from napari_xreg.widgets.docks.docked import Docked
from napari_xreg.widgets.jobs.jobs import Job
from napari_xreg.widgets.jobs.lane import Lane
from napari_xreg.widgets.jobs.telling import sentence, show_info
from napari_xreg.widgets.parts.data_buttons import button, row
from napari_xreg.widgets.parts.file_dialogs import choose_folder
from napari_xreg.widgets.parts.small_print import SmallPrint
from napari_xreg.widgets.study.rows import SHOWN, RowsTable

LOOK_MS = 2000
"""Between two looks at a folder that others may be writing into."""

HINT = (
    "Open the folder of a study (napari-xreg study … --out FOLDER), also while it is being computed: its "
    "registrations stand here as they come. A double click opens one."
)


class StudyWidget(Docked):
    """Watches the folder of a study; a registration of it becomes the session.

    Parameters
    ----------
    napari_viewer
        Whose session is replaced by the case that is opened; undo brings it back.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        self._session = self.workbench.session
        self._job: Job | None = None
        self.watched: Watched | None = None
        """What the last look found."""
        self._folder: Path | None = None
        self._lane = Lane(self._take, _look, on_error=self._not_there, name="Study")
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK_MS)
        self._timer.timeout.connect(lambda: self.look() if self.isVisible() else None)
        self._make_controls()
        self._lay_out()
        self._switch()

    # ------------------------------------------------------------------ making it

    def _make_controls(self) -> None:
        self.open_button = button(
            "Open a study…", "The folder that holds study.json.", self.ask_for_folder
        )
        self.report_button = button(
            "Write the report",
            "Tables (.csv, .md) and a page (report.html) into the study's folder, with the worst cases as "
            "pictures and sessions.",
            self.write_report,
        )
        self.words = SmallPrint(HINT, lines=3)
        self.which = QComboBox()
        self.which.addItems(list(SHOWN))
        self.which.setToolTip("Which registrations are listed.")
        self.search = QLineEdit()
        self.search.setPlaceholderText("case, start, method …")
        self.search.setToolTip("Lists what holds all of these words.")
        self.search.setClearButtonEnabled(True)
        self.table = RowsTable()
        self.tabs = QTabWidget()
        self.case_words = SmallPrint(lines=3)
        self.case_words.setFixedHeight(
            self.case_words.sizeHint().height()
        )  # the table takes the rest
        self.show_button = button(
            "Open this case",
            "CT, radiographs and result become the session; undo brings back what was open. What is open "
            "was read, or simulated, again.",
            self.open_chosen,
        )
        self.figures = QTableWidget(0, len(MAIN_HEAD))
        self.figures.setHorizontalHeaderLabels(list(MAIN_HEAD))
        self.figures.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
        self.which.currentTextChanged.connect(self._choose)
        self.search.textChanged.connect(self._choose)
        self.table.opened.connect(self.open_row)
        self.table.chosen.connect(self._say)

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(6, 6, 6, 6)
        layout.addLayout(row([self.open_button, self.report_button]))
        layout.addWidget(self.words)
        listed = QWidget()
        inside = QVBoxLayout(listed)
        inside.setContentsMargins(0, 4, 0, 0)
        inside.addLayout(row([self.which, self.search]))
        inside.addWidget(self.table, 1)
        inside.addWidget(self.case_words)
        inside.addWidget(self.show_button)
        self.tabs.addTab(listed, "Registrations")
        self.tabs.addTab(self.figures, "Figures")
        self.tabs.setTabToolTip(1, "By group, start and method, as the report has them.")
        layout.addWidget(self.tabs, 1)

    # ------------------------------------------------------------------ watching

    @property
    def running(self) -> bool:
        """Whether a case is being opened, or a report written."""
        return self._job is not None and self._job.running

    def ask_for_folder(self) -> None:
        """Choose a folder, and watch it."""
        choose_folder(self, "The folder of a study", self.open_study)

    def open_study(self, folder: str | Path) -> None:
        """Watch the folder of a study."""
        self._folder = Path(folder)
        self.words.setText(f"Reading {self._folder} …")
        self._lane.ask((self._folder, None))
        self._timer.start()

    def look(self) -> None:
        """Look at the folder again."""
        if self._folder is not None and not self._lane.busy:
            self._lane.ask((self._folder, self.watched))

    def _take(self, found: Watched) -> None:
        if self.torn_down or found.out != self._folder:
            return
        before, self.watched = self.watched, found
        if found.same_as(before):
            return
        evaluation = found.evaluation
        if before is None or before.evaluation is not evaluation:
            self.table.put(evaluation.rows)
            self._choose()
            self._fill_figures()
        self._say_how_far()
        self._switch()

    def _say_how_far(self) -> None:
        found = self.watched
        assert found is not None
        evaluation = found.evaluation
        total, failed = len(evaluation.folder.files), sum(bool(r.failure) for r in evaluation.rows)
        said = [
            evaluation.folder.manifest.title or found.out.name,
            f"{len(evaluation.rows)} of {total} done",
        ]
        said += [f"{failed} failed"] if failed else []
        said += [f"{found.in_hand} cases being computed"] if found.in_hand else []
        said += [f"{len(found.problems)} unreadable: {found.problems[0]}"] if found.problems else []
        self.words.setText(", ".join(said) + f". {evaluation.simulated_words}")

    def _not_there(self, error: Exception) -> None:
        if self.watched is None:
            self._timer.stop()
            self._folder = None
            self.words.setText(HINT)
        elif self.watched.out == self._folder:
            self._timer.stop()
            self.keep_words(f"No longer watched: {sentence(error)}", error=True)
            return
        else:  # the study before stays, and is watched on
            self._folder = self.watched.out
            self._say_how_far()
        self.keep_words(sentence(error), error=True)

    def _choose(self, *_: object) -> None:
        self.table.rows.choose(self.which.currentText(), self.search.text())
        shown, total = self.table.rows.rowCount(), len(self.table.all.rows)
        self.tabs.setTabText(0, f"Registrations ({shown} of {total})")
        self._say(self.table.row)

    def _fill_figures(self) -> None:
        assert self.watched is not None
        blocks = self.watched.evaluation.blocks
        self.figures.setRowCount(len(blocks))
        for number, block in enumerate(blocks):
            for column, words in enumerate(main_row(block)):
                self.figures.setItem(number, column, QTableWidgetItem(words))
        self.figures.resizeColumnsToContents()

    # ------------------------------------------------------------------ a case

    def _say(self, chosen: StudyRow | None) -> None:
        words = ""
        if chosen is not None:
            likelihood = likelihood_of_row(chosen)
            reason = chosen.failure or ("No result" if likelihood is None else likelihood.words)
            # Notes mostly hold the verdict, with what it rests on: first, and once.
            notes = sorted(chosen.notes, key=lambda note: not note.startswith(reason))
            if not (notes and notes[0].startswith(reason)):
                notes.insert(0, f"{reason.rstrip('.')}.")
            words = f"{chosen.case}: {' '.join(notes)}"
        self.case_words.setText(words)
        self._switch()

    def open_chosen(self) -> None:
        """Open the case that is chosen in the table."""
        if self.table.row is not None:
            self.open_row(self.table.row)

    def open_row(self, chosen: StudyRow) -> None:
        """The case of a row, at its result, becomes the session."""
        if self.watched is None or self.running:
            return
        folder = self.watched.evaluation.folder

        def take(opened: Session) -> None:
            self._session.restore(opened.capture()(), f"open {chosen.case}")
            show_info(f"{chosen.case} is open. Undo brings the previous session back.")

        self._start(f"Opening {chosen.case}", lambda _: _read_again(folder, chosen), take)

    def write_report(self) -> None:
        """Tables and page, into the folder."""
        watched = self.watched
        if watched is None or self.running:
            return

        def work(control: Control) -> Generator[Any, None, Path]:
            write_tables(watched.evaluation, watched.out)
            files = yield from write_study_report(watched.evaluation, watched.out)
            return files[0]

        self._start("Writing the report", work, lambda file: show_info(f"Written: {file}"))

    def _start(self, name: str, work: Any, on_result: Any) -> None:
        self._job = self.workbench.jobs.start(
            name,
            work,
            on_result=on_result,
            on_error=lambda error: self.keep_words(sentence(error), error=True),
        )
        self._job.finished.connect(self._switch)
        self._switch()

    def _switch(self) -> None:
        there, idle = self.watched is not None, not self.running
        self.report_button.setEnabled(there and idle)
        self.show_button.setEnabled(self.table.row is not None and idle)
        self.show_button.setText("Opening …" if self.running else "Open this case")

    def teardown(self) -> None:
        """Stop looking."""
        self._timer.stop()
        self._lane.close()
        if self.running:
            assert self._job is not None
            self._job.abandon()
        self._job = None


def _look(asked: tuple[Path, Watched | None]) -> Watched:
    return watch(*asked)


def _read_again(folder: FolderRecord, chosen: StudyRow) -> Generator[Any, None, Session]:
    """As a job that has no events."""
    yield from ()
    return opened_row(folder, chosen)
