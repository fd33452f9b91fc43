"""Files as napari layers: CT, radiograph with geometry, landmarks, session; one file or several.

Each ``get_..._reader`` follows npe2: it looks at a path and returns a function that reads it, or
None where the path is not its business; looking is cheap and never fails. The layers carry what
was read (`Carried`), so that the session can take it over without reading again. What cannot be
read raises `ReadError`, one sentence that napari shows.
"""

import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from napari.utils.notifications import show_warning

from napari_xreg.datasets import is_data_set
from napari_xreg.images import (
    FORMATS,
    FrameUnknown,
    Kind,
    ReadError,
    SeveralSeries,
    UnknownValues,
    file_title,
    has_sidecar,
    image_title,
    input_files,
    is_ct_file,
    is_trial,
    named,
    read_landmarks,
    read_radiograph,
    read_volume,
)
from napari_xreg.session import SESSION_ENDING, Session, Source, file_source, read_ct, read_session
from napari_xreg.viewer.files.series_shown import Series, is_shown, remember
from napari_xreg.viewer.layer_data import (
    Carried,
    LayerData,
    labels_layer,
    landmarks_layer,
    radiograph_layer,
    volume_layer,
)
from napari_xreg.workflows import SeveralTrialFrames, SeveralVolumes, TrialRequest, trial_files

Paths = str | Sequence[str]
Layers = list[LayerData] | list[tuple[None]]
Reader = Callable[[Paths], Layers]

_NOTHING: list[tuple[None]] = [(None,)]
"""napari's sign for a file that was read and adds no layer."""


def get_reader(path: Paths) -> Reader | None:
    """The reader below that fits, or None.

    Of several files (a stack, a list) each must be ours.
    """
    single = _single(path)
    if single is not None and single.is_dir() and is_data_set(single):
        return None  # the Data widget's
    if single is None:
        return read_several_layers if path and all(map(get_reader, path)) else None
    for get in (
        get_trial_reader,
        get_session_reader,
        get_landmarks_reader,
        get_radiograph_reader,
        get_volume_reader,
    ):
        reader = get(path)
        if reader is not None:
            return reader
    return None


def get_volume_reader(path: Paths) -> Reader | None:
    """For a CT: a folder that holds a DICOM series, a DICOM CT slice, NIfTI, NRRD, MetaImage."""
    file = _single(path)
    if file is None or not file.exists():
        return None
    if file.is_dir():
        # One file tells: a folder of pictures must not be taken from napari.
        return read_ct_layers if any(map(is_ct_file, _some_files(file))) else None
    return read_ct_layers if _ours(file, "volume") else None


def get_radiograph_reader(path: Paths) -> Reader | None:
    """For an X-ray image: DICOM, our .npz, a picture with a geometry sidecar, or that sidecar."""
    file = _single(path)
    if file is None or not file.is_file():
        return None
    if file.suffix.lower() == ".npz":
        return read_radiograph_layers if "line_integrals" in _arrays(file) else read_bare_arrays
    picture = file.with_suffix("") if file.suffix.lower() == ".json" else file
    if _is_shared(picture):
        return read_radiograph_layers if has_sidecar(picture) else None
    return read_radiograph_layers if _ours(file, "radiograph") else None


def get_landmarks_reader(path: Paths) -> Reader | None:
    """For landmarks: .fcsv and .mrk.json of 3D Slicer."""
    file = _single(path)
    fits = file is not None and file.is_file() and _ours(file, "landmarks")
    return read_landmarks_layers if fits else None


def get_session_reader(path: Paths) -> Reader | None:
    """For a session file, ``*.xreg.json``."""
    file = _single(path)
    fits = file is not None and file.is_file() and file.name.lower().endswith(SESSION_ENDING)
    return read_session_layers if fits else None


def get_trial_reader(path: Paths) -> Reader | None:
    """For a trial of Autoscoper, ``trial.cfg``."""
    file = _single(path)
    return read_trial_layers if file is not None and is_trial(file) else None


def read_trial_layers(path: Paths) -> Layers:
    """The bone and the radiographs of a trial with one bone and one frame, as layers.

    Raises
    ------
    ReadError
        As `trial_files`; where something has to be chosen, it says where that is asked for.
    """
    try:
        return trial_layers(TrialRequest(_needed(path)))
    except (SeveralTrialFrames, SeveralVolumes, UnknownValues) as several:
        raise ReadError(f"{several}: drop the file on the Data widget, which asks") from several


