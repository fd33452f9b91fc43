from .exposure import Exposure as Exposure, same_picture as same_picture
from .files.autosave import (
    AUTOSAVE_VARIABLE as AUTOSAVE_VARIABLE,
    Autosave as Autosave,
    LeftBehind as LeftBehind,
    autosave_folder as autosave_folder,
    in_memory as in_memory,
    left_behind as left_behind,
)
from .files.session_reader import (
    opening as opening,
    read_session as read_session,
    supply as supply,
)
from .files.session_writer import (
    SESSION_ENDING as SESSION_ENDING,
    FileStep as FileStep,
    saving as saving,
    write_session as write_session,
)
from .files.sources import (
    PHANTOM as PHANTOM,
    file_source as file_source,
    read_ct as read_ct,
    read_label_map as read_label_map,
    read_xray as read_xray,
)
from .named_poses import NamedPose as NamedPose, PoseRecord as PoseRecord, same_pose as same_pose
from .ray_points import Look as Look, PointList as PointList, RayPoints as RayPoints
from .rendering import (
    Preview as Preview,
    PreviewRequest as PreviewRequest,
    Rendering as Rendering,
    rendered as rendered,
)
from .result import Result as Result
from .sample import (
    SampleCase as SampleCase,
    sample_case as sample_case,
    with_nominal as with_nominal,
)
from .sequence_track import ALONE as ALONE, Kept as Kept, SequenceTrack as SequenceTrack
from .session import Session as Session
from .source import Source as Source
from .state import Missing as Missing, SessionState as SessionState
from .track import (
    BodiesTrack as BodiesTrack,
    FrameState as FrameState,
    Track as Track,
    TrackedFrame as TrackedFrame,
)
from .trained_networks import Weights as Weights
from .turning import flip_exposure as flip_exposure, rotate_exposure as rotate_exposure
from .undo import History as History, Moment as Moment
