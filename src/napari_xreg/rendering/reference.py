"""The three integrators in plain torch: any device, any float dtype, differentiable by autograd.

Slow and simple on purpose. Every other backend is held to it, for images, Jacobians and volume
gradients, and it runs where there is no other backend (MPS). All integrate from the source to the
detector (0 <= alpha <= 1); attenuation is zero outside the volume, and interpolation fades to zero
over one voxel outside its outermost voxel centres.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.images import Volume

_SAMPLES_AT_ONCE = 2_000_000  # memory of a chunk: about 100 bytes each in float64


def integrate(
    volume: Volume,
    source: Float[Tensor, "*n 3"],
    rays: Float[Tensor, "n 3"],
    *,
    method: str,
    step_mm: float,
) -> Float[Tensor, "n"]:
    """Line integrals along ``source + alpha rays``, in the dtype of ``volume.lac``.

    Parameters
    ----------
    source, rays
        World, mm; one source for all rays or one each; `rays` reach from the source to the
        detector. Differentiable in both and in ``volume.lac``.
    method
        ``trilinear`` (samples at ``(m + 1/2) step_mm`` from the source), ``joseph`` (bilinear on
        the planes of the index axis along which the ray crosses most voxels) or ``siddon``
        (exact for constant voxels).
    step_mm
        Used by ``trilinear`` only.
    """
    lac = volume.lac
    index_from_world = volume.index_from_world.to(lac.dtype).to(lac.device)
    linear, offset = index_from_world[:3, :3], index_from_world[:3, 3]
    rays = rays.to(lac.dtype).to(lac.device)
    starts = (source.to(lac.dtype).to(lac.device) @ linear.mT + offset).expand(len(rays), 3)
    lengths = torch.linalg.vector_norm(rays, dim=-1)
    directions = rays @ linear.mT
    z, y, x = lac.shape
    if method == "trilinear":
        per_ray = int(float(lengths.detach().max()) / step_mm) + 1 if len(rays) else 1
    else:
        per_ray = x + y + z
    chunk = max(1, _SAMPLES_AT_ONCE // per_ray)
    parts = []
    for at in range(0, len(rays), chunk):
        part = slice(at, at + chunk)
        start, d, length = starts[part], directions[part], lengths[part]
        if method == "trilinear":
            parts.append(_trilinear(lac, start, d, length, step_mm))
        elif method == "joseph":
            parts.append(_joseph(lac, start, d, length))
        elif method == "siddon":
            parts.append(_siddon(lac, start, d, length))
        else:
            raise ValueError(f"method must be trilinear, joseph or siddon: got {method!r}")
    return torch.cat(parts) if parts else lengths * 0


def _trilinear(lac: Tensor, start: Tensor, d: Tensor, length: Tensor, step: float) -> Tensor:
    enter, leave = _clip(start.detach(), d.detach(), _size(lac), -1.0)
    per_sample = step / length
    # Which samples exist is decided in float64, as in the CPU kernels.
    scale = step / length.detach().to(enter.dtype)
    first = torch.ceil(enter / scale - 0.5)
    count = torch.where(enter < leave, torch.floor(leave / scale - 0.5) - first + 1, 0)
    most = int(count.max().clamp_min(0))
    number = torch.arange(most, device=d.device)
    inside = number < count[:, None]
    # A ray that misses may have no finite first sample.
    first = torch.where(count > 0, first, 0)
    m = (first[:, None] + number).to(d)
    alpha = (m + 0.5) * per_sample[:, None]
    points = start[:, None] + alpha[..., None] * d[:, None]
    return step * torch.where(inside, _interpolate(lac, points), 0).sum(1)


def _joseph(lac: Tensor, start: Tensor, d: Tensor, length: Tensor) -> Tensor:
    dominant = d.detach().abs().argmax(1)
    total = torch.zeros_like(length)
    for axis in range(3):
        rays = torch.nonzero(dominant == axis)[:, 0]
        if len(rays) == 0:
            continue
        planes = torch.arange(lac.shape[2 - axis], device=d.device, dtype=d.dtype)
        origin, dr = start[rays], d[rays]
        alpha = (planes - origin[:, axis : axis + 1]) / dr[:, axis : axis + 1]
        inside = (alpha.detach() >= 0) & (alpha.detach() <= 1)
        points = origin[:, None] + alpha[..., None] * dr[:, None]
        on_plane = torch.zeros(3, device=d.device, dtype=torch.bool)
        on_plane[axis] = True
        # Exactly on the plane, so that rounding cannot mix in the next one.
        points = torch.where(on_plane, planes[:, None].expand_as(points), points)
        values = torch.where(inside, _interpolate(lac, points), 0).sum(1)
        total = total.index_add(0, rays, values * length[rays] / dr[:, axis].abs())
    return total


def _siddon(lac: Tensor, start: Tensor, d: Tensor, length: Tensor) -> Tensor:
    size = _size(lac)
    enter, leave = _clip(start.detach(), d.detach(), size, -0.5)
    enter, leave = enter.to(d)[:, None], leave.to(d)[:, None]
    crossings = []
    for axis in range(3):
        walls = torch.arange(size[axis] + 1, device=d.device, dtype=d.dtype) - 0.5
        along = d[:, axis : axis + 1]
        parallel = along == 0
        alpha = (walls - start[:, axis : axis + 1]) / torch.where(parallel, 1, along)
        crossings.append(torch.where(parallel, 2.0, alpha))
    alpha = torch.cat([*crossings, torch.zeros_like(enter), torch.ones_like(enter)], 1)
    alpha, _ = alpha.sort(1)
    middle = ((alpha[:, 1:] + alpha[:, :-1]) / 2).detach()
    inside = (middle > enter) & (middle < leave)
    index = torch.floor(
        start.detach()[:, None] + middle[..., None] * d.detach()[:, None] + 0.5
    ).long()
    values = _lookup(lac, index)
    pieces = alpha[:, 1:] - alpha[:, :-1]
    return length * torch.where(inside, values * pieces, 0).sum(1)


def _size(lac: Tensor) -> tuple[int, int, int]:
    z, y, x = lac.shape
    return x, y, z


def _clip(
    start: Tensor, d: Tensor, size: tuple[int, int, int], low: float
) -> tuple[Tensor, Tensor]:
    """Where each ray is inside the box [low, n - 1 - low], as alpha in float64; empty if never."""
    # MPS knows no float64.
    precise = torch.float32 if d.device.type == "mps" else torch.float64
    start, d = start.to(precise), d.to(precise)
    enter = torch.zeros(len(d), dtype=precise, device=d.device)
    leave = torch.ones_like(enter)
    for axis, n in enumerate(size):
        parallel = d[:, axis] == 0
        safe = torch.where(parallel, 1.0, d[:, axis])
        a = (low - start[:, axis]) / safe
        b = (n - 1 - low - start[:, axis]) / safe
        outside = (start[:, axis] < low) | (start[:, axis] > n - 1 - low)
        enter = torch.where(parallel, enter, torch.maximum(enter, torch.minimum(a, b)))
        leave = torch.where(parallel, leave, torch.minimum(leave, torch.maximum(a, b)))
        leave = torch.where(parallel & outside, -1.0, leave)
    return enter, leave


def _interpolate(lac: Tensor, points: Tensor) -> Tensor:
    """Trilinear values at index points (..., 3), zero beyond the grid."""
    base = torch.floor(points.detach())
    weight = points - base
    index = base.long()
    total = torch.zeros_like(points[..., 0])
    for corner in range(8):
        bits = torch.tensor([corner & 1, corner >> 1 & 1, corner >> 2], device=points.device)
        share = torch.where(bits == 1, weight, 1 - weight).prod(-1)
        total = total + share * _lookup(lac, index + bits)
    return total


def _lookup(lac: Tensor, index: Tensor) -> Tensor:
    """Voxels at integer (x, y, z), zero beyond the grid."""
    x, y, z = _size(lac)
    size = torch.tensor([x, y, z], device=index.device)
    inside = ((index >= 0) & (index < size)).all(-1)
    safe = torch.where(inside[..., None], index, 0)
    flat = (safe[..., 2] * y + safe[..., 1]) * x + safe[..., 0]
    return torch.where(inside, lac.reshape(-1)[flat], 0)


def integrate_with_gradients(
    volume: Volume,
    source: Float[Tensor, "3"],
    rays: Float[Tensor, "n 3"],
    *,
    method: str,
    step_mm: float,
) -> tuple[Float[Tensor, "n"], Float[Tensor, "n 3"], Float[Tensor, "n 3"]]:
    """Integrals, dI/d(source) at fixed r and dI/dr, in world axes, per mm; all detached."""
    with torch.enable_grad():
        sources = source.detach().to(volume.lac).expand(len(rays), 3).clone().requires_grad_()
        vectors = rays.detach().to(volume.lac).clone().requires_grad_()
        fixed = Volume(volume.lac.detach(), volume.world_from_index)
        image = integrate(fixed, sources, vectors, method=method, step_mm=step_mm)
        # Rays do not know each other, so the gradient of the sum holds each ray's own.
        by_source, by_ray = torch.autograd.grad(image.sum(), (sources, vectors), allow_unused=True)
    zero = torch.zeros_like(vectors)
    return (
        image.detach(),
        zero if by_source is None else by_source,
        zero if by_ray is None else by_ray,
    )
