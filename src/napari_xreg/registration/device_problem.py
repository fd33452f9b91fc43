"""The least-squares problem of a refinement for a batch of poses on a device.

The same sums as `problem`, in torch: one launch renders all poses of a batch, and nothing waits for
the device. The parity of the two is a test.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.images import Radiograph, Volume
from napari_xreg.registration.device_tone import DeviceTone, fit_tone, median, outlier_weights
from napari_xreg.registration.levels import Level
from napari_xreg.registration.problem import SMALLEST_SPREAD, ViewProblem
from napari_xreg.registration.views import View, at_pixels
from napari_xreg.rendering import render_with_jacobian


@dataclass(frozen=True, eq=False)
class Seen:
    """What the march gave at every pose of a batch, and what was fitted there.

    `weights` per channel [s n]; each row sums to 1.
    """

    image: Float[Tensor, "s rows columns"]
    jacobian: Float[Tensor, "s 6 rows columns"]
    tone: DeviceTone | None = None
    weights: tuple[Tensor, ...] = ()

    def where(self, taken: Tensor, other: "Seen") -> "Seen":
        """This one where `taken` [s], else the other."""
        tone = self.tone
        if tone is not None and other.tone is not None:
            tone = tone.where(taken, other.tone)
        return Seen(
            torch.where(taken[:, None, None], self.image, other.image),
            torch.where(taken[:, None, None, None], self.jacobian, other.jacobian),
            tone,
            tuple(
                torch.where(taken[:, None], a, b)
                for a, b in zip(self.weights, other.weights, strict=True)
            ),
        )


@dataclass(frozen=True, eq=False)
class Model:
    """Residuals of every pose, summed."""

    loss: Float[Tensor, "s"]
    terms: Float[Tensor, "s terms"]
    hessian: Float[Tensor, "s 6 6"]
    gradient: Float[Tensor, "s 6"]

    def where(self, taken: Tensor, other: "Model") -> "Model":
        """This one where `taken` [s], else the other."""
        return Model(
            torch.where(taken, self.loss, other.loss),
            torch.where(taken[:, None], self.terms, other.terms),
            torch.where(taken[:, None, None], self.hessian, other.hessian),
            torch.where(taken[:, None], self.gradient, other.gradient),
        )


class DeviceViewProblem:
    """One radiograph against one volume on its device at one level.

    Parameters
    ----------
    volume
        Rendered as it is (`hardening` scales its bone beforehand).
    host
        The same problem for the CPU: pixels, weights and filters are taken from it.
    """

    def __init__(self, volume: Volume, host: ViewProblem, level: Level) -> None:
        device = volume.lac.device
        self._volume, self._host, self._method = volume, host, level.method
        self.channels = host.channels
        self.names = tuple(channel.name for channel in host.compared)
        self._shares = [channel.weight for channel in host.compared]
        self._index = [torch.from_numpy(c.index).to(device) for c in host.compared]
        self._priors = [torch.from_numpy(c.prior).to(device) for c in host.compared]
        self._target = torch.from_numpy(host.target).to(device)
        self._usable = torch.from_numpy(host.usable).to(device)
        smooth, slope = (torch.from_numpy(kernel).to(device) for kernel in host.kernels)
        self._smooth, self._slope = smooth, slope
        self._edges = [_mirrored(n, len(smooth) // 2).to(device) for n in host.target.shape]

    def observe(self, poses: Pose, pivot: Float[Tensor, "3"]) -> Seen:
        """Images and Jacobians of a batch of poses."""
        image, jacobian = render_with_jacobian(
            self._volume, self._host.radiograph.carm, poses, pivot=pivot, method=self._method
        )
        return Seen(image.float(), jacobian.float())

    def fitted(self, seen: Seen) -> Seen:
        """With the tone and the robust weights that belong to it."""
        tone = None
        if self.channels.tone:
            tone = fit_tone(seen.image, self._target, self._usable)
        starts = len(seen.image)
        priors = tuple(prior.expand(starts, -1) for prior in self._priors)
        scale = self.channels.outlier_scale
        if scale is None:
            return replace(seen, tone=tone, weights=priors)
        weights = []
        for number, (values, _, target) in enumerate(self._planes(seen, tone, slopes=False)):
            z, _ = _standardised(values, priors[number])
            t, _ = _standardised(target, priors[number])
            residual = z - t
            weight = priors[number] * outlier_weights(
                residual, centre=median(residual), scale=scale, least=1e-6
            )
            weights.append(weight / weight.sum(-1, keepdim=True))
        return replace(seen, tone=tone, weights=tuple(weights))

    def linearise(self, seen: Seen, nuisance: Seen) -> Model:
        """Loss, Gauss-Newton matrix and gradient of every pose under fitted tone and weights."""
        starts = len(seen.image)
        zero = seen.image.new_zeros(starts, dtype=torch.float64)
        loss, terms = zero, []
        hessian, gradient = zero[:, None, None].expand(-1, 6, 6), zero[:, None].expand(-1, 6)
        planes = self._planes(seen, nuisance.tone, slopes=True)
        for share, w, (values, slopes, target) in zip(
            self._shares, nuisance.weights, planes, strict=True
        ):
            z, spread = _standardised(values, w)
            t, _ = _standardised(target, w)
            residual = z - t
            # dz = (dI - mean(dI) - z mean(z dI)) / std. Sums by products and no matmul: the same on
            # every run, and never in TF32.
            mean = (slopes * w[:, None]).sum(-1, keepdim=True)
            along = (slopes * (w * z)[:, None]).sum(-1, keepdim=True)
            dz = (slopes - mean - along * z[:, None]) / spread[:, None]
            weighted = dz * w[:, None]
            value = 0.5 * (w * residual * residual).sum(-1).double()
            terms.append(value)
            loss = loss + share * value
            rows = [(weighted[:, i : i + 1] * dz).sum(-1) for i in range(6)]
            hessian = hessian + share * torch.stack(rows, 1).double()
            gradient = gradient + share * (weighted * residual[:, None]).sum(-1).double()
        return Model(loss, torch.stack(terms, -1), hessian, gradient)

    def _planes(
        self, seen: Seen, tone: DeviceTone | None, *, slopes: bool
    ) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Per channel: DRR [s n], its Jacobian [s 6 n], radiograph [s n], filtered alike."""
        image, jacobian = seen.image, seen.jacobian
        target = self._target.expand_as(image)
        if tone is not None:
            image, steepness = tone.apply(image)
            jacobian = jacobian * steepness[:, None] if slopes else jacobian
            target = target - tone.field
        stack = torch.stack([target, image], 1)
        if slopes:
            stack = torch.cat([stack, jacobian], 1)
        filtered = {"intensity": stack}
        if any(name != "intensity" for name in self.names):
            smooth, slope = self._smooth, self._slope
            filtered["gradient_rows"] = self._filter(self._filter(stack, smooth, 1), slope, 0)
            filtered["gradient_columns"] = self._filter(self._filter(stack, slope, 1), smooth, 0)
        found = []
        for name, index in zip(self.names, self._index, strict=True):
            used = filtered[name].flatten(2)
            if index.numel() < used.shape[-1]:
                used = used[..., index]
            found.append((used[:, 1], used[:, 2:], used[:, 0]))
        return found

    def _filter(self, planes: Tensor, kernel: Tensor, axis: int) -> Tensor:
        """Along rows' index (0) or columns' (1), mirrored at the edge."""
        along = axis - 2
        wide = planes.index_select(planes.ndim + along, self._edges[axis])
        n = planes.shape[along]
        total = kernel[0] * wide.narrow(along, 0, n)
        for tap in range(1, len(kernel)):
            total = total + kernel[tap] * wide.narrow(along, tap, n)
        return total


