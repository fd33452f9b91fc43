from . import drawing as drawing
from .bones_table import bones_in as bones_in, write_bones as write_bones
from .entries import (
    CArmField as CArmField,
    CArmPoseField as CArmPoseField,
    Covariance as Covariance,
    Matrix as Matrix,
    Measured as Measured,
    Probability as Probability,
    Rows as Rows,
    StatusName as StatusName,
    Twist as Twist,
    Vector as Vector,
    carm_pose_to_json as carm_pose_to_json,
    carm_to_json as carm_to_json,
    in_rows as in_rows,
)
from .itk_transform import read_itk_transform as read_itk_transform
from .joint_file import JointRow as JointRow, write_joint as write_joint
from .jointtrack_file import (
    JOINTTRACK_ENDINGS as JOINTTRACK_ENDINGS,
    read_jointtrack as read_jointtrack,
    viewer_from_camera as viewer_from_camera,
    write_jointtrack as write_jointtrack,
)
from .pictures import (
    carm_words as carm_words,
    compare as compare,
    edges_picture as edges_picture,
    overlay_picture as overlay_picture,
    refinement_frames as refinement_frames,
    write_gif as write_gif,
    write_mp4 as write_mp4,
    write_picture as write_picture,
)
from .pose_files import (
    is_pose_text as is_pose_text,
    pose_of_text as pose_of_text,
    pose_text as pose_text,
    read_pose as read_pose,
    write_pose as write_pose,
)
from .pose_frames import pose_of_matrix as pose_of_matrix
from .report import PAGE_STYLE as PAGE_STYLE, write_report as write_report
from .result_files import (
    describe_input as describe_input,
    read_result as read_result,
    result_to_json as result_to_json,
    versions as versions,
    write_result as write_result,
)
from .study_manifest import (
    PLAN_FILE as PLAN_FILE,
    MethodEntry as MethodEntry,
    OwnCase as OwnCase,
    SetCases as SetCases,
    SimulatedCases as SimulatedCases,
    StartEntry as StartEntry,
    StudyFile as StudyFile,
    TrialCases as TrialCases,
    read_manifest as read_manifest,
)
from .study_row import StudyRow as StudyRow, read_row as read_row, write_row as write_row
from .tra_file import (
    autoscoper_from_world as autoscoper_from_world,
    read_tra as read_tra,
    write_tra as write_tra,
)
from .track_between import BetweenRow as BetweenRow, write_between as write_between
from .track_file import (
    TrackRow as TrackRow,
    TrackTable as TrackTable,
    read_track as read_track,
    write_track as write_track,
)
from .track_film import FrameShown as FrameShown, track_pictures as track_pictures
from .trajectory_file import (
    read_trajectory as read_trajectory,
    write_trajectory as write_trajectory,
)
from .truth_file import TruthFile as TruthFile, read_truth as read_truth
