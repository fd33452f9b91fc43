"""Whether the kernels work on a card: a small picture both ways, the first time it is asked for.

Triton builds its launcher with a C compiler, which not every machine has, and a card or driver may
be one that nobody tried. Then rendering goes on without the kernels, and a sentence says so.
"""

import threading
import warnings

import torch

from napari_xreg.geometry import CArm, Detector, Pose
from napari_xreg.images import Volume
from napari_xreg.rendering import on_cuda
from napari_xreg.rendering.cuda import CLOSE
from napari_xreg.rendering.excess import Excess, excess_of
from napari_xreg.rendering.jacobian import twist_jacobian
from napari_xreg.rendering.reference import integrate_with_gradients

_verdicts: dict[torch.device, bool] = {}
_lock = threading.Lock()


def works(device: torch.device) -> bool:
    """Whether the kernels may be used there; found out once, and said once if not.

    Warns
    -----
    RuntimeWarning
        What is wrong.
    """
    with _lock:
        if device not in _verdicts:
            wrong = trouble(device)
            _verdicts[device] = wrong is None
            if wrong is not None:
                warnings.warn(
                    f"the rendering kernels do not work on {device} and are left out, which is "
                    f"slower: {wrong}",
                    RuntimeWarning,
                    stacklevel=3,
                )
        return _verdicts[device]


def trouble(device: torch.device) -> str | None:
    """What is wrong with the kernels there, in a sentence; None if nothing is.

    Raises
    ------
    torch.OutOfMemoryError
        If the card is full, which says nothing of the kernels.
    """
    try:
        off = max(_difference(device, method) for method in ("trilinear", "joseph"))
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        words = str(error).strip().splitlines() or ["no reason given"]
        hint = "; install one (gcc), or set CC to it" if "C compiler" in words[0] else ""
        return f"{type(error).__name__}: {words[0]}{hint}"
    if not off <= CLOSE:
        return f"their pictures differ by {off:.1e} of the largest value from those of float64"
    return None


def _difference(device: torch.device, method: str) -> float:
    """From float64 on the CPU: image and Jacobian of a random volume, its brighter part scaled."""
    generator = torch.Generator().manual_seed(7)
    lac = 0.02 * torch.rand(9, 8, 10, generator=generator, dtype=torch.float64)
    grid = torch.diag(torch.tensor([4.1, 3.3, 5.2, 1.0], dtype=torch.float64))
    precise = Volume(lac, grid)
    carm = CArm(1020.0, 700.0, Detector((5, 6), (9.1, 8.3), (1.9, 2.7)))
    poses = Pose.stack(
        [carm.world_from_camera(*view, isocenter=precise.center) for view in ((21, 13), (-70, 31))]
    )
    gains, step = (0.4, -0.3), 1.9
    image, jacobian = on_cuda.render_with_jacobian(
        precise.to(dtype=torch.float32, device=device), carm, poses, pivot=precise.center,
        method=method, step_mm=step,
        excess=Excess(0.011, torch.tensor(gains, device=device)),
    )  # fmt: skip
    found = torch.cat([image[:, None], jacobian], 1).cpu().double()
    worst = 0.0
    for number, gain in enumerate(gains):
        source, rays = (t.double() for t in carm.rays(poses[number]))
        parts = []
        for part in (precise, excess_of(precise, 0.011)):
            integral, by_source, by_ray = integrate_with_gradients(
                part, source, rays, method=method, step_mm=step
            )
            slopes = twist_jacobian(by_source, by_ray, source, rays, precise.center.double())
            parts.append(torch.cat([integral[None], slopes]))
        wanted = parts[0] + gain * parts[1]
        apart = (found[number] - wanted).abs().amax(1) / wanted.abs().amax(1)
        # NaN is the largest.
        worst = max(worst, float(torch.nan_to_num(apart, nan=torch.inf).max()))
    return worst
