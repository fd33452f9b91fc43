"""Data that no file of the user's holds, as frozen requests: samples and simulated radiographs."""

from dataclasses import dataclass
from typing import Any

from napari_xreg.widgets.data.answers import Choice, Requests, Xray
from napari_xreg.widgets.data.reading import ReadFile
from napari_xreg.workflows import (
    Sample,
    SimulateRequest,
    available_samples,
    folder_samples,
    simulate,
    wrist_sample,
)

_BUILT_IN = {"case": "phantom-radiograph", "phantom": "phantom"}
"""Names in napari's menu: our keys."""


@dataclass(frozen=True, eq=False)
class LoadSample:
    """Make or read a sample."""

    sample: Sample

    @property
    def words(self) -> str:
        return f"Loading {self.sample.title}"

    def answer(self) -> Any:
        """Load it; a trial is read as if it had been dropped."""
        sample = self.sample
        if sample.trial is not None:
            licence = f"{sample.title}: {sample.licence}"
            return Requests((ReadFile(str(sample.trial), "trial"),), licence=licence)
        return sample.load()


@dataclass(frozen=True)
class MenuSample:
    """A sample of napari's own menu.

    Parameters
    ----------
    name
        "case", "phantom", "folder" or "wrist", as in the manifest.
    """

    name: str
    words: str = "Loading sample data"

    def answer(self) -> Any:
        """Load it; of several CTs of a folder one is chosen.

        Raises
        ------
        ReadError
            If it is not there, with what to do.
        """
        if self.name == "wrist":
            return LoadSample(wrist_sample()).answer()
        if self.name != "folder":
            key = _BUILT_IN[self.name]
            return LoadSample(next(s for s in available_samples() if s.key == key)).answer()
        samples = [LoadSample(sample) for sample in folder_samples()]
        if len(samples) == 1:
            return samples[0].answer()
        options = {f"{one.sample.title} ({one.sample.licence})": one for one in samples}
        return Choice(f"There are {len(samples)} CTs. Which one?", options)


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
