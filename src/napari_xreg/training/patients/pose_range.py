"""Which C-arm poses a network learns from, and which ones templates are rendered at."""

from dataclasses import asdict, dataclass
from typing import Annotated, Any

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import CArm, Detector, Pose
from napari_xreg.options import Option

STANDARD_CARM = CArm(1020.0, 750.0, Detector((256, 256), (300 / 256, 300 / 256)))
"""A mobile C-arm of 300 mm."""


Ends = tuple[float, float]


@dataclass(frozen=True)
class EvenOffsets:
    """Where the isocenter lies before the source, drawn evenly; as xvr draws it.

    Parameters
    ----------
    x_mm, y_mm
        How far the C-arm is moved along its camera axes: across and down the image.
    from_source_mm
        Depth of the isocenter.
    """

    x_mm: Ends = (-150.0, 150.0)
    y_mm: Ends = (-150.0, 150.0)
    from_source_mm: Ends = (450.0, 1000.0)

    def __post_init__(self) -> None:
        for low, high in (self.x_mm, self.y_mm, self.from_source_mm):
            if not -10_000 <= low <= high <= 10_000:
                raise ValueError(f"offsets run from small to large, within 10 m: got {self!r}")
        if not self.from_source_mm[0] > 0:
            raise ValueError(f"the isocenter lies before the source: got {self!r}")

    def sample(
        self, carm: CArm, count: int, generator: torch.Generator
    ) -> Float[Tensor, "count 3"]:
        """Offsets along the camera's axes, mm."""
        uniform = torch.rand(count, 3, generator=generator, dtype=torch.float64)
        low, high = (
            torch.tensor(ends, dtype=torch.float64)
            for ends in zip(self.x_mm, self.y_mm, self.from_source_mm, strict=True)
        )
        drawn = low + (high - low) * uniform
        depth = carm.source_to_isocenter - drawn[:, 2:]
        return torch.cat([drawn[:, :2], depth], 1)


