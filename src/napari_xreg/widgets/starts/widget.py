"""Find a pose: networks, header and hand propose; the best is chosen by eye and refined."""

from pathlib import Path
from typing import Any

import torch
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_xreg.session import Weights
from napari_xreg.widgets.docks.docked import Docked
from napari_xreg.widgets.docks.opening import opened
from napari_xreg.widgets.jobs.jobs import Job, without_events
from napari_xreg.widgets.jobs.telling import sentence, show_error, show_warning
from napari_xreg.widgets.parts.collapsible import Collapsible
from napari_xreg.widgets.parts.data_buttons import button, row
from napari_xreg.widgets.parts.device_choice import preferred_device
from napari_xreg.widgets.parts.scrolling import scrolled
from napari_xreg.widgets.parts.small_print import SmallPrint
from napari_xreg.widgets.refine.choices import RefineChoices
from napari_xreg.widgets.refine.widget import RefineWidget
from napari_xreg.widgets.starts.asked import AskedRows
from napari_xreg.widgets.starts.cards import Cards
from napari_xreg.workflows import (
    INITIALISERS,
    Asking,
    NetworkFile,
    Proposal,
    Proposals,
    ProposeRequest,
    Ranking,
    network_file,
    propose,
    propose_request,
)

MISSING = "Load a CT and a radiograph first (Data)."

HINT = (
    "Tick who is to propose a pose. Weights of a network may be dropped here or on the viewer: those "
    "trained here, xvr's and DiffPose's (.safetensors, .pth, .pt, .ckpt)."
)


