"""The motion of a joint as a table: CSV, one row a frame."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from napari_xreg.files import JOINT, VERSIONS, written
from napari_xreg.registration import JOINT_MOTIONS

_HELICAL = ("helical_deg", "helical_mm")


@dataclass(frozen=True, eq=False)
class JointRow:
    """One frame; what it does not have is None.

    Parameters
    ----------
    frame, time_s
        Number; seconds since the first.
    state, sure
        The worse of the two bones', and whether both were given or trusted.
    motion, smooth
        As of `registration.JOINT_MOTIONS`, from the poses as registered and of the smooth motions.
    helical, smooth_helical
        Since the frame of reference: degrees about the helical axis, mm along it.
    deviation, smooth_deviation
        Standard deviations of `motion` and `smooth`, without what is not known of the CT's scale.
    """

    frame: int
    time_s: float | None
    state: str
    sure: bool = False
    motion: Float[Tensor, "6"] | None = None
    helical: tuple[float, float] | None = None
    smooth: Float[Tensor, "6"] | None = None
    smooth_helical: tuple[float, float] | None = None
    deviation: Float[Tensor, "6"] | None = None
    smooth_deviation: Float[Tensor, "6"] | None = None


def write_joint(path: Path | str, rows: Sequence[JointRow], *, simulated: bool) -> None:
    """Write a row for each frame, below one comment line with schema, version and whether radiographs were
    simulated.

    A cell without a value is empty; so are all anatomical ones where the bones' axes are not known.

    Raises
    ------
    WriteError
        If the file cannot be written; an older one is then untouched.
    """
    each = (*JOINT_MOTIONS, *(f"sd_{name}" for name in JOINT_MOTIONS), *_HELICAL)
    with written(path) as beside, beside.open("w", encoding="utf-8", newline="") as stream:
        stream.write(
            f"# {JOINT} version {VERSIONS[JOINT]}; simulated {'yes' if simulated else 'no'}; {len(rows)} rows\n"
        )
        table = csv.writer(stream)
        table.writerow(["frame", "time_s", "state", *each, *(f"smooth_{name}" for name in each)])
        for row in rows:
            cells: list[object] = [row.frame, row.time_s, row.state]
            cells += [
                *_numbers(row.motion, row.deviation, row.helical),
                *_numbers(row.smooth, row.smooth_deviation, row.smooth_helical),
            ]
            table.writerow(["" if cell is None else cell for cell in cells])


def _numbers(
    motion: Float[Tensor, "6"] | None,
    deviation: Float[Tensor, "6"] | None,
    helical: tuple[float, float] | None,
) -> list[object]:
    cells: list[object] = []
    for six in (motion, deviation):
        cells += [None] * len(JOINT_MOTIONS) if six is None else [f"{v:.6g}" for v in six.tolist()]
    return [*cells, *([None, None] if helical is None else [f"{v:.6g}" for v in helical])]
