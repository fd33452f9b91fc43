"""`tone` and `robust` for a batch of DRRs on a device, without waiting for it: same sums, in torch.

Nothing here asks the device for a number, so nothing stops the queue: what the CPU decides by an
`if` is computed both ways and chosen by `torch.where`.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from napari_xreg.registration.robust import OUTLIER_SCALE
from napari_xreg.registration.tone import DEGREE, FAINTEST, GENTLEST, MOST_PIXELS, ROUNDS


@dataclass(frozen=True, eq=False)
class DeviceTone:
    """A fitted f and g for every DRR of a batch; see `tone.Tone`.

    Where no monotone f fits, f is the identity (`curve` 0 1 0 0, middle 0, width 1, no field).
    """

    middle: Float[Tensor, "s"]
    width: Float[Tensor, "s"]
    curve: Float[Tensor, "s 4"]
    field: Float[Tensor, "s rows columns"]
    fitted: Tensor

    def apply(self, image: Float[Tensor, "s rows columns"]) -> tuple[Tensor, Tensor]:
        """f of an image, and its slope f' pixel by pixel."""
        x = (image - self.middle[:, None, None].float()) / self.width[:, None, None].float()
        inside = x.clamp(-1.0, 1.0)
        c0, c1, c2, c3 = (c[:, None, None].float() for c in self.curve.unbind(1))
        value = c0 + inside * (c1 + inside * (c2 + inside * c3))
        slope = c1 + inside * (2 * c2 + inside * (3 * c3))
        value = value + slope * (x - inside)
        fitted = self.fitted[:, None, None]
        one = torch.ones((), dtype=image.dtype, device=image.device)
        return (
            torch.where(fitted, value, image),
            torch.where(fitted, slope / self.width[:, None, None].float(), one),
        )

    def where(self, taken: Tensor, other: "DeviceTone") -> "DeviceTone":
        """This one where `taken` [s], else the other."""
        return DeviceTone(
            torch.where(taken, self.middle, other.middle),
            torch.where(taken, self.width, other.width),
            torch.where(taken[:, None], self.curve, other.curve),
            torch.where(taken[:, None, None], self.field, other.field),
            torch.where(taken, self.fitted, other.fitted),
        )


