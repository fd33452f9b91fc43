"""A radiograph: line integrals on a detector of known geometry, and what was done to them."""

import math
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from napari_xreg.geometry import CArm, CArmPose
from napari_xreg.images.known_geometry.record import GeometryRecord
from napari_xreg.images.operations import Crop, Flip, Invert, Mask, Operation, Resize, Turn


@dataclass(frozen=True, eq=False)
class Radiograph:
    """An X-ray image as line integrals (dimensionless, bone bright) with its geometry.

    Parameters
    ----------
    line_integrals
        ``-log(I / I0)`` per pixel.
    carm
        Source, detector and distances of this very image: every operation below carries it along.
    mask
        True where a pixel may be used (inside the collimator, not saturated). None: everywhere.
    read_as
        What the file held: detector `intensity` (bone dark once displayed raw) or `line_integral`.
    photometric
        DICOM photometric interpretation of the file, if it had one.
    i0
        Unattenuated intensity used in the logarithm, in the file's units; None if there was none.
    nominal
        Where the file says the C-arm stood, if it says so: a start, not a truth.
    simulated
        True for images made from a CT; shown wherever a number computed from it is shown.
    subtracted
        True where an image without contrast agent was taken away: most of it is nothing, of one value.
    source
        File or recipe it came from.
    operations
        What was done since, in order; ``str`` of one says it in words.
    geometry
        What the file and the user said about the geometry, value by value with its origin; it
        describes the image as stored, before any of the `operations`.
    notes
        What a careful reader should know: values that were estimated, ambiguous or not used.

    Raises
    ------
    ValueError
        If image, mask and detector differ in shape, or an unmasked pixel is not finite.
    """

    line_integrals: Float[Tensor, "rows columns"]
    carm: CArm
    mask: Bool[Tensor, "rows columns"] | None = None
    read_as: Literal["intensity", "line_integral"] = "line_integral"
    photometric: str | None = None
    i0: float | None = None
    nominal: CArmPose | None = None
    simulated: bool = False
    subtracted: bool = False
    source: str = ""
    operations: tuple[Operation, ...] = ()
    geometry: GeometryRecord | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        shape = tuple(self.line_integrals.shape)
        if shape != self.carm.detector.shape:
            raise ValueError(
                f"image and detector must have the same rows and columns: got {shape} "
                f"and {self.carm.detector.shape}"
            )
        if self.mask is not None and tuple(self.mask.shape) != shape:
            raise ValueError(
                f"image and mask must have the same shape: got {shape} and {tuple(self.mask.shape)}"
            )
        finite = torch.isfinite(self.line_integrals)
        if not (finite if self.mask is None else finite | ~self.mask).all():
            raise ValueError(
                "line integrals must be finite where they are used: mask the NaN or infinite pixels"
            )

    @property
    def usable(self) -> Bool[Tensor, "rows columns"]:
        """Pixels to compare: the mask within the circular field of view."""
        field = self.carm.detector.field_mask().to(self.line_integrals.device)
        return field if self.mask is None else field & self.mask

    def crop(self, row: int, column: int, rows: int, columns: int) -> "Radiograph":
        """A rectangle of the image; the principal point moves with it, a circular field becomes a mask."""
        window = (slice(row, row + rows), slice(column, column + columns))
        detector = self.carm.detector.crop(row, column, rows, columns)
        done = Crop(row, column, rows, columns, self.carm.detector.shape)
        keep_mask = self.mask is not None or self.carm.detector.field_diameter is not None
        return replace(
            self,
            line_integrals=self.line_integrals[window],
            mask=self.usable[window] if keep_mask else None,
            carm=replace(self.carm, detector=detector),
            operations=(*self.operations, done),
        )

    def resize(self, rows: int, columns: int) -> "Radiograph":
        """The image resampled to other numbers of pixels over the same area.

        Shrinking averages over the area of each new pixel. A new pixel is usable where more than
        half of it was; masked pixels do not bleed into it.
        """
        shape = self.carm.detector.shape
        if (rows, columns) == shape:
            return self
        weight = self.usable.to(self.line_integrals.dtype)
        values = torch.where(self.usable, self.line_integrals, 0.0)
        total = _resample(values * weight, rows, columns)
        covered = _resample(weight, rows, columns)
        mask = covered > 0.5
        return replace(
            self,
            line_integrals=torch.where(mask, total / covered.clamp_min(1e-6), 0.0),
            mask=None if bool(mask.all()) else mask,
            carm=replace(self.carm, detector=self.carm.detector.resize(rows, columns)),
            operations=(*self.operations, Resize(rows, columns, shape)),
        )

    def rotate90(self, turns: int) -> "Radiograph":
        """The image turned clockwise on the screen by quarter turns, with K and nominal pose.

        The camera axes turn with the image, so a pose registered to the turned image is
        ``world_from_camera @ Rz(roll)`` of the one that fits the original, roll = +90 degrees for
        each turn of a mirrored detector and -90 for each turn of an unmirrored one. `nominal`
        gets this roll.
        """
        turns %= 4
        if turns == 0:
            return self
        detector = self.carm.detector
        roll_deg = 90.0 * turns * (1.0 if detector.mirrored else -1.0)
        return replace(
            self,
            line_integrals=torch.rot90(self.line_integrals, -turns).contiguous(),
            mask=None if self.mask is None else torch.rot90(self.mask, -turns).contiguous(),
            carm=replace(self.carm, detector=detector.rotate90(turns)),
            nominal=None if self.nominal is None else _rolled(self.nominal, roll_deg),
            operations=(*self.operations, Turn(turns)),
        )

    def rotate180(self) -> "Radiograph":
        """The image upside down, with K and nominal pose: DeepFluoro stores some like this."""
        return self.rotate90(2)

    def flip_columns(self) -> "Radiograph":
        """The image with left and right exchanged: the mirror of the detector, not of the pose."""
        return replace(
            self,
            line_integrals=self.line_integrals.flip(1),
            mask=None if self.mask is None else self.mask.flip(1),
            carm=replace(self.carm, detector=self.carm.detector.flip_columns()),
            operations=(*self.operations, Flip()),
        )

    def invert(self) -> "Radiograph":
        """Bright and dark exchanged between the extremes of the usable pixels.

        For an image whose file says the wrong thing about which end is bone; line integrals of an
        intensity image are then wrong by the logarithm that should have been taken.
        """
        used = self.line_integrals[self.usable]
        low, high = used.aminmax() if used.numel() else (used.new_zeros(()), used.new_zeros(()))
        return replace(
            self,
            line_integrals=torch.where(self.usable, low + high - self.line_integrals, 0.0),
            operations=(*self.operations, Invert()),
        )

    def with_mask(self, mask: Bool[Tensor, "rows columns"], reason: str) -> "Radiograph":
        """The same image with fewer usable pixels: the new mask is intersected with the old one."""
        both = mask if self.mask is None else mask & self.mask
        return replace(self, mask=both, operations=(*self.operations, Mask(reason)))

    def __repr__(self) -> str:
        rows, columns = self.carm.detector.shape
        kind = "simulated radiograph" if self.simulated else "radiograph"
        return f"<{kind} {rows} x {columns} from {self.source or 'memory'}>"


