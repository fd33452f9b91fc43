"""The files that hold a pose: the name of each schema, and the latest version of each on its own."""

POSE = "napari-xreg/pose"
RESULT = "napari-xreg/registration"
TRUTH = "napari-xreg/simulated-truth"

VERSIONS = {POSE: 1, RESULT: 1, TRUTH: 1}

# Where the pose stands in each.
POSE_KEYS = {
    POSE: ("world_from_camera",),
    RESULT: ("pose", "world_from_camera"),
    TRUTH: ("world_from_camera",),
}
