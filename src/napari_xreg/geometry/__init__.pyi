from . import hand_moves as hand_moves
from .adapters import (
    DiffDRRCamera as DiffDRRCamera,
    NanoDRRCamera as NanoDRRCamera,
    carm_from_diffdrr as carm_from_diffdrr,
    carm_from_nanodrr as carm_from_nanodrr,
    diffdrr_from_carm as diffdrr_from_carm,
    matrix_from_xvr_parameters as matrix_from_xvr_parameters,
    nanodrr_from_carm as nanodrr_from_carm,
    nanodrr_rt_inv as nanodrr_rt_inv,
    xvr_parameters_from_matrix as xvr_parameters_from_matrix,
)
from .axis_conventions import lps_from_ras as lps_from_ras, reverse_axes as reverse_axes
from .carm import (
    CARM_PARAMETERS as CARM_PARAMETERS,
    CArm as CArm,
    CArmPose as CArmPose,
    rotation_from_angles as rotation_from_angles,
    twists_of_carm_parameters as twists_of_carm_parameters,
)
from .detector import Detector as Detector
from .grids import covariance_between as covariance_between, pixels_between as pixels_between
from .nearest import nearest_rotation as nearest_rotation
from .pinhole import (
    OpenCVCamera as OpenCVCamera,
    carm_from_camera_matrices as carm_from_camera_matrices,
    carm_from_deepfluoro as carm_from_deepfluoro,
    deepfluoro_from_carm as deepfluoro_from_carm,
    opencv_from_carm as opencv_from_carm,
    opencv_points_from_pixels as opencv_points_from_pixels,
    pixels_from_opencv_points as pixels_from_opencv_points,
    pose_from_opencv as pose_from_opencv,
)
from .pose import Pose as Pose
from .rotation import (
    PARAMETERIZATIONS as PARAMETERIZATIONS,
    euler_from_matrix as euler_from_matrix,
    matrix_from_6d as matrix_from_6d,
    matrix_from_9d as matrix_from_9d,
    matrix_from_10d as matrix_from_10d,
    matrix_from_euler as matrix_from_euler,
    matrix_from_parameters as matrix_from_parameters,
    matrix_from_quaternion as matrix_from_quaternion,
    matrix_from_quaternion_adjugate as matrix_from_quaternion_adjugate,
    matrix_from_rotation_vector as matrix_from_rotation_vector,
    nine_from_matrix as nine_from_matrix,
    parameters_from_matrix as parameters_from_matrix,
    quaternion_adjugate_from_matrix as quaternion_adjugate_from_matrix,
    quaternion_from_matrix as quaternion_from_matrix,
    rotation_vector_from_matrix as rotation_vector_from_matrix,
    six_from_matrix as six_from_matrix,
    ten_from_matrix as ten_from_matrix,
)
from .se3 import left_jacobian as left_jacobian
from .so4 import (
    LENGTH_MM as LENGTH_MM,
    motion_about as motion_about,
    so4_distance as so4_distance,
    so4_from_pose as so4_from_pose,
    so4_plane_angles as so4_plane_angles,
    so4_squared_distance as so4_squared_distance,
)
