"""Every schema that this program writes, and the latest version of each: one table."""

POSE = "napari-xreg/pose"
RESULT = "napari-xreg/registration"
TRAJECTORY = "napari-xreg/trajectory"
TRACK = "napari-xreg/track"
TRACK_BETWEEN = "napari-xreg/track-between"
TRUTH = "napari-xreg/simulated-truth"
GEOMETRY = "napari-xreg/xray-geometry"
SESSION = "napari-xreg/session"
GRID = "napari-xreg/grid"
WEIGHTS = "napari-xreg/weights"
TRAINING_STATE = "napari-xreg/training-state"
FOLDER = "napari-xreg/folder"
STUDY = "napari-xreg/study"
STUDY_FOLDER = "napari-xreg/study-folder"
STUDY_ROW = "napari-xreg/study-row"
# What commands answer, or leave beside a result: written, never read back.
BONES = "napari-xreg/bones"
DETECTIONS = "napari-xreg/detections"
DOCTOR = "napari-xreg/doctor"
HEATMAPS = "napari-xreg/heatmaps"
INSPECTION = "napari-xreg/inspection"
JOINT = "napari-xreg/joint"
RENDERING = "napari-xreg/rendering"
TRACKING = "napari-xreg/tracking"
TRAINING = "napari-xreg/training"

VERSIONS = {
    POSE: 1,
    RESULT: 1,
    TRAJECTORY: 1,
    TRACK: 2,
    TRACK_BETWEEN: 1,
    TRUTH: 1,
    GEOMETRY: 1,
    SESSION: 2,  # 1: the operations of a radiograph in words
    GRID: 1,
    WEIGHTS: 1,
    TRAINING_STATE: 2,  # 1: torch's own optimiser
    FOLDER: 1,
    STUDY: 1,
    STUDY_FOLDER: 1,
    STUDY_ROW: 1,
    BONES: 1,
    DETECTIONS: 1,
    DOCTOR: 1,
    HEATMAPS: 1,
    INSPECTION: 1,
    JOINT: 2,
    RENDERING: 1,
    TRACKING: 1,
    TRAINING: 1,
}


def schema_head(schema: str) -> dict[str, str | int]:
    """The first two entries of a file: its schema, and the version that is written."""
    return {"schema": schema, "version": VERSIONS[schema]}
