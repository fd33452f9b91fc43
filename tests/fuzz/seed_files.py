"""One small sound file of every format we read: what the fuzzer damages.

Nothing is centred and no two numbers are alike. Formats of others are written by others (nibabel,
SimpleITK, pydicom, cv2, torch), ours by our writers.
"""

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import nibabel
import numpy as np
import pydicom
import SimpleITK as sitk
import tifffile
import torch

TESTS = Path(__file__).resolve().parents[1]
for _beside in ("datasets", "images", "session"):  # the writers of hand-made files of those tests
    sys.path.insert(0, str(TESTS / _beside))

import camera_files
import ct_writers
import session_parts
import trial_maker
import twins
import xray_files

from napari_xreg.geometry import CArmPose
from napari_xreg.images import Landmark, write_dicom_radiograph, write_radiograph
from napari_xreg.images.formats.landmark_files import write_landmarks
from napari_xreg.images.formats.raster import sidecar_path
from napari_xreg.images.known_geometry.sidecar import geometry_of, geometry_to_json, write_geometry
from napari_xreg.landmarks.compact import CompactDetector
from napari_xreg.rayemb import CompactEncoder
from napari_xreg.records import TrackRow, write_track
from napari_xreg.records.pose_files import write_pose
from napari_xreg.records.result_files import result_to_json, write_result
from napari_xreg.records.trajectory_file import write_trajectory
from napari_xreg.registration import RefineSettings, View
from napari_xreg.regression import PoseFrame, PoseNetwork
from napari_xreg.session import Session, write_session
from napari_xreg.session.files.memory_files import write_grid_labels, write_grid_volume
from napari_xreg.training import FixedCamera, save_network
from napari_xreg.training.weights.state_file import write_state

STUDY = """\
schema = "napari-xreg/study"
version = 1
seed = 7

[[cases]]
name = "a"
ct = "ct.nii.gz"
xrays = ["frontal.npz", "lateral.npz"]
subject = "s"

[[simulated]]
cts = ["phantom:10500-10501"]
views = 2

[[starts]]
name = "near"
kind = "truth"
rotation_deg = 3.5
depth_mm = 12.25

[[methods]]
name = "usual"
"""
STUDY_ROW = {
    "schema": "napari-xreg/study-row", "version": 1, "key": "k", "case": "a", "subject": "s",
    "group": "g", "start": "near", "repeat": 1, "method": "usual", "errors": {"mtre_mm": 1.25},
    "start_errors": {"mtre_mm": 7.5}, "pivot": [1.0, -2.0, 3.0], "probability": 0.875, "loss": 0.25,
}  # fmt: skip


SLURM = """jobs = 3
cpus = 2
memory = "4G"
partition = "short"
directives = ["--mail-type=END"]
prologue = ["module load python"]
command = "python -m napari_xreg"
"""


@dataclass(frozen=True)
class Seed:
    """A sound file: `kind` says who reads it, `read` what is handed to the reader.

    ``damaged`` is the file that gets the damage; with a folder or a detached header it is another
    than the one that is read.
    """

    name: str
    kind: str
    read: Path
    damaged: Path


def make_seeds(folder: Path) -> list[Seed]:
    """Write them all below `folder`, each in a folder of its own."""
    seeds: list[Seed] = []

    def place(name: str) -> Path:
        (folder / name).mkdir(parents=True)
        return folder / name

    def add(name: str, kind: str, read: Path, damaged: Path | None = None) -> None:
        seeds.append(Seed(name, kind, read, damaged or read))

    _volumes(place, add)
    _radiographs(place, add)
    _small_files(place, add)
    _data_sets(place, add)
    _sessions(place, add)
    _weights(place, add)
    return seeds


def _volumes(place, add):
    hu = ct_writers.hounsfield((6, 5, 4))
    xyz = np.ascontiguousarray(hu.transpose(2, 1, 0))
    for name, ending in (("nifti", "ct.nii"), ("nifti_gz", "ct.nii.gz")):
        add(name, "volume", ct_writers.write_nifti(place(name) / ending, xyz))
    pair = place("nifti_pair") / "ct.hdr"
    nibabel.save(nibabel.Nifti1Pair(xyz, ct_writers.nifti_affine()), pair)
    add("nifti_pair", "volume", pair)
    labels = np.zeros_like(xyz)
    labels[1:3, 2:4, 1:5] = 77
    add("labels", "labels", ct_writers.write_nifti(place("labels") / "labels.nii.gz", labels))
    image = sitk.GetImageFromArray(hu)
    image.SetSpacing((0.7, 0.9, 1.3))
    image.SetOrigin((-11.0, 23.0, 64.0))
    image.SetDirection((0.96, 0.28, 0.0, -0.28, 0.96, 0.0, 0.0, 0.0, 1.0))
    for name, ending in (
        ("nrrd", "ct.nrrd"), ("nhdr", "ct.nhdr"), ("mha", "ct.mha"), ("mhd", "ct.mhd"),
    ):  # fmt: skip
        path = place(name) / ending
        sitk.WriteImage(image, str(path), useCompression=name in ("nrrd", "mha"))
        add(name, "volume", path)
    for name, keywords in (("tiff_stack", {}), ("imagej_stack", {"imagej": True})):
        path = place(name) / "ct.tif"
        tifffile.imwrite(path, (hu + 1024).astype(np.uint16), photometric="minisblack", **keywords)
        add(name, "stack", path)
    series = ct_writers.write_series(place("series"), hu)
    add("series", "volume", series, sorted(series.iterdir())[2])


