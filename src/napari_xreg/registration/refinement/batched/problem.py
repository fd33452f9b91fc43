"""The least-squares problem of a refinement for a batch of poses on a device.

The same sums as `host.view_problem`, in torch: one launch renders all poses of a batch, and nothing
waits for the device. The poses may be those of one radiograph or of many; radiographs of one batch
share their C-arm's geometry. The parity with the CPU's code is a test.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.images import Volume
from napari_xreg.metrics import SMALLEST_SPREAD, is_flat
from napari_xreg.registration.refinement.batched.correlated import correlated_sums
from napari_xreg.registration.refinement.batched.tone import (
    DeviceTone,
    ToneFit,
    median,
    outlier_weights,
)
from napari_xreg.registration.refinement.host.hardening import water_lac
from napari_xreg.registration.refinement.host.tone import MOST_PIXELS
from napari_xreg.registration.refinement.host.view_problem import OPAQUE, ViewProblem
from napari_xreg.registration.refinement.problem import Model
from napari_xreg.registration.refinement.second_order.levels import Level
from napari_xreg.registration.refinement.second_order.look import Look
from napari_xreg.rendering import Excess, render_with_jacobian


@dataclass(frozen=True, eq=False)
class Seen:
    """What the march gave at every pose of a batch, and what was fitted there.

    `weights` of every channel sum to 1.
    """

    image: Float[Tensor, "s rows columns"]
    jacobian: Float[Tensor, "s 6 rows columns"]
    tone: DeviceTone | None = None
    weights: Float[Tensor, "s channels n"] | None = None

    def where(self, taken: Tensor, other: "Seen") -> "Seen":
        """This one where `taken` [s], else the other."""
        tone, weights = self.tone, self.weights
        if tone is not None and other.tone is not None:
            tone = tone.where(taken, other.tone)
        if weights is not None and other.weights is not None:
            weights = torch.where(taken[:, None, None], weights, other.weights)
        return Seen(
            torch.where(taken[:, None, None], self.image, other.image),
            torch.where(taken[:, None, None, None], self.jacobian, other.jacobian),
            tone,
            weights,
        )


class DeviceViewProblem:
    """One radiograph for every pose of a batch, against one volume on its device, at one level.

    Parameters
    ----------
    volume
        CT at the level's resolution.
    hosts
        The same problem for the CPU, for each radiograph: pixels, weights and filters are taken from
        them.
    of
        Which radiograph each pose belongs to.
    """

    def __init__(
        self, volume: Volume, hosts: Sequence[ViewProblem], of: Int[Tensor, "s"], level: Level
    ) -> None:
        device = volume.lac.device
        first = hosts[0]
        self._volume, self._method = volume, level.method
        self._carm = first.radiograph.carm
        self.channels = first.channels
        known = {channel.name: channel for host in hosts for channel in host.compared}
        # What needs no filter first: `_planes` puts them together so.
        compared = sorted(known.values(), key=lambda channel: channel.size > 1)
        self.names = tuple(channel.name for channel in compared)
        self.shares = torch.tensor(
            [channel.weight for channel in compared], dtype=torch.float64, device=device
        )

        def items(stack: np.ndarray) -> Tensor:
            there = torch.from_numpy(stack).to(device)
            return there.expand(len(of), *stack.shape[1:]) if len(stack) == 1 else there[of]

        self._target = items(np.stack([host.target for host in hosts]))
        over = [host.scatter for host in hosts]
        # A part of the open beam that is not there changes nothing.
        self._scatter = (
            None
            if all(each is None for each in over)
            else items(np.stack([np.zeros_like(first.target) if s is None else s for s in over]))
        )
        priors = np.zeros((len(hosts), len(self.names), first.target.size), np.float32)
        for number, host in enumerate(hosts):
            for channel in host.compared:
                priors[number, self.names.index(channel.name), channel.index] = channel.prior
        self._prior = items(priors)
        # Of a channel that a mask leaves nothing of, any pixel may count: none weighs anything.
        counted = (priors > 0) | ~priors.any(-1, keepdims=True)
        self._valid = None if counted.all() else items(counted)
        # Fits grey values; None where the level compares them as they are.
        self.tone: ToneFit | None = None
        if self.channels.tone:
            pixels, there = _sampled([host.usable for host in hosts])
            valid = None if there.all() else items(there)
            self.tone = ToneFit(self._target, items(pixels), valid)
        self._plain = sum(channel.size == 1 for channel in compared)
        kernels = [channel.kernels for channel in compared[self._plain :]]
        reach = max((channel.size // 2 for channel in compared), default=0)
        # Along a row, then along a column, of each filtered channel.
        self._taps = tuple(
            torch.from_numpy(np.stack([np.pad(k, reach - k.size // 2) for k in axis])).to(device)
            for axis in zip(*kernels, strict=True)
        )
        rows, columns = first.target.shape
        self._edges = (_mirrored(columns, reach).to(device), _mirrored(rows, reach).to(device))

    def observe(
        self, poses: Pose, pivot: Float[Tensor, "3"], gains: Float[Tensor, "s"] | None
    ) -> Seen:
        """Images and Jacobians of a batch of poses."""
        image, jacobian = render_with_jacobian(
            self._volume, self._carm, poses, pivot=pivot, method=self._method,
            excess=None if gains is None else Excess(water_lac(), gains),
        )  # fmt: skip
        return Seen(image.float(), jacobian.float())

    def fitted(self, seen: Seen) -> Seen:
        """With the tone and the robust weights that belong to it."""
        tone = None if self.tone is None else self.tone(self._with_scatter(seen.image)[0])
        scale = self.channels.outlier_scale
        if scale is None:
            return replace(seen, tone=tone, weights=self._prior)
        pair, _ = self._planes(seen, tone, slopes=False)
        scored, _ = _standardised(pair, self._prior)
        residual = scored[:, :, 1] - scored[:, :, 0]
        weights = self._prior * outlier_weights(
            residual, centre=median(residual, self._valid), scale=scale, least=1e-6,
            valid=self._valid,
        )  # fmt: skip
        total = weights.sum(-1, keepdim=True).clamp_min(torch.finfo(weights.dtype).tiny)
        return replace(seen, tone=tone, weights=weights / total)

    def linearise(self, seen: Seen, nuisance: Seen) -> Float[Tensor, "s channels 7 7"]:
        """`Model.sums` of every pose under fitted tone and weights."""
        weights = nuisance.weights
        assert weights is not None
        both = torch.cat(self.residuals(seen, nuisance), 2)
        # In float64, which no setting turns into TF32.
        sums: Tensor = (both * weights[:, :, None]).double() @ both.double().mT
        return sums

    def residuals(
        self, seen: Seen, nuisance: Seen
    ) -> tuple[Float[Tensor, "s channels 6 n"], Float[Tensor, "s channels 1 n"]]:
        """Slopes and residuals pixel by pixel: `problem.residuals`."""
        w = nuisance.weights
        assert w is not None
        pair, slopes = self._planes(seen, nuisance.tone, slopes=True)
        scored, spreads = _standardised(pair, w)
        t, z, spread = scored[:, :, :1], scored[:, :, 1:], spreads[:, :, 1:]
        # dz = (dI - mean(dI) - z mean(z dI)) / std. Sums by products and no matmul: the same on
        # every run, and never in TF32.
        weighted = slopes * w[:, :, None]
        mean = weighted.sum(-1, keepdim=True)
        along = (weighted * z).sum(-1, keepdim=True)
        return torch.addcmul(slopes - mean, along, z, value=-1.0) / spread, z - t

    def scores(self, seen: Seen) -> Float[Tensor, "s 6 rows columns"]:
        """The gradient of the loss pixel by pixel: for `confidence`."""
        assert seen.weights is not None
        slopes, residual = self.residuals(seen, seen)
        felt = self.shares[:, None] * seen.weights * residual[:, :, 0]
        total = (slopes.double() * felt[:, :, None]).sum(1)
        return total.reshape(len(total), 6, *seen.image.shape[1:])

    def _with_scatter(
        self, image: Float[Tensor, "s rows columns"]
    ) -> tuple[Float[Tensor, "s rows columns"], Float[Tensor, "s rows columns"] | None]:
        """`view_problem.with_scatter`; None: as they are."""
        if self._scatter is None:
            return image, None
        primary = torch.exp(-image.clamp_max(OPAQUE))
        total = primary + self._scatter
        return -torch.log(total), primary / total

    def _planes(
        self, seen: Seen, tone: DeviceTone | None, *, slopes: bool
    ) -> tuple[Float[Tensor, "s channels 2 n"], Float[Tensor, "s channels k n"]]:
        """Radiograph and DRR, and the DRR's Jacobian: channels, filtered alike."""
        image, jacobian, target = seen.image, seen.jacobian, self._target
        image, share = self._with_scatter(image)
        if share is not None and slopes:
            jacobian = jacobian * share[:, None]
        if tone is not None:
            image, steepness = tone.apply(image)
            jacobian = jacobian * steepness[:, None] if slopes else jacobian
            target = target - tone.field
        stack = torch.stack([target, image], 1)
        if slopes:
            stack = torch.cat([stack, jacobian], 1)
        compared = stack[None]
        if self._taps:
            filtered = compared
            for axis, (taps, edges) in enumerate(zip(self._taps, self._edges, strict=True)):
                filtered = _filtered(filtered, taps, edges, -1 - axis)
            plain = [compared] * self._plain
            compared = torch.cat([*plain, filtered]) if plain else filtered
        elif self._plain > 1:
            compared = compared.expand(self._plain, *compared.shape[1:])
        planes = compared.transpose(0, 1).flatten(3)
        return planes[:, :, :2], planes[:, :, 2:]


