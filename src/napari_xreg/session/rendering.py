"""The CT restricted to some structures: known at once as a value, computed where it is used."""

import threading

from napari_xreg.images import LabelMap, Volume


class Rendering:
    """What of a CT is rendered and registered.

    Restricting a large CT takes seconds: whoever has captured this calls `volume` where the work is
    done, and it is computed once. Its identity tells whether it is still the session's.

    Parameters
    ----------
    whole
        The CT.
    labels, structures
        The label map and the ids of it that are kept; no ids: the whole CT.
    """

    def __init__(
        self, whole: Volume, labels: LabelMap | None, structures: tuple[int, ...] = ()
    ) -> None:
        self.whole, self.structures = whole, structures
        self._labels = labels if structures else None
        self._lock = threading.Lock()
        self._made: Volume | None = None if self._labels is not None else whole

    def is_of(self, whole: Volume, labels: LabelMap | None, structures: tuple[int, ...]) -> bool:
        """Whether these are what it was made of."""
        same = self.whole is whole and self.structures == structures
        return same and (not structures or self._labels is labels)

    def volume(self) -> Volume:
        """The CT without attenuation outside the structures; the same one each time.

        Raises
        ------
        ValueError
            If none of the structures occurs.
        """
        with self._lock:
            if self._made is None:
                assert self._labels is not None
                self._made = self.whole.restrict(self._labels.mask(self.structures))
            return self._made


def rendered(what: Volume | Rendering) -> Volume:
    """The volume itself."""
    return what.volume() if isinstance(what, Rendering) else what
