"""Sample data as napari layers: the built-in phantom always, real CTs where a folder is named."""

from collections.abc import Callable

from napari.utils.notifications import show_info, show_warning

from napari_xreg.images import LabelMap, Landmark, ReadError, Volume, read_trial
from napari_xreg.session import PHANTOM, Source, sample_case
from napari_xreg.simulation import phantom
from napari_xreg.viewer.files.readers import trial_layers
from napari_xreg.viewer.layer_data import (
    Carried,
    LayerData,
    labels_layer,
    landmarks_layer,
    radiograph_layer,
    volume_layer,
)
from napari_xreg.workflows import TrialRequest, folder_samples, trial_frames, wrist_sample


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
    return [*layers, radiograph_layer(case.radiograph, name="simulated pelvis", carry=carry)]


def data_folder_layers() -> list[LayerData]:
    """Every CT of the folder NAPARI_XREG_DATA with its labels; the first one visible.

    The licences are shown as a notification. A CT that cannot be read is left out with a warning.

    Raises
    ------
    ReadError
        If there is no such folder: it says how to name one.
    """
    layers: list[LayerData] = []
    for sample in folder_samples():
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


def wrist_layers() -> list[LayerData]:
    """The real biplane wrist: the first bone of its trial and the radiographs of its first frame.

    Its licence is shown as a notification.

    Raises
    ------
    ReadError
        If it is not there, with what to get and where to put it, or damaged.
    """
    sample = wrist_sample()
    assert sample.trial is not None
    trial = read_trial(sample.trial)
    frame = next(iter(trial_frames(trial)), None)
    layers = trial_layers(TrialRequest(sample.trial, frame, trial.volumes[0].name))
    show_info(f"{sample.title}: {sample.licence}")
    layers[0][1]["visible"] = False  # napari would slice it through the radiographs' two axes
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


SAMPLES: dict[str, Callable[[], list[LayerData]]] = {
    "case": phantom_case_layers,
    "phantom": phantom_layers,
    "folder": data_folder_layers,
    "wrist": wrist_layers,
}
"""By their names in napari's menu."""
