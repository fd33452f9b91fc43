"""Types of the values of options: what a text stands for, or why it is refused."""

import argparse

LARGEST = 2**31 - 1
"""Of a whole number: the seeds of single views, which follow from a seed, then fit into 64 bits."""


def number(text: str) -> float:
    """A finite number."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not abs(value) < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a finite number: got {text}")
    return value


def positive_number(text: str) -> float:
    """A number above 0."""
    value = number(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"expected a number above 0: got {text}")
    return value


def not_negative(text: str) -> float:
    """A number, 0 or more."""
    value = number(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"expected 0 or more: got {text}")
    return value


def whole(text: str) -> int:
    """A whole number, 0 or more."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number, 0 or more: got {text}")
    return _bounded(text)


def starts_or_auto(text: str) -> int:
    """A positive number, or 0 for "auto"."""
    return 0 if text == "auto" else positive(text)


def positive(text: str) -> int:
    """A whole number above 0."""
    if not text.isdecimal() or not text.strip("0"):
        raise argparse.ArgumentTypeError(f"expected a whole number above 0: got {text}")
    return _bounded(text)


def _bounded(digits: str) -> int:
    # Python itself refuses to read more than 4300 digits.
    value = int(digits) if len(digits) <= 20 else LARGEST + 1
    if value > LARGEST:
        raise argparse.ArgumentTypeError(f"expected a whole number up to {LARGEST}: got {digits}")
    return value


def threads(text: str) -> int:
    """A count of threads; the libraries below take large numbers for negative ones."""
    count = positive(text)
    if count > 1024:
        raise argparse.ArgumentTypeError(f"expected at most 1024 threads: got {text}")
    return count


def frame(text: str) -> int | str:
    """A frame (those of a folder or a trial may begin at 0), or ``mean``."""
    return "mean" if text == "mean" else whole(text)


def mask_frame(text: str) -> int | str | list[int]:
    """The frame that is subtracted, the first and last of several (``2-4``), or ``auto``."""
    if text == "auto":
        return text
    first, dash, last = text.partition("-")
    if not dash:
        return whole(first)
    numbers = list(range(whole(first), min(whole(last), whole(first) + 10_000) + 1))
    if not numbers:
        raise argparse.ArgumentTypeError(f"expected the first frame, then the last: got {text}")
    return numbers
