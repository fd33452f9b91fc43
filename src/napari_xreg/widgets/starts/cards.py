"""The poses that were proposed: a picture each, with its score and where it comes from."""

from qtpy.QtCore import QSize, Qt, QTimer, Signal
from qtpy.QtGui import QIcon
from qtpy.QtWidgets import QButtonGroup, QGridLayout, QSizePolicy, QToolButton, QWidget

from napari_xreg.widgets.starts.pictures import overlaid, pixmap_of
from napari_xreg.workflows import Proposal, Proposals

PICTURE = QSize(140, 118)
FRAME_MS = 150
"""An iteration is shown again for so long."""
COLUMNS = 2
_CHOSEN = (
    "QToolButton { padding: 3px; border: 2px solid transparent; } "
    "QToolButton:checked { border: 2px solid #e69f00; }"
)


class Cards(QWidget):
    """Ranked, the best first; a click chooses one."""

    chosen = Signal(object)
    """A `Proposal`."""

    def __init__(self) -> None:
        super().__init__()
        self.cards: list[QToolButton] = []
        self.proposals: Proposals | None = None
        self._group = QButtonGroup(self)
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setSpacing(4)
        self._group.idClicked.connect(self._clicked)
        self._timer = QTimer(self)
        self._timer.setInterval(FRAME_MS)
        self._timer.timeout.connect(self._next_frame)
        self._frame = 0

    @property
    def replaying(self) -> bool:
        """Whether the refinements are being shown again."""
        return self._timer.isActive()

    @property
    def current(self) -> Proposal | None:
        """The one that is chosen."""
        at = self._group.checkedId()
        return None if self.proposals is None or at < 0 else self.proposals.ranked[at]

    def show_proposals(self, proposals: Proposals | None) -> None:
        """None: there are none any more."""
        self.stop()
        for card in self.cards:
            self._group.removeButton(card)
            self._grid.removeWidget(card)
            card.deleteLater()
        self.cards, self.proposals = [], proposals
        if proposals is None:
            return
        for number, proposal in enumerate(proposals.ranked):
            card = QToolButton()
            card.setCheckable(True)
            card.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
            card.setIconSize(PICTURE)
            card.setStyleSheet(_CHOSEN)
            card.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
            card.setText(card_words(number, proposal))
            card.setToolTip(card_tip(proposal))
            self._group.addButton(card, number)
            self._grid.addWidget(card, number // COLUMNS, number % COLUMNS)
            self.cards.append(card)
        self._show_ends()

    def replay(self) -> None:
        """The iterations of every one, from the pose that was found; again: stop."""
        if self.replaying:
            self.stop()
        elif self.proposals is not None:
            self._frame = 0
            self._timer.start()

    def stop(self) -> None:
        """The pictures of where they ended."""
        if self.replaying:
            self._timer.stop()
            self._show_ends()

    def _clicked(self, number: int) -> None:
        if self.proposals is not None:
            self.chosen.emit(self.proposals.ranked[number])

    def _show_ends(self) -> None:
        if self.proposals is None:
            return
        for card, proposal in zip(self.cards, self.proposals.ranked, strict=True):
            picture = overlaid(self.proposals.radiograph, proposal.drr)
            card.setIcon(QIcon(pixmap_of(picture, PICTURE)))

    def _next_frame(self) -> None:
        assert self.proposals is not None
        left = False
        for card, proposal in zip(self.cards, self.proposals.ranked, strict=True):
            way = proposal.iterations
            if self._frame < len(way):
                left = True
                image = way[self._frame].image
                assert image is not None
                picture = overlaid(self.proposals.radiograph, image)
                card.setIcon(QIcon(pixmap_of(picture, PICTURE)))
        self._frame += 1
        if not left:
            self.stop()


def card_words(number: int, proposal: Proposal) -> str:
    """Three short lines under a picture."""
    side = ", mirrored" if proposal.mirrored else ""
    return f"{number + 1}. {proposal.title}{side}\nNCC {proposal.ncc:.3f}\nloss {proposal.loss:.3f}"


def card_tip(proposal: Proposal) -> str:
    """Where it comes from, and what is known of it."""
    lines = [
        f"From {proposal.start.origin}, refined at the coarse levels.",
        "Orange: DRR, blue: radiograph; grey where they agree.",
    ]
    if proposal.mirrored:
        lines.append("It came from the mirrored pose, which explains the radiograph better.")
    lines += [proposal.start.said, *proposal.start.notes]
    return "\n".join(line for line in lines if line)
