"""How each kind of file is read, and what must hold of whatever was accepted."""

import math
from pathlib import Path

import numpy as np
import torch

from napari_xreg.cli import main
from napari_xreg.datasets import open_data_set
from napari_xreg.geometry import CArm, Pose
from napari_xreg.images import (
    Radiograph,
    Volume,
    read_geometry,
    read_landmarks,
    read_radiograph,
    read_trial,
    read_volume,
)
from napari_xreg.images.formats.mask import read_mask
from napari_xreg.images.reading_volumes import read_labels
from napari_xreg.landmarks.weights_file import load_detector
from napari_xreg.rayemb.network.weights_file import load_encoder
from napari_xreg.records import read_manifest, read_row, read_track
from napari_xreg.records.pose_files import read_pose
from napari_xreg.records.result_files import read_result
from napari_xreg.records.tra_file import read_tra
from napari_xreg.records.trajectory_file import read_trajectory
from napari_xreg.records.truth_file import read_truth
from napari_xreg.regression.network.weights_file import load_pose_network
from napari_xreg.session import read_session
from napari_xreg.session.files.memory_files import read_grid_labels, read_grid_volume
from napari_xreg.study import job_script, read_slurm
from napari_xreg.training import read_torch_weights
from napari_xreg.training.weights.state_file import read_state


class WrongValue(Exception):
    """A file was accepted and what came of it cannot be."""


def _must(holds, what):
    if not holds:
        raise WrongValue(what)


def _affine(matrix, what):
    finite = bool(torch.isfinite(matrix).all())
    _must(finite and float(matrix.abs().max()) < 1e7, f"{what}: the place is {matrix.tolist()}")
    linear = matrix[:3, :3].double()
    _must(abs(float(torch.linalg.det(linear))) > 1e-12, f"{what}: the axes are flat")


def _volume(volume: Volume):
    _must(bool(torch.isfinite(volume.lac).all()), "attenuation is not finite")
    _must(float(volume.lac.min()) >= 0, "attenuation is negative")
    _affine(volume.world_from_index, "CT")


def _labels(labels):
    _must(labels.ids.ndim == 3, "labels are no volume")
    _affine(labels.world_from_index, "labels")


def _pose(pose: Pose):
    _must(pose.batch_shape == (), "not one pose")
    rotation = pose.rotation.double()
    _must(bool(torch.isfinite(pose.matrix()).all()), "the pose is not finite")
    off = (rotation.mT @ rotation - torch.eye(3, dtype=torch.float64)).abs().max()
    _must(float(off) < 1e-3 and float(torch.linalg.det(rotation)) > 0, "no rotation")


def _carm(carm: CArm):
    detector = carm.detector
    numbers = (*detector.spacing, carm.source_to_detector, carm.source_to_isocenter)
    _must(all(0 < v < math.inf for v in numbers), f"geometry {numbers}")
    _must(all(map(math.isfinite, detector.center)), f"principal point {detector.center}")


def _radiograph(radiograph: Radiograph):
    _carm(radiograph.carm)
    _must(tuple(radiograph.line_integrals.shape) == radiograph.carm.detector.shape, "shape")
    values = radiograph.line_integrals
    usable = values if radiograph.mask is None else values[radiograph.mask]
    _must(bool(torch.isfinite(usable).all()), "a usable line integral is not finite")
    if radiograph.nominal is not None:
        nominal = radiograph.nominal
        terms = (nominal.primary_deg, nominal.secondary_deg, nominal.roll_deg)
        _must(all(map(math.isfinite, (*terms, *nominal.offset_mm, *nominal.isocenter))), "start")


def _landmarks(marks):
    for mark in marks:
        numbers = (*(mark.position or ()), *(mark.pixel or ()), *(mark.covariance or ()))
        _must(bool(mark.name.strip()) and all(map(math.isfinite, numbers)), f"{mark}")


def _geometry(record):
    for name in ("source_to_detector", "source_to_isocenter", "field_diameter"):
        value = getattr(record, name)
        _must(value is None or 0 < value < math.inf, f"{name} = {value}")
    spacing = record.pixel_spacing
    _must(spacing is None or all(0 < v < math.inf for v in spacing), f"spacing {spacing}")
    for name in ("primary_deg", "secondary_deg", "roll_deg"):
        value = getattr(record, name)
        _must(value is None or math.isfinite(value), f"{name} = {value}")


def _result(saved):
    for pose in (saved.world_from_camera, saved.start):
        _pose(pose)
    _carm(saved.carm)
    _must(bool(torch.isfinite(saved.pivot).all()), "pivot")
    _must(saved.covariance is None or bool(torch.isfinite(saved.covariance).all()), "covariance")


def _table(columns):
    lengths = {len(values) for values in columns.values()}
    _must(len(lengths) <= 1, "columns of different lengths")


