"""A network that says the pose of the C-arm that made a radiograph."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from napari_xreg.geometry import CArm, Pose
from napari_xreg.images import Radiograph
from napari_xreg.regression.frame import Place, PoseFrame, rotation_numbers
from napari_xreg.regression.network.compact import CompactTrunk
from napari_xreg.regression.network.resnet import BLOCKS, Norm, ResNet
from napari_xreg.training import FixedCamera, RadiographNetwork, contrast_channels

Tone = Literal["line integrals", "xvr"]


@dataclass(frozen=True)
class Look:
    """What of a radiograph a residual network is shown: one channel, ``(v - mean) / deviation``.

    v is 0 at the smallest and 1 at the largest value of what the network sees. Masked pixels, and
    what lies beyond the radiograph, count as line integrals of 0: nothing in the beam.

    Parameters
    ----------
    mean, deviation
        As in training.
    tone
        Of detector intensities. ``xvr``: ``ln 2 - ln(1 + I)`` of the intensity I between 0 and 1.
        ``line integrals``: -ln(I / I0).
    """

    mean: float = 0.15
    deviation: float = 0.1
    tone: Tone = "line integrals"

    def toned(self, radiograph: Radiograph) -> Radiograph:
        """The radiograph with the values that `tone` says; line integrals stay what they are."""
        if self.tone != "xvr" or radiograph.read_as != "intensity":
            return radiograph
        usable = radiograph.usable
        intensity = torch.exp(-torch.where(usable, radiograph.line_integrals, 0.0).double())
        low, high = intensity[usable].aminmax()
        unit = (intensity - low) / (high - low + 1e-6)
        values = torch.where(usable, unit[usable].max().log1p() - unit.log1p(), 0.0)
        return replace(radiograph, line_integrals=values.to(radiograph.line_integrals))

    def channel(
        self, images: Float[Tensor, "b rows columns"], masks: Bool[Tensor, "b rows columns"]
    ) -> Float[Tensor, "b 1 rows columns"]:
        """Of images on the network's pixels."""
        values = torch.where(masks, images, 0.0)
        low, high = values.amin((1, 2), keepdim=True), values.amax((1, 2), keepdim=True)
        unit = (values - low) / (high - low + 1e-6)
        return ((unit - self.mean) / self.deviation)[:, None]


@dataclass(frozen=True, eq=False)
class Said:
    """What the heads say of a batch: numbers, in the units of the network's `PoseFrame`."""

    rotation: Float[Tensor, "b n"]
    translation: Float[Tensor, "b 3"]


class PoseNetwork(RadiographNetwork):
    """A trunk and two linear heads.

    Parameters
    ----------
    trunk
        ``compact``, or one of `BLOCKS`.
    norm
        Of a residual network.
    framing
        The camera through which it sees.
    frame
        How its numbers are meant.
    look
        What a residual network is shown.
    errors
        Standard deviations of its pose on images of the validation: rotations about the camera's
        axes through the centre (degrees), then translations of the centre along them (mm). None
        where that was never measured.
    """

    kind: ClassVar[str] = "pose"
    framing: FixedCamera
    new = False
    """Whether it has learned nothing yet; a recipe then tells it where to begin."""

    def __init__(
        self,
        trunk: str = "compact",
        norm: Norm = "group",
        framing: FixedCamera | None = None,
        frame: PoseFrame | None = None,
        look: Look | None = None,
        errors: tuple[float, ...] | None = None,
    ) -> None:
        super().__init__()
        self.trunk, self.norm = trunk, norm
        self.framing = framing or FixedCamera(pixels=64, pixel_mm=300 / 64)
        self.frame = frame or PoseFrame()
        self.look = look or Look()
        if errors is not None and (
            len(errors) != 6 or not all(0 <= error < math.inf for error in errors)
        ):
            raise ValueError(f"errors are six standard deviations: got {errors!r}")
        self.errors = None if errors is None else tuple(errors)
        if self.framing.mirrored != self.frame.mirrored:
            raise ValueError("the camera of a network is mirrored as the frame of its poses is")
        self.backbone: CompactTrunk | ResNet
        if trunk == "compact":
            self.backbone = CompactTrunk(self.framing.pixels)
        elif trunk in BLOCKS:
            self.backbone = ResNet(BLOCKS[trunk], norm)
        else:
            raise ValueError(f"a pose network is compact or {' or '.join(BLOCKS)}: got {trunk!r}")
        features = self.backbone.features
        self.xyz_regression = nn.Linear(features, 3)
        self.rot_regression = nn.Linear(features, rotation_numbers(self.frame.parameterization))

    def inputs(
        self,
        images: Float[Tensor, "b rows columns"],
        masks: Bool[Tensor, "b rows columns"],
        carm: CArm,
    ) -> Float[Tensor, "b channels rows columns"]:
        """See `Look`; the compact trunk: `training.contrast_channels`."""
        if self.trunk == "compact":
            return contrast_channels(images, masks, carm)
        return self.look.channel(images, masks)

    def see(self, radiograph: Radiograph) -> Radiograph:
        """A radiograph of any C-arm through the network's camera."""
        return self.framing.resample(self.look.toned(radiograph))

    def forward(self, inputs: Float[Tensor, "b channels rows columns"]) -> Said:
        """Numbers of both heads."""
        return self.said(self.backbone.maps(inputs))

    def said(self, maps: Float[Tensor, "b c h w"]) -> Said:
        """What the heads make of the trunk's maps."""
        features = self.backbone.pooled(maps)
        return Said(self.rot_regression(features), self.xyz_regression(features))

    def poses(self, said: Said, place: Place) -> Pose:
        """``world_from_camera`` of each image, float64."""
        return self.frame.world_from_camera(said.rotation, said.translation, place)

    @torch.no_grad()
    def begin_at(self, world_from_camera: Pose, place: Place) -> None:
        """Make a new network say this pose, whatever it sees; it learns the rest."""
        self.new = False
        rotation, translation = self.frame.numbers(world_from_camera, place)
        for head, numbers in ((self.rot_regression, rotation), (self.xyz_regression, translation)):
            head.weight.mul_(0.1)
            head.bias.copy_(numbers.flatten().to(head.bias))

    def configuration(self) -> dict[str, object]:
        """Arguments that build it again."""
        return {
            "trunk": self.trunk,
            "norm": self.norm,
            "framing": asdict(self.framing),
            "frame": asdict(self.frame),
            "look": asdict(self.look),
            "errors": None if self.errors is None else list(self.errors),
        }


def network_of_configuration(**stored: Any) -> PoseNetwork:
    """The inverse of `PoseNetwork.configuration`, for `training.read_network`."""
    frame: Mapping[str, Any] = stored["frame"]
    center = frame["center"]
    kept = center if isinstance(center, str) else tuple(float(value) for value in center)
    errors = stored["errors"]
    return PoseNetwork(
        stored["trunk"],
        stored["norm"],
        stored["framing"],
        PoseFrame(**{**frame, "center": kept}),
        Look(**stored["look"]),
        None if errors is None else tuple(float(value) for value in errors),
    )