def _rolled(pose: CArmPose, roll_deg: float) -> CArmPose:
    """``pose @ Rz(roll)``: the same place, seen with the camera axes turned about the central ray."""
    angle = math.radians(roll_deg)
    x, y, depth = pose.offset_mm
    offset_mm = (
        math.cos(angle) * x + math.sin(angle) * y,
        math.cos(angle) * y - math.sin(angle) * x,
        depth,
    )
    # in (-180, 180]
    roll = 180.0 - (180.0 - pose.roll_deg - roll_deg) % 360.0
    return replace(pose, roll_deg=roll, offset_mm=offset_mm)


def _resample(image: Float[Tensor, "rows columns"], rows: int, columns: int) -> Tensor:
    """Exact area average where an axis shrinks, linear where it grows; outer edges stay in place."""
    down = _resampling_matrix(image.shape[0], rows).to(image)
    across = _resampling_matrix(image.shape[1], columns).to(image)
    return down @ image @ across.mT


def _resampling_matrix(old: int, new: int) -> Float[Tensor, "new old"]:
    """Rows of weights that sum to 1. (torch's "area" mode shifts by up to half a pixel when the
    ratio is not whole, so the overlaps are written out.)"""
    ratio = old / new
    first = torch.arange(new, dtype=torch.float64)[:, None] * ratio
    cells = torch.arange(old, dtype=torch.float64)
    if ratio >= 1:
        overlap = torch.minimum(first + ratio, cells + 1) - torch.maximum(first, cells)
        return overlap.clamp_min(0) / ratio
    center = (first + ratio / 2 - 0.5).clamp(0, old - 1)
    return (1 - (center - cells).abs()).clamp_min(0)
