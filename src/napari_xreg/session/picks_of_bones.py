"""What was picked on radiographs goes and comes back with the bone of a trial that it is of."""

from collections.abc import Mapping
from dataclasses import replace

from napari_xreg.session.exposure import Exposure, Picked
from napari_xreg.session.state import PickedOn


def exchanged(
    exposures: tuple[Exposure, ...],
    before: Mapping[PickedOn, Picked],
    own: Mapping[PickedOn, Picked],
    shown: Mapping[str, int],
) -> tuple[tuple[Exposure, ...], dict[PickedOn, Picked], dict[PickedOn, Picked]]:
    """The radiographs with what was picked for another bone, on whichever frame.

    An edited radiograph keeps what it has: its pixels are not those that the rest was picked on.

    Parameters
    ----------
    before, own
        As of `OfBone.picked`, of the bone that was shown and of the one that is to be.
    shown
        Number of the frame that a radiograph shows, by `Exposure.id`; without those that are of no sequence.

    Returns
    -------
    tuple, dict, dict
        The radiographs, and what either bone keeps until it is shown again.
    """
    kept, left, changed = dict(before), dict(own), []
    for entry in exposures:
        if entry.edited:
            changed.append(entry)
            continue
        number = shown.get(entry.id)
        here = Picked(entry.landmarks, entry.left_out)
        for frame, each in [*entry.of_frames.items(), (number, here)]:
            if each != Picked():
                kept[entry.id, frame] = each
        back = left.pop((entry.id, number), Picked())
        frames = [on for on in left if on[0] == entry.id and on[1] is not None]
        others = {frame: left.pop((id, frame)) for id, frame in frames if frame is not None}
        changed.append(
            replace(entry, landmarks=back.landmarks, left_out=back.left_out, of_frames=others)
        )
    return tuple(changed), kept, left
