"""Data that no file of the user's holds, as frozen requests: samples and simulated radiographs."""

from dataclasses import dataclass

from napari_xreg.widgets.data.answers import Xray
from napari_xreg.workflows import Sample, SampleData, SimulateRequest, simulate


@dataclass(frozen=True, eq=False)
class LoadSample:
    """Make or read a sample."""

    sample: Sample

    @property
    def words(self) -> str:
        return f"Loading {self.sample.title}"

    def answer(self) -> SampleData:
        """Load it."""
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
