"""A small patient with landmarks, and views of it in which nothing is drawn at random but the pose."""

import dataclasses

from napari_xreg.geometry import CArm, Detector
from napari_xreg.images import Landmark
from napari_xreg.landmarks import LandmarkViewSettings
from napari_xreg.simulation import phantom
from napari_xreg.training import CLEAN, Patient, PoseRange, patient_from_volume

CARM = CArm(1020.0, 750.0, Detector((256, 256), (300 / 256, 300 / 256)))
STILL = dataclasses.replace(
    CLEAN, bone=(1.0, 1.0), soft=(1.0, 1.0), noise=(0.0, 0.0), blur_pixels=(0.0, 0.0),
    gamma=(1.0, 1.0),
)  # fmt: skip
VIEWS = LandmarkViewSettings(CARM, PoseRange(offset_mm=15.0), views=4, first=1)


def small_patient() -> Patient:
    """The phantom, voxels of 8 mm, without its first landmark."""
    made = phantom(spacing_mm=8.0, seed=5)
    marks = [Landmark(name, place) for name, place in made.landmarks.items()]
    return patient_from_volume(made.volume, labels=made.labels, landmarks=marks[1:], voxel_mm=8.0)
