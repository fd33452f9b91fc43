"""The X-ray detector: a grid of pixels in the plane at the source-to-detector distance."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True)
class Detector:
    """A flat detector. Integer index = centre of a pixel; (row, column) order.

    Parameters
    ----------
    shape
        Rows, columns.
    spacing
        Distance of neighbouring pixel centres along a column and along a row, mm (row, column).
    principal_point
        Row, column where the central ray meets the detector, in pixels of the image as stored;
        it may lie outside the image. None: the middle of the image.
    mirrored
        True where the reader faces the patient, so that the patient's left is on the right of a
        frontal view: the column runs against the camera's x axis.
    field_diameter
        Diameter of a circular field of view about the middle of the image, mm (image
        intensifiers). None: the whole rectangle.

    Raises
    ------
    ValueError
        If a size or spacing is not positive and finite.
    """

    shape: tuple[int, int]
    spacing: tuple[float, float]
    principal_point: tuple[float, float] | None = None
    mirrored: bool = True
    field_diameter: float | None = None

    def __post_init__(self) -> None:
        if len(self.shape) != 2 or min(self.shape) < 1:
            raise ValueError(f"a detector has at least one row and one column: got {self.shape}")
        if len(self.spacing) != 2 or not all(0 < s < float("inf") for s in self.spacing):
            raise ValueError(
                f"pixel spacing (row, column) must be positive, in mm: got {self.spacing}"
            )
        if self.principal_point is not None and not all(
            abs(c) < float("inf") for c in self.principal_point
        ):
            raise ValueError(
                f"the principal point (row, column) must be finite: got {self.principal_point}"
            )
        if self.field_diameter is not None and not 0 < self.field_diameter < float("inf"):
            raise ValueError(
                f"the field-of-view diameter must be positive, in mm: got {self.field_diameter}"
            )

    @property
    def center(self) -> tuple[float, float]:
        """Row, column of the principal point."""
        if self.principal_point is not None:
            return self.principal_point
        return (self.shape[0] - 1) / 2, (self.shape[1] - 1) / 2

    @property
    def size_mm(self) -> tuple[float, float]:
        """Height and width, mm, to the outer edges of the pixels."""
        return self.shape[0] * self.spacing[0], self.shape[1] * self.spacing[1]

    def pixel_grid(self, *, dtype: torch.dtype = torch.float64) -> Float[Tensor, "pixels 2"]:
        """Row, column of every pixel, row by row."""
        rows = torch.arange(self.shape[0], dtype=dtype)
        columns = torch.arange(self.shape[1], dtype=dtype)
        return torch.cartesian_prod(rows, columns)

    def field_mask(self) -> Bool[Tensor, "rows columns"]:
        """True for the pixels whose centre lies inside the circular field of view."""
        if self.field_diameter is None:
            return torch.ones(self.shape, dtype=torch.bool)
        rows = (torch.arange(self.shape[0], dtype=torch.float64) - (self.shape[0] - 1) / 2) * (
            self.spacing[0]
        )
        columns = (torch.arange(self.shape[1], dtype=torch.float64) - (self.shape[1] - 1) / 2) * (
            self.spacing[1]
        )
        return rows[:, None] ** 2 + columns**2 <= (self.field_diameter / 2) ** 2

    def crop(self, row: int, column: int, rows: int, columns: int) -> "Detector":
        """The detector of ``image[row : row + rows, column : column + columns]``.

        A circular field is dropped: it is centred on the full image, so keep its mask instead.
        """
        inside = 0 <= row and row + rows <= self.shape[0]
        if not (inside and 0 <= column and column + columns <= self.shape[1]):
            raise ValueError(
                f"the crop rows {row}..{row + rows}, columns {column}..{column + columns} does not "
                f"lie inside the image of {self.shape[0]} x {self.shape[1]} pixels"
            )
        c_row, c_column = self.center
        return replace(
            self,
            shape=(rows, columns),
            principal_point=(c_row - row, c_column - column),
            field_diameter=None,
        )

    def resize(self, rows: int, columns: int) -> "Detector":
        """The detector of the same area sampled with another number of pixels.

        Outer edges stay in place, so a pixel p of the old grid lies at ``(p + 1/2) k - 1/2`` of
        the new one, k being the ratio of the sizes.
        """
        k_row, k_column = rows / self.shape[0], columns / self.shape[1]
        c_row, c_column = self.center
        return replace(
            self,
            shape=(rows, columns),
            spacing=(self.spacing[0] / k_row, self.spacing[1] / k_column),
            principal_point=((c_row + 0.5) * k_row - 0.5, (c_column + 0.5) * k_column - 0.5),
        )

    def rotate90(self, turns: int) -> "Detector":
        """The detector of the image turned clockwise on the screen by quarter turns.

        One turn takes pixel (row, column) to (column, rows - 1 - row). The camera axes turn with
        the image: see `Radiograph.rotate90` for the roll angle that belongs to it.
        """
        detector = self
        for _ in range(turns % 4):
            rows, columns = detector.shape
            c_row, c_column = detector.center
            detector = replace(
                detector,
                shape=(columns, rows),
                spacing=(detector.spacing[1], detector.spacing[0]),
                principal_point=(c_column, rows - 1 - c_row),
            )
        return detector

    def flip_columns(self) -> "Detector":
        """The detector of the image with left and right exchanged: the mirror is toggled."""
        c_row, c_column = self.center
        return replace(
            self,
            principal_point=(c_row, self.shape[1] - 1 - c_column),
            mirrored=not self.mirrored,
        )
