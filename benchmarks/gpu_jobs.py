"""What is timed on a card: our renderer in all its options, nanodrr's, DiffDRR's."""

import dataclasses
from typing import Any

import torch

from benchmarks import cases, peers, rendering
from benchmarks.device_timing import Job
from napari_xreg.geometry import CArm, CArmPose, Pose
from napari_xreg.images import Volume
from napari_xreg.registration.refinement.host.hardening import water_lac
from napari_xreg.rendering import Excess, render_drr, render_with_jacobian

IMAGE, GRADIENT = "image", "image + gradient"


@dataclasses.dataclass(frozen=True, eq=False)
class Scene:
    """A CT on a device, and how many samples a ray has in it."""

    volume: Volume
    device: torch.device
    samples: int

    def arm(self, pixels: int) -> CArm:
        """Of the benchmarks."""
        return cases.carm(pixels)

    def poses(self, count: int, arm: CArm) -> Pose:
        """About a frontal view, on the device."""
        x, y, z = self.isocenter
        each = [
            arm.pose_from(CArmPose(3.0 + 0.3 * i, 2.0 - 0.2 * i, isocenter=(x, y, z)))
            for i in range(count)
        ]
        return Pose.stack(each).to(device=self.device)

    @property
    def isocenter(self) -> tuple[float, float, float]:
        """Middle of the CT."""
        x, y, z = self.volume.center.cpu().tolist()
        return x, y, z

    def step_mm(self, arm: CArm) -> float:
        """That gives a ray `samples` samples in the volume, on average."""
        here = self.volume.to(device="cpu")
        pose = self.poses(1, arm).to(device="cpu")[0]
        return rendering.sampling_for(here, arm, pose, self.samples).step_mm


def ours(scene: Scene, pixels: int, batch: int, method: str, what: str) -> Job:
    """Through the public functions."""
    arm = scene.arm(pixels)
    poses, step = scene.poses(batch, arm), scene.step_mm(arm)
    pivot = torch.tensor(scene.isocenter, dtype=torch.float64, device=scene.device)
    if what == IMAGE:
        return lambda: render_drr(scene.volume, arm, poses, method=method, step_mm=step)
    return lambda: render_with_jacobian(
        scene.volume, arm, poses, pivot=pivot, method=method, step_mm=step
    )


def kernel(
    scene: Scene,
    pixels: int,
    batch: int,
    method: str,
    what: str,
    storage: str,
    *,
    scaled: bool = False,
    **shape: Any,
) -> Job:
    """The launch alone, with an option or a shape of its programs.

    Parameters
    ----------
    scaled
        Bone by a gain for each pose, as a refinement asks.
    """
    from napari_xreg.rendering.cuda import launch
    from napari_xreg.rendering.cuda.volume import on_device

    arm = scene.arm(pixels)
    poses, step = scene.poses(batch, arm), scene.step_mm(arm)
    pivot = torch.tensor(scene.isocenter, dtype=torch.float64, device=scene.device)
    ready = on_device(scene.volume, storage=storage)  # type: ignore[arg-type]
    mode = launch.IMAGE if what == IMAGE else launch.JACOBIAN
    how = launch.Shape(**shape)
    gains = torch.full((batch,), 0.3, device=scene.device)
    excess = Excess(water_lac(), gains) if scaled else None

    def job() -> object:
        seen = launch.views(ready.grid, arm, poses, pivot=pivot, step_mm=step, excess=excess)
        return launch.march(ready, seen, method=method, mode=mode, shape=how)

    return job


def nanodrr(scene: Scene, pixels: int, batch: int, what: str, backend: str) -> Job:
    """nanodrr with the same number of samples; its gradient is that of the mean square by rt_inv."""
    from nanodrr.drr import render

    arm = scene.arm(pixels)
    subject = peers.nanodrr_subject(scene.volume.to(device="cpu")).to(scene.device)
    k_inv, sdd = (t.to(scene.device) for t in peers.nanodrr_intrinsics(arm))
    k_inv, sdd = k_inv.expand(batch, 3, 3).contiguous(), sdd.expand(batch).contiguous()
    matrices = scene.poses(batch, arm).matrix().to(torch.float32).contiguous()
    size = arm.detector.shape
    more = {"n_samples": scene.samples, "backend": backend}

    def image() -> object:
        with torch.no_grad():
            return render(subject, k_inv, matrices, sdd, *size, **more)

    def gradient() -> object:
        moving = matrices.clone().requires_grad_()
        render(subject, k_inv, moving, sdd, *size, **more).square().mean().backward()
        return moving.grad

    return image if what == IMAGE else gradient


def diffdrr(scene: Scene, pixels: int, what: str) -> Job:
    """DiffDRR's trilinear renderer, one pose."""
    arm = scene.arm(pixels)
    pose = scene.poses(1, arm)[0]
    here = scene.volume.to(device="cpu")
    sampling = rendering.sampling_for(here, arm, pose.to(device="cpu"), scene.samples)
    peer = peers.Diffdrr(here, arm, sampling.diffdrr, "trilinear")
    peer.module = peer.module.to(scene.device)
    matrix = peer.pose(pose.to(device="cpu")).to(scene.device)

    def image() -> object:
        with torch.no_grad():
            return peer.image(matrix)

    def gradient() -> object:
        moving = matrix.clone().requires_grad_()
        peer.image(moving).square().mean().backward()
        return moving.grad

    return image if what == IMAGE else gradient
