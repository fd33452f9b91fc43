"""`tone` and `robust` for a batch of DRRs on a device, without waiting for it: same sums, in torch.

Nothing here asks the device for a number, so nothing stops the queue: what the CPU decides by an
`if` is computed both ways and chosen by `torch.where`. Rows of different lengths (masks differ
between radiographs) are filled up, and `valid` says which of their entries count; None: all.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from napari_xreg.registration.refinement.host.tone import DEGREE, FAINTEST, GENTLEST, ROUNDS
from napari_xreg.registration.refinement.second_order.channels import OUTLIER_SCALE


@dataclass(frozen=True, eq=False)
class DeviceTone:
    """A fitted f and g for every DRR of a batch; see `tone.Tone`.

    Where no monotone f fits, f is the identity (`curve` 0 1 0 0, middle 0, width 1, no field).
    """

    middle: Float[Tensor, "s"]
    width: Float[Tensor, "s"]
    curve: Float[Tensor, "s 4"]
    field: Float[Tensor, "s rows columns"]
    fitted: Bool[Tensor, "s"]

    def apply(self, image: Float[Tensor, "s rows columns"]) -> tuple[Tensor, Tensor]:
        """f of an image, and its slope f' pixel by pixel."""
        # [s, 1, 1] each: u = (image - middle) / width, then Horner's rule.
        middle, width = (n.float()[:, None, None] for n in (self.middle, self.width))
        c0, c1, c2, c3 = self.curve.float()[:, :, None, None].unbind(1)
        u = (image - middle) / width
        inside = u.clamp(-1.0, 1.0)
        bent = torch.addcmul(c2, inside, c3)
        value = torch.addcmul(c0, inside, torch.addcmul(c1, inside, bent))
        slope = torch.addcmul(c1, inside, torch.addcmul(2 * c2, inside, 3 * c3))
        value = torch.addcmul(value, slope, u - inside)
        fitted = self.fitted[:, None, None]
        return torch.where(fitted, value, image), torch.where(fitted, slope / width, 1.0)

    def where(self, taken: Bool[Tensor, "s"], other: "DeviceTone") -> "DeviceTone":
        """This one where `taken`, else the other."""
        return DeviceTone(
            torch.where(taken, self.middle, other.middle),
            torch.where(taken, self.width, other.width),
            torch.where(taken[:, None], self.curve, other.curve),
            torch.where(taken[:, None, None], self.field, other.field),
            torch.where(taken, self.fitted, other.fitted),
        )


def median(
    values: Float[Tensor, "*rows n"], valid: Bool[Tensor, "*rows n"] | None = None
) -> Float[Tensor, "*rows"]:
    """As numpy: the mean of the two middle values of an even number."""
    return quantile(_ordered(values, valid), 0.5, valid)


def quantile(
    ordered: Float[Tensor, "*rows n"], share: float, valid: Bool[Tensor, "*rows n"] | None = None
) -> Float[Tensor, "*rows"]:
    """Of rows sorted by `_ordered`, interpolated as numpy does."""
    if valid is None:
        at = share * (ordered.shape[-1] - 1)
        low = int(at)
        high = min(low + 1, ordered.shape[-1] - 1)
        return ordered[..., low] + (at - low) * (ordered[..., high] - ordered[..., low])
    last = valid.sum(-1, keepdim=True) - 1
    places = share * last.to(ordered.dtype)
    below = places.floor()
    here = ordered.gather(-1, below.long().clamp_min(0))
    above = ordered.gather(-1, torch.minimum(below.long() + 1, last).clamp_min(0))
    return (here + (places - below) * (above - here))[..., 0]


def _ordered(values: Tensor, valid: Tensor | None) -> Tensor:
    """Sorted, what does not count at the end."""
    if valid is not None:
        values = values.masked_fill(~valid, torch.inf)
    return values.sort(-1).values


def outlier_weights(
    residual: Float[Tensor, "*rows n"],
    *,
    centre: Float[Tensor, "*rows"],
    scale: float,
    least: float,
    valid: Bool[Tensor, "*rows n"] | None = None,
) -> Float[Tensor, "*rows n"]:
    """`robust.outlier_weights` row by row."""
    spread = 1.4826 * median((residual - centre[..., None]).abs(), valid)
    width = (scale * spread).clamp_min(least)
    return 1.0 / (1.0 + (residual / width[..., None]) ** 2) ** 2


def robust_fit(
    basis: Float[Tensor, "s n k"],
    values: Float[Tensor, "s n"],
    *,
    rounds: int,
    valid: Bool[Tensor, "s n"] | None = None,
    idle: Float[Tensor, "s k"] | None = None,
) -> Float[Tensor, "s k"]:
    """`robust.robust_fit` of every item, float64.

    Parameters
    ----------
    idle
        1 for every column of zeros, whose coefficient shall be 0.
    """
    counted = torch.ones_like(values) if valid is None else valid.to(values)
    w = counted
    eye = torch.eye(basis.shape[-1], dtype=basis.dtype, device=basis.device)
    ridge = 0.0 if idle is None else torch.diag_embed(idle)
    coefficients = basis.new_zeros(basis.shape[0], basis.shape[-1])
    zero = basis.new_zeros(basis.shape[0])
    for number in range(rounds):
        weighted = basis * w[..., None]
        gram = weighted.mT @ basis
        trace = gram.diagonal(dim1=-2, dim2=-1).sum(-1)
        gram = gram + 1e-9 * trace[:, None, None] * eye + ridge
        right = (weighted.mT @ values[..., None])[..., 0]
        # Without the check, whose answer the processor would have to wait for.
        coefficients = torch.linalg.solve_ex(gram, right)[0]
        if number < rounds - 1:
            residual = values - (basis @ coefficients[..., None])[..., 0]
            w = counted * outlier_weights(
                residual, centre=zero, scale=OUTLIER_SCALE, least=1e-9, valid=valid
            )
    return coefficients


