"""A body that moves by itself, and what it adds to a line integral."""

import math
from dataclasses import dataclass

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
        If it has no camera, or `pivot` or `dense_above` is no number.
    """

    name: str
    volume: Volume
    world_from_camera: tuple[Pose, ...]
    pivot: Float[Tensor, "3"]
    dense_above: float = -1.0
    rest: bool = False

    def __post_init__(self) -> None:
        if not self.world_from_camera:
            raise ValueError(f"{self.name}: a body is seen by at least one camera")
        if not (math.isfinite(self.dense_above) and self.pivot.isfinite().all()):
            raise ValueError(
                f"{self.name}: pivot and dense_above must be finite: got NaN or infinity"
            )
        if self.dense_above < 0:
            object.__setattr__(self, "dense_above", water_lac())
