"""Render radiographs of a volume, and how they change with the pose. The public functions."""

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import CArm, Pose
from napari_xreg.images import Volume
from napari_xreg.rendering import on_cuda
from napari_xreg.rendering.autograd import march_differentiably
from napari_xreg.rendering.backends import Backend, choose_backend
from napari_xreg.rendering.checked import check_pixels, check_poses
from napari_xreg.rendering.cpu.march import METHODS, Method, march_view
from napari_xreg.rendering.excess import Excess, excess_of
from napari_xreg.rendering.jacobian import twist_jacobian
from napari_xreg.rendering.prepared import prepare
from napari_xreg.rendering.reference import integrate, integrate_with_gradients


def render_drr(
    volume: Volume,
    carm: CArm,
    world_from_camera: Pose,
    *,
    method: Method = "trilinear",
    step_mm: float | None = None,
    pixels: Float[Tensor, "n 2"] | None = None,
    backend: Backend = "auto",
) -> Float[Tensor, "*batch_and_pixels"]:
    r"""Render digitally reconstructed radiographs of a volume.

    Each pixel is the line integral of attenuation from the source to the centre of
    that pixel,

    .. math:: p = \int \mu(x)\,dx \approx \Delta \sum_i \mu(x_i),

    Attenuation is zero outside the volume; interpolation fades to zero over one voxel
    beyond the outermost voxel centres. Differentiable (once) in `world_from_camera` and in
    ``volume.lac``.

    Parameters
    ----------
    volume
        Linear attenuation, 1/mm.
    carm
        Source, detector and their distance.
    world_from_camera
        One pose per radiograph.
    method
        ``trilinear``: midpoint rule with trilinear interpolation at ``(m + 1/2) step_mm`` from
        the source. ``joseph`` [2]_: bilinear interpolation on the voxel planes the ray crosses
        most of; several times faster, as accurate as steps of 0.6 mm (1.5 mm voxels) near an
        axis of the grid and of about 1.5 to 2 mm at 40 degrees. ``siddon`` [3]_: exact for
        voxels of constant attenuation; its derivative is noise, so for validation only.
    step_mm
        Length of a step along every ray, mm; used by ``trilinear`` only. Smaller is slower and
        closer to the integral. None: half the smallest voxel spacing.
    pixels
        Row, column of the pixels to render, fractional allowed. None: the whole detector.
    backend
        ``numba`` (fused CPU kernels, float32 arithmetic), ``triton`` (the same on a CUDA device),
        ``torch`` (plain, slow, any device and precision) or ``auto``: for float32 volumes numba on
        the CPU and triton on CUDA where it is installed, torch for all others (MPS, float64).

    Returns
    -------
    Tensor
        Line integrals, dimensionless (they are ``-log(I / I0)`` of a monochromatic
        beam): ``*batch rows columns``, or ``*batch n`` for a pixel list. Float as
        ``volume.lac``, on its device.

    Raises
    ------
    ValueError
        If a pose or a pixel is not finite, or absurdly far away; if `step_mm` is not positive,
        longer than the shortest ray or absurdly small; if `method` or `backend` is unknown; if the backend asked for cannot render where the volume is, or not this way.
    OutOfMemory
        If one pose alone does not fit the memory of the device.

    See Also
    --------
    napari_xreg.images.lac_from_hu : Attenuation from a CT in Hounsfield units.

    References
    ----------
    .. [1] Gopalakrishnan and Golland, "Fast auto-differentiable digitally
       reconstructed radiographs for solving inverse problems in intraoperative
       imaging", CLIP 2022.
    .. [2] Joseph, "An improved algorithm for reprojecting rays through pixel images",
       IEEE Trans. Med. Imaging 1 (1982).
    .. [3] Siddon, "Fast calculation of the exact radiological path for a
       three-dimensional CT array", Med. Phys. 12 (1985).

    Examples
    --------
    A cube of 12 voxels of 1 mm at 0.02/mm casts a shadow of 0.24:

    >>> from napari_xreg.geometry import Detector
    >>> world_from_index = torch.eye(4)
    >>> world_from_index[:3, 3] = -5.5
    >>> cube = Volume(torch.full((12, 12, 12), 0.02), world_from_index)
    >>> carm = CArm(1000.0, 600.0, Detector(shape=(1, 1), spacing=(1.0, 1.0)))
    >>> frontal = carm.world_from_camera(0.0, 0.0, isocenter=torch.zeros(3))
    >>> render_drr(cube, carm, frontal, step_mm=0.125)
    tensor([[0.2400]])
    """
    step, chosen = _checked(volume, carm, method, step_mm, backend)
    check_poses(world_from_camera)
    check_pixels(carm, pixels)
    numba = chosen == "numba"
    shape = carm.detector.shape if pixels is None else (len(pixels),)
    poses = _flattened(world_from_camera)
    if chosen == "triton":
        integrals = on_cuda.render(volume, carm, poses, method=method, step_mm=step, pixels=pixels)
        return integrals.reshape(*world_from_camera.batch_shape, *shape)
    fixed = not (
        volume.lac.requires_grad or poses.rotation.requires_grad or poses.translation.requires_grad
    )
    images = []
    for pose in (poses[i] for i in range(len(poses.translation))):
        if numba and (fixed or not torch.is_grad_enabled()):
            image = torch.from_numpy(
                march_view(
                    prepare(volume), carm, pose, method=method, step_mm=step, jacobian=False,
                    pixels=None if pixels is None else pixels.detach().cpu().double().numpy(),
                )[0]
            ).to(volume.lac)  # fmt: skip
        else:
            source, rays = carm.rays(pose, pixels)
            march = march_differentiably if numba else integrate
            image = march(volume, source, rays, method=method, step_mm=step)
        images.append(image.reshape(shape))
    if not images:
        return volume.lac.new_zeros((*world_from_camera.batch_shape, *shape))
    return torch.stack(images).reshape(*world_from_camera.batch_shape, *shape)


