"""nanodrr 0.1.7 and DiffDRR 0.6.1 on our volumes, C-arms and poses, for interleaved timing.

Both get the attenuation, the affine and the world (LPS) as they are: no HU conversion, no
recentring. Their pixel corners are at whole numbers, so half a pixel is added to the principal
point. nanodrr takes any intrinsic matrix, so a mirrored detector is a negative focal length, as in
our own K. DiffDRR's camera has x and y turned by half a circle about the central ray. That the
images agree, and so that the work compared is the same work, is printed by ``benchmarks.rendering``.
"""

import types
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from napari_xreg.geometry import CArm, Pose
from napari_xreg.images import Volume

VERSIONS = {"nanodrr": "0.1.7", "diffdrr": "0.6.1"}
INSTALL = (
    "the peers are not installed: pip install --no-deps nanodrr==0.1.7 diffdrr==0.6.1 torchio "
    "einops fastcore (with torch pinned by a constraints file)"
)


def check_installed() -> None:
    """Stop with one sentence where a peer is missing or of another version."""
    from importlib.metadata import PackageNotFoundError, version

    for name, wanted in VERSIONS.items():
        try:
            found = version(name)
        except PackageNotFoundError:
            raise SystemExit(INSTALL) from None
        if found != wanted:
            raise SystemExit(f"{name} {wanted} is compared with: found {found}. {INSTALL}")


def nanodrr_subject(volume: Volume, isocenter: Tensor | None = None) -> Any:
    """A nanodrr ``Subject`` of our volume in our world.

    Parameters
    ----------
    isocenter
        Where its ``Registration`` turns about, world mm; None: the middle of the volume.
    """
    from nanodrr.data import Subject

    data = volume.lac.to(torch.float32).contiguous()[None, None]
    center = volume.center if isocenter is None else isocenter
    return Subject(
        data,
        torch.zeros_like(data),
        volume.world_from_index.to(torch.float32),
        volume.index_from_world.to(torch.float32),
        Subject._make_voxel_to_grid(data.shape),
        center.to(torch.float32),
        convert_to_mu=False,
    )


def nanodrr_intrinsics(carm: CArm) -> tuple[Tensor, Tensor]:
    """Inverse intrinsic matrix [1 3 3] and source-to-detector distance [1]."""
    k = carm.camera_matrix().clone()
    k[:2, 2] += 0.5
    return torch.linalg.inv(k).to(torch.float32)[None], torch.tensor([carm.source_to_detector])


def nanodrr_pose(world_from_camera: Pose) -> Tensor:
    """``rt_inv`` [1 4 4]: nanodrr's camera axes are ours."""
    return world_from_camera.matrix().to(torch.float32)[None]


@dataclass(eq=False)
class Nanodrr:
    """nanodrr's torch backend, ready to render one view."""

    volume: Volume
    carm: CArm
    samples: int

    def __post_init__(self) -> None:
        from nanodrr.drr import DRR

        self.subject = nanodrr_subject(self.volume)
        k_inv, sdd = nanodrr_intrinsics(self.carm)
        self.module = DRR(k_inv, sdd, *self.carm.detector.shape)

    def image(self, pose_matrix: Tensor) -> Tensor:
        """[rows columns]; differentiable in ``rt_inv``."""
        drawn = self.module(self.subject, pose_matrix, n_samples=self.samples, backend="torch")
        return drawn[0, 0]

    def pose(self, world_from_camera: Pose) -> Tensor:
        """What `image` takes."""
        return nanodrr_pose(world_from_camera)


@dataclass(eq=False)
class Diffdrr:
    """DiffDRR's trilinear or Siddon renderer, ready to render one view.

    Its trilinear rays all take the same samples, between the first and the last point where any
    ray meets the volume, so a part of them lies outside: `samples` counts them all.
    """

    volume: Volume
    carm: CArm
    samples: int
    renderer: str = "trilinear"

    def __post_init__(self) -> None:
        from diffdrr.drr import DRR

        detector = self.carm.detector
        rows, columns = detector.shape
        c_row, c_column = detector.center
        if (c_row, c_column) != ((rows - 1) / 2, (columns - 1) / 2):
            raise ValueError("the benchmark's DiffDRR has its principal point in the middle")
        # What its DRR reads of a torchio.Subject; torchio would copy and re-orient.
        subject = types.SimpleNamespace(
            reorient=torch.eye(4),
            volume=types.SimpleNamespace(affine=self.volume.world_from_index.numpy()),
            density=types.SimpleNamespace(
                data=self.volume.lac.to(torch.float32).permute(2, 1, 0).contiguous()
            ),
            mask=None,
        )
        self.module = DRR(
            subject,
            sdd=self.carm.source_to_detector,
            height=rows,
            width=columns,
            dely=detector.spacing[0],
            delx=detector.spacing[1],
            reverse_x_axis=not detector.mirrored,
            renderer=self.renderer,
        )

    def image(self, pose_matrix: Tensor) -> Tensor:
        """[rows columns]; differentiable in the matrix."""
        from diffdrr.pose import RigidTransform

        extra = {"n_points": self.samples} if self.renderer == "trilinear" else {}
        return self.module(RigidTransform(pose_matrix), **extra)[0, 0]

    def pose(self, world_from_camera: Pose) -> Tensor:
        """What `image` takes: our camera turned by half a circle about its z axis."""
        turn = torch.diag(torch.tensor([-1.0, -1.0, 1.0, 1.0], dtype=torch.float64))
        return (world_from_camera.matrix().double() @ turn).to(torch.float32)[None]


def value_and_pose_gradient(
    peer: Nanodrr | Diffdrr, pose_matrix: Tensor, pivot: Tensor, target: Tensor
) -> Tensor:
    """Forward, mean squared error, backward to six numbers (a left twist about a pivot)."""
    twist = torch.zeros(6, requires_grad=True)
    omega, v = twist[:3], twist[3:]
    zero = torch.zeros(())
    skew = torch.stack(
        [zero, -omega[2], omega[1], omega[2], zero, -omega[0], -omega[1], omega[0], zero]
    ).reshape(3, 3)
    turn = torch.linalg.matrix_exp(skew)
    center = pivot.to(torch.float32)
    moved = torch.cat([turn, (center + v - turn @ center)[:, None]], 1)
    motion = torch.cat([moved, torch.tensor([[0.0, 0.0, 0.0, 1.0]])], 0)
    loss = (peer.image(motion @ pose_matrix) - target).square().mean()
    loss.backward()
    assert twist.grad is not None
    return twist.grad