def median(values: Float[Tensor, "s n"]) -> Float[Tensor, "s"]:
    """As numpy: the mean of the two middle values of an even number."""
    ordered = values.sort(-1).values
    n = values.shape[-1]
    return (ordered[:, (n - 1) // 2] + ordered[:, n // 2]) / 2


def quantile(ordered: Float[Tensor, "s n"], share: float) -> Float[Tensor, "s"]:
    """Of sorted rows, interpolated as numpy does."""
    at = share * (ordered.shape[-1] - 1)
    low = int(at)
    high = min(low + 1, ordered.shape[-1] - 1)
    return ordered[:, low] + (at - low) * (ordered[:, high] - ordered[:, low])


def outlier_weights(
    residual: Float[Tensor, "s n"], *, centre: Float[Tensor, "s"], scale: float, least: float
) -> Float[Tensor, "s n"]:
    """`robust.outlier_weights` row by row."""
    spread = 1.4826 * median((residual - centre[:, None]).abs())
    width = (scale * spread).clamp_min(least)
    return 1.0 / (1.0 + (residual / width[:, None]) ** 2) ** 2


def _robust_fit(basis: Tensor, values: Tensor, *, idle: Tensor) -> Tensor:
    """`robust.robust_fit`: basis [s n k], values [n]; float64.

    `idle` is 1 for every column of zeros, whose coefficient shall be 0.
    """
    values = values.expand(basis.shape[:2])
    w = torch.ones_like(values)
    diagonal = torch.diag_embed(idle.reshape(len(basis), -1))
    eye = torch.eye(basis.shape[-1], dtype=basis.dtype, device=basis.device)
    coefficients = basis.new_zeros(basis.shape[0], basis.shape[-1])
    zero = basis.new_zeros(basis.shape[0])
    for _ in range(ROUNDS):
        weighted = basis * w[..., None]
        gram = weighted.mT @ basis
        trace = gram.diagonal(dim1=-2, dim2=-1).sum(-1)
        gram = gram + 1e-9 * trace[:, None, None] * eye + diagonal
        right = (weighted.mT @ values[..., None])[..., 0]
        # Without the check, whose answer the processor would have to wait for.
        coefficients = torch.linalg.solve_ex(gram, right)[0]
        residual = values - (basis @ coefficients[..., None])[..., 0]
        w = outlier_weights(residual, centre=zero, scale=OUTLIER_SCALE, least=1e-9)
    return coefficients


def field_basis(row: Tensor, column: Tensor) -> Tensor:
    """Quadratic in position without its constant, [n 5]."""
    return torch.stack([row, column, row**2, row * column, column**2], -1)


def fit_tone(
    image: Float[Tensor, "s rows columns"],
    target: Float[Tensor, "rows columns"],
    usable: Int[Tensor, "n"],
) -> DeviceTone:
    """`tone.fit_tone` for every image of a batch."""
    starts, rows, columns = image.shape
    device = image.device
    chosen = usable[:: max(1, usable.numel() // MOST_PIXELS)]
    x = image.reshape(starts, -1)[:, chosen].double()
    y = target.reshape(-1)[chosen].double()
    ordered = x.sort(-1).values
    low, high = quantile(ordered, 0.01), quantile(ordered, 0.99)
    there = high > low
    middle = torch.where(there, (low + high) / 2, 0.0)
    width = torch.where(there, (high - low) / 2, 1.0)
    u = ((x - middle[:, None]) / width[:, None]).clamp(-1.0, 1.0)
    r, c = chosen // columns, chosen % columns
    place = field_basis(
        2 * r.double() / max(rows - 1, 1) - 1, 2 * c.double() / max(columns - 1, 1) - 1
    ).expand(starts, -1, 5)
    spread = y.std(correction=0)
    # All degrees in one batch, the highest first: an unused power is a column of zeros.
    powers = torch.stack([u**p for p in range(DEGREE + 1)], -1)
    basis = torch.cat([powers, place], -1)
    column = torch.arange(basis.shape[-1], device=device)
    degree = torch.arange(DEGREE, 0, -1, device=device)[:, None]
    used = ((column <= degree) | (column > DEGREE)).double()[:, None, None]
    beta = _robust_fit((basis * used).flatten(0, 1), y, idle=1 - used.expand(-1, starts, 1, -1))
    beta = beta.reshape(DEGREE, starts, -1)
    curves = beta[..., : DEGREE + 1]
    at = torch.linspace(-1, 1, 21, dtype=x.dtype, device=device)
    slopes = curves[..., 1:2] + at * (2 * curves[..., 2:3] + at * 3 * curves[..., 3:4])
    mean = slopes.mean(-1)
    good = there & (2 * mean > FAINTEST * spread) & (slopes.amin(-1) > GENTLEST * mean)
    curve = x.new_zeros(starts, DEGREE + 1)
    curve[:, 1] = 1.0
    bend = x.new_zeros(starts, 5)
    fitted = torch.zeros(starts, dtype=torch.bool, device=device)
    for one, fine in zip(beta, good, strict=True):
        take = (fine & ~fitted)[:, None]
        curve = torch.where(take, one[:, : DEGREE + 1], curve)
        bend = torch.where(take, one[:, DEGREE + 1 :], bend)
        fitted = fitted | fine
    rr = torch.linspace(-1, 1, rows, dtype=x.dtype, device=device)[:, None].expand(rows, columns)
    cc = torch.linspace(-1, 1, columns, dtype=x.dtype, device=device)[None].expand(rows, columns)
    field = (bend @ field_basis(rr.reshape(-1), cc.reshape(-1)).mT).reshape(starts, rows, columns)
    return DeviceTone(middle, width, curve, field.float(), fitted)
