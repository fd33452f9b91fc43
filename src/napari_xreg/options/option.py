"""The description of one setting, and those of a dataclass."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

Kind = Literal["flag", "whole", "number", "choice", "text"]


@dataclass(frozen=True)
class Choice:
    """One of several.

    Parameters
    ----------
    title
        As a user reads it.
    help
        What it means, in a sentence.
    """

    title: str
    help: str = ""


@dataclass(frozen=True)
class Option:
    """What a user must know of a setting.

    Parameters
    ----------
    title
        In a form.
    help
        In a sentence or two: the tooltip of a form, the help of a command.
    unit
        Of the numbers, such as ``mm``.
    low, high, step
        Smallest, largest, and how far an arrow key goes.
    decimals
        Shown and kept.
    choices
        Value: its words. Without them a ``Literal`` offers its values as they are.
    flag
        Of the command line, without dashes; empty: the field's name.
    metavar
        What stands for the number in a command's help.
    """

    title: str
    help: str
    unit: str = ""
    low: float | None = None
    high: float | None = None
    step: float | None = None
    decimals: int = 1
    choices: Mapping[Any, Choice] = field(default_factory=lambda: MappingProxyType({}))
    flag: str = ""
    metavar: str = ""

    @property
    def label(self) -> str:
        """Title and unit."""
        return f"{self.title} ({self.unit})" if self.unit else self.title

    @property
    def explained(self) -> str:
        """The help, and what each choice means, a line each."""
        meanings = [f"{c.title}: {c.help}" for c in self.choices.values() if c.help]
        return "\n".join([self.help, *meanings])


@dataclass(frozen=True)
class Setting:
    """A field of a settings dataclass that a user may set.

    Parameters
    ----------
    name
        Of the field.
    kind
        ``flag`` (bool), ``whole`` (int), ``number`` (float), ``choice``, ``text``.
    count
        How many of them: 1, or the length of a tuple such as a range.
    option
        Its words.
    default
        Of the dataclass.
    choices
        Value: its words, in the order offered; empty where there is no choice to make.
    """

    name: str
    kind: Kind
    count: int
    option: Option
    default: Any
    choices: Mapping[Any, Choice]

    @property
    def flag(self) -> str:
        """As a command spells it: ``start_error`` is ``--start-error``."""
        return "--" + (self.option.flag or self.name.replace("_", "-"))


def settings_of(kind: type) -> dict[str, Setting]:
    """The settings of a dataclass in their order, by name.

    Raises
    ------
    TypeError
        If the type of an annotated field is none that can be offered.

    Examples
    --------
    >>> @dataclass(frozen=True)
    ... class Sections:
    ...     samples: Annotated[int, Option("Samples", "Along each section.", low=3)] = 25
    ...     threads: int | None = None
    >>> settings_of(Sections)["samples"].kind
    'whole'
    >>> list(settings_of(Sections))
    ['samples']
    """
    hints = get_type_hints(kind, include_extras=True)
    found = {}
    for entry in dataclasses.fields(kind):
        hint = hints[entry.name]
        if get_origin(hint) is not Annotated:
            continue
        bare, *extras = get_args(hint)
        option = next((extra for extra in extras if isinstance(extra, Option)), None)
        if option is not None:
            found[entry.name] = _setting(kind, entry, bare, option)
    return found


def _setting(kind: type, entry: "dataclasses.Field[Any]", bare: Any, option: Option) -> Setting:
    default = entry.default
    if default is dataclasses.MISSING and entry.default_factory is not dataclasses.MISSING:
        default = entry.default_factory()
    count, parts = 1, get_args(bare)
    if get_origin(bare) is tuple and len(set(parts)) == 1 and not option.choices:
        bare, count = parts[0], len(parts)
    choices = option.choices
    if not choices and get_origin(bare) is Literal:
        choices = {value: Choice(str(value)) for value in get_args(bare)}
    kinds: dict[Any, Kind] = {bool: "flag", int: "whole", float: "number", str: "text"}
    what: Kind | None = "choice" if choices else kinds.get(bare)
    if what is None:
        raise TypeError(
            f"{kind.__name__}.{entry.name} is a {bare}: a setting is a bool, int, float, str or one "
            "of some choices, or a tuple of one of these"
        )
    return Setting(entry.name, what, count, option, default, choices)
