"""Whether somebody waits at a window."""

from qtpy.QtWidgets import QApplication


def window_runs() -> bool:
    """Whether Qt's event loop runs: a script that builds a window goes on with what it opened."""
    app = QApplication.instance()
    thread = None if app is None else app.thread()
    return thread is not None and thread.loopLevel() > 0
