"""Sample data for napari: the built-in phantom always, real CTs where a folder of them is named.

Nothing is downloaded. The folder is named by the environment variable NAPARI_XREG_DATA; it holds a
folder per CT with ``ct.nii.gz``, perhaps ``labels.nii.gz`` and landmarks, and a README.md whose
table says the licence of each.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from napari.utils.notifications import show_info, show_warning

from napari_xreg.images import LabelMap, Landmark, ReadError, Volume, read_landmarks
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
from napari_xreg.viewer.layer_data import (
    Carried,
    LayerData,
    labels_layer,
    landmarks_layer,
    radiograph_layer,
    volume_layer,
)

VARIABLE = "NAPARI_XREG_DATA"
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
        Of a real CT; None for what is built in.
    with_radiograph
        Whether a radiograph of it is simulated on loading.
    """

    key: str
    title: str
    licence: str
    folder: Path | None = None
    with_radiograph: bool = False

    def load(self) -> SampleData:
        """Read or make it: up to a few seconds.

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
    """What can be loaded here: the phantom, and the CTs of the folder NAPARI_XREG_DATA names."""
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


def data_folder() -> Path | None:
    """The folder that NAPARI_XREG_DATA names; None where it names none that exists."""
    named = os.environ.get(VARIABLE, "").strip()
    return Path(named) if named and Path(named).is_dir() else None


def _real_samples(folder: Path) -> tuple[Sample, ...]:
    licences = read_licences(folder / "README.md")
    unknown = f"licence not stated: {folder / 'README.md'} has no row for it"
    return tuple(
        Sample(entry.name, entry.name, licences.get(entry.name, unknown), entry)
        for entry in sorted(folder.iterdir())
        if (entry / "ct.nii.gz").is_file()
    )


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


def phantom_layers(*, spacing_mm: float = 1.5) -> list[LayerData]:
    """The pelvis phantom: its CT (HU) as an image, its bones as labels, its landmarks as points.

    Parameters
    ----------
    spacing_mm
        Of the cubic voxels.

    Returns
    -------
    list
        Three layer-data tuples, placed in mm.
    """
    made = phantom(spacing_mm=spacing_mm)
    source = Source(PHANTOM, built_in=True, options={"spacing_mm": spacing_mm})
    marks = tuple(Landmark(name, point) for name, point in made.landmarks.items())
    return _patient_layers("phantom", made.volume, made.labels, marks, source, source)


def phantom_case_layers(*, spacing_mm: float = 1.5, pixels: int = 256) -> list[LayerData]:
    """The phantom and a simulated radiograph of it, whose nominal pose is off.

    The radiograph lies flat, in (row, column) mm at the detector; the patient's layers are made
    invisible, since napari would slice them through the same two axes.
    """
    case = sample_case(spacing_mm=spacing_mm, pixels=pixels)
    layers = _patient_layers(
        "phantom", case.volume, case.labels, case.landmarks, case.source, case.source
    )
    for _, options, _ in layers:
        options["visible"] = False
    carry = Carried(case.radiograph, notes=("simulated: accuracy on it is no promise",), case=case)
    return [*layers, radiograph_layer(case.radiograph, name="simulated radiograph", carry=carry)]


def data_folder_layers() -> list[LayerData]:
    """Every CT of the folder NAPARI_XREG_DATA with its labels; the first one visible.

    The licences are shown as a notification. Nothing, with a warning that says how to name such a
    folder, where there is none.
    """
    folder = data_folder()
    samples = () if folder is None else _real_samples(folder)
    if not samples:
        named = os.environ.get(VARIABLE)
        why = f"{named} holds no folder with a ct.nii.gz" if named else "it is not set"
        show_warning(
            f"No real CT to open: the environment variable {VARIABLE} names the folder that holds "
            f"them, but {why}."
        )
        return []
    layers: list[LayerData] = []
    for sample in samples:
        try:
            data = sample.load()
        except ReadError as error:
            show_warning(str(error))
            continue
        show_info(f"{sample.title}: {sample.licence}")
        added = _patient_layers(
            sample.title,
            data.volume,
            data.labels,
            data.landmarks,
            data.source,
            data.labels_source,
            notes=(sample.licence,),
        )
        for _, options, _ in added:
            options["visible"] = not layers
        layers += added
    return layers


def _patient_layers(
    name: str,
    volume: Volume,
    labels: LabelMap | None,
    landmarks: tuple[Landmark, ...],
    source: Source,
    labels_source: Source | None,
    *,
    notes: tuple[str, ...] = (),
) -> list[LayerData]:
    layers = [volume_layer(volume, name=f"{name} CT", carry=Carried(volume, source, notes))]
    if labels is not None:
        carry_labels = Carried(labels, labels_source, notes)
        layers.append(labels_layer(labels, name=f"{name} labels", carry=carry_labels))
    if any(mark.position is not None for mark in landmarks):
        carry_marks = Carried(landmarks, None, notes)
        layers.append(landmarks_layer(landmarks, name=f"{name} landmarks", carry=carry_marks))
    return layers
