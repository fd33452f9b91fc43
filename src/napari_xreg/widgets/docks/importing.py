"""The code of widgets that are not open yet, imported beside the window: opening one then stops it less."""

from collections.abc import Iterable
from concurrent.futures import Future

from napari_xreg import widgets
from napari_xreg.progress import ahead
from napari_xreg.widgets.docks.table import Entry


def import_ahead(entries: Iterable[Entry]) -> "Future[None]":
    """Import the widgets of entries, one after the other, in a thread.

    What cannot be imported is told when it is opened, not here.

    Parameters
    ----------
    entries
        The ones that will be wanted first come first.

    Returns
    -------
    Future
        Done when they are there, or failed.
    """
    wanted = [entry.widget for entry in entries]

    def import_them() -> None:
        for name in wanted:
            getattr(widgets, name)

    return ahead(import_them)
