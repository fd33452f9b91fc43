"""What the user is doing: a session, its history, its file. No napari, no Qt."""

from napari_xreg.session.autosave import Autosave, LeftBehind, autosave_folder, left_behind
from napari_xreg.session.exposure import Exposure
from napari_xreg.session.history import PoseRecord
from napari_xreg.session.preview import Preview, PreviewRequest
from napari_xreg.session.ray_points import Look, PointList, Prepared, RayPoints, WeightsFile
from napari_xreg.session.rendering import Rendering, rendered
from napari_xreg.session.result import Result
from napari_xreg.session.sample_case import SampleCase, sample_case
from napari_xreg.session.session import Session
from napari_xreg.session.session_file import FileStep, saving, write_session
from napari_xreg.session.session_opening import opening, read_session, supply
from napari_xreg.session.source import Source
from napari_xreg.session.state import Missing, SessionState
from napari_xreg.session.undo import History, Moment
from napari_xreg.session.weights import Weights

__all__ = [
    "Session",
    "Exposure",
    "Result",
    "Source",
    "Weights",
    "RayPoints",
    "PointList",
    "Prepared",
    "WeightsFile",
    "Look",
    "History",
    "Moment",
    "PoseRecord",
    "PreviewRequest",
    "Preview",
    "Rendering",
    "rendered",
    "SessionState",
    "Missing",
    "FileStep",
    "supply",
    "read_session",
    "write_session",
    "opening",
    "saving",
    "Autosave",
    "LeftBehind",
    "autosave_folder",
    "left_behind",
    "SampleCase",
    "sample_case",
]