def render_with_jacobian(
    volume: Volume,
    carm: CArm,
    world_from_camera: Pose,
    *,
    pivot: Float[Tensor, "3"] | tuple[float, float, float],
    method: Method = "trilinear",
    step_mm: float | None = None,
    pixels: Float[Tensor, "n 2"] | None = None,
    backend: Backend = "auto",
    excess: Excess | None = None,
) -> tuple[Float[Tensor, "*batch_and_pixels"], Float[Tensor, "*batch_6_and_pixels"]]:
    """Radiographs and their derivative by the pose, from one march along every ray.

    The derivative is that of the sum the method computes, exactly, not of the integral it
    approximates. (The interpolant has kinks at voxel boundaries; there it is one of the two sides.)

    Parameters
    ----------
    volume, carm, world_from_camera, method, step_mm, pixels, backend
        As for `render_drr`.
    pivot
        World point that a pure rotation leaves in place, mm: the isocenter.
    excess
        Scale what exceeds an attenuation, by a gain for each pose. On a CUDA device with Triton that
        is part of the march; elsewhere the excess is marched by itself and added.

    Returns
    -------
    image
        As `render_drr`; not connected to autograd.
    jacobian
        ``*batch 6 rows columns`` (or ``*batch 6 n``): derivative by the left twist (omega, v) of
        `Pose.left_perturb` about the pivot, in world axes; omega x, y, z per rad, v x, y, z
        per mm. Float as ``volume.lac``.

    Raises
    ------
    ValueError
        As `render_drr`; if the gains are not one per pose.
    """
    if excess is not None and excess.gains.shape != world_from_camera.batch_shape:
        raise ValueError(
            f"a gain for every pose is needed, {tuple(world_from_camera.batch_shape)}: got "
            f"{tuple(excess.gains.shape)}"
        )
    step, chosen = _checked(volume, carm, method, step_mm, backend)
    # A refinement on a device asks here every iteration, and waits for nothing: it has checked.
    if chosen != "triton" or world_from_camera.rotation.device != volume.lac.device:
        check_poses(world_from_camera)
        check_pixels(carm, pixels)
    numba = chosen == "numba"
    shape = carm.detector.shape if pixels is None else (len(pixels),)
    poses = _flattened(world_from_camera)
    center = torch.as_tensor(pivot).detach()
    if chosen == "triton":
        if excess is not None:
            excess = Excess(excess.threshold, excess.gains.reshape(-1))
        flat, slopes = on_cuda.render_with_jacobian(
            volume, carm, poses, pivot=center, method=method, step_mm=step, pixels=pixels,
            excess=excess,
        )  # fmt: skip
        batch = world_from_camera.batch_shape
        return (
            flat.to(volume.lac).reshape(*batch, *shape),
            slopes.to(volume.lac).reshape(*batch, 6, *shape),
        )
    if excess is not None:
        plain, above = (
            render_with_jacobian(
                part, carm, world_from_camera, pivot=center, method=method, step_mm=step,
                pixels=pixels, backend=backend,
            )
            for part in (volume, excess_of(volume, excess.threshold))
        )  # fmt: skip
        gains = excess.gains.to(plain[0])
        dims = [1] * (plain[0].ndim - gains.ndim)
        return (
            plain[0] + gains.reshape(*gains.shape, *dims) * above[0],
            plain[1] + gains.reshape(*gains.shape, 1, *dims) * above[1],
        )
    images, jacobians = [], []
    for pose in (poses[i] for i in range(len(poses.translation))):
        if numba:
            image, jacobian = (
                torch.from_numpy(array)
                for array in march_view(
                    prepare(volume), carm, pose, pivot=center.double().numpy(), method=method,
                    step_mm=step,
                    pixels=None if pixels is None else pixels.detach().cpu().double().numpy(),
                )
            )  # fmt: skip
        else:
            source, rays = (t.detach().to(volume.lac) for t in carm.rays(pose, pixels))
            image, by_source, by_ray = integrate_with_gradients(
                volume, source, rays, method=method, step_mm=step
            )
            jacobian = twist_jacobian(by_source, by_ray, source, rays, center.to(volume.lac))
        images.append(image.reshape(shape))
        jacobians.append(jacobian.reshape(6, *shape))
    batch = world_from_camera.batch_shape
    if not images:
        empty = volume.lac.new_zeros
        return empty((*batch, *shape)), empty((*batch, 6, *shape))
    return (
        torch.stack(images).to(volume.lac).reshape(*batch, *shape),
        torch.stack(jacobians).to(volume.lac).reshape(*batch, 6, *shape),
    )


def _checked(
    volume: Volume, carm: CArm, method: str, step_mm: float | None, backend: str
) -> tuple[float, str]:
    """The step to use, and the backend that does it."""
    if method not in METHODS:
        raise ValueError(f"method must be one of {', '.join(METHODS)}: got {method!r}")
    step = 0.5 * min(volume.spacing) if step_mm is None else float(step_mm)
    if not 0 < step <= carm.source_to_detector:
        raise ValueError(
            "step_mm must be positive and not longer than a ray: got "
            f"{step} mm with source_to_detector={carm.source_to_detector} mm"
        )
    return step, choose_backend(volume, method, backend)


def _flattened(pose: Pose) -> Pose:
    return Pose(pose.rotation.reshape(-1, 3, 3), pose.translation.reshape(-1, 3))
