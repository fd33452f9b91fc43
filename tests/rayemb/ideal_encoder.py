"""An encoder that knows: the embedding of a pixel is the Plücker line of its ray.

Lines through one point span three of the six dimensions, so RayEmb's subspaces are exact, and both
halves of a line are linear in the pixel, so bilinear interpolation is exact too. Whatever is off
then is off in our geometry.
"""

from dataclasses import replace

import torch

from napari_xreg.geometry import CArm, Pose
from napari_xreg.rayemb import Embedded, RayEncoder, Templates
from napari_xreg.rayemb.network.encoder import calibration_of
from napari_xreg.training import Framing

SCALE_MM = 40.0


class IdealEncoder(RayEncoder):
    """Only its framing, its upsampling and its calibration are used."""

    kind = "ideal"

    def __init__(self, temperature: float = 1e-4) -> None:
        super().__init__()
        self.dimensions = 6
        self.framing = Framing()
        self.upsampling = 2
        outside = 0.9995 / temperature
        self.calibration = torch.nn.Parameter(calibration_of(temperature, outside))

    def inputs(self, images, masks, carm):
        raise NotImplementedError

    def forward(self, inputs):
        raise NotImplementedError

    def configuration(self):
        return {}


def plucker(carm: CArm, pose: Pose, center: torch.Tensor, stride: int = 2) -> torch.Tensor:
    """Lines of the rays through the centres of cells, about a centre: 6 h w."""
    rows, columns = carm.detector.shape
    cells = carm.detector.resize(rows // stride, columns // stride)
    source, r = replace(carm, detector=cells).rays(pose)
    direction = r / carm.source_to_detector
    moment = torch.linalg.cross((source - center).expand_as(direction), direction) / SCALE_MM
    lines = torch.cat([direction, moment], -1)
    return lines.T.reshape(6, *cells.shape).float()


def ideal_templates(encoder: IdealEncoder, carm: CArm, center: torch.Tensor) -> Templates:
    """Twelve of them, all around."""
    template_carm = encoder.framing.template_carm(carm, 2.0)
    angles = [(-50, -20), (-50, 22), (-31, 3), (-12, -26), (-9, 20), (4, -4)]
    angles += [(17, 24), (21, -19), (36, 6), (47, -23), (49, 19), (60, 0)]
    primary, secondary = torch.tensor(angles, dtype=torch.float64).T
    poses = template_carm.world_from_camera(primary, secondary, 7.0, isocenter=center)
    lines = torch.stack([plucker(template_carm, poses[i], center) for i in range(12)])
    side = template_carm.detector.shape[0]
    return Templates(template_carm, poses, torch.zeros(12, side, side), lines)


def ideal_radiograph(
    encoder: IdealEncoder, carm: CArm, pose: Pose, center: torch.Tensor
) -> Embedded:
    """A radiograph taken at a pose."""
    framed = encoder.framing.carm(carm)
    usable = torch.ones(framed.detector.shape, dtype=torch.bool)
    return Embedded(plucker(framed, pose, center), framed, usable, carm)
