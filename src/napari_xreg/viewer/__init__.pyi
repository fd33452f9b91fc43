from .adoption import (
    CapturedLayer as CapturedLayer,
    Values as Values,
    adoptable as adoptable,
    at_home as at_home,
    capture as capture,
    value_of as value_of,
)
from .detector.bone_layers import (
    BoneLayers as BoneLayers,
    bone_picture as bone_picture,
    colours_of as colours_of,
)
from .detector.canvas import (
    OVERLAYS as OVERLAYS,
    DetectorCanvas as DetectorCanvas,
)
from .detector.detections import Ellipse as Ellipse, weight_colour as weight_colour
from .detector.frame_axis import FrameAxis as FrameAxis
from .detector.heatmaps import HeatmapLayers as HeatmapLayers
from .detector.landmark_colours import LandmarkColours as LandmarkColours
from .detector.overlays import robust_limits as robust_limits
from .edits import as_edited as as_edited
from .files.readers import (
    each_once as each_once,
    get_landmarks_reader as get_landmarks_reader,
    get_radiograph_reader as get_radiograph_reader,
    get_reader as get_reader,
    get_session_reader as get_session_reader,
    get_volume_reader as get_volume_reader,
    read_bare_arrays as read_bare_arrays,
)
from .files.sample import SAMPLES as SAMPLES, phantom_layers as phantom_layers
from .iterates.layers import IterateLayers as IterateLayers
from .layer_data import Carried as Carried
from .patient3d.ct_pick import CtPick as CtPick
from .patient3d.ct_slices import PLANES as PLANES, SIDES as SIDES, SliceGrid as SliceGrid
from .patient3d.room import Room as Room
from .patient3d.room_view import VIEWS as VIEWS
from .user_preferences import (
    Layout as Layout,
    preferences as preferences,
    remember_layout as remember_layout,
    remembered_layout as remembered_layout,
)
