"""Data that no file of the user's holds, as frozen requests: samples and simulated radiographs."""

from dataclasses import dataclass
from typing import Any

from napari_xreg.widgets.data.answers import Xray
from napari_xreg.widgets.data.reading import ReadFile
from napari_xreg.workflows import Sample, SimulateRequest, simulate


@dataclass(frozen=True, eq=False)
class LoadSample:
    """Make or read a sample."""

    sample: Sample

    @property
    def words(self) -> str:
        return f"Loading {self.sample.title}"

    def answer(self) -> Any:
        """Load it; a trial is read as if it had been dropped."""
        if self.sample.trial is not None:
            return ReadFile(str(self.sample.trial), "trial").answer()
        return self.sample.load()


@dataclass(frozen=True, eq=False)
class Simulate:
    """Simulate a radiograph of the CT."""

    request: SimulateRequest

    @property
    def words(self) -> str:
        return "Simulating a radiograph"

    def answer(self) -> Xray:
        """Simulate it."""
        made = simulate(self.request)
        return Xray(
            made.radiograph, None, f"simulated {self.request.settings.severity}", made.truth
        )
