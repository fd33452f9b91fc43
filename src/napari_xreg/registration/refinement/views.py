"""Radiographs of one patient, each with its C-arm pose, moved together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.images import Radiograph, Volume, without_saturated
from napari_xreg.rendering import check_poses


@dataclass(frozen=True, eq=False)
class View:
    """A radiograph and where its C-arm is thought to stand.

    Parameters
    ----------
    radiograph
        With its geometry.
    world_from_camera
        Starting pose. With several views their relative poses are taken as known (a calibrated
        rig, or encoders): registration moves them together.
    """

    radiograph: Radiograph
    world_from_camera: Pose

    def __post_init__(self) -> None:
        if self.world_from_camera.batch_shape != ():
            raise ValueError(
                "a view has one pose: got a batch of shape "
                f"{self.world_from_camera.batch_shape}; use multi-start for several starts"
            )
        check_poses(self.world_from_camera, "the starting pose of a view")


def unsaturated(views: Sequence[View]) -> tuple[View, ...]:
    """The views without their saturated pixels: the attenuation there is not what they say."""
    return tuple(replace(view, radiograph=without_saturated(view.radiograph)) for view in views)


def saturated_words(views: Sequence[View]) -> tuple[str, ...]:
    """What a user reads about `unsaturated`; nothing where nothing is saturated."""
    before, after = (
        sum(int(view.radiograph.usable.sum()) for view in some)
        for some in (views, unsaturated(views))
    )
    if before == after:
        return ()
    return (f"{100 * (1 - after / before):.0f} % of the pixels are saturated: not compared.",)


def pivot_of(volume: Volume, isocenter: Float[Tensor, "3"] | None) -> Float[Tensor, "3"]:
    """The point that rotations are taken about: the isocenter, else the middle of the volume.

    Raises
    ------
    ValueError
        If it is not finite.
    """
    pivot = (volume.center if isocenter is None else isocenter).detach().cpu().double()
    if not bool(pivot.isfinite().all()):
        raise ValueError(f"the isocenter must be finite, in mm: got {pivot.tolist()}")
    return pivot


def carried_along(poses: tuple[Pose, ...], first: Pose) -> tuple[Pose, ...]:
    """All views of a rig, where its first one is to stand elsewhere."""
    if len(poses) == 1:
        return (first,)
    change = first @ poses[0].inverse()
    return (first, *(change @ pose for pose in poses[1:]))


def at_pixels(radiograph: Radiograph, pixels: int) -> Radiograph:
    """The radiograph with its longer side at most this many pixels, square pixels' ratio kept."""
    return radiograph.resize(*radiograph.carm.at_most(pixels, least=8).detector.shape)