def trial_layers(request: TrialRequest) -> list[LayerData]:
    """One bone and the radiographs of one frame, as layers.

    Raises
    ------
    ReadError
        As `trial_files`.
    """
    files = trial_files(request)
    for note in files.notes:
        show_warning(note)
    volume = read_volume(files.volume.path, **files.volume.options)
    source = replace(
        file_source(files.volume.path, **files.volume.options), trial=str(request.path.absolute())
    )
    layers = [
        volume_layer(
            volume, name=file_title(files.volume.path), carry=Carried(volume, source, volume.notes)
        )
    ]
    for each in files.radiographs:
        radiograph = read_radiograph(each.path, **each.options)
        carry = Carried(radiograph, file_source(each.path, **each.options), radiograph.notes)
        layers.append(radiograph_layer(radiograph, name=image_title(each.path), carry=carry))
    return layers


def read_ct_layers(path: Paths) -> Layers:
    """A CT as an image layer (HU) in world mm.

    A slice of a series that the viewer shows because another slice of it was opened adds no layer.

    Raises
    ------
    ReadError
        As `read_volume`.
    """
    file = _needed(path)
    series = None if file.is_dir() else _series_of(file)
    if series is not None and is_shown(series, file.absolute()):
        return list(_NOTHING)
    source = file_source(file)
    try:
        volume = read_ct(source)
    except SeveralSeries as several:
        found = ", ".join(several.series.values())
        raise ReadError(
            f"{file}: holds {len(several.series)} CT series ({found}): open a slice of the one you "
            "want, or drop the folder on the Data widget, which asks for it"
        ) from several
    except UnknownValues as unknown:
        raise UnknownValues(
            f"{unknown} by opening it in the Data widget, which asks",
            unknown.lowest, unknown.highest, unknown.shape,
        ) from unknown  # fmt: skip
    if series is not None:
        remember(volume, series, file.absolute())
    carry = Carried(volume, source, volume.notes)
    return [volume_layer(volume, name=image_title(file), carry=carry)]


def read_several_layers(paths: Paths) -> Layers:
    """Several files, opened together or as a stack: each series once, everything else by itself.

    Raises
    ------
    ReadError
        As the reader of any of them.
    """
    layers: list[LayerData] = []
    for path in each_once([paths] if isinstance(paths, str) else paths):
        reader = get_reader(path)
        if reader is not None:
            layers += [layer for layer in reader(path) if len(layer) == 3]
    return layers or list(_NOTHING)


def each_once(paths: Sequence[str]) -> list[str]:
    """The files that stand for all of these: one slice of a series, a picture without its sidecar.

    Headers are read, one or two of each file; the order stays.
    """
    kept: list[str] = []
    done: set[Series | Path] = set()
    for path in map(str, paths):
        file = Path(path).absolute()
        reader = get_reader(path)
        series = _series_of(file) if reader is read_ct_layers and file.is_file() else None
        # The sidecar of a picture stands for the picture, one file of a pair for both.
        picture = file.with_suffix("") if reader is read_radiograph_layers else file
        volume = named(file, "volume")
        what = series or (picture if file.suffix.lower() == ".json" else file)
        if reader is read_ct_layers and volume is not None and file.is_file():
            what = input_files(file)[0]
        if what not in done:
            done.add(what)
            kept.append(path)
    return kept


def read_bare_arrays(path: Paths) -> list[LayerData]:
    """Refuse an .npz that is no radiograph, with what it is and what to do.

    Raises
    ------
    ReadError
        Always.
    """
    file = _needed(path)
    names = _arrays(file)
    if "about" in names and "world_from_index" in names:
        raise ReadError(
            f"{file}: is the CT or the label map of a saved session: open the session file "
            "(.xreg.json) beside it"
        )
    held = f"bare arrays ({', '.join(names[:4])})" if names else "no readable arrays"
    raise ReadError(
        f"{file}: holds {held} and no geometry, so it is no radiograph (napari's own "
        "entry under File > Save writes such files). To keep the geometry, save the layer again as "
        "'Radiograph with its geometry'; to read these pixels as they are, add numpy.load(...) as an "
        "image layer and take that over in the Data widget"
    )


