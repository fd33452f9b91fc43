"""A folder of results is written whole: it never holds half of one run and half of another."""

import contextlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from napari_xreg.files.errors import ReadError
from napari_xreg.files.json_text import read_json, with_schema
from napari_xreg.files.schemas import FOLDER, schema_head
from napari_xreg.files.whole import WriteError, written

MANIFEST = ".napari-xreg.json"
"""Says which files of a folder which command wrote, so that the next run of it can replace them."""


@contextlib.contextmanager
def written_folder(folder: Path | str, kind: str, *, also: Sequence[str] = ()) -> Iterator[Path]:
    """A folder to write a run into; its files stand in `folder` when the block ends well.

    What the last run of the same kind left in `folder` goes at the same moment, whether it is
    written anew or not; other files stay. If anything fails, `folder` is as it was.

    Parameters
    ----------
    folder
        Where the results shall be; it is made where it does not exist.
    kind
        Whose results they are ("register"): a folder may hold those of several commands.
    also
        Names that the caller writes there afterwards and that belong to this run.

    Raises
    ------
    WriteError
        If a file could not be written, under its name in `folder`.
    """
    folder = Path(folder)
    made = _make(folder)
    part = folder / f".part-{secrets.token_hex(4)}"
    try:
        try:
            part.mkdir()
            yield part
            _swap(folder, part, kind, also)
        except BrokenPipeError:  # of what is said meanwhile, to `head`
            raise
        except OSError as error:
            ours = _of_folder(error, part, folder)
            if ours is error:
                raise
            raise ours from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
        _unmake(made)


def check_folder(folder: Path | str) -> None:
    """Find out now whether a folder can be written to, or made, before the work is done.

    Raises
    ------
    WriteError
        If not; nothing is left behind in any case.
    """
    check_writable(Path(folder) / "results")


def check_writable(path: Path | str) -> None:
    """Find out now whether a file can be written, before the work is done; folders may be made.

    Raises
    ------
    WriteError
        If not; nothing is left behind in any case.
    """
    path = Path(path)
    if "\0" in str(path):
        raise WriteError(None, "is not a name that a file can have", str(path).replace("\0", "\\0"))
    if path.is_dir():
        raise WriteError(None, "is a folder: name a file", str(path))
    made = _make(path.parent)
    trial = path.parent / f".part-{secrets.token_hex(4)}-{path.name}"
    try:
        trial.touch()
    except OSError as error:
        raise WriteError(error.errno, error.strerror, str(path.parent)) from error
    finally:
        with contextlib.suppress(OSError):
            trial.unlink(missing_ok=True)
        _unmake(made)


def _make(folder: Path) -> list[Path]:
    """The folder and those above it that did not exist, innermost first."""
    missing = [each for each in (folder, *folder.parents) if not os.path.lexists(each)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        _unmake(missing)
        reason = error.strerror
        if isinstance(error, FileExistsError | NotADirectoryError):
            reason = "is a file, or lies below one: name a folder"
        raise WriteError(error.errno, reason, str(folder)) from error
    return missing


def _unmake(made: list[Path]) -> None:
    """Remove folders that are still empty."""
    for each in made:
        with contextlib.suppress(OSError):
            each.rmdir()


def _swap(folder: Path, part: Path, kind: str, also: Sequence[str]) -> None:
    """The new files for those of the last run; back again where that fails."""
    runs = _runs(folder)
    names = sorted(file.name for file in part.iterdir())
    former = {*runs.get(kind, ()), *names, *also, MANIFEST}
    manifest = {**schema_head(FOLDER), "runs": {**runs, kind: [*names, *also]}}
    with written(part / MANIFEST) as beside:
        beside.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    old = part / "old"
    old.mkdir()
    steps = [(folder / name, old / name) for name in sorted(former) if _is_file(folder / name)]
    steps += [(part / name, folder / name) for name in (*names, MANIFEST)]
    done: list[tuple[Path, Path]] = []
    try:
        for source, target in steps:
            source.rename(target)
            done.append((source, target))
    except OSError:
        for source, target in reversed(done):
            target.rename(source)
        raise


def _is_file(path: Path) -> bool:
    return path.is_file() or path.is_symlink()


def _runs(folder: Path) -> dict[str, list[str]]:
    """Which files each kind of run left; nothing where that cannot be known."""
    try:
        found = with_schema(read_json(folder / MANIFEST), MANIFEST, FOLDER).get("runs")
    except ReadError:
        return {}
    if not isinstance(found, dict):
        return {}
    # A name with a folder in it is not ours: nothing outside may be touched.
    return {
        kind: [name for name in names if isinstance(name, str) and name == Path(name).name]
        for kind, names in found.items()
        if isinstance(names, list)
    }


def _of_folder(error: OSError, part: Path, folder: Path) -> WriteError | OSError:
    """The error under the name that the file was to have; that of another file as it is."""
    named = error.filename
    if named is None:
        return WriteError(error.errno, error.strerror or str(error), str(folder))
    if Path(named) == part or part in Path(named).parents:
        shown = folder / Path(named).relative_to(part)
        return WriteError(error.errno, error.strerror or str(error), str(shown))
    return error