def _radiographs(place, add):
    made = session_parts.make_radiograph(CArmPose(14.0, -6.0, 2.0, (3.0, -4.0, 5.0)))
    npz = place("npz") / "x.npz"
    write_radiograph(npz, made)
    add("npz", "radiograph", npz)
    dicom = place("our_dicom") / "x.dcm"
    write_dicom_radiograph(dicom, made)
    add("our_dicom", "radiograph", dicom)
    angiogram = xray_files.dicom()
    add("xa", "radiograph", xray_files.save(place("xa") / "x.dcm", angiogram))
    frames = np.stack([xray_files.stored_intensity(14, 18, i0=i0) for i0 in (2000.0, 2500.0)])
    cine = xray_files.dicom(frames)
    add("cine", "cine", xray_files.save(place("cine") / "x.dcm", cine))
    packed = xray_files.dicom()
    packed.compress(pydicom.uid.RLELossless)
    add("rle", "radiograph", xray_files.save(place("rle") / "x.dcm", packed))
    readings = xray_files.stored_intensity()
    for ending, values in (
        ("png", readings), ("tif", readings), ("npy", readings.astype(np.float32)),
    ):  # fmt: skip
        path = place(ending) / f"x.{ending}"
        if ending == "npy":
            np.save(path, values)
        else:
            cv2.imwrite(str(path), values)
        details = geometry_to_json(geometry_of(made.carm, made.nominal, "seed"))
        meaning = {"image": {"read_as": "intensity", "simulated": True}}
        sidecar = sidecar_path(path)
        sidecar.write_text(json.dumps({**details, **meaning}), encoding="utf-8")
        add(ending, "radiograph", path)
        if ending == "png":
            add("sidecar", "radiograph", path, sidecar)
    for ending, codec in (("avi", "MJPG"), ("mp4", "mp4v")):
        path = place(ending) / f"x.{ending}"
        grey = cv2.convertScaleAbs(readings, alpha=255 / readings.max())
        rows, columns = grey.shape
        film = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 10, (columns, rows))
        for _ in range(4):
            film.write(cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR))
        film.release()
        shutil.copy(sidecar, sidecar_path(path))
        add(ending, "cine", path)


def _data_sets(place, add):
    add(
        "deepfluoro", "data_set", twins.write_deepfluoro(place("deepfluoro") / "f.h5", ("17-1882",))
    )
    add("ljubljana", "data_set", twins.write_ljubljana(place("ljubljana") / "l.h5", ("subject01",)))
    folder = twins.write_xvr(place("xvr"), subjects=("subject01",))
    for name, ending in (("xvr_pose", "pt"), ("xvr_image", "dcm")):
        add(name, "data_set", folder, folder / "subject01" / "xrays" / f"000.{ending}")
    add("xvr_points", "data_set", folder, folder / "subject01" / "fiducials.pt")