def read_radiograph_layers(path: Paths) -> list[LayerData]:
    """A radiograph as a flat image layer of line integrals, mm at the detector.

    Raises
    ------
    ReadError
        As `read_radiograph`: it names every geometric value that is missing.
    """
    file = _needed(path)
    if file.suffix.lower() == ".json":
        file = file.with_suffix("")
    radiograph = read_radiograph(file)
    carry = Carried(radiograph, file_source(file), radiograph.notes)
    return [radiograph_layer(radiograph, name=image_title(file), carry=carry)]


def read_landmarks_layers(path: Paths) -> list[LayerData]:
    """Landmarks as points in the patient.

    Raises
    ------
    ReadError
        As `read_landmarks`, and where none has a position.
    """
    file = _needed(path)
    try:
        marks = tuple(read_landmarks(file))
    except FrameUnknown as unknown:
        raise ReadError(f"{unknown}: drop it on the Data widget, which asks") from unknown
    if all(mark.position is None for mark in marks):
        raise ReadError(f"{file}: its landmarks have pixels only, no position in the patient")
    return [landmarks_layer(marks, name=file_title(file), carry=Carried(marks, file_source(file)))]


def read_session_layers(path: Paths) -> list[LayerData]:
    """What a session holds, as layers; each carries the session itself.

    What could not be found again is shown as a warning, one sentence each.

    Raises
    ------
    ReadError
        If the file is not a session file, is damaged or of a later version.
    """
    file = _needed(path)
    session = read_session(file)
    for sentence in session.problems:
        show_warning(sentence)
    layers = session_layers(session)
    if not layers:
        raise ReadError(f"{file}: nothing of this session could be found to show")
    return layers


def session_layers(session: Session) -> list[LayerData]:
    """CT, labels, landmarks and radiographs of a session as layers that carry it."""

    def carry(value: object, source: Source | None) -> Carried:
        return Carried(value, source, session=session)  # type: ignore[arg-type]

    layers: list[LayerData] = []
    source = session.patient.volume_source
    patient = "CT" if source is None else source_title(source)
    if session.patient.volume is not None:
        about = carry(session.patient.volume, source)
        layers.append(volume_layer(session.patient.volume, name=patient, carry=about))
    if session.patient.labels is not None:
        about = carry(session.patient.labels, session.patient.labels_source)
        layers.append(labels_layer(session.patient.labels, name=f"{patient} labels", carry=about))
    if session.landmarks.all:
        about = carry(session.landmarks.all, None)
        layers.append(
            landmarks_layer(session.landmarks.all, name=f"{patient} landmarks", carry=about)
        )
    for entry in session.exposures.all:
        about = carry(entry.radiograph, entry.source)
        layers.append(radiograph_layer(entry.radiograph, name=entry.name, carry=about))
    return layers


def source_title(source: Source) -> str:
    """What a layer of a CT from there is called."""
    if source.built_in:
        return source.path
    if source.path.endswith(".npz"):  # kept beside the session's own file
        return Path(source.path).name.split(".")[0]
    return image_title(source.path, series_uid=source.options.get("series_uid"))


def _single(path: Paths) -> Path | None:
    """The one path given, or None."""
    if isinstance(path, str | Path):
        return Path(path)
    return Path(path[0]) if len(path) == 1 else None


def _needed(path: Paths) -> Path:
    file = _single(path)
    if file is None:
        raise ReadError("several files at once are not read as one: open them one by one")
    return file


def _series_of(file: Path) -> Series | None:
    """The series that a DICOM slice belongs to; None for other files and where none is named."""
    from pydicom import dcmread

    if named(file, "volume") is not None:
        return None
    try:
        header = dcmread(file, specific_tags=["SeriesInstanceUID"], stop_before_pixels=True)
        uid = str(header.get("SeriesInstanceUID") or "")
    except Exception:  # a damaged file makes pydicom raise almost anything
        return None
    return Series(file.absolute().parent, uid) if uid else None


def _some_files(folder: Path, most: int = 20) -> list[Path]:
    found = (f for f in sorted(folder.rglob("*")) if f.is_file() and not f.name.startswith("."))
    return [file for file, _ in zip(found, range(most), strict=False)]


def _ours(file: Path, kind: Kind) -> bool:
    """Whether a file is of a kind that nobody else is to open."""
    return any(each.kind == kind and not each.shared and each.fits(file) for each in FORMATS)


def _is_shared(picture: Path) -> bool:
    found = named(picture, "radiograph")
    return found is not None and found.shared


def _arrays(file: Path) -> list[str]:
    """Names of the arrays of an .npz; none where it is damaged."""
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            return list(archive.files)
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile):
        return []
