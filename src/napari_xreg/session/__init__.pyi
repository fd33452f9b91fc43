from .autosave import (
    AUTOSAVE_VARIABLE as AUTOSAVE_VARIABLE,
    Autosave as Autosave,
    LeftBehind as LeftBehind,
    autosave_folder as autosave_folder,
    in_memory as in_memory,
    left_behind as left_behind,
)
from .exposure import Exposure as Exposure, same_picture as same_picture
from .history import PoseRecord as PoseRecord
from .orientation import flipped as flipped, turned as turned
from .preview import Preview as Preview, PreviewRequest as PreviewRequest
from .ray_points import Look as Look, PointList as PointList, RayPoints as RayPoints
from .rendering import Rendering as Rendering, rendered as rendered
from .result import Result as Result
from .sample import (
    SampleCase as SampleCase,
    sample_case as sample_case,
    with_nominal as with_nominal,
)
from .session import Session as Session
from .session_file import FileStep as FileStep, saving as saving, write_session as write_session
from .session_opening import opening as opening, read_session as read_session, supply as supply
from .source import Source as Source
from .sources import (
    PHANTOM as PHANTOM,
    file_source as file_source,
    read_ct as read_ct,
    read_label_map as read_label_map,
)
from .state import Missing as Missing, SessionState as SessionState
from .undo import History as History, Moment as Moment
from .weights import Weights as Weights
