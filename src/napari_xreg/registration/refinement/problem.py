"""The seam between a solver and the sums it needs: what is compared at one level, for a batch of poses.

A solver decides which poses are looked at; a `Problem` renders them and sums their residuals. The
sums are made twice, and each way is a `Backend`: on the processor one pose after the other
(`host`), on a device all at once (`batched`). One matrix of tests holds both.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.images import Radiograph
from napari_xreg.registration.refinement.second_order.look import Field, Look


@dataclass(frozen=True, eq=False)
class Model:
    """Residuals of every pose of a batch, summed.

    Parameters
    ----------
    sums
        Of every channel of every view: weighted products of the slopes and the residual, which comes
        last. There are six slopes, or six of every body that moves by itself.
    shares
        What each channel weighs.
    """

    sums: Float[Tensor, "s terms slopes_and_residual slopes_and_residual"]
    shares: Float[Tensor, "terms"]

    def hessians(self, names: Sequence[str], count: int) -> Float[Tensor, "s views n n"]:
        """The Gauss-Newton matrix, the part of each view.

        Parameters
        ----------
        names
            Of the terms, as `Problem.names`. A mask may leave one view fewer of them than another,
            or none.
        count
            Of views.
        """
        views = [int(name[name.rindex("[") + 1 : -1]) - 1 if "[" in name else 0 for name in names]
        of_terms = self.shares[:, None, None] * self.sums[..., :-1, :-1]
        parts = of_terms.new_zeros((len(of_terms), count, *of_terms.shape[2:]))
        return parts.index_add(1, torch.tensor(views, device=parts.device), of_terms)

    @property
    def terms(self) -> Float[Tensor, "s terms"]:
        """Loss of every channel."""
        return 0.5 * self.sums[..., -1, -1]

    @property
    def loss(self) -> Float[Tensor, "s"]:
        """Sum of the terms as they weigh."""
        return (self.shares * self.terms).sum(-1)

    @property
    def hessian(self) -> Float[Tensor, "s n n"]:
        """Gauss-Newton matrix."""
        return (self.shares[:, None, None] * self.sums[..., :-1, :-1]).sum(1)

    @property
    def gradient(self) -> Float[Tensor, "s n"]:
        """Of the loss."""
        return (self.shares[:, None] * self.sums[..., :-1, -1]).sum(1)

    def where(self, taken: Bool[Tensor, "s"], other: "Model") -> "Model":
        """This one where `taken`, else the other."""
        return Model(torch.where(taken[:, None, None, None], self.sums, other.sums), self.shares)


@dataclass(frozen=True, eq=False)
class Beams:
    """What is judged of the beam in every case.

    Parameters
    ----------
    gains
        How much brighter bone is than in the CT; NaN where no radiograph of a case tells.
    scatter
        Of every radiograph, the scattered signal as a share of the open beam; None where it cannot be told.
    """

    gains: Float[Tensor, "cases"]
    scatter: tuple[tuple[Field | None, ...], ...]


Whole = tuple[tuple[Radiograph, ...], ...]
"""Radiographs of every case, as `Look.cases`."""

Seen = TypeVar("Seen")
"""What was seen at a batch of poses, as a problem keeps it: images, Jacobians, and what was fitted to
them beside the pose (tone, weights). A solver only carries it."""


@runtime_checkable
class Problem(Protocol[Seen]):
    """What is compared at one level: residuals of a batch of poses [s], each of every view.

    Poses are on the device of the problem, one batch a view; where several bodies move, those of the
    views of the first, then of the next.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """Of the terms of a `Model`; with several views each is numbered, ``intensity[2]``."""
        ...

    @property
    def pivot(self) -> Float[Tensor, "*bodies 3"]:
        """Twists are taken about it, of several bodies each about its own; float64, on the device."""
        ...

    def begin(self, poses: tuple[Pose, ...]) -> tuple[Seen, Model]:
        """At poses, under the tone and the weights that belong to these very poses."""
        ...

    def attempt(
        self, poses: tuple[Pose, ...], held: Seen, rows: Bool[Tensor, "s"]
    ) -> tuple[Seen, Model]:
        """At other poses, under the tone and the weights of `held`; of the other rows anything. Its slopes are not
        looked at before `renew` has made them.
        """
        ...

    def renew(
        self, seen: Seen, before: Seen, model: Model, taken: Bool[Tensor, "s"]
    ) -> tuple[Seen, Model]:
        """Where `taken`, `seen` under its own tone and weights; elsewhere as before."""
        ...

    def drrs(self, seen: Seen) -> Float[Tensor, "s rows columns"] | tuple[Tensor, ...]:
        """Of the first view."""
        ...

    def flat(self, seen: Seen, rows: Sequence[int]) -> list[bool]:
        """Whether no view shows anything at some of the poses."""
        ...

    def correlated_sums(self, seen: Seen, rows: Sequence[int]) -> npt.NDArray[np.float64]:
        """The filling of the sandwich (`confidence`) at some of the poses, [rows n n]."""
        ...


@runtime_checkable
class Backend(Protocol):
    """On what, and how, the sums are made."""

    @property
    def device(self) -> torch.device:
        """Where poses shall be."""
        ...

    @property
    def recorder(self) -> Callable[[Any, Any], Callable[[], Any]] | None:
        """Makes of an iteration and its first state one that goes to the device as a whole; None:
        operation by operation.
        """
        ...

    def bone_gains(self, look: Look, poses: Sequence[Pose]) -> Float[Tensor, "cases"]:
        """How much brighter bone is in each case (`hardening`), at a pose of each, a batch a view."""
        ...

    def beams(self, look: Look, poses: Sequence[Pose], whole: Whole) -> Beams:
        """Brightness of bone and scatter of each case (`scatter`), at poses that are right to a millimetre.

        Parameters
        ----------
        whole
            The radiographs with what is saturated in them: it tells nothing, but it is there and scatters.
        """
        ...

    def problem(
        self, look: Look, of: Int[Tensor, "s"], gains: Float[Tensor, "cases"] | None
    ) -> Problem[Any]:
        """Of a level.

        Parameters
        ----------
        of
            Which case each pose of a batch belongs to.
        gains
            Of `bone_gains`; None: the bone as it is.
        """
        ...
