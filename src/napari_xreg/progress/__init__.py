"""Long work: cancelled, paused and stepped from another thread, and run to its end."""

from napari_xreg.progress.control import Control
from napari_xreg.progress.running import run

__all__ = ["Control", "run"]