@dataclass(frozen=True)
class PoseRange:
    """A distribution of C-arm poses about an isocenter.

    Angles are drawn evenly, offsets from a normal distribution that is cut where the user says.

    Parameters
    ----------
    primary_deg, secondary_deg, roll_deg
        Smallest and largest angle (see `CArmPose` for signs).
    offset_mm
        Standard deviation of the C-arm's offset along each camera axis, mm.
    cut
        Offsets beyond this many standard deviations are drawn again.
    even
        Offsets that are drawn evenly instead.

    Raises
    ------
    ValueError
        If a range runs backwards or beyond a full turn, the offset is negative or more than 10 m,
        or the cut is not positive.
    """

    primary_deg: Annotated[
        tuple[float, float],
        Option("Primary", "Smallest and largest angle, LAO(+)/RAO.", "°", -180, 180, 5.0),
    ] = (-45.0, 45.0)
    secondary_deg: Annotated[
        tuple[float, float],
        Option("Secondary", "Smallest and largest angle, cranial(+)/caudal.", "°", -180, 180, 5.0),
    ] = (-22.5, 22.5)
    roll_deg: Annotated[
        tuple[float, float],
        Option("Roll", "Smallest and largest angle about the central ray.", "°", -180, 180, 5.0),
    ] = (-10.0, 10.0)
    offset_mm: Annotated[
        float,
        Option(
            "Translation spread",
            "Standard deviation of the C-arm's offset along each camera axis; cut at 2 of them.",
            "mm", 0.0, 500.0, 5.0,
        ),
    ] = 50.0  # fmt: skip
    cut: float = 2.0
    even: EvenOffsets | None = None

    def __post_init__(self) -> None:
        for name in ("primary_deg", "secondary_deg", "roll_deg"):
            low, high = getattr(self, name)
            if not low <= high:
                raise ValueError(
                    f"the smallest {name.removesuffix('_deg')} angle must not be above the largest: "
                    f"got {low:g} to {high:g} degrees"
                )
            if not -360 <= low <= high <= 360:
                raise ValueError(f"{name} lies between -360 and 360 degrees: got ({low}, {high})")
        if not self.offset_mm <= 10_000:
            raise ValueError(f"offset_mm must be at most 10 m: got {self.offset_mm:g} mm")
        if not self.offset_mm >= 0 or not self.cut > 0:
            raise ValueError(
                "offset_mm must not be negative and cut must be positive: got "
                f"offset_mm={self.offset_mm}, cut={self.cut}"
            )

    def described(self) -> dict[str, Any]:
        """As plain values, for the file of weights: degrees and mm."""
        return {
            "primary_deg": list(self.primary_deg),
            "secondary_deg": list(self.secondary_deg),
            "roll_deg": list(self.roll_deg),
            "offset_mm": self.offset_mm,
            **({} if self.even is None else {"even_offsets": asdict(self.even)}),
        }

    def middle(self, carm: CArm, isocenter: Float[Tensor, "3"]) -> Pose:
        """The pose in the middle of all ranges."""
        primary, secondary, roll = (
            (low + high) / 2 for low, high in (self.primary_deg, self.secondary_deg, self.roll_deg)
        )
        offset = torch.zeros(3, dtype=torch.float64)
        if self.even is not None:
            across, down, away = (
                (low + high) / 2
                for low, high in (self.even.x_mm, self.even.y_mm, self.even.from_source_mm)
            )
            offset = torch.tensor([across, down, carm.source_to_isocenter - away]).double()
        return carm.world_from_camera(
            primary, secondary, roll, isocenter=isocenter.double(), offset_mm=offset
        )

    def sample(
        self,
        carm: CArm,
        isocenter: Float[Tensor, "3"],
        count: int,
        generator: torch.Generator,
    ) -> Pose:
        """`count` poses ``world_from_camera`` in one batch, float64; the generator is on the CPU."""
        uniform = torch.rand(count, 3, generator=generator, dtype=torch.float64)
        low, high = (
            torch.tensor(ends, dtype=torch.float64)
            for ends in zip(self.primary_deg, self.secondary_deg, self.roll_deg, strict=True)
        )
        primary, secondary, roll = (low + (high - low) * uniform).T
        if self.even is not None:
            offset = self.even.sample(carm, count, generator)
        else:
            offset = self._offsets(count, generator)
        return carm.world_from_camera(
            primary, secondary, roll, isocenter=isocenter.double(), offset_mm=offset
        )

    def grid(
        self, carm: CArm, isocenter: Float[Tensor, "3"], primary_steps: int, secondary_steps: int
    ) -> Pose:
        """Evenly spaced angles, both ends included, no roll and no offset; primary is the outer loop.

        RayEmb's templates are such a grid of 18 x 18.
        """
        if min(primary_steps, secondary_steps) < 1:
            raise ValueError(
                f"a grid has at least one step each way: got {primary_steps} x {secondary_steps}"
            )
        primary = _spaced(self.primary_deg, primary_steps)
        secondary = _spaced(self.secondary_deg, secondary_steps)
        angles = torch.cartesian_prod(primary, secondary)
        return carm.world_from_camera(angles[:, 0], angles[:, 1], isocenter=isocenter.double())

    def _offsets(self, count: int, generator: torch.Generator) -> Float[Tensor, "count 3"]:
        """By inverse sampling of the truncated normal, so that the count of draws is fixed."""
        edge = torch.special.ndtr(torch.tensor(self.cut, dtype=torch.float64))
        uniform = torch.rand(count, 3, generator=generator, dtype=torch.float64)
        return self.offset_mm * torch.special.ndtri((1 - edge) + (2 * edge - 1) * uniform)


def _spaced(ends: tuple[float, float], steps: int) -> Float[Tensor, "steps"]:
    if steps == 1:
        return torch.tensor([(ends[0] + ends[1]) / 2], dtype=torch.float64)
    return torch.linspace(ends[0], ends[1], steps, dtype=torch.float64)


NAMED_RANGES = {
    "xvr-pelvis": PoseRange((-45.0, 45.0), (-45.0, 45.0), (-15.0, 15.0), even=EvenOffsets()),
    "xvr-neurovasculature": PoseRange(
        (-45.0, 90.0), (-5.0, 5.0), (-5.0, 5.0),
        even=EvenOffsets((-25.0, 25.0), (-25.0, 25.0), (700.0, 800.0)),
    ),
    "xvr-skull": PoseRange(
        (-125.0, 125.0), (-45.0, 45.0), (-15.0, 15.0),
        even=EvenOffsets((-200.0, 200.0), (-200.0, 200.0), (500.0, 1000.0)),
    ),
}  # fmt: skip
"""Table S2 of the xvr paper: orientation PA, whose angles are those of the C-arm."""
