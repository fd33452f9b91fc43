"""What a user should know of a track beside what was found: how it ended, and what is no longer as it was."""

import torch

from napari_xreg.session import Rendering, Session
from napari_xreg.workflows import SequenceFound

NOTHING = "Cancelled before a frame was done: this is what was tracked before."
SO_FAR = "Cancelled: these are the frames so far."
AS_BEFORE = "Cancelled: frames that were not reached are as they were tracked before."
OTHERWISE = "Tracked before structures, labels or isocenter were changed."


def since(session: Session, found: SequenceFound | None) -> str:
    """What was changed since it was asked for, and what was not used; empty: nothing."""
    if found is None:
        return ""
    words = [*found.notes, *([OTHERWISE] if _changed(session, found) else [])]
    return "".join(f" {each}" for each in words)


def _changed(session: Session, found: SequenceFound) -> bool:
    patient, what = session.patient, found.rendering
    if patient.volume is None:
        return False
    if found.bodies:
        return found.labels is not patient.labels
    if not isinstance(what, Rendering):
        return False
    assert found.pivot is not None
    same = what.is_of(patient.volume, patient.labels, patient.structures)
    return not (same and torch.equal(found.pivot, patient.isocenter))
