"""JSON that says one thing: bounded, not nested for ever, no name twice, no NaN."""

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from napari_xreg.files.errors import ReadError
from napari_xreg.files.schemas import VERSIONS
from napari_xreg.files.text import LIMIT, read_text

_MOST_DIGITS = 300
_DEEPEST = 100
"""Levels of nesting; ours have less than ten, and what walks the value may recurse."""


def read_json(path: Path | str, *, limit: int = LIMIT, called: str | None = None) -> Any:
    """The value of a JSON file; every number in it is finite.

    Parameters
    ----------
    limit
        Largest size, bytes.
    called
        How messages call it (default: its name).

    Raises
    ------
    ReadError
        As `read_text` and `json_of_text`.
    """
    called = called or Path(path).name
    return json_of_text(read_text(path, limit=limit, called=called), called)


def json_of_text(text: str, called: str) -> Any:
    """The value of a JSON text.

    Raises
    ------
    ReadError
        If it is not JSON, holds NaN or a number beyond what a computer holds, names an entry twice,
        or nests deeper than 100 levels; the sentence begins with what it is `called`.
    """
    try:
        value = json.loads(
            text, object_pairs_hook=_named_once, parse_constant=_refused,
            parse_float=_finite_number, parse_int=_whole_number,
        )  # fmt: skip
    except RecursionError as error:
        raise ReadError(f"{called}: nests too deeply to be a file of this program") from error
    except ValueError as error:
        raise ReadError(f"{called}: is not valid JSON ({error})") from error
    level = [value]
    for _ in range(_DEEPEST):
        level = [inner for outer in level for inner in _inside(outer)]
        if not level:
            return value
    raise ReadError(f"{called}: nests too deeply to be a file of this program")


def with_schema(data: Any, called: str, *schemas: str) -> dict[str, Any]:
    """A JSON object of one of the schemas, in a version that this program knows.

    Parameters
    ----------
    data
        What `read_json` gave.
    schemas
        Those that are welcome (`files.schemas`).

    Raises
    ------
    ReadError
        If it is not an object, of another schema, or of a version this program does not know.
    """
    schema = data.get("schema") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(schema, str) or schema not in schemas:
        came = f"{schema!r}" if isinstance(data, dict) else f"no JSON object but {_kind(data)}"
        raise ReadError(
            f'{called}: expected a JSON object whose "schema" is '
            f"{' or '.join(schemas)}: got {short(came)}"
        )
    version, latest = data.get("version"), VERSIONS[schema]
    if not isinstance(version, int) or isinstance(version, bool) or not 1 <= version <= latest:
        known = "version 1" if latest == 1 else f"versions 1 to {latest}"
        raise ReadError(
            f"{called}: has version {short(repr(version))} of {schema}, this program reads {known}: "
            "update napari-xreg"
        )
    return data


def plain(value: Any) -> Any:
    """The same as JSON can hold it.

    Dataclasses and mappings become objects, tuples, arrays and tensors lists, paths and what has a name texts. A number
    that is not finite becomes null: JSON has no NaN and no infinity.
    """
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if hasattr(value, "tolist"):  # an array or a tensor
        return plain(value.tolist())
    return getattr(value, "__qualname__", None) or str(value)


def _named_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{short(repr(twice))} stands twice in one object")
    return found


def _refused(word: str) -> float:
    raise ValueError(f"{word} is not a number")


def _finite_number(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"{short(digits)} is too large")
    return value


def _whole_number(digits: str) -> int:
    # More digits than these are beyond a float, and Python does not read more than 4300.
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"{short(digits)} is too large")
    return int(digits)


def _inside(value: Any) -> list[Any]:
    """The objects and lists directly inside."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [each for each in inner if isinstance(each, (dict, list))]


def _kind(value: Any) -> str:
    kinds = {list: "a list", str: "a text", bool: "true or false", type(None): "null"}
    return kinds.get(type(value), "a number")


def short(text: str) -> str:
    """As much of it as a sentence has room for."""
    return text if len(text) <= 60 else text[:57] + "..."
