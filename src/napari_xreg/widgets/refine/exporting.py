"""A result written into a folder, in the background."""

from pathlib import Path

from qtpy.QtWidgets import QFileDialog, QWidget

from napari_xreg.widgets.jobs.telling import show_error, tell_written
from napari_xreg.widgets.jobs.workbench import Workbench
from napari_xreg.workflows import FILM_FRAMES, export, export_request, folder_name


def ask_folder(parent: QWidget, name: str) -> Path | None:
    """Ask where the folder of a result of this name is to be; None: nowhere."""
    folder = QFileDialog.getExistingDirectory(parent, "Where to put the folder of the result")
    return Path(folder) / folder_name(name) if folder else None


def start_export(workbench: Workbench, id: str, folder: Path) -> None:
    """Write a result of the session; says so when it is done."""
    result = workbench.session.results.find(id)
    if result is None:
        return
    try:
        request = export_request(workbench.session, result, folder)
    except ValueError as error:
        show_error(f"Export: {error}")
        return
    workbench.jobs.start(
        "Export",
        lambda _: export(request),
        on_result=lambda done: tell_written(
            f"Written to {folder}: {', '.join(done.files)}", done.missing
        ),
        total=len(request.views) + FILM_FRAMES,
        description=f"Writing {result.name}",
    )
