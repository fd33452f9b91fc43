"""Points of the patient and where they were seen on a radiograph: what PnP eats."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from napari_xreg.images import Landmark, Volume


@dataclass(frozen=True, eq=False)
class Correspondences:
    """3D points, their pixels, and how far each pixel is to be trusted.

    Parameters
    ----------
    points
        World (LPS), mm.
    pixels
        (row, column) of the image as stored, integer = centre of a pixel.
    covariances
        Of each pixel, pixels squared, order (row, column). The fit minimises ``r^T inv(C) r``.
    weights
        Of each pixel, at least 0; the fit minimises ``w |r|^2`` with r in pixels: a weight counts
        as an inverse **variance**, known up to one factor. Give covariances or weights, or neither.
    names
        One for each point, unique. None: "1", "2", ...
    kept
        False for points the user left out; None: all are kept.
    notes
        What was left out while pairing, and why, in sentences.

    Raises
    ------
    ValueError
        If lengths differ, a number is not finite, a covariance is not symmetric and positive, a
        weight is negative, or covariances and weights are both given.
    """

    points: Float[Tensor, "n 3"]
    pixels: Float[Tensor, "n 2"]
    covariances: Float[Tensor, "n 2 2"] | None = None
    weights: Float[Tensor, "n"] | None = None
    names: tuple[str, ...] | None = None
    kept: Bool[Tensor, "n"] | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n = len(self.points)
        if self.points.shape != (n, 3) or self.pixels.shape != (n, 2):
            raise ValueError(
                "correspondences are points of shape (n, 3) and pixels of shape (n, 2): got "
                f"{tuple(self.points.shape)} and {tuple(self.pixels.shape)}"
            )
        if self.names is None:
            object.__setattr__(self, "names", tuple(str(i + 1) for i in range(n)))
        if self.kept is None:
            object.__setattr__(self, "kept", torch.ones(n, dtype=torch.bool))
        _check_lengths(self, n)
        if self.covariances is not None and self.weights is not None:
            raise ValueError("give covariances or weights, not both: they mean the same")
        _check_numbers(self)

    def __len__(self) -> int:
        return len(self.points)

    @property
    def uncertainty(self) -> Float[Tensor, "n"] | None:
        """Root mean square distance of each pixel from its mean, pixels: ``sqrt(trace C)``.

        Equation 5 of the paper where C is the covariance (divided by S) of S samples.
        """
        if self.covariances is None:
            return None
        return torch.diagonal(self.covariances, dim1=-2, dim2=-1).sum(-1).sqrt()

    def without(self, *names: str) -> "Correspondences":
        """The same with some points left out.

        Raises
        ------
        ValueError
            If a name is not among them.
        """
        assert self.names is not None and self.kept is not None
        unknown = [name for name in names if name not in self.names]
        if unknown:
            raise ValueError(
                f"there is no landmark called {', '.join(unknown)}: expected one of "
                f"{', '.join(self.names)}"
            )
        out = torch.tensor([name in names for name in self.names], dtype=torch.bool)
        return replace(self, kept=self.kept & ~out)


def pair_landmarks(
    patient: Iterable[Landmark],
    picked: Iterable[Landmark],
    *,
    covariances: Mapping[str, Float[Tensor, "2 2"]] | None = None,
    weights: Mapping[str, float] | None = None,
    volume: Volume | None = None,
) -> Correspondences:
    """Landmarks of the patient and of one radiograph, paired by name, in the patient's order.

    What does not pair is left out, and `Correspondences.notes` says which and why: names that are
    on one side only, that come twice on a side, or that are marked invisible on either.

    Parameters
    ----------
    patient
        With positions.
    picked
        With pixels of this radiograph.
    covariances, weights
        By name; every pair needs one. See `Correspondences`.
    volume
        Positions outside it are kept, and named: LPS and RAS are easily exchanged.

    Raises
    ------
    ValueError
        If a pair has no covariance or weight where others are given.
    """
    notes: list[str] = []
    points = _by_name(patient, "in the patient", notes)
    pixels = _by_name(picked, "on the radiograph", notes)
    hidden = {m.name for m in (*points.values(), *pixels.values()) if not m.visible}
    points = {name: mark for name, mark in points.items() if mark.position is not None}
    pixels = {name: mark for name, mark in pixels.items() if mark.pixel is not None}
    shared = [name for name in points if name in pixels]
    names = tuple(name for name in shared if name not in hidden)
    _note_hidden(notes, [name for name in shared if name in hidden])
    _note_unpaired(notes, points, pixels, "has no point on the radiograph")
    _note_unpaired(notes, pixels, points, "has no position in the patient")
    world = _table([points[name].position for name in names], 3)
    if volume is not None:
        _note_outside(notes, names, world, volume)
    return Correspondences(
        world,
        _table([pixels[name].pixel for name in names], 2),
        None if covariances is None else _covariances(covariances, names),
        None if weights is None else _weights(weights, names),
        names,
        notes=tuple(notes),
    )


def _check_lengths(value: Correspondences, n: int) -> None:
    assert value.names is not None and value.kept is not None
    shapes = {
        "covariances": (value.covariances, (n, 2, 2)),
        "weights": (value.weights, (n,)),
        "kept": (value.kept, (n,)),
    }
    for name, (tensor, shape) in shapes.items():
        if tensor is not None and tuple(tensor.shape) != shape:
            raise ValueError(
                f"{name} of {n} points must have the shape {shape}: got {tuple(tensor.shape)}"
            )
    if len(value.names) != n:
        raise ValueError(f"{n} points need {n} names: got {len(value.names)}")
    twice = [name for name, count in Counter(value.names).items() if count > 1]
    if twice:
        raise ValueError(f"names of points must be unique: {', '.join(twice)} came twice")


def _check_numbers(value: Correspondences) -> None:
    for name in ("points", "pixels", "covariances", "weights"):
        tensor = getattr(value, name)
        if tensor is not None and not bool(torch.isfinite(tensor).all()):
            raise ValueError(f"{name} must be finite: got NaN or infinity")
    if value.weights is not None and bool((value.weights < 0).any()):
        raise ValueError(f"weights must be at least 0: got {float(value.weights.min()):g}")
    c = value.covariances
    if c is None or not len(c):
        return
    c = c.detach()
    determinant = c[:, 0, 0] * c[:, 1, 1] - c[:, 0, 1] * c[:, 1, 0]
    lopsided = (c[:, 0, 1] - c[:, 1, 0]).abs() > 1e-6 * (c[:, 0, 0] + c[:, 1, 1]).abs()
    wrong = lopsided | (c[:, 0, 0] <= 0) | (determinant <= 0)
    if bool(wrong.any()):
        assert value.names is not None
        first = int(wrong.nonzero()[0])
        raise ValueError(
            f"the covariance of {value.names[first]} must be symmetric and positive, in pixels "
            f"squared: got {c[first].tolist()}"
        )


def _by_name(marks: Iterable[Landmark], where: str, notes: list[str]) -> dict[str, Landmark]:
    marks = list(marks)
    counts = Counter(mark.name for mark in marks)
    for name, count in counts.items():
        if count > 1:
            notes.append(f"{name} is there {count} times {where}, so it was left out: rename one")
    return {mark.name: mark for mark in marks if counts[mark.name] == 1}


def _note_hidden(notes: list[str], names: Sequence[str]) -> None:
    if len(names) == 1:
        notes.append(f"{names[0]} is marked invisible and was left out")
    elif names:
        notes.append(f"{', '.join(names)} are marked invisible and were left out")


def _note_unpaired(
    notes: list[str], here: Mapping[str, Landmark], there: Mapping[str, Landmark], what: str
) -> None:
    alike = {name.strip().casefold(): name for name in there}
    for name in here:
        if name in there or any(note.startswith(f"{name} is there") for note in notes):
            continue
        near = alike.get(name.strip().casefold())
        hint = f" (is it the same as {near!r}?)" if near else ""
        notes.append(f"{name} {what} and was left out{hint}")


def _note_outside(
    notes: list[str], names: Sequence[str], world: Float[Tensor, "n 3"], volume: Volume
) -> None:
    index_from_world = torch.linalg.inv(volume.world_from_index.double())
    z, y, x = volume.shape
    size = torch.tensor([x, y, z], dtype=torch.float64)

    def outside(points: Tensor) -> Tensor:
        index = points @ index_from_world[:3, :3].mT + index_from_world[:3, 3]
        return ((index < -0.5) | (index > size - 0.5)).any(-1)

    out = outside(world)
    found = [name for name, flag in zip(names, out.tolist(), strict=True) if flag]
    if not found:
        return
    other_axes = world[out] * torch.tensor([-1.0, -1.0, 1.0], dtype=torch.float64)
    hint = ""
    if not bool(outside(other_axes).any()):
        hint = "; with x and y negated inside: are these positions RAS?"
    lies = "lies" if len(found) == 1 else "lie"
    notes.append(f"{', '.join(found)} {lies} outside the CT{hint}")


def _table(rows: Sequence[tuple[float, ...] | None], width: int) -> Float[Tensor, "n width"]:
    return torch.tensor([row or () for row in rows], dtype=torch.float64).reshape(-1, width)


def _covariances(
    given: Mapping[str, Float[Tensor, "2 2"]], names: Sequence[str]
) -> Float[Tensor, "n 2 2"]:
    _require(given, names, "covariance")
    rows = [torch.as_tensor(given[name], dtype=torch.float64) for name in names]
    return torch.stack(rows) if rows else torch.zeros(0, 2, 2, dtype=torch.float64)


def _weights(given: Mapping[str, float], names: Sequence[str]) -> Float[Tensor, "n"]:
    _require(given, names, "weight")
    return torch.tensor([float(given[name]) for name in names], dtype=torch.float64)


def _require(given: Mapping[str, object], names: Sequence[str], what: str) -> None:
    missing = [name for name in names if name not in given]
    if missing:
        raise ValueError(f"every pair needs a {what}: {', '.join(missing)} has none")
