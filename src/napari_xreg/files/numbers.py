"""Numbers in text, as people and programs write them: digits, a point, an exponent."""

import re

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", re.ASCII)


def number(text: str) -> float:
    """The finite number that a text is.

    Python alone would take ``nan``, ``1_000`` and digits of other scripts for numbers.

    Raises
    ------
    ValueError
        If it is none.

    Examples
    --------
    >>> number(" -1.5e2 ")
    -150.0
    """
    value = float(text) if _NUMBER.fullmatch(text.strip()) else float("nan")
    if not abs(value) < float("inf"):
        raise ValueError(f"expected a number: got {text!r}")
    return value


def is_number(value: object) -> bool:
    """Whether a value of a JSON file is a number (true and false are none)."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)
