"""A data set in place of CT and radiograph: one of its cases, opened, and its terms said."""

from argparse import Namespace
from pathlib import Path

from napari_xreg.cli.console import Console
from napari_xreg.datasets import SeveralCases, SeveralCaseViews, is_data_set
from napari_xreg.files import ReadError
from napari_xreg.workflows import CaseRequest, OpenedCase, open_case

# What a data set says itself, by name of the argument; given beside one it would be passed over.
_SAID = (
    "xray", "radiograph", "volume", "series", "ct_values", "ct_spacing", "labels", "label_names", "landmarks", "truth",
    "geometry", "sdd", "source_to_isocenter", "pixel_spacing", "principal_point", "field_diameter", "frame", "mask_frame",
    "read_as", "bone", "i0", "crop", "rotate_180", "no_collimator", "mirrored",
)  # fmt: skip

_ALONE = (
    "The files of a case must say all of this themselves; options can say it where CT and radiograph "
    "are given by their own names"
)


def opened_case(arguments: Namespace, console: Console) -> OpenedCase | None:
    """The case that the command line names, with its licence said; None where CT is no data set.

    Raises
    ------
    ValueError
        If something is given beside a set that it says itself, or a case of what is none.
    """
    chosen = [name for name in ("case", "view") if getattr(arguments, name) is not None]
    if not chosen and not (arguments.xray is None and is_data_set(arguments.ct)):
        return None
    given = [name for name in _SAID if getattr(arguments, name) not in (None, False, [])]
    if given:
        flags = ", ".join("XRAY" if n == "xray" else f"--{n.replace('_', '-')}" for n in given)
        raise ValueError(f"a case of a data set says this itself: leave {flags} out")
    console.step("reading")
    asked = CaseRequest(Path(arguments.ct), arguments.case, arguments.view, arguments.structures)
    try:
        opened = open_case(asked)
    except (SeveralCases, SeveralCaseViews):
        raise
    except ReadError as error:
        # A new one: what an option would say of a single file, none says of a case.
        raise ReadError(f"{error}. {_ALONE}") from error
    console.say(f"data set: {opened.data_set.title} ({opened.data_set.layout})")
    console.say(f"licence: {opened.data_set.terms.licence}")
    console.say(f"to be cited: {opened.data_set.terms.citation}")
    return opened
