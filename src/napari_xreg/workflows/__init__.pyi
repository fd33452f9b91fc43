from .bodies import (
    PATIENT as PATIENT,
    BodiesRequest as BodiesRequest,
    Moved as Moved,
    bodies_of_ct as bodies_of_ct,
    body_of_trial as body_of_trial,
    bone_body as bone_body,
    bones_progress as bones_progress,
    middle_of as middle_of,
    moved_since_ct as moved_since_ct,
    refine_bodies as refine_bodies,
)
from .bones_folder import (
    BETWEEN as BETWEEN,
    BonesExport as BonesExport,
    BonesExported as BonesExported,
    bone_folders as bone_folders,
    export_bones as export_bones,
    folder_name as folder_name,
)
from .bones_in_session import (
    BonesSettings as BonesSettings,
    SessionBones as SessionBones,
    SessionBonesRequest as SessionBonesRequest,
    bone_words as bone_words,
    bones_of_structures as bones_of_structures,
    register_bones as register_bones,
    session_bones as session_bones,
)
from .confidence import (
    CALIBRATION_WORDS as CALIBRATION_WORDS,
    Confidence as Confidence,
    confidence_of as confidence_of,
    target_words as target_words,
)
from .exporting import (
    FILM_FRAMES as FILM_FRAMES,
    Drawn as Drawn,
    Exported as Exported,
    ExportRequest as ExportRequest,
    check_film as check_film,
    error_words as error_words,
    export as export,
    export_request as export_request,
)
from .landmarks.detecting import (
    Detected as Detected,
    DetectRequest as DetectRequest,
    detect as detect,
)
from .landmarks.edits import (
    Pixel as Pixel,
    Position as Position,
    copy_to_landmarks as copy_to_landmarks,
    pick_landmark as pick_landmark,
    place_landmark as place_landmark,
    remove_landmark as remove_landmark,
    rename_landmark as rename_landmark,
    set_landmark_sigma as set_landmark_sigma,
    set_landmark_ticked as set_landmark_ticked,
    set_landmark_visible as set_landmark_visible,
    take_detected as take_detected,
)
from .landmarks.files import save_landmarks as save_landmarks, take_landmarks as take_landmarks
from .landmarks.placing import (
    Placed as Placed,
    PlaceRequest as PlaceRequest,
    take_placed as take_placed,
)
from .landmarks.solving import (
    FATES as FATES,
    HAND_SIGMA_PX as HAND_SIGMA_PX,
    LandmarkVerdict as LandmarkVerdict,
    Solved as Solved,
    SolveRequest as SolveRequest,
    sigma_px as sigma_px,
    solve as solve,
)
from .landmarks.table import (
    LandmarkRow as LandmarkRow,
    PickGuide as PickGuide,
    Places as Places,
    Side as Side,
    landmark_rows as landmark_rows,
    places_of as places_of,
)
from .landmarks.templates import (
    Template as Template,
    TemplateEntry as TemplateEntry,
    templates as templates,
)
from .landscapes import (
    LandscapeRequest as LandscapeRequest,
    landscape as landscape,
    landscape_words as landscape_words,
    with_unit as with_unit,
)
from .matching import MatchRequest as MatchRequest, match as match, match_request as match_request
from .opening.cases import (
    CaseRequest as CaseRequest,
    OpenedCase as OpenedCase,
    open_case as open_case,
)
from .opening.inspecting import inspect as inspect
from .opening.inspecting_weights import (
    NetworkFile as NetworkFile,
    network_file as network_file,
    speaks_of_template as speaks_of_template,
    weights_entry as weights_entry,
    weights_use as weights_use,
)
from .opening.kinds import FileKind as FileKind, file_kind as file_kind
from .opening.patient_facts import FactsRequest as FactsRequest
from .opening.patients import (
    Patient as Patient,
    described_ct as described_ct,
    open_patient as open_patient,
    structure_ids as structure_ids,
)
from .opening.radiographs import (
    PoseUnknown as PoseUnknown,
    further_views as further_views,
    header_pose as header_pose,
    with_mask_file as with_mask_file,
)
from .opening.sample_settings import SIZE_MM as SIZE_MM, SampleSettings as SampleSettings
from .opening.samples import (
    DATA_VARIABLE as DATA_VARIABLE,
    WRIST as WRIST,
    Sample as Sample,
    SampleData as SampleData,
    available_samples as available_samples,
    data_folder as data_folder,
    folder_samples as folder_samples,
    read_licences as read_licences,
    wrist_sample as wrist_sample,
)
from .opening.simulating import (
    SimulateRequest as SimulateRequest,
    Simulation as Simulation,
    simulate as simulate,
)
from .opening.trial_poses import kept_poses as kept_poses
from .opening.trials import (
    FileToRead as FileToRead,
    SeveralTrialFrames as SeveralTrialFrames,
    SeveralVolumes as SeveralVolumes,
    TrialFiles as TrialFiles,
    TrialRequest as TrialRequest,
    trial_files as trial_files,
    trial_frames as trial_frames,
)
from .points import (
    FindPointsRequest as FindPointsRequest,
    HeatmapRequest as HeatmapRequest,
    Heatmaps as Heatmaps,
    LocateRequest as LocateRequest,
    ScoredPoints as ScoredPoints,
    ScorePointsRequest as ScorePointsRequest,
    find_points as find_points,
    heatmaps as heatmaps,
    locate as locate,
    score_points as score_points,
)
from .preparing import (
    PrepareNetworkRequest as PrepareNetworkRequest,
    WeightsRead as WeightsRead,
    prepare_network as prepare_network,
)
from .refining import (
    BonesAlone as BonesAlone,
    OnCpuInstead as OnCpuInstead,
    RefineRequest as RefineRequest,
    TryingOthers as TryingOthers,
    refine as refine,
    refine_request as refine_request,
    rig_poses as rig_poses,
    with_sagittal as with_sagittal,
)
from .starting.by_regression import spread_of as spread_of
from .starting.initialisers import (
    INITIALISERS as INITIALISERS,
    Initialiser as Initialiser,
    NoStart as NoStart,
)
from .starting.proposing import (
    Proposal as Proposal,
    Proposals as Proposals,
    ProposeRequest as ProposeRequest,
    Ranking as Ranking,
    propose as propose,
    propose_request as propose_request,
)
from .starting.several import (
    Asking as Asking,
    NothingFound as NothingFound,
    Starts as Starts,
    find_starts as find_starts,
    hypothesis_of as hypothesis_of,
)
from .starting.starting import (
    InitialiseRequest as InitialiseRequest,
    StartingPose as StartingPose,
    initialise as initialise,
)
from .starting.starts_by_method import (
    LANDMARK_SPREAD as LANDMARK_SPREAD,
    LANDMARK_STARTS as LANDMARK_STARTS,
    RAYEMB_SPREAD as RAYEMB_SPREAD,
    RAYEMB_STARTS as RAYEMB_STARTS,
    REGRESSION_SPREAD as REGRESSION_SPREAD,
    REGRESSION_STARTS as REGRESSION_STARTS,
)
from .tracking.curves import (
    MotionCurves as MotionCurves,
    curves_between as curves_between,
    curves_of as curves_of,
    smooth_curves as smooth_curves,
)
from .tracking.exporting import (
    TRACK_TABLE as TRACK_TABLE,
    TrackExport as TrackExport,
    TrackExported as TrackExported,
    export_track as export_track,
    rows_of as rows_of,
)
from .tracking.exporting_together import (
    BodiesTrackExport as BodiesTrackExport,
    export_bodies_track as export_bodies_track,
)
from .tracking.frames import Frames as Frames, frames_of as frames_of, only as only
from .tracking.in_session import (
    SequenceExport as SequenceExport,
    SequenceFound as SequenceFound,
    export_sequence as export_sequence,
    find_sequence as find_sequence,
    poses_in as poses_in,
    track_session as track_session,
)
from .tracking.joint_table import (
    JointBone as JointBone,
    JointRequest as JointRequest,
    joint_rows as joint_rows,
)
from .tracking.of_session import (
    FrameRead as FrameRead,
    SequenceRequest as SequenceRequest,
    SessionSequence as SessionSequence,
    carried_poses as carried_poses,
    read_frame as read_frame,
    sequence_of as sequence_of,
    sequence_request as sequence_request,
    show_frame as show_frame,
)
from .tracking.own_bones import (
    OwnBone as OwnBone,
    TrialOfSession as TrialOfSession,
    trial_of as trial_of,
    with_said as with_said,
)
from .tracking.session_request import (
    TrackSessionRequest as TrackSessionRequest,
    track_request as track_request,
)
from .tracking.settings import TrackSettings as TrackSettings
from .tracking.together import (
    BodiesTrackRequest as BodiesTrackRequest,
    track_bodies as track_bodies,
)
from .tracking.tracking import track as track
from .tracking.tracks import TrackRequest as TrackRequest
from .tracking.trial import trial_cines as trial_cines, write_autoscoper as write_autoscoper
from .training.previews import (
    KnownPatients as KnownPatients,
    TrainingSample as TrainingSample,
    TrainingSamplesRequest as TrainingSamplesRequest,
)
from .training.recipes import RECIPES as RECIPES, recipe_as_it_was as recipe_as_it_was
from .training.resuming import Interrupted as Interrupted, interrupted as interrupted
from .training.training import (
    Preparing as Preparing,
    Resume as Resume,
    TrainingEvent as TrainingEvent,
    TrainingOutcome as TrainingOutcome,
    TrainRequest as TrainRequest,
    Unwritten as Unwritten,
    check_out as check_out,
    train as train,
    training_carm as training_carm,
)
from .truth_errors import (
    NONE_SEEN as NONE_SEEN,
    SEVERAL_MOVED as SEVERAL_MOVED,
    body_points as body_points,
    bone_points as bone_points,
    errors_against as errors_against,
    errors_by_truth as errors_by_truth,
    pose_errors as pose_errors,
    predicted_landmarks as predicted_landmarks,
)
from .warming import (
    COMPILING_WORDS as COMPILING_WORDS,
    compiled as compiled,
    compiling as compiling,
)
