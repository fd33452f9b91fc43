"""What the user is doing: a session, its history, its file. No napari, no Qt."""

from napari_xreg.session.exposure import Exposure
from napari_xreg.session.history import PoseHistory, PoseRecord
from napari_xreg.session.mailbox import Mailbox
from napari_xreg.session.preview import Preview, PreviewRequest
from napari_xreg.session.session import Result, Session
from napari_xreg.session.source import Source

__all__ = [
    "Session",
    "Exposure",
    "Result",
    "Source",
    "PoseHistory",
    "PoseRecord",
    "PreviewRequest",
    "Preview",
    "Mailbox",
]
