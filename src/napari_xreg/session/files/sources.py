"""Read what a `Source` names; say where a file came from so that it can be found again."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from napari_xreg.files import check_file, plain
from napari_xreg.images import (
    GeometryRecord,
    LabelMap,
    Radiograph,
    ReadError,
    Volume,
    geometry_from_json,
    geometry_to_json,
    read_labels,
    read_radiograph,
    read_volume,
)
from napari_xreg.records import describe_input
from napari_xreg.session.files.memory_files import holds_grid, read_grid_labels, read_grid_volume
from napari_xreg.session.source import Source
from napari_xreg.simulation import Phantom, phantom

PHANTOM = "phantom"
"""The built-in sample: a CT with labels."""

Value = TypeVar("Value", Volume, LabelMap, Radiograph)


def file_source(path: str | Path, **options: Any) -> Source:
    """The source of a file or folder as it is now: absolute path, SHA-256 of its contents.

    Parameters
    ----------
    path
        What is read.
    **options
        Keywords that the reader is given; a `GeometryRecord` is kept as JSON.
    """
    path = Path(path).absolute()
    kept = {
        key: geometry_to_json(value) if isinstance(value, GeometryRecord) else value
        for key, value in options.items()
    }
    return Source(str(path), options=plain(kept), sha256=content_hash(path))


def content_hash(path: Path) -> str:
    """SHA-256 of a file, or over the names and contents of a folder's files."""
    digest: str = describe_input(path, "")["sha256"]
    return digest


def read_ct(source: Source) -> Volume:
    """The CT of a source.

    Raises
    ------
    ReadError
        If it is absent or damaged; as `read_volume`.
    """
    if source.built_in:
        return built_in_phantom(source).volume
    _check_place(source)
    if holds_grid(source.path):
        return read_grid_volume(source.path)
    return _called(read_volume, source)


def read_label_map(source: Source) -> LabelMap:
    """The label map of a source.

    Raises
    ------
    ReadError
        If it is absent or damaged; as `read_labels`.
    """
    if source.built_in:
        return built_in_phantom(source).labels
    _check_place(source)
    if holds_grid(source.path):
        return read_grid_labels(source.path)
    names = source.options.get("names")
    if isinstance(names, Mapping):  # JSON has no whole numbers as keys
        options = {**source.options, "names": {int(key): name for key, name in names.items()}}
        source = Source(source.path, options=options)
    return _called(read_labels, source)


def read_xray(source: Source) -> Radiograph:
    """The radiograph of a source.

    Raises
    ------
    ReadError
        If it is absent or damaged; as `read_radiograph`.
    """
    _check_place(source)
    options = dict(source.options)
    if isinstance(options.get("geometry"), Mapping):
        options["geometry"] = geometry_from_json(options["geometry"], Path(source.path).name)
    return _called(read_radiograph, Source(source.path, options=options))


def _check_place(source: Source) -> None:
    """A session's file may name anything: a device or a pipe is refused before it is opened."""
    if not Path(source.path).is_dir():
        check_file(Path(source.path), may_be_empty=True)


def built_in_phantom(source: Source) -> Phantom:
    """The phantom that a built-in source names.

    Raises
    ------
    ReadError
        If this version has no built-in of that name.
    """
    if source.path != PHANTOM:
        raise ReadError(f"{source.path}: this version has no built-in of that name")
    return _called(lambda _path, **options: phantom(**options), source)


def _called(read: Callable[..., Any], source: Source) -> Any:
    # JSON has lists where the readers take tuples.
    options = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in source.options.items()
    }
    try:
        return read(source.path, **options)
    except TypeError as error:
        # Options come from a file: one that the reader does not have is the file's fault.
        raise ReadError(f"{source.path}: cannot be read with these options: {error}") from error
