"""Accept takes the pose that is shown, and its button says which that is."""

from napari_xreg.registration import Iterate
from napari_xreg.session import Session
from napari_xreg.widgets.refine.results import ResultsPanel
from napari_xreg.widgets.refine.shown import ShownRefinement


def name_accept(
    panel: ResultsPanel,
    session: Session,
    shown: ShownRefinement | None,
    current: Iterate | None,
    *,
    running: bool,
) -> None:
    """Say on the button, and beside it, what it takes.

    Parameters
    ----------
    panel
        With the button; the result selected in it is the one accepted.
    session
        Whose results.
    shown, current
        The refinement and the iterate that are looked at.
    running
        Whether a refinement is under way: nothing is accepted meanwhile.
    """
    chosen = panel.selected
    result = session.results.find(chosen[0]) if len(chosen) == 1 else None
    if running or result is None:
        panel.show_accept("")
    elif shown is not None and shown.is_of(result) and current is not None:
        panel.show_accept(f"iteration {current.index} of {result.name}")
        at = result.registration.ended_at
        other = at is not None and at != current.index
        panel.verdict.show_verdict(
            result.registration, f"Of iteration {at}, not the one shown: " if other else ""
        )
    else:  # of a session whose radiographs are gone, or without iterations
        panel.show_accept(result.name)


def accept(
    session: Session, id: str, shown: ShownRefinement | None, current: Iterate | None
) -> str:
    """Move the C-arm to what is looked at of a result; what that is, in words."""
    result = session.results[id]
    if shown is None or current is None or not shown.is_of(result):
        session.results.accept(id)
        return result.name
    what = f"iteration {current.index} of {result.name}"
    if result.registration.ended_at == current.index:
        session.results.accept(id)
    else:
        session.results.accept(id, poses=shown.poses_at(current), what=what)
    return what
