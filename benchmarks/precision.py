"""Error of every backend and option against float64, and whether numbers repeat.

``python -m benchmarks precision`` renders a real CT with everything there is on this machine; what
needs a card says so where there is none.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks import cases, rendering, report
from napari_xreg.geometry import CArm, Pose
from napari_xreg.images import Volume
from napari_xreg.rendering import (
    cuda as cuda_backend,
    march_view,
    prepare,
    render_with_jacobian,
    set_thread_count,
    thread_count,
    volume_on,
)
from napari_xreg.simulation import phantom

NOT_MEASURED = "not measured"
March = Callable[[Volume, CArm, Pose, str, float], tuple[Tensor, Tensor]]
"""Image and Jacobian of a batch of poses about the volume's middle."""


def through(backend: str) -> March:
    """The public function."""

    def march(
        volume: Volume, arm: CArm, poses: Pose, method: str, step: float
    ) -> tuple[Tensor, Tensor]:
        return render_with_jacobian(
            volume, arm, poses, pivot=volume.center.cpu(), method=method, step_mm=step,
            backend=backend,
        )  # fmt: skip

    return march


def packed(
    volume: Volume, arm: CArm, poses: Pose, method: str, step: float
) -> tuple[Tensor, Tensor]:
    """16-bit voxels on the CPU."""
    ready = prepare(volume, packed=True)
    pivot = volume.center.double().numpy()
    both = [
        march_view(ready, arm, poses[i], pivot=pivot, method=method, step_mm=step)
        for i in range(len(poses.translation))
    ]
    image, jacobian = (torch.stack([torch.from_numpy(pair[k]) for pair in both]) for k in (0, 1))
    return image, jacobian


def on_card(storage: str) -> March:
    """Voxels as the CUDA kernels can keep them."""
    from napari_xreg.rendering import on_cuda

    def march(
        volume: Volume, arm: CArm, poses: Pose, method: str, step: float
    ) -> tuple[Tensor, Tensor]:
        image, jacobian = on_cuda.render_with_jacobian(
            volume, arm, poses, pivot=volume.center.cpu(), method=method, step_mm=step,
            storage=storage,
        )  # fmt: skip
        size = arm.detector.shape
        return image.reshape(-1, *size), jacobian.reshape(-1, 6, *size)

    return march


def rows_of(scene: Volume, arm: CArm, poses: Pose, step: float) -> list[list[Any]]:
    """Every backend, method and kind of voxel."""
    card = torch.device("cuda", 0)
    there = torch.cuda.is_available() and cuda_backend.usable(card)
    on_device = volume_on(scene, card) if there else None
    precise = Volume(scene.lac.double(), scene.world_from_index)
    rows = []
    for method in ("trilinear", "joseph", "siddon"):
        wanted = through("torch")(precise, arm, poses, method, step)
        kinds: list[tuple[str, March | None, Volume]] = [
            ("numba, float32", through("numba"), scene),
            ("torch, float32", through("torch"), scene),
        ]
        if method != "siddon":
            kinds.insert(1, ("numba, 16-bit voxels", packed, scene))
            for storage in ("float32", "uint16", "float16"):
                march = None if on_device is None else on_card(storage)
                kinds.append((f"triton, {storage} voxels", march, on_device or scene))
        for label, march, volume in kinds:
            words: list[Any] = [NOT_MEASURED, *[""] * 6]
            if march is not None:
                words = measured(march, volume, arm, poses, method, step, wanted)
                if not label.startswith("numba"):
                    words[5] = ""
            rows.append([method, label, *words])
            print(*rows[-1], flush=True)
    return rows


def measured(
    march: March,
    volume: Volume,
    arm: CArm,
    poses: Pose,
    method: str,
    step: float,
    wanted: tuple[Tensor, Tensor],
) -> list[Any]:
    """Differences over the largest value, and whether numbers repeat."""

    def run(some: Pose) -> tuple[Tensor, Tensor]:
        image, jacobian = march(volume, arm, some, method, step)
        return image.cpu().double(), jacobian.cpu().double()

    found, again = run(poses), run(poses)
    item = run(Pose.stack([poses[1]]))
    kept = thread_count()
    set_thread_count(1 if kept > 1 else 2)
    threads = run(poses)
    set_thread_count(kept)
    image, jacobian = (
        (f - w).abs() / w.abs().amax((-2, -1), keepdim=True).amax(0)
        for f, w in zip(found, wanted, strict=True)
    )
    apart = max(float((f[1] - o[0]).abs().max()) for f, o in zip(found, item, strict=True))
    return [
        f"{float(image.max()):.1e}",
        f"{float(jacobian.flatten().quantile(0.99)):.1e}",
        f"{float(jacobian.max()):.1e}",
        f"{float(((found[0] - wanted[0]) ** 2).mean().sqrt() / wanted[0].max()):.1e}",
        same(found, again),
        same(found, threads),
        "identical" if apart == 0 else f"{apart:.0e} apart",
    ]


def same(a: tuple[Tensor, Tensor], b: tuple[Tensor, Tensor]) -> str:
    """Bit by bit."""
    return "identical" if all(torch.equal(x, y) for x, y in zip(a, b, strict=True)) else "DIFFERENT"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of the command."""
    parser.add_argument("--pixels", type=int, default=96)


def main(options: argparse.Namespace, folder: Path = report.RESULTS) -> None:
    """Measure and write the page."""
    tiny = getattr(options, "tiny", False)
    volume = phantom(spacing_mm=10.0).volume if tiny else rendering.fine_volume()
    arm = cases.carm(options.pixels)
    x, y, z = volume.center.tolist()
    poses = Pose.stack(
        [arm.world_from_camera(*v, isocenter=(x, y, z)) for v in rendering.VIEWS.values()]
    )
    step = 0.5 * min(volume.spacing)
    rows = rows_of(volume, arm, poses, step)
    env = report.environment()
    header = [
        "method", "backend", "image, largest", "Jacobian, 99 %", "Jacobian, largest", "image, rms",
        "two runs", "1 and 2 threads", "batch and item",
    ]  # fmt: skip
    shown = "a phantom" if tiny else f"{rendering.CT} at 1.5 mm"
    markdown = f"""# Precision and repetition

Image and Jacobian of {shown} ({volume!r}), {options.pixels} pixels, views {rendering.VIEWS}, steps of {step:g} mm, against
the plain torch renderer in float64 with the same samples; over the largest value (of each row of the Jacobian).
{report.described(env)}

{report.table(header, rows)}

A Jacobian's largest errors are of rays that lie on a voxel: there the derivative of the interpolant jumps, and rounding chooses the side. Siddon's derivative
jumps everywhere (for validation of images only). On a card, a small launch may be split into other parts than a large one, so that a batch and its item may differ by rounding. The
gradient to the volume is added by atomic operations there and may differ from run to run; nothing else does.
"""
    report.write("precision", markdown, {"environment": env, "rows": rows}, folder)


def smoke(folder: Path) -> None:
    """A phantom, few pixels."""
    main(argparse.Namespace(pixels=12, tiny=True), folder)
