"""Which bones move by themselves: none, and what is rendered is tracked as one."""

from collections.abc import Iterable

from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_xreg.images import LabelMap
from napari_xreg.widgets.bones.choice import BonesChoice
from napari_xreg.widgets.jobs.lane import Lane
from napari_xreg.widgets.parts.small_print import SmallPrint
from napari_xreg.workflows import FactsRequest, bones_of_structures

NO_LABELS = "Load a label map of the CT (Data): it says which voxels belong to which bone."
FINDING = "Looking which structures occur …"
SEVERAL = "Ticked bones move by themselves, beside the rest of the CT; all of them are tracked together. None: what is rendered, as one."


class SeveralBones(QWidget):
    """The structures of the label map, to be ticked."""

    def __init__(self) -> None:
        super().__init__()
        self._labels: LabelMap | None = None
        self._listed: LabelMap | None = None  # whose structures can be ticked
        self._wanted: tuple[tuple[int, ...], ...] = ()
        self._had: tuple[tuple[int, ...], ...] = ()  # of these what the map has
        self._facts = Lane(lambda _: self.follow(self._labels), name="Labels")
        self.choice = BonesChoice()
        self.words = SmallPrint(NO_LABELS)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.words)
        layout.addWidget(self.choice)

    @property
    def bones(self) -> dict[str, tuple[int, ...]]:
        """The ids of the structures of each bone, by its name; none is ticked: empty."""
        labels = self._labels
        return {} if labels is None else bones_of_structures(labels, self.choice.groups)

    @property
    def finding(self) -> bool:
        """Whether bones are still to be ticked, once it is known which occur."""
        return bool(self._wanted) and self._labels is not self._listed

    def follow(self, labels: LabelMap | None) -> None:
        """The label map of now; what occurs in it is found out in the background. Bones that were ticked are so again."""
        self._labels = labels
        if labels is not self._listed and self.choice.groups != self._had:  # by the user
            self._wanted = self.choice.groups
        facts = FactsRequest(None, labels)
        if not facts.known:
            self._facts.ask(facts)
        before = self._listed
        known = self.choice.show_labels(labels)
        self.words.setText(NO_LABELS if labels is None else SEVERAL if known else FINDING)
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

    def close_lane(self) -> None:
        """For good."""
        self._facts.close()
