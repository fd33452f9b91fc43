"""More than one radiograph, and masks for them."""

from argparse import Namespace

from napari_xreg.cli.inputs import read_xray
from napari_xreg.images import Radiograph
from napari_xreg.workflows import with_mask_file


def check_masks(arguments: Namespace) -> None:
    """Masks are for all radiographs or for none: one too many would be left out without a word.

    Raises
    ------
    ValueError
        If there are fewer or more masks than radiographs.
    """
    count, radiographs = len(arguments.mask), 1 + len(getattr(arguments, "radiograph", ()))
    if count not in (0, radiographs):
        raise ValueError(
            f"{_counted(count, 'mask was', 'masks were')} given for "
            f"{_counted(radiographs, 'radiograph', 'radiographs')}: give --mask once for each, in "
            "their order"
        )


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def further_radiographs(arguments: Namespace, radiograph: Radiograph) -> list[Radiograph]:
    """The radiographs of --radiograph, each with its mask: read before the work begins.

    Raises
    ------
    ValueError
        If a header does not say where the C-arm stood.
    """
    others = [
        masked(arguments, read_xray(arguments, path), number)
        for number, path in enumerate(arguments.radiograph, start=1)
    ]
    for each in (radiograph, *others) if others else ():
        if each.nominal is None:
            raise ValueError(
                f"{each.source} does not say where the C-arm stood, which several radiographs need: "
                "their poses relative to each other are taken from their headers"
            )
    return others


def masked(arguments: Namespace, radiograph: Radiograph, number: int) -> Radiograph:
    """The radiograph without what the mask of its number excludes; see `check_masks`."""
    if not arguments.mask:
        return radiograph
    return with_mask_file(radiograph, arguments.mask[number])
