"""Left and right: a mirrored image shows the other side, so names must change sides too."""

import re
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

_OTHER = {"l": "r", "r": "l", "left": "right", "right": "left"}
_SIDE = re.compile(r"(?<![^\W_])(l|r|left|right)(?![^\W_])", re.IGNORECASE)


def other_side(name: str) -> str:
    """The name of the same landmark on the other side; of one in the middle its own.

    The side is a word of its own: ``ASIS-l``, ``left ASIS``, ``ASIS_R``.

    Examples
    --------
    >>> other_side("ASIS-l"), other_side("Right femoral head"), other_side("promontory")
    ('ASIS-r', 'Left femoral head', 'promontory')
    """

    def swapped(match: re.Match[str]) -> str:
        word = match.group()
        other = _OTHER[word.lower()]
        if word.isupper():
            return other.upper()
        return other.capitalize() if word[0].isupper() else other

    return _SIDE.sub(swapped, name, count=1)


def mirrored_order(names: Sequence[str]) -> Int[Tensor, "n"]:
    """For each landmark the index of the one whose place it takes in the mirror image.

    Raises
    ------
    ValueError
        If the other side of a landmark is not among the names: its mirror image has no name.
    """
    lonely = [name for name in names if other_side(name) not in names]
    if lonely:
        raise ValueError(
            f"mirror augmentation needs both sides of every landmark: {', '.join(lonely)} has no "
            "partner; leave it off"
        )
    return torch.tensor([list(names).index(other_side(name)) for name in names])


def mirrored_pixels(
    pixels: Float[Tensor, "*b n 2"], columns: int, names: Sequence[str]
) -> Float[Tensor, "*b n 2"]:
    """Pixels (row, column) of the named landmarks in the image with its columns reversed."""
    order = mirrored_order(names).to(pixels.device)
    row, column = pixels[..., order, 0], pixels[..., order, 1]
    return torch.stack([row, columns - 1 - column], -1)
