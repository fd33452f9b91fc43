"""What takes a pass over a whole CT or label map to know: found off the main thread, once."""

from dataclasses import dataclass

from napari_xreg.images import LabelMap, Volume


@dataclass(frozen=True, eq=False)
class FactsRequest:
    """The range of a CT and the labels that occur; afterwards they are known to the values.

    Parameters
    ----------
    volume, labels
        Of a session.
    """

    volume: Volume | None
    labels: LabelMap | None

    @property
    def known(self) -> bool:
        """Whether there is nothing to find."""
        ct = self.volume is None or self.volume.range_known
        return ct and (self.labels is None or self.labels.present_known)

    def answer(self) -> "FactsRequest":
        """Find them, in any thread."""
        if self.volume is not None:
            _ = self.volume.value_range
        if self.labels is not None:
            self.labels.present()
        return self
