"""A landmark: a named anatomical point, in the patient or on a radiograph."""

import math
from dataclasses import dataclass

FURTHEST = 1e6  # mm or pixels


@dataclass(frozen=True)
class Landmark:
    """A named anatomical point.

    Parameters
    ----------
    name
        What it is called; unique among the landmarks of a case.
    position
        (x, y, z) in the patient, LPS mm. None: not known in 3D.
    pixel
        (row, column) where it was picked on a radiograph, in pixels of the image as stored,
        integer = centre. None: not picked.
    visible
        False where it is not to be used: not to be seen on the radiograph, or not to be relied on.
    covariance
        Of `pixel`: variance of the row, covariance of row and column, variance of the column,
        pixels squared. None: not known, as of a point picked by hand.

    Raises
    ------
    ValueError
        If the name is empty or has several lines, neither place is given, a coordinate is not
        finite or beyond a million, or the covariance is not positive or has no pixel.

    Examples
    --------
    >>> Landmark("ASIS left", position=(121.5, -98.0, 14.25))
    Landmark(name='ASIS left', position=(121.5, -98.0, 14.25), pixel=None, visible=True, covariance=None)
    """

    name: str
    position: tuple[float, float, float] | None = None
    pixel: tuple[float, float] | None = None
    visible: bool = True
    covariance: tuple[float, float, float] | None = None

    def __post_init__(self) -> None:
        if not self.name.strip() or len(self.name.splitlines()) != 1:
            raise ValueError(f"a landmark needs a name of one line: got {self.name!r}")
        if self.position is None and self.pixel is None:
            raise ValueError(f"landmark {self.name!r} needs a position (mm), a pixel, or both")
        if not all(map(math.isfinite, (*(self.position or ()), *(self.pixel or ())))):
            raise ValueError(
                f"landmark {self.name!r} must have finite coordinates: got position "
                f"{self.position}, pixel {self.pixel}"
            )
        if not all(abs(v) <= FURTHEST for v in (*(self.position or ()), *(self.pixel or ()))):
            raise ValueError(
                f"landmark {self.name!r} lies too far away, no scanner reaches a kilometre: got "
                f"position {self.position} mm, pixel {self.pixel}"
            )
        if self.covariance is not None:
            rows, both, columns = self.covariance
            finite = all(map(math.isfinite, self.covariance))
            if self.pixel is None or not finite or rows <= 0 or rows * columns <= both * both:
                raise ValueError(
                    f"landmark {self.name!r} must have a pixel and a positive covariance (row, row "
                    f"and column, column; pixels squared): got {self.covariance}"
                )
