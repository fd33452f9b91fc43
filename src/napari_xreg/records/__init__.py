"""What is written down: poses, results, trajectories, reports and pictures."""

from napari_xreg.records.pose_files import read_pose, write_pose
from napari_xreg.records.result_files import read_result, write_result

__all__ = ["read_pose", "read_result", "write_pose", "write_result"]
