"""Which bones move by themselves: none, and what is rendered is tracked as one."""

from collections.abc import Iterable

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_xreg.images import LabelMap
from napari_xreg.session import SequenceTrack, Source
from napari_xreg.widgets.bones.choice import BonesChoice
from napari_xreg.widgets.jobs.lane import Lane
from napari_xreg.widgets.jobs.telling import sentence
from napari_xreg.widgets.parts.small_print import SmallPrint
from napari_xreg.widgets.sequence.trial_bones import TrialBones
from napari_xreg.workflows import FactsRequest, TrialOfSession, bones_of_structures, trial_of

NO_LABELS = "Load a label map of the CT (Data): it says which voxels belong to which bone."
FINDING = "Looking through the label map …"
SEVERAL = "Ticked bones move by themselves, beside the rest of the CT; all of them are tracked together. None: what is rendered, as one."
OF_A_TRIAL = "Ticked bones of the trial are tracked together, each from its own CT. Choose one in the list above to bring it to where it is."


class SeveralBones(QWidget):
    """The structures of the label map, or the bones of a trial, to be ticked."""

    changed = Signal()
    """By the user, or other bones are there to be ticked."""

    def __init__(self) -> None:
        super().__init__()
        self._labels: LabelMap | None = None
        self._listed: LabelMap | None = None  # whose structures can be ticked
        self._wanted: tuple[tuple[int, ...], ...] = ()
        self._had: tuple[tuple[int, ...], ...] = ()  # of these what the map has
        self._facts = Lane(lambda _: self._follow_labels(self._labels), name="Labels")
        self._source: Source | None = None  # of the CT
        self._given: LabelMap | None = None  # the label map of now, used or not
        self._no_others = False  # whether its trial has no other bones, or cannot be read
        self._trouble = ""  # why it cannot
        self._trials = Lane(self._of_trial, trial_of, on_error=self._no_trial, name="Trial")
        self.choice = BonesChoice()
        self.choice.changed.connect(self.changed)
        self.trial = TrialBones()
        self.trial.changed.connect(self.changed)
        self.words = SmallPrint(NO_LABELS)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.words)
        layout.addWidget(self.choice)
        layout.addWidget(self.trial)

    @property
    def bones(self) -> dict[str, tuple[int, ...]]:
        """The ids of the structures of each bone, by its name; none is ticked: empty. Bones of a trial have no ids."""
        if self._of:
            return self.trial.bones
        labels = self._labels
        return {} if labels is None else bones_of_structures(labels, self.choice.groups)

    @property
    def finding(self) -> bool:
        """Whether bones are still to be ticked, once it is known which occur."""
        if self._of:
            return self._trials.busy
        return bool(self._wanted) and self._labels is not self._listed

    @property
    def _of(self) -> str:
        """Path of the trial that the CT is one of several bones of; empty: of none, and a label map says what is a bone."""
        return "" if self._source is None or self._no_others else self._source.trial

    def follow(self, labels: LabelMap | None, source: Source | None = None) -> None:
        """The label map of now, and where the CT came from; what occurs is found out in the background. Bones that were ticked
        are so again."""
        self._given = labels
        if source is not self._source:
            self._source, self._no_others, self._trouble = source, False, ""
            if self._of:
                self._trials.ask(source)
            else:
                self._trials.drop()
                self.trial.show_trial(None)
        if self._of:
            self._facts.drop()
            self._labels = None
            self.choice.setVisible(False)
            return
        self._follow_labels(labels)

    def _follow_labels(self, labels: LabelMap | None) -> None:
        self._labels = labels
        if labels is not self._listed and self.choice.groups != self._had:  # by the user
            self._wanted = self.choice.groups
        facts = FactsRequest(None, labels)
        if not facts.known:
            self._facts.ask(facts)
        before = self._listed
        known = self.choice.show_labels(labels)
        words = NO_LABELS if labels is None else SEVERAL if known else FINDING
        self.words.setText(f"{self._trouble} {words}".strip())
        self._listed = labels if known else None
        if self._listed is not None and self._listed is not before:
            self.choose(self._wanted)
        elif self._listed is None:
            self._had = ()

    def choose(self, groups: Iterable[tuple[int, ...]]) -> None:
        """Tick these bones and no others, as soon as they are listed."""
        self._wanted = tuple(groups)
        self.choice.choose(self._wanted)
        self._had = self.choice.groups

    def choose_of(self, track: SequenceTrack) -> None:
        """Tick the bones of a track."""
        if track.volumes:
            self.trial.choose(track.volumes)
        else:
            self.choose(ids for ids in track.bones.values() if ids)

    def close_lane(self) -> None:
        """For good."""
        self._facts.close()
        self._trials.close()

    def _of_trial(self, trial: TrialOfSession) -> None:
        before = self.trial.bones
        self.trial.show_trial(trial)
        self.words.setText(OF_A_TRIAL)
        if len(trial.names) < 2:
            self._by_labels()
        if self.trial.bones != before:
            self.changed.emit()

    def _no_trial(self, error: Exception) -> None:
        self.trial.show_trial(None)
        self._trouble = f"The other bones of the trial cannot be listed. {sentence(error)}"
        self._by_labels()

    def _by_labels(self) -> None:
        self._no_others = True
        self._follow_labels(self._given)
