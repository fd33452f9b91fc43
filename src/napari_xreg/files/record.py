"""Models of what JSON files hold: every entry is what it says it is, or one sentence says which is not."""

import reprlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, Strict, ValidationError
from pydantic_core import core_schema

from napari_xreg.files.errors import ReadError
from napari_xreg.files.json_text import plain, short, with_schema
from napari_xreg.files.numbers import is_number
from napari_xreg.files.schemas import schema_head

Number = Annotated[float, Strict(), Field(allow_inf_nan=False)]
Whole = Annotated[int, Strict()]
Flag = Annotated[bool, Strict()]
Text = Annotated[str, Strict()]


@dataclass(frozen=True)
class Row:
    """So many numbers in a list, kept as a tuple."""

    count: int

    def __call__(self, value: Any) -> tuple[float, ...]:
        """The numbers; ValueError if they are others."""
        whole = isinstance(value, list | tuple) and len(value) == self.count
        if not whole or not all(map(is_number, value)):
            raise ValueError(f"should be {self.count} numbers: got {short(reprlib.repr(value))}")
        return tuple(map(float, value))

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        """Checked by this alone."""
        return core_schema.no_info_plain_validator_function(self.__call__)

    def __get_pydantic_json_schema__(self, core: Any, handler: Any) -> dict[str, Any]:
        """For the documentation."""
        return rows_schema(self.count)


@dataclass(frozen=True)
class Made:
    """A value that is made of what a model read; ValueError where there cannot be such a one."""

    model: type[BaseModel]
    make: Callable[[Any], Any]

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> core_schema.CoreSchema:
        """The model's, and then this."""
        inner = handler.generate_schema(self.model)
        return core_schema.no_info_after_validator_function(self.make, inner)


Pair = Annotated[tuple[float, float], Row(2)]
Triple = Annotated[tuple[float, float, float], Row(3)]


def rows_schema(*shape: int | None) -> dict[str, Any]:
    """The JSON schema of numbers in nested lists of a shape (None: any length)."""
    inner = rows_schema(*shape[1:]) if shape[1:] else {"type": "number"}
    count = {} if shape[0] is None else {"minItems": shape[0], "maxItems": shape[0]}
    return {"type": "array", "items": inner, **count}


class Record(BaseModel):
    """An object in a file; entries that it does not name are ignored.

    A model of a whole file names its `SCHEMA`.
    """

    model_config = ConfigDict(
        frozen=True, from_attributes=True, arbitrary_types_allowed=True, loc_by_alias=False
    )
    SCHEMA: ClassVar[str] = ""

    @classmethod
    def read(cls, data: Any, called: str) -> Self:
        """What a parsed file says.

        Raises
        ------
        ReadError
            If it is of another schema or a later version, or an entry is missing or of another
            kind; the sentence begins with what it is `called`, and names the entry.
        """
        checked = with_schema(data, called, cls.SCHEMA)
        head = ("schema", "version")
        return cls.of({key: checked[key] for key in checked if key not in head}, called)

    @classmethod
    def of(cls, data: Any, called: str) -> Self:
        """The object that a part of a file is; ReadError as `read`."""
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            said = sentence(error)
            first = error.errors()[0]
            if first["type"] == "extra_forbidden":
                model = _at(cls, first["loc"][:-1])
                fields = {} if model is None else model.model_fields
                named = ", ".join(entry.alias or name for name, entry in fields.items())
                said += f"; the known ones are {named}" if named else ""
            raise ReadError(f"{called}: {said}") from error

    def as_json(self) -> dict[str, Any]:
        """What `read` takes, with schema and version."""
        return {**schema_head(self.SCHEMA), **plain(self.model_dump(by_alias=True))}


def _at(model: type[BaseModel], place: Sequence[int | str]) -> type[BaseModel] | None:
    """The model of an object in an object: its names are those that can stand there; None: it is not certain which."""
    for part in place:
        if isinstance(part, str):
            # Else a key of a dictionary, or which of several models it might have been.
            if part not in model.model_fields:
                return None
            model = _model_in(model.model_fields[part].annotation) or model
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The first model that an annotation names, in whatever it is nested."""
    if get_origin(annotation) is None:
        model = isinstance(annotation, type) and issubclass(annotation, BaseModel)
        return annotation if model else None
    return next(filter(None, map(_model_in, get_args(annotation))), None)


def sentence(error: ValidationError) -> str:
    """The first thing that is wrong: which entry, what it should be, what came."""
    first = error.errors(include_url=False)[0]
    place = ""
    for part in first["loc"]:
        place += f"[{part}]" if isinstance(part, int) else f".{part}" if place else str(part)
    kind, details = first["type"], first.get("ctx", {})
    if kind == "missing":
        return f"the entry {place!r} is missing"
    if kind == "extra_forbidden":
        return f"unknown name {place!r}"
    if "error" in details:
        reason = str(details["error"])
        verb = reason.startswith(("must ", "should "))
        return f"{place or 'it'} {reason}" if verb else f"{place}: {reason}" if place else reason
    expected = _EXPECTED.get(kind) or first["msg"].removeprefix("Input should be ")
    came = short(reprlib.repr(first["input"]))
    return f"{place or 'it'} should be {expected.format(**details)}: got {came}"


_EXPECTED: Mapping[str, str] = {
    "bool_type": "true or false",
    "dict_type": "an object",
    "finite_number": "a finite number",
    "float_type": "a number",
    "greater_than": "a number above {gt:g}",
    "greater_than_equal": "a number of {ge} or more",
    "int_type": "a whole number",
    "less_than": "a number below {lt}",
    "list_type": "a list",
    "mapping_type": "an object",
    "model_attributes_type": "an object",
    "model_type": "an object",
    "string_type": "a text",
    "tuple_type": "a list",
}