class DeviceProblem:
    """See `Problem`: the mean of `DeviceViewProblem` over all views.

    Parameters
    ----------
    look
        What is looked at, its volume on the device.
    of
        Which case each pose of a batch belongs to.
    gains
        How much brighter bone is in each case, see `hardening`; None: as it is.
    """

    def __init__(
        self,
        look: Look,
        of: Int[Tensor, "s"],
        gains: Float[Tensor, "cases"] | None = None,
    ) -> None:
        device = look.volume.lac.device
        of = of.to(device)
        level = look.level
        self.parts = []
        for radiographs, scatter in zip(
            zip(*look.cases, strict=True), zip(*look.scattered, strict=True), strict=True
        ):
            # What the CPU prepares: usable pixels, weights, filters.
            hosts = [
                ViewProblem(radiograph, level.channels, scatter=over, method=level.method)
                for radiograph, over in zip(radiographs, scatter, strict=True)
            ]
            self.parts.append(DeviceViewProblem(look.volume, hosts, of, level))
        self.pivot = look.pivot.to(device, torch.float64)
        self._gains = None if gains is None else gains.to(device)[of]
        self._shares = torch.cat([part.shares for part in self.parts]) / len(self.parts)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the terms of a `Model`."""
        if len(self.parts) == 1:
            return self.parts[0].names
        return tuple(
            f"{name}[{number}]" for number, part in enumerate(self.parts, 1) for name in part.names
        )

    def begin(self, poses: tuple[Pose, ...]) -> tuple[tuple[Seen, ...], Model]:
        """Under the tone and the weights that belong to these very poses."""
        seen = self._fitted(self._observe(poses))
        return seen, self._linearise(seen, seen)

    def attempt(
        self, poses: tuple[Pose, ...], held: tuple[Seen, ...], rows: Bool[Tensor, "s"]
    ) -> tuple[tuple[Seen, ...], Model]:
        """Under the tone and the weights of `held`; of all rows, which needs no answer."""
        seen = self._observe(poses)
        return seen, self._linearise(seen, held)

    def renew(
        self,
        seen: tuple[Seen, ...],
        before: tuple[Seen, ...],
        model: Model,
        taken: Bool[Tensor, "s"],
    ) -> tuple[tuple[Seen, ...], Model]:
        """Where `taken`, `seen` under its own tone and weights; elsewhere as before."""
        fitted = self._fitted(seen)
        chosen = tuple(new.where(taken, old) for new, old in zip(fitted, before, strict=True))
        return chosen, self._linearise(fitted, fitted).where(taken, model)

    def drrs(self, seen: tuple[Seen, ...]) -> Float[Tensor, "s rows columns"]:
        """Of the first view."""
        return seen[0].image

    def flat(self, seen: tuple[Seen, ...], rows: Sequence[int]) -> list[bool]:
        """Whether no view shows anything."""
        flat = torch.stack([is_flat(each.image[list(rows)].flatten(1)) for each in seen])
        every: list[bool] = flat.all(0).tolist()
        return every

    def correlated_sums(
        self, seen: tuple[Seen, ...], rows: Sequence[int]
    ) -> npt.NDArray[np.float64]:
        """See `Problem`."""
        total = np.zeros((len(rows), 6, 6))
        for part, each in zip(self.parts, seen, strict=True):
            sums = correlated_sums(part.scores(each)[list(rows)])
            total += sums.cpu().numpy() / len(self.parts) ** 2
        return total

    def _observe(self, poses: Sequence[Pose]) -> tuple[Seen, ...]:
        return tuple(
            part.observe(pose, self.pivot, self._gains)
            for part, pose in zip(self.parts, poses, strict=True)
        )

    def _fitted(self, seen: Sequence[Seen]) -> tuple[Seen, ...]:
        return tuple(part.fitted(s) for part, s in zip(self.parts, seen, strict=True))

    def _linearise(self, seen: Sequence[Seen], nuisances: Sequence[Seen]) -> Model:
        sums = [
            part.linearise(s, nuisance)
            for part, s, nuisance in zip(self.parts, seen, nuisances, strict=True)
        ]
        return Model(sums[0] if len(sums) == 1 else torch.cat(sums, 1), self._shares)


def _standardised(
    values: Float[Tensor, "s channels k n"], w: Float[Tensor, "s channels n"]
) -> tuple[Float[Tensor, "s channels k n"], Float[Tensor, "s channels k 1"]]:
    """Weighted mean 0 and spread 1, and the spread they had."""
    w = w[:, :, None]
    centred = values - (w * values).sum(-1, keepdim=True)
    centred = centred - (w * centred).sum(-1, keepdim=True)  # see `problem`
    spread = (w * centred * centred).sum(-1, keepdim=True).sqrt().clamp_min(SMALLEST_SPREAD)
    return centred / spread, spread


def _filtered(planes: Tensor, taps: Tensor, edges: Tensor, axis: int) -> Tensor:
    """Planes, or one for all, along an axis by a kernel each; mirrored at edges."""
    wide = planes.index_select(axis, edges)
    n = planes.shape[axis]
    weights = taps.reshape(len(taps), *[1] * (planes.ndim - 1), taps.shape[1]).unbind(-1)
    total = weights[0] * wide.narrow(axis, 0, n)
    for tap, weight in enumerate(weights[1:], 1):
        total = torch.addcmul(total, weight, wide.narrow(axis, tap, n))
    return total


def _sampled(usable: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Of each radiograph's usable pixels those that `tone` takes, filled up; and which count."""
    chosen = [pixels[:: max(1, pixels.size // MOST_PIXELS)] for pixels in usable]
    longest = max(pixels.size for pixels in chosen)
    pixels = np.zeros((len(chosen), longest), np.int64)
    counted = np.zeros((len(chosen), longest), bool)
    for row, those in enumerate(chosen):
        pixels[row, : those.size] = those
        counted[row, : those.size] = True
    return pixels, counted


def _mirrored(n: int, reach: int) -> Tensor:
    """Indices -reach .. n + reach - 1 folded back at the edges, which count twice."""
    at = torch.arange(-reach, n + reach) % (2 * n)
    return torch.where(at < n, at, 2 * n - 1 - at)
