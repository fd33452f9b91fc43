"""What ``train`` can train: a network, its task and its file, for each method."""

from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import nn

from napari_xreg.cli.inputs import Patient, read_marks, read_patient
from napari_xreg.images import LabelMap, Landmark, read_labels
from napari_xreg.landmarks import (
    CompactDetector,
    LandmarkDetector,
    LandmarkSettings,
    load_detector,
    patient_landmark_task,
    population_landmark_task,
    save_detector,
    trust_threshold,
)
from napari_xreg.rayemb import (
    CompactEncoder,
    RayEmbSettings,
    RayEncoder,
    load_encoder,
    patient_task,
    population_task,
    save_encoder,
)
from napari_xreg.training import (
    CTFolder,
    Mixture,
    PhantomPopulation,
    Population,
    PoseRange,
    Task,
)


@dataclass(frozen=True)
class Method:
    """One network that can be trained.

    Parameters
    ----------
    network
        New, or with the weights of ``--finetune``.
    task
        What it learns, and in words from whom.
    save
        Writes file, network and what is known about it.
    found
        What the network finds, in words.
    finish
        Adds to the network what follows from the details of its validation.
    """

    network: Callable[[Namespace], nn.Module]
    task: Callable[[Namespace, Any], tuple[Task, str]]
    save: Callable[[Path, Any, Mapping[str, Any]], None]
    found: str
    finish: Callable[[Any, Any], None] = lambda network, detail: None


def _population(arguments: Namespace) -> tuple[Population, str] | None:
    """Many patients; None where CT names a single one."""
    if arguments.ct == "phantoms":
        return PhantomPopulation(), "simulated pelves"
    if not arguments.population:
        return None
    folder = CTFolder(Path(arguments.ct))
    share: float = arguments.phantoms
    if share == 0:
        return folder, f"{len(folder.files)} CTs"
    mixture = Mixture([(folder, 1.0), (PhantomPopulation(), share)])
    return mixture, f"{len(folder.files)} CTs, and {share:g} times as often simulated pelves"


def pose_range(arguments: Namespace) -> PoseRange:
    """The poses to learn; ValueError where a range runs backwards."""
    usual = PoseRange()
    primary, secondary, roll = (
        tuple(getattr(arguments, name) or getattr(usual, f"{name}_deg"))
        for name in ("primary", "secondary", "roll")
    )
    offset = usual.offset_mm if arguments.offset is None else arguments.offset
    return PoseRange(primary, secondary, roll, offset)


def _labels(arguments: Namespace, patient: Patient) -> LabelMap | None:
    if arguments.labels:
        return read_labels(Path(arguments.labels))
    return None if patient.phantom is None else patient.phantom.labels


def _encoder(arguments: Namespace) -> RayEncoder:
    weights = _begins_with(arguments)
    return CompactEncoder() if weights is None else load_encoder(weights)[0]


def _rayemb_task(arguments: Namespace, encoder: RayEncoder) -> tuple[Task, str]:
    many, poses = _population(arguments), pose_range(arguments)
    if many is not None:
        usual = RayEmbSettings()
        settings = replace(usual, views=replace(usual.views, poses=poses))
        return population_task(encoder, many[0], settings=settings), many[1]
    patient = read_patient(arguments)
    task = patient_task(
        encoder, patient.volume, labels=_labels(arguments, patient),
        bone_above_hu=arguments.above_hu, poses=poses, seed=arguments.seed,
    )  # fmt: skip
    return task, patient.name


def _save_encoder(file: Path, encoder: RayEncoder, about: Mapping[str, Any]) -> None:
    save_encoder(file, encoder, about, half=True)


def _detector(arguments: Namespace) -> LandmarkDetector:
    weights = _begins_with(arguments)
    if weights is not None:
        return load_detector(weights)[0]
    if arguments.landmarks:
        marks = read_marks(arguments, arguments.landmarks)
        return CompactDetector([mark.name for mark in marks if mark.position is not None])
    return CompactDetector()


def _landmark_task(arguments: Namespace, detector: LandmarkDetector) -> tuple[Task, str]:
    many, poses = _population(arguments), pose_range(arguments)
    if many is not None:
        usual = LandmarkSettings()
        settings = replace(usual, views=replace(usual.views, poses=poses))
        return population_landmark_task(detector, many[0], settings=settings), many[1]
    patient = read_patient(arguments)
    task = patient_landmark_task(
        detector, patient.volume, _landmarks(arguments, patient),
        labels=_labels(arguments, patient), bone_above_hu=arguments.above_hu, poses=poses,
        seed=arguments.seed,
    )  # fmt: skip
    return task, patient.name


def _landmarks(arguments: Namespace, patient: Patient) -> list[Landmark]:
    if arguments.landmarks:
        return read_marks(arguments, arguments.landmarks)
    if patient.phantom is None:
        raise ValueError(
            "train landmarks needs the landmarks of the CT: give --landmarks FILE (.mrk.json, "
            ".fcsv or .csv with positions)"
        )
    return [Landmark(name, place) for name, place in patient.phantom.landmarks.items()]


def _save_detector(file: Path, detector: LandmarkDetector, about: Mapping[str, Any]) -> None:
    save_detector(file, detector, about, half=True)


def _set_trust(detector: LandmarkDetector, detail: Any) -> None:
    """From the validation that gave the weights; after a resume, as before until it is better."""
    if detail:
        detector.trusted_mm = trust_threshold(detail)


def _begins_with(arguments: Namespace) -> Path | None:
    """Weights of the network to begin with; None: a new one."""
    if arguments.resume:
        beside = Path(arguments.resume).with_suffix(".safetensors")
        if beside.is_file():
            return beside
    return Path(arguments.finetune) if arguments.finetune else None


METHODS = {
    "rayemb": Method(_encoder, _rayemb_task, _save_encoder, "points"),
    "landmarks": Method(_detector, _landmark_task, _save_detector, "landmarks", _set_trust),
}