class DeviceProblem:
    """The mean of `DeviceViewProblem` over all views, for twists that move them together."""

    def __init__(
        self, volume: Volume, views: Sequence[View], level: Level, pivot: Float[Tensor, "3"]
    ) -> None:
        self.parts = []
        for view in views:
            radiograph: Radiograph = at_pixels(view.radiograph, level.pixels)
            host = ViewProblem(None, radiograph, level.channels, method=level.method)
            self.parts.append(DeviceViewProblem(volume, host, level))
        self.pivot = pivot.to(volume.lac.device, torch.float64)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the terms of a `Model`; those of further views are numbered."""
        if len(self.parts) == 1:
            return self.parts[0].names
        return tuple(
            f"{name}[{number}]" for number, part in enumerate(self.parts, 1) for name in part.names
        )

    def observe(self, poses: Sequence[Pose]) -> tuple[Seen, ...]:
        """Render every view."""
        return tuple(
            part.observe(pose, self.pivot) for part, pose in zip(self.parts, poses, strict=True)
        )

    def fitted(self, seen: Sequence[Seen]) -> tuple[Seen, ...]:
        """Tone and robust weights of every view."""
        return tuple(part.fitted(s) for part, s in zip(self.parts, seen, strict=True))

    def linearise(self, seen: Sequence[Seen], nuisances: Sequence[Seen]) -> Model:
        """Mean over the views."""
        models = [
            part.linearise(s, nuisance)
            for part, s, nuisance in zip(self.parts, seen, nuisances, strict=True)
        ]
        n = len(models)
        return Model(
            torch.stack([m.loss for m in models]).sum(0) / n,
            torch.cat([m.terms for m in models], -1),
            torch.stack([m.hessian for m in models]).sum(0) / n,
            torch.stack([m.gradient for m in models]).sum(0) / n,
        )


def _standardised(values: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
    centred = values - (w * values).sum(-1, keepdim=True)
    spread = (w * centred * centred).sum(-1, keepdim=True).sqrt().clamp_min(SMALLEST_SPREAD)
    return centred / spread, spread


def _mirrored(n: int, reach: int) -> Tensor:
    """Indices -reach .. n + reach - 1 folded back at the edges, which count twice."""
    at = torch.arange(-reach, n + reach) % (2 * n)
    return torch.where(at < n, at, 2 * n - 1 - at)
