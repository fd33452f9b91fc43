"""More than one radiograph, and masks for them."""

from argparse import Namespace
from collections.abc import Sequence

from napari_xreg.cli.inputs import isocenter_given, read_start, read_xray, xray_options
from napari_xreg.images import Radiograph
from napari_xreg.registration import View
from napari_xreg.workflows import StartingPose, further_views, with_mask_file


def check_counts(arguments: Namespace) -> None:
    """Masks are for all radiographs or for none, other options are given once or once for each.

    Raises
    ------
    ValueError
        If there are fewer or more of one: what is too much would be left out without a word.
    """
    xray_options(arguments, 0, 1 + len(getattr(arguments, "radiograph", ())))
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
        masked(arguments, read_xray(arguments, path, number), number)
        for number, path in enumerate(arguments.radiograph, start=1)
    ]
    placed = len(arguments.start or ()) == 1 + len(others)
    for each in (radiograph, *others) if others and not placed else ():
        if each.nominal is None:
            raise ValueError(
                f"{each.source} does not say where the C-arm stood, which several radiographs need: "
                "their poses relative to each other are taken from their headers. Give --geometry FILE (a "
                "calibration, or a 4 x 4 pose) or --start FILE once for each"
            )
    return others


def starting_views(
    arguments: Namespace, start: StartingPose, radiographs: Sequence[Radiograph]
) -> tuple[View, ...]:
    """Each radiograph where it starts: by its own --start, or relative to the first as their headers say.

    Raises
    ------
    ValueError
        If --start is given neither once nor once for each, a header does not say where it stood, or one
        calibration is given for all.
    """
    first, *others = radiographs
    given = len(arguments.start or ())
    if given > 1:
        if given != len(radiographs):
            raise ValueError(
                f"--start was given {given} times for {_counted(len(radiographs), 'radiograph', 'radiographs')}"
                ": give it once, or once for each in their order"
            )
        poses = [start.pose, *(read_start(arguments, i) for i in range(1, given))]
        return tuple(map(View, radiographs, poses))
    for each in others if len(arguments.geometry or ()) == 1 else ():
        if each.nominal is not None and each.nominal == first.nominal:
            raise ValueError(
                f"{first.source} and {each.source} would be taken from one place: --geometry says where "
                "the C-arm stood and was given once. Give it once for each radiograph, in their order"
            )
    overrule = isocenter_given(arguments)
    return (
        View(first, start.pose),
        *further_views(View(first, start.pose), others, start.isocenter, overrule=overrule),
    )


def masked(arguments: Namespace, radiograph: Radiograph, number: int) -> Radiograph:
    """The radiograph without what the mask of its number excludes; see `check_counts`."""
    if not arguments.mask:
        return radiograph
    return with_mask_file(radiograph, arguments.mask[number])
