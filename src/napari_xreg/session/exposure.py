"""One radiograph of a session, with everything the user has said about it."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.images import Landmark, Radiograph, file_title
from napari_xreg.session.source import Source


def new_id() -> str:
    """An identity that nothing else has."""
    return uuid.uuid4().hex


@dataclass(frozen=True)
class Picked:
    """What was picked on one frame of a sequence; parameters as of `Exposure`."""

    landmarks: tuple[Landmark, ...] = ()
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Exposure:
    """A radiograph in a session; changed by `dataclasses.replace`, through the session.

    Parameters
    ----------
    name
        Unique in the session; what the user sees.
    radiograph
        The image as read, with its geometry.
    world_from_camera
        Where its C-arm is thought to stand now.
    start
        Pose that "reset" goes back to: the file's nominal pose, or what the user declared.
    used
        Whether refinement uses it.
    painted
        What the user masked by hand, True where a pixel may be used; None: nothing masked.
    landmarks
        Points picked on it (`Landmark.pixel`), paired by name with the session's.
    left_out
        Names of landmarks that a pose from landmarks is not to use, though they were picked.
    of_frames
        What was picked on other frames of the sequence that it is one of, by their numbers.
    source
        Where it can be read again; None for an image that exists in memory only.
    edited
        True where pixels or mask are no longer what `source` gives: a crop, a turn.
    truth
        The true pose, where it is known: of simulated images. Only ever used to measure errors.
    id
        The same for as long as it is this radiograph, whatever it is called: what long work holds
        on to.
    """

    name: str
    radiograph: Radiograph
    world_from_camera: Pose
    start: Pose
    used: bool = True
    painted: Bool[Tensor, "rows columns"] | None = None
    landmarks: tuple[Landmark, ...] = ()
    left_out: tuple[str, ...] = ()
    of_frames: Mapping[int, Picked] = field(default_factory=dict)
    source: Source | None = None
    truth: Pose | None = None
    edited: bool = False
    id: str = field(default_factory=new_id)

    def __post_init__(self) -> None:
        for key in ("world_from_camera", "start", "truth"):
            pose = getattr(self, key)
            if pose is not None:
                kept = kept_pose(pose)
                if kept.batch_shape != ():
                    raise ValueError(
                        f"a radiograph has one pose: got a batch of {kept.batch_shape}"
                    )
                if kept is not pose:
                    object.__setattr__(self, key, kept)
        if not self.name.strip():
            raise ValueError("a radiograph of a session needs a name")
        missing = [mark.name for mark in self.landmarks if mark.pixel is None]
        if missing:
            raise ValueError(
                f"landmarks on a radiograph need a pixel: {', '.join(missing)} has none"
            )
        shape = self.radiograph.carm.detector.shape
        if self.painted is not None and tuple(self.painted.shape) != shape:
            raise ValueError(
                f"the painted mask must have the radiograph's rows and columns {shape}: "
                f"got {tuple(self.painted.shape)}"
            )

    @property
    def masked(self) -> Radiograph:
        """The radiograph without what was masked by hand: what a refinement is given."""
        if self.painted is None or bool(torch.all(self.painted)):
            return self.radiograph
        return self.radiograph.with_mask(self.painted, "painted by hand")

    def picks_stay(self, other: Radiograph) -> bool:
        """Whether what was picked lies on the same pixels once this frame is read again after another one."""
        same = self.radiograph.carm.detector.shape == other.carm.detector.shape
        return same and not self.edited

    @property
    def called(self) -> str:
        """In pictures, reports and names of files: as its own file, since its name may be a patient's."""
        source = self.source
        return self.name if source is None or source.built_in else file_title(source.path)

    def with_radiograph(self, radiograph: Radiograph) -> "Exposure":
        """Another image or geometry; it is `edited` unless pixels and mask are the very same."""
        old = self.radiograph
        same = radiograph.line_integrals is old.line_integrals and radiograph.mask is old.mask
        return replace(self, radiograph=radiograph, edited=self.edited or not same)


def same_picture(one: Exposure | None, other: Exposure | None) -> bool:
    """Whether both are the same radiograph of a session with the same pixels and mask.

    Name, pose and landmarks do not matter.
    """
    return (
        one is not None
        and other is not None
        and one.id == other.id
        and one.radiograph is other.radiograph
        and one.painted is other.painted
    )


def kept_pose(pose: Pose) -> Pose:
    """The pose as a session keeps it: float64, on the CPU, without a gradient."""
    if _kept(pose.rotation) and _kept(pose.translation):
        return pose
    parts = (pose.rotation, pose.translation)
    rotation, translation = (p.detach().to("cpu", torch.float64) for p in parts)
    return Pose(rotation, translation)


def _kept(part: Tensor) -> bool:
    return part.dtype == torch.float64 and part.is_cpu and not part.requires_grad