def field_basis(row: Tensor, column: Tensor) -> Tensor:
    """Quadratic in position without its constant, [..., 5]."""
    return torch.stack([row, column, row**2, row * column, column**2], -1)


@dataclass(frozen=True, eq=False)
class Sample:
    """DRRs at the pixels of a fit: `tone._sample`.

    Parameters
    ----------
    u
        Scaled to -1 .. 1 by `middle` and `width`.
    there
        Whether the DRR is anything but flat.
    """

    u: Float[Tensor, "s n"]
    middle: Float[Tensor, "s"]
    width: Float[Tensor, "s"]
    there: Bool[Tensor, "s"]

    def powers(self) -> Float[Tensor, "s n 4"]:
        """1, u, u^2, u^3."""
        square = self.u * self.u
        return torch.stack([torch.ones_like(self.u), self.u, square, square * self.u], -1)


class ToneFit:
    """`tone.fit_tone` for a batch of DRRs, each with its radiograph.

    Parameters
    ----------
    target
        The radiographs.
    pixels
        Flat indices of those to use, of every radiograph.
    valid
        Which of them count.
    """

    def __init__(
        self,
        target: Float[Tensor, "s rows columns"],
        pixels: Int[Tensor, "s n"],
        valid: Bool[Tensor, "s n"] | None = None,
    ) -> None:
        items, rows, columns = target.shape
        device = target.device
        self.pixels, self.valid = pixels, valid
        self.values = target.flatten(1).gather(1, pixels).double()
        r = 2 * (pixels // columns).double() / max(rows - 1, 1) - 1
        c = 2 * (pixels % columns).double() / max(columns - 1, 1) - 1
        self.place = field_basis(r, c)
        self._spread = deviation(self.values, valid)
        # All degrees in one batch, the highest first: an unused power is a column of zeros.
        column = torch.arange(DEGREE + 6, device=device)
        degree = torch.arange(DEGREE, 0, -1, device=device)[:, None]
        used = ((column <= degree) | (column > DEGREE)).double()
        self._used = used[:, None, None]
        self._idle = (1 - used)[:, None].expand(-1, items, -1).flatten(0, 1)
        self._all_values = self.values.repeat(DEGREE, 1)
        self._all_valid = None if valid is None else valid.repeat(DEGREE, 1)
        self._grid = torch.linspace(-1, 1, 21, dtype=torch.float64, device=device)
        rr = torch.linspace(-1, 1, rows, dtype=torch.float64, device=device)[:, None]
        cc = torch.linspace(-1, 1, columns, dtype=torch.float64, device=device)[None]
        whole = field_basis(rr.expand(rows, columns), cc.expand(rows, columns))
        self._field = whole.reshape(-1, 5).mT.contiguous()
        self._identity = torch.tensor([0.0, 1.0, 0, 0], dtype=torch.float64, device=device)
        self._size = (items, rows, columns)

    def sample(self, image: Float[Tensor, "s rows columns"]) -> Sample:
        """DRRs at the pixels of the fit."""
        x = image.flatten(1).gather(1, self.pixels).double()
        ordered = _ordered(x, self.valid)
        low, high = (quantile(ordered, share, self.valid) for share in (0.01, 0.99))
        there = high > low
        middle = torch.where(there, (low + high) / 2, 0.0)
        width = torch.where(there, (high - low) / 2, 1.0)
        u = ((x - middle[:, None]) / width[:, None]).clamp(-1.0, 1.0)
        return Sample(u, middle, width, there)

    def __call__(self, image: Float[Tensor, "s rows columns"]) -> DeviceTone:
        """Fit f and g of every DRR."""
        items = len(image)
        sample = self.sample(image)
        basis = torch.cat([sample.powers(), self.place], -1)
        beta = robust_fit(
            (basis * self._used).flatten(0, 1), self._all_values, rounds=ROUNDS,
            valid=self._all_valid, idle=self._idle,
        ).reshape(DEGREE, items, -1)  # fmt: skip
        c1, c2, c3 = beta[..., 1:4, None].unbind(-2)
        slopes = c1 + self._grid * (2 * c2 + self._grid * 3 * c3)
        mean = slopes.mean(-1)
        good = (
            sample.there
            & (2 * mean > FAINTEST * self._spread)
            & (slopes.amin(-1) > GENTLEST * mean)
        )
        # The highest degree that will do.
        chosen = self._identity.expand(items, -1)
        bend = torch.zeros_like(self.place[:, 0])
        for one, fine in zip(beta.flip(0), good.flip(0), strict=True):
            chosen = torch.where(fine[:, None], one[:, : DEGREE + 1], chosen)
            bend = torch.where(fine[:, None], one[:, DEGREE + 1 :], bend)
        field = (bend @ self._field).reshape(self._size)
        return DeviceTone(sample.middle, sample.width, chosen, field.float(), good.any(0))


def deviation(
    values: Float[Tensor, "s n"], valid: Bool[Tensor, "s n"] | None
) -> Float[Tensor, "s"]:
    """Standard deviation of every row, of what counts."""
    if valid is None:
        return values.std(-1, correction=0)
    counted = valid.to(values)
    count = counted.sum(-1, keepdim=True).clamp_min(1)
    centred = (values - (values * counted).sum(-1, keepdim=True) / count) * counted
    return ((centred * centred).sum(-1, keepdim=True) / count).sqrt()[:, 0]
