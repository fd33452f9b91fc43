"""Sample: what can be loaded without a file of one's own, the phantom, CTs and trials of a folder.

Nothing is downloaded. The folder is named by the environment variable NAPARI_XREG_DATA; it holds a
folder per CT with ``ct.nii.gz``, perhaps ``labels.nii.gz`` and landmarks, a folder per trial of
Autoscoper with its ``.cfg`` in it or one below, and a README.md whose table says the licence of each.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from napari_xreg.images import LabelMap, Landmark, ReadError, Volume, is_trial, read_landmarks
from napari_xreg.session import (
    PHANTOM,
    SampleCase,
    Source,
    file_source,
    read_ct,
    read_label_map,
    sample_case,
)
from napari_xreg.simulation import phantom

DATA_VARIABLE = "NAPARI_XREG_DATA"
WRIST = "wrist_bvr"
"""Folder of the real biplane wrist."""
_CITE_WRIST = (
    "cite Akhbari et al., Accuracy of biplane videoradiography for quantifying dynamic wrist kinematics, "
    "J Biomech 2019"
)
_KNOWN = {WRIST: ("Biplane wrist, real", _CITE_WRIST)}
"""Titles of trials that we know, and what else is to be said of them."""
_LANDMARKS = ("landmarks.fcsv", "landmarks.mrk.json", "landmarks.csv")


@dataclass(frozen=True, eq=False)
class SampleData:
    """A sample, read.

    Parameters
    ----------
    title
        What it is called.
    volume, labels, landmarks
        The CT and what came with it.
    source, labels_source
        Where they can be read again.
    licence
        To be shown wherever the data are.
    case
        With its radiograph, where it brings a simulated one.
    """

    title: str
    volume: Volume
    labels: LabelMap | None
    landmarks: tuple[Landmark, ...]
    source: Source
    labels_source: Source | None
    licence: str
    case: SampleCase | None = None


@dataclass(frozen=True)
class Sample:
    """A sample that can be loaded.

    Parameters
    ----------
    key
        Its folder, or "phantom".
    title
        What a list of samples shows.
    licence
        And whose it is; to be shown with the title.
    folder
        Of a real CT or trial; None for what is built in.
    trial
        The ``.cfg`` of a trial, which is read as any (`trial_files`): it may hold several bones.
    with_radiograph
        Whether a radiograph of it is simulated on loading.
    """

    key: str
    title: str
    licence: str
    folder: Path | None = None
    trial: Path | None = None
    with_radiograph: bool = False

    def load(self) -> SampleData:
        """Read or make it, unless it is a trial: up to a few seconds.

        Raises
        ------
        ReadError
            If a file is damaged.
        """
        if self.folder is None and self.with_radiograph:
            case = sample_case()
            marks, source = case.landmarks, case.source
            return SampleData(
                self.title, case.volume, case.labels, marks, source, source, self.licence, case
            )
        if self.folder is None:
            made = phantom()
            source = Source(PHANTOM, built_in=True)
            marks = tuple(Landmark(name, point) for name, point in made.landmarks.items())
            return SampleData(
                self.title, made.volume, made.labels, marks, source, source, self.licence
            )
        source = file_source(self.folder / "ct.nii.gz")
        labels_path = self.folder / "labels.nii.gz"
        labels_source = file_source(labels_path) if labels_path.is_file() else None
        found = [self.folder / name for name in _LANDMARKS if (self.folder / name).is_file()]
        return SampleData(
            self.title,
            read_ct(source),
            None if labels_source is None else read_label_map(labels_source),
            tuple(read_landmarks(found[0])) if found else (),
            source,
            labels_source,
            self.licence,
        )


def available_samples() -> tuple[Sample, ...]:
    """What can be loaded here: the phantom, and what the folder holds that NAPARI_XREG_DATA names."""
    licence = "made by this program; no patient"
    built_in = (
        Sample(
            "phantom-radiograph",
            "Pelvis phantom with a simulated radiograph",
            licence,
            with_radiograph=True,
        ),
        Sample("phantom", "Pelvis phantom (CT, labels, landmarks)", licence),
    )
    folder = data_folder()
    return built_in if folder is None else built_in + _real_samples(folder)


def folder_samples() -> tuple[Sample, ...]:
    """The CTs of the folder that NAPARI_XREG_DATA names, one or more.

    Raises
    ------
    ReadError
        If there is none: it says how to name such a folder.
    """
    samples = tuple(s for s in available_samples() if s.folder is not None and s.trial is None)
    if not samples:
        named = os.environ.get(DATA_VARIABLE)
        why = f"{named} holds no folder with a ct.nii.gz" if named else "it is not set"
        raise ReadError(
            f"No real CT to open: the environment variable {DATA_VARIABLE} names the folder that holds "
            f"them, but {why}."
        )
    return samples


def wrist_sample() -> Sample:
    """The real biplane wrist.

    Raises
    ------
    ReadError
        If it is not there, with what to get and where to put it.
    """
    sample = next((s for s in available_samples() if s.key == WRIST and s.trial is not None), None)
    if sample is None:
        named = os.environ.get(DATA_VARIABLE)
        there = (
            f"in {named}"
            if named
            else (
                f"in a folder that the environment variable {DATA_VARIABLE} names before napari starts"
            )
        )
        raise ReadError(
            "The real wrist does not come with this program. Get the wrist of Autoscoper's sample data "
            "(github.com/BrownBiomechanics/Autoscoper) and put its trial, which is wrist.cfg with calibrations, "
            f"radiographs and volumes, into a folder {WRIST} {there}."
        )
    return sample


def data_folder() -> Path | None:
    """The folder that NAPARI_XREG_DATA names; None where it names none that exists."""
    named = os.environ.get(DATA_VARIABLE, "").strip()
    return Path(named) if named and Path(named).is_dir() else None


def _real_samples(folder: Path) -> tuple[Sample, ...]:
    licences = read_licences(folder / "README.md")
    unknown = f"licence not stated: {folder / 'README.md'} has no row for it"
    found = []
    for entry in sorted(folder.iterdir()):
        licence = licences.get(entry.name, unknown)
        if (entry / "ct.nii.gz").is_file():
            found.append(Sample(entry.name, entry.name, licence, entry))
        elif (trial := _trial_in(entry)) is not None:
            title, more = _KNOWN.get(entry.name, (f"{entry.name}, trial", ""))
            said = "; ".join(filter(None, (licence, more)))
            found.append(Sample(entry.name, title, said, entry, trial))
    return tuple(found)


def _trial_in(folder: Path) -> Path | None:
    files = sorted([*folder.glob("*.cfg"), *folder.glob("*/*.cfg")])
    return next(filter(is_trial, files), None)


def read_licences(readme: Path) -> dict[str, str]:
    """Licence by folder, from the table in a README.md that has such a column.

    A cell that says "as above" repeats the one above it.
    """
    try:
        lines = readme.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    found: dict[str, str] = {}
    column, last = None, ""
    for line in lines:
        if not line.lstrip().startswith("|"):
            column = None
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if column is None:
            heads = [i for i, cell in enumerate(cells) if "licen" in cell.lower()]
            column = heads[-1] if heads else None
        elif column < len(cells) and not set(cells[0]) <= set("-: "):
            last = last if cells[column].lower() == "as above" else cells[column]
            found[cells[0].strip("` ")] = last
    return found
