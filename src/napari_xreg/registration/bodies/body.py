"""A body that moves by itself, and what it adds to a line integral."""

import math
from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.images import Volume
from napari_xreg.registration.refinement.host.hardening import water_lac


@dataclass(frozen=True, eq=False)
class Body:
    """A rigid body, and where the cameras are thought to stand about it.

    A DRR is linear in attenuation, so the DRR of several bodies is the sum of their DRRs. The frame of a
    body is the world of its volume: a body that moves is a body about which the cameras move.

    Parameters
    ----------
    name
        Of no other body.
    volume
        What it adds to the attenuation along a ray: a bone-only CT above water (`above_water`), a bone
        cut out of a CT, or what is left of that (`cut_bodies`).
    world_from_camera
        The cameras of all radiographs as this body has them: where its refinement starts.
    pivot
        Point of the body that it turns about, world mm.
    rest
        Whether it is what is left of a CT, which shows the other bodies where they go.
    dense_above
        1/mm: what is denser is bone, which may be brighter in the radiograph than in the CT
        (`hardening`). 0 for a bone that was cut out of its soft tissue.

    Raises
    ------
    ValueError
        If it has no camera, `pivot` is not finite, or `dense_above` is negative or not finite.
    """

    name: str
    volume: Volume
    world_from_camera: tuple[Pose, ...]
    pivot: Float[Tensor, "3"]
    dense_above: float = field(default_factory=water_lac)
    rest: bool = False

    def __post_init__(self) -> None:
        if not self.world_from_camera:
            raise ValueError(f"{self.name}: a body is seen by at least one camera")
        if not (0 <= self.dense_above < math.inf and self.pivot.isfinite().all()):
            raise ValueError(
                f"{self.name}: pivot must be finite, and dense_above finite and not negative: got "
                f"{self.pivot.tolist()} and {self.dense_above}"
            )