def _session(session):
    state = session.state
    if state.volume is not None:
        _volume(state.volume)
    for exposure in state.exposures:
        _radiograph(exposure.radiograph)
        for pose in (exposure.world_from_camera, exposure.start):
            _pose(pose)
    for result in state.results:
        _pose(result.registration.world_from_camera)


def _network(loaded):
    network, _ = loaded
    for name, value in network.state_dict().items():
        _must(bool(torch.isfinite(value).all()), f"weights {name} are not finite")


def _tensors(weights):
    for name, value in weights.items():
        finite = not value.is_floating_point() or bool(torch.isfinite(value).all())
        _must(finite, f"weights {name} are not finite")


def _state(state):
    _tensors(state["network"])


def _trial(trial):
    _must(bool(trial.cameras) and bool(trial.volumes), "no camera or no volume")
    sizes = [size for volume in trial.volumes for size in volume.voxel_size]
    _must(all(0 < size < math.inf for size in sizes), f"voxels of {sizes}")


def _tracked(frames):
    for pose in (pose for frame in frames for pose in frame if pose is not None):
        _pose(pose)


def _row(row):
    for pose in (*row.poses, *row.start_poses):
        _pose(pose)


def _truth(truth):
    _pose(truth.world_from_camera)
    _must(bool(torch.isfinite(truth.fiducials_mm).all()), "a fiducial is not finite")


def _track(table):
    for row in table.rows:
        for pose in (row.world_from_camera, row.smooth):
            if pose is not None:
                _pose(pose)


def _manifest(made):
    _must(bool(made.cases or made.simulated or made.trials or made.sets), "it names no case")


def _mask(usable):
    _must(usable.ndim == 2 and usable.dtype == torch.bool, "a mask is one plane")


def _job(settings):
    _must(min(settings.jobs, settings.cpus) >= 1, "no job")
    script = job_script(settings, ["a.toml"], Path("/out"))
    _must(script.startswith("#!") and script.endswith("\n"), "no script")


def _first_view(path):
    found = open_data_set(path)
    case = found.case(found.entries[0].name if found.entries else None)
    views = case.entry.views
    return case, case.view(views[0] if views else None)


def _case(read):
    case, view = read
    _volume(case.volume)
    if case.labels is not None:
        _labels(case.labels)
    _radiograph(view.radiograph)
    _landmarks((*case.landmarks, *view.landmarks))
    for pose in view.truths.values():
        _pose(pose)


def _pose_of_others(path):
    return read_pose(path, frame="world_from_camera")


READ = {
    "volume": (read_volume, _volume),
    "stack": (
        lambda path: read_volume(path, spacing=(0.7, 0.9, 1.3), values="hu 1 -1024"),
        _volume,
    ),
    "trial": (read_trial, _trial),
    "data_set": (_first_view, _case),
    "tra": (lambda path: read_tra(path, 2), _tracked),
    "study": (read_manifest, _manifest),
    "study_row": (read_row, _row),
    "slurm": (read_slurm, _job),
    "mask": (read_mask, _mask),
    "truth": (read_truth, _truth),
    "track": (read_track, _track),
    "pose_network": (load_pose_network, _network),
    "labels": (read_labels, _labels),
    "radiograph": (read_radiograph, _radiograph),
    "cine": (lambda path: read_radiograph(path, frame=1), _radiograph),
    "landmarks": (read_landmarks, _landmarks),
    "pose": (read_pose, _pose),
    "foreign_pose": (_pose_of_others, _pose),
    "geometry": (read_geometry, _geometry),
    "result": (read_result, _result),
    "trajectory": (read_trajectory, _table),
    "session": (read_session, _session),
    "grid": (read_grid_volume, _volume),
    "grid_labels": (read_grid_labels, _labels),
    "encoder": (load_encoder, _network),
    "detector": (load_detector, _network),
    "torch_weights": (read_torch_weights, _tensors),
    "state": (read_state, _state),
}


def attempt(kind: str, path: str) -> tuple[str, str]:
    """("accepted" | "refused" | "foreign" | "wrong", in words) of one file.

    An exception is ours if its class is: whatever else gets out is a fault, however apt its text.
    """
    read, check = READ[kind]
    try:
        with np.errstate(all="ignore"):
            value = read(Path(path))
    except Exception as error:
        name = type(error).__name__
        ours = type(error).__module__.split(".")[0] == "napari_xreg"
        if ours and not str(error).strip():
            return "foreign", f"{name} without a word"
        return ("refused" if ours else "foreign"), f"{name}: {error}"[:400]
    try:
        check(value)
    except WrongValue as wrong:
        return "wrong", str(wrong)[:400]
    return "accepted", ""


def inspected(path: str) -> tuple[str, str]:
    """The same of `napari-xreg inspect`, which has to find out by itself what the file is."""
    code = main(["inspect", path, "--quiet"])
    return ("foreign", f"inspect ended with {code}") if code not in (0, 2) else ("refused", "")