class StartsWidget(Docked):
    """Asks initialisers for a pose of the active radiograph and shows what they propose.

    Parameters
    ----------
    napari_viewer
        Whose session it is.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        self._session = self.workbench.session
        self._job: Job | None = None
        self._request: ProposeRequest | None = None
        self.rows = AskedRows(self._session)
        self.go = button(
            "Propose a pose",
            "Ask all that are ticked, refine what they propose at the coarse levels, and rank it. "
            "Nothing is moved yet.",
            self.toggle,
        )
        self.words = SmallPrint(lines=2)
        self.cards = Cards()
        self.refine_button = button(
            "Refine", "From the pose that is chosen, at full resolution (Refine).", self.refine
        )
        self.replay_button = button(
            "Replay",
            "Show again how each came from the pose that was found to where it is.",
            self.cards.replay,
        )
        self._lay_out()
        self.rows.changed.connect(self._follow)
        self.rows.file_chosen.connect(self.open_weights)
        self.cards.chosen.connect(self.take)
        session = self._session
        for signal in (
            session.patient.changed,
            session.exposures.changed,
            session.exposures.active_changed,
            session.landmarks.changed,
            session.weights.changed,
        ):
            self.listen(signal, self._show_session)
        self._show_session()

    @property
    def running(self) -> bool:
        """Whether somebody is being asked."""
        return self._job is not None

    def open_weights(self, path: str | Path) -> None:
        """Read what a file of weights says, and use it for what it is for."""
        file = Path(path)
        self.words.setText(f"Reading {file.name} …")
        self.workbench.jobs.start(
            f"Reading {file.name}",
            without_events(lambda: network_file(file)),  # tens of megabytes
            on_result=self.use,
            on_error=self._unreadable,
        )

    def use(self, network: NetworkFile) -> None:
        """Weights that were read; their initialiser is ticked."""
        if not network.use:
            self.words.setText(f"{network.file.name}: {network.words}")
            return
        self.words.setText(f"{network.file.name} is used for: {_title_of(network.use)}.")
        self._session.weights.want(Weights(network.use, network.file, network.words))

    def toggle(self) -> None:
        """Ask, or cancel."""
        if self._job is not None:
            self.words.setText("Cancelling …")
            self._job.cancel()
            return
        try:
            warp, template = self.rows.of_template
            request = propose_request(
                self._session,
                self.rows.asked,
                device=preferred_device(),
                warp=warp,
                template=template,
            )
        except ValueError as error:
            show_error(f"Find a pose: {error}")
            return
        self._request = request
        self.cards.show_proposals(None)
        self._job = self.workbench.jobs.start(
            "Finding a pose",
            lambda control: propose(request, control=control),
            on_event=self._advance,
            on_result=self._finish,
            on_error=self._fail,
            description="Finding a pose",
        )
        self._follow()

    def take(self, proposal: Proposal) -> bool:
        """Move the C-arm there; undo takes it back. Whether its radiograph is there."""
        proposals = self.cards.proposals
        if proposals is None or self._session.exposures.find(proposals.id) is None:
            show_warning("Find a pose: that radiograph is no longer there.")
            return False
        self._session.exposures.activate(proposals.id)
        self._session.poses.set(proposal.world_from_camera, f"pose of {proposal.start.origin}")
        self.words.setText(
            f"C-arm set to the pose of {proposal.start.origin}. Refine goes from here."
        )
        self._follow()
        return True

    def refine(self) -> None:
        """Refine from the pose that is chosen, wherever the C-arm was moved since."""
        refining = opened(self.workbench.viewer, RefineWidget, "Refine")
        if refining.running:
            show_warning("Find a pose: a refinement is running already.")
            return
        chosen = self.cards.current
        if chosen is None or not (self._stands_at(chosen) or self.take(chosen)):
            return
        refining.start(RefineChoices())

    def _stands_at(self, proposal: Proposal) -> bool:
        proposals, active = self.cards.proposals, self._session.exposures.active
        if proposals is None or active is None or active.id != proposals.id:
            return False
        pose = proposal.world_from_camera.matrix().detach().cpu().double()
        return torch.equal(active.world_from_camera.matrix(), pose)

    def teardown(self) -> None:
        """Nobody waits for an answer any more."""
        job, self._job = self._job, None
        self.cards.stop()
        if job is not None:
            job.abandon()

    # ------------------------------------------------------------------ what comes back

    def _advance(self, _newest: object, events: list[object]) -> None:
        for event in events:
            if isinstance(event, Asking):
                title = INITIALISERS[event.method].title
                self.words.setText(f"Asking {event.number + 1} of {event.of}: {title} …")
            elif isinstance(event, Ranking):
                title = INITIALISERS[event.method].title
                self.words.setText(
                    f"Refining {event.number + 1} of {event.of} at the coarse levels: {title} …"
                )

    def _finish(self, proposals: Proposals | None) -> None:
        self._job = None
        if proposals is None:
            self.words.setText("Cancelled.")
        elif not self._still_there():
            self.words.setText("CT or radiograph changed meanwhile: ask again.")
        else:
            self.cards.show_proposals(proposals)
            self.who.collapse(animate=False)  # the pictures in its place
            best = proposals.ranked[0]
            said = [
                f"{len(proposals.ranked)} proposed, the best from {best.start.origin}: click one."
            ]
            said += [f"{INITIALISERS[n.method].title}: {n.words}" for n in proposals.nothing]
            self.words.setText(" ".join(said))
        self._follow()

    def _fail(self, error: Exception) -> None:
        self._job = None
        self.words.setText(sentence(error))
        self._follow()

    def _unreadable(self, error: Exception) -> None:
        self.words.setText(sentence(error))
        self.keep_words(sentence(error), error=True)

    def _still_there(self) -> bool:
        request = self._request
        active = None if request is None else self._session.exposures.find(request.id)
        return (
            request is not None
            and active is not None
            and self._session.patient.rendering is request.rendered
            and active.radiograph.carm is request.asked[0].radiograph.carm
        )

    def _show_session(self) -> None:
        if self.cards.proposals is not None and not self._still_there():
            self.cards.show_proposals(None)
            self.words.setText("CT or radiograph changed: ask again.")
        self.rows.show_session()

    def _follow(self) -> None:
        """What can be pressed now."""
        session = self._session
        ready = session.patient.volume is not None and session.exposures.active is not None
        self.go.setText("Cancel" if self.running else "Propose a pose")
        self.go.setEnabled(self.running or (ready and bool(self.rows.asked)))
        if not ready and not self.running:
            self.words.setText(MISSING)
        elif ready and self.words.words == MISSING:
            self.words.setText("")
        self.refine_button.setEnabled(self.cards.current is not None and not self.running)
        self.replay_button.setEnabled(self.cards.proposals is not None)

    def _lay_out(self) -> None:
        self.who = Collapsible("Proposed by", self.rows)
        self.who.expand(animate=False)
        inner = QWidget()
        column = QVBoxLayout(inner)
        column.setContentsMargins(6, 6, 6, 6)
        column.setSpacing(6)
        column.addWidget(self.who)
        column.addWidget(self.cards)
        column.addStretch(1)
        column.addWidget(SmallPrint(HINT))
        top = QVBoxLayout()
        top.setContentsMargins(6, 6, 6, 2)
        top.setSpacing(4)
        top.addWidget(self.go)
        top.addWidget(self.words)
        foot = row((self.refine_button, self.replay_button))
        foot.setContentsMargins(6, 2, 6, 6)
        outer = QVBoxLayout(self)
        outer.setContentsMargins(0, 0, 0, 0)
        outer.setSpacing(0)
        # Above and below what scrolls: never out of sight.
        outer.addLayout(top)
        outer.addWidget(scrolled(inner), 1)
        outer.addLayout(foot)


def _title_of(kind: str) -> str:
    return next(row.title for row in INITIALISERS.values() if row.recipe == kind)
