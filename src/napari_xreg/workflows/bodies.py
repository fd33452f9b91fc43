"""Several bones in the same radiographs: what moves, from a CT with its labels or from bones of their own."""

import math
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg import registration
from napari_xreg.geometry import Pose
from napari_xreg.images import Radiograph, Volume
from napari_xreg.progress import Control
from napari_xreg.registration import (
    BodiesIterate,
    BodiesRegistration,
    Body,
    BodyIterate,
    NearBone,
    RefineSettings,
    View,
    cut_bodies,
)
from napari_xreg.session import Rendering
from napari_xreg.workflows.opening.patients import Patient, structure_ids

PATIENT = "patient"
"""What is left of a CT without the bones that move by themselves."""

FAINTEST = 1e-4
"""1/mm; half a per cent of water: less is rounding."""


@dataclass(frozen=True, eq=False)
class BodiesRequest:
    """Everything that a refinement of several bones needs.

    Parameters
    ----------
    bodies
        What moves, with its starts.
    radiographs
        Masked; every body is seen in all of them.
    settings
        How.
    near
        How near the rendered bones pixels are compared, where there is nothing but bones; None: the whole images.
    """

    bodies: tuple[Body, ...]
    radiographs: tuple[Radiograph, ...]
    settings: RefineSettings = field(default_factory=lambda: RefineSettings(keep_images=False))
    near: NearBone | None = None


def refine_bodies(
    request: BodiesRequest, *, control: Control | None = None
) -> Generator[BodyIterate | BodiesIterate, None, BodiesRegistration]:
    """As `registration.refine_bodies`."""
    return (
        yield from registration.refine_bodies(
            request.bodies, request.radiographs, settings=request.settings, near=request.near,
            control=control,
        )
    )  # fmt: skip


def bones_progress(request: BodiesRequest, event: BodyIterate | BodiesIterate) -> tuple[float, str]:
    """The share of a refinement that is done with an event of it, 0 to 1, and words for what is registered."""
    names = [body.name for body in request.bodies]
    if isinstance(event, BodyIterate):
        stage, index = 1 + names.index(event.name), event.iterate.index
        words = f"{event.name} ({stage} of {len(names)})"
    else:
        last, index = request.settings.is_last(event.level), event.index
        stage = 1 + len(names) if last else 0
        words = "all together" if last or not request.bodies[0].rest else "the patient as a whole"
    # The whole, each, and all together: nobody knows how long each takes.
    return (stage + 0.5) / (len(names) + 2), f"{words}  iteration {index}"


@dataclass(frozen=True)
class Moved:
    """How far a bone has moved against another since the CT, with one standard deviation.

    Parameters
    ----------
    turn_deg, turn_sd_deg
        About the axis of the turn.
    shift_mm, shift_sd_mm
        Of the bone's middle, along its shift.
    """

    turn_deg: float
    shift_mm: float
    turn_sd_deg: float | None = None
    shift_sd_mm: float | None = None

    @property
    def words(self) -> str:
        """With the standard deviations, where they are known."""
        turn, shift = f"{self.turn_deg:.1f}", f"{self.shift_mm:.1f}"
        if self.turn_sd_deg is not None and self.shift_sd_mm is not None:
            turn += f" ± {self.turn_sd_deg:.1f}"
            shift += f" ± {self.shift_sd_mm:.1f}"
        return f"turned by {turn} degrees, its middle shifted by {shift} mm"


def moved_since_ct(found: BodiesRegistration, name: str, against: str = PATIENT) -> Moved:
    """How far a bone has moved: the motion that `BodiesRegistration.between` gives, as two numbers."""
    bone_from_other, covariance = found.between(name, against)
    other_from_bone = bone_from_other.inverse()
    pivot = found[name].pivot.double()
    shift = other_from_bone.apply(pivot) - pivot
    turn = other_from_bone.log()[:3]
    angle, way = math.degrees(float(turn.norm())), float(shift.norm())
    if covariance is None:
        return Moved(angle, way)
    # The covariance is along the bone's own axes, in which the axis of its turn is the same.
    shift = other_from_bone.rotation.mT @ shift
    return Moved(
        angle,
        way,
        math.degrees(_deviation_along(turn, covariance[:3, :3])),
        _deviation_along(shift, covariance[3:, 3:]),
    )


def _deviation_along(direction: Float[Tensor, "3"], covariance: Float[Tensor, "3 3"]) -> float:
    """One standard deviation; the largest, of a direction that there is none of."""
    length = direction.norm()
    if float(length) < 1e-9:
        return math.sqrt(max(0.0, float(torch.linalg.eigvalsh(covariance)[-1])))
    along = direction / length
    return math.sqrt(max(0.0, float(along @ covariance @ along)))


def bodies_of_ct(
    patient: Patient, bones: Mapping[str, Sequence[str]], views: Sequence[View]
) -> tuple[Body, ...]:
    """The CT without some bones, and every bone by itself; all of them start as they lie in the CT.

    Parameters
    ----------
    patient
        With a label map.
    bones
        For every bone the names or ids of its structures.
    views
        Where the cameras are thought to stand about the CT.

    Raises
    ------
    ValueError
        If there is no label map, a structure does not occur, or is in two bones, or a bone is called as the
        rest is.
    """
    labels = patient.labels
    if labels is None:
        raise ValueError("bones are cut out of a CT by a label map on its grid: --labels FILE")
    if PATIENT in bones:
        raise ValueError(f"{PATIENT!r} is the rest of the CT: give the bone another name")
    groups = [structure_ids(words, labels) for words in bones.values()]
    rest, *parts = cut_bodies(patient.volume, labels, groups)
    cameras = tuple(view.world_from_camera for view in views)
    whole = Body(PATIENT, rest, cameras, patient.volume.center.double(), rest=True)
    for name, part in zip(bones, parts, strict=True):
        if not bool((part.lac > FAINTEST).any()):
            raise ValueError(f"{name}: nothing of it is denser than the soft tissue beside it")
    return (
        whole,
        *(
            Body(name, part, cameras, middle_of(part), 0.0)
            for name, part in zip(bones, parts, strict=True)
        ),
    )


def bone_body(name: str, volume: Volume, cameras: Sequence[Pose]) -> Body:
    """A bone that has a CT of its own.

    Parameters
    ----------
    volume
        Above water.
    cameras
        About this bone.
    """
    return Body(name, volume, tuple(cameras), middle_of(volume))


def body_of_trial(name: str, what: Rendering, cameras: Sequence[Pose]) -> Body:
    """A bone of a trial, each with a CT of its own.

    Parameters
    ----------
    what
        Its CT.
    cameras
        About this bone.

    Raises
    ------
    ValueError
        If the CT holds more than bone: such bodies would add up to more than a radiograph shows.
    """
    if not what.above_water:
        raise ValueError(
            f"{name}: its CT holds more than bone: several bodies of a trial are bones alone"
        )
    return bone_body(name, what.volume(), cameras)


def middle_of(volume: Volume) -> Float[Tensor, "3"]:
    """Of the voxels that attenuate, world mm; float64."""
    places = torch.nonzero(volume.lac > FAINTEST).flip(1).double().mean(0)
    matrix = volume.world_from_index.double().cpu()
    return matrix[:3, :3] @ places.cpu() + matrix[:3, 3]