def _small_files(place, add):
    marks = [
        Landmark("iliac crest, left", (1.5, -2.25, 30.0), (3.5, 7.25), False, (2.0, 0.5, 1.5)),
        Landmark("B", (-4.0, 7.5, 12.125)),
    ]
    for name, ending in (("csv", "p.csv"), ("fcsv", "p.fcsv"), ("markups", "p.mrk.json")):
        path = place(name) / ending
        write_landmarks(path, marks)
        add(name, "landmarks", path)
    pose = session_parts.twist(0.3, -0.2, 1.1, 12.0, -7.0, -650.0)
    for ending in ("json", "tfm", "txt"):
        path = place(f"pose_{ending}") / f"p.{ending}"
        write_pose(path, pose)
        add(f"pose_{ending}", "pose", path)
    add("trial", "trial", trial_maker.write_trial(place("trial")))
    tracked = trial_maker.TRACKED.flatten()
    text = ",".join(f"{v:.6f}" for v in (*tracked, *tracked))
    path = place("tra") / "poses.tra"
    path.write_text(f"{text}\n" + ",".join(["NaN"] * 32) + "\n", encoding="utf-8")
    add("tra", "tra", path)
    path = place("study") / "study.toml"
    path.write_text(STUDY, encoding="utf-8")
    add("study", "study", path)
    path = place("slurm") / "cluster.toml"
    path.write_text(SLURM)
    add("slurm", "slurm", path)
    usable = np.ones((21, 30), np.uint8)
    usable[4:9, 20:] = 0
    path = place("mask_npy") / "mask.npy"
    np.save(path, usable)
    add("mask_npy", "mask", path)
    path = place("mask_png") / "mask.png"
    cv2.imwrite(str(path), 255 * usable)
    add("mask_png", "mask", path)
    matrix = pose.matrix().tolist()
    path = place("study_row") / "row.json"
    path.write_text(json.dumps(STUDY_ROW | {"poses": [matrix], "start_poses": [matrix]}))
    add("study_row", "study_row", path)
    path = place("truth") / "truth.json"
    fiducials = [[1.5, -2.25, 30.0], [-4.0, 7.5, 12.125]]
    truth = {"schema": "napari-xreg/simulated-truth", "version": 1}
    path.write_text(json.dumps(truth | {"world_from_camera": matrix, "fiducials_mm": fiducials}))
    add("truth", "truth", path)
    path = place("track") / "track.csv"
    spread = torch.diag((torch.arange(1.0, 7.0).double() / 8) ** 2)
    rows = [
        TrackRow(7, 0.25, "tracked", 0.875, 0.125, pose, spread, pose),
        TrackRow(9, None, "open"),
    ]
    pivot = torch.tensor([1.0, -2.0, 3.0], dtype=torch.float64)
    write_track(path, rows, session_parts.make_radiograph().carm, pivot, simulated=True)
    add("track", "track", path)
    euler = sitk.Euler3DTransform((10.0, 20.0, 30.0), 0.1, -0.2, 0.3, (4.0, 5.0, 6.0))
    path = place("itk") / "p.tfm"
    sitk.WriteTransform(euler, str(path))
    add("itk", "foreign_pose", path)
    carm_pose = session_parts.make_radiograph().carm
    path = place("geometry") / "g.json"
    write_geometry(path, geometry_of(carm_pose, CArmPose(4.0, -7.0, 2.0), "seed"))
    add("geometry", "geometry", path)
    for version, ending in ((1, "csv"), (2, "txt")):
        path = place(f"mayacam_{version}") / f"cam.{ending}"
        path.write_text(camera_files.MAYACAM[version], encoding="utf-8")
        add(f"mayacam_{version}", "geometry", path)
    for name, text in (
        ("vtkcam.yaml", camera_files.VTKCAM),
        ("jointtrack.txt", camera_files.JOINTTRACK),
    ):
        path = place(name.split(".")[0]) / name
        path.write_text(text, encoding="utf-8")
        add(path.stem, "geometry", path)
    radiograph = session_parts.make_radiograph(CArmPose(4.0, -7.0, 2.0))
    registration = session_parts.make_registration([pose])
    view = View(radiograph, pose)
    path = place("result") / "r.json"
    write_result(path, result_to_json(registration, [view], settings=RefineSettings()))
    add("result", "result", path)
    path = place("trajectory") / "t.csv"
    write_trajectory(path, registration, radiograph.carm, pose)
    add("trajectory", "trajectory", path)


def _sessions(place, add):
    volume = session_parts.make_volume()
    labels = session_parts.make_labels(volume)
    session = Session()
    session.patient.set_volume(volume)
    session.patient.set_labels(labels)
    session.exposures.add(session_parts.make_radiograph(CArmPose(4.0, -7.0, 2.0)), name="frontal")
    session.exposures.add(
        session_parts.make_radiograph(CArmPose(83.0, 5.0, -3.0), 14, 19, 5), name="lateral"
    )
    path = place("session") / "s.xreg.json"
    write_session(path, session)
    add("session", "session", path)
    for name in ("ct", "frontal"):
        beside = path.with_name(f"s.{name}.npz")
        add(f"session_{name}", "session", path, beside)
    grid = place("grid") / "g.npz"
    write_grid_volume(grid, volume)
    add("grid", "grid", grid)
    grid = place("grid_labels") / "g.npz"
    write_grid_labels(grid, labels)
    add("grid_labels", "grid_labels", grid)


def _weights(place, add):
    torch.manual_seed(0)  # a process of its own, and only weights of a file nobody uses
    path = place("encoder") / "w.safetensors"
    save_network(path, CompactEncoder(4, (8, 8, 8)), {"source": "seed"})
    add("encoder", "encoder", path)
    detector = CompactDetector(("a", "b"), widths=(8, 8, 8, 8))
    path = place("detector") / "w.safetensors"
    save_network(path, detector, {"source": "seed"})
    add("detector", "detector", path)
    path = place("pose_network") / "w.safetensors"
    network = PoseNetwork("compact", framing=FixedCamera(1000.0, 32, 4.0), frame=PoseFrame())
    save_network(path, network, {"trained_on": "nothing"})
    add("pose_network", "pose_network", path)
    path = place("published") / "w.ckpt"
    torch.save({"state_dict": {"a.weight": torch.rand(3, 2)}}, path)
    add("published", "torch_weights", path)
    weights = {"a": torch.rand(3, 2)}
    state = {
        "network": weights, "mean": weights, "best": weights, "optimiser": {"state": {}},
        "generator": torch.Generator().get_state(), "task": {}, "steps": 3, "seconds": 1.5,
        "best_score": 7.25, "validations": (),
    }  # fmt: skip
    path = place("state") / "w.state"
    write_state(path, state)
    add("state", "state", path)
