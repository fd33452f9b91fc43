"""How several bones lie to each other in every frame of a sequence: CSV, one row a frame and pair."""

import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from napari_xreg.files import TRACK_BETWEEN, VERSIONS, written
from napari_xreg.geometry import Pose
from napari_xreg.records.bones_table import DEVIATIONS, ENTRIES


@dataclass(frozen=True, eq=False)
class BetweenRow:
    """Two bones in one frame; what it does not have is None.

    Parameters
    ----------
    frame, time_s
        Number; seconds since the first.
    one, other
        Names.
    state, sure
        The worse of the two bones', and whether both were given or trusted.
    one_from_other
        In the CT's own pose the identity.
    covariance
        Of its left twist (omega, v) about the pivot of the first, rad and mm.
    """

    frame: int
    time_s: float | None
    one: str
    other: str
    state: str
    sure: bool
    one_from_other: Pose | None = None
    covariance: Float[Tensor, "6 6"] | None = None


def write_between(path: Path | str, rows: Sequence[BetweenRow], *, simulated: bool) -> None:
    """Write a row for each frame and pair, below one comment line with schema and version; columns as of `write_bones`.

    Raises
    ------
    WriteError
        If the file cannot be written; an older one is then untouched.
    """
    with written(path) as beside, beside.open("w", encoding="utf-8", newline="") as stream:
        stream.write(
            f"# {TRACK_BETWEEN} version {VERSIONS[TRACK_BETWEEN]}; simulated {'yes' if simulated else 'no'}; "
            f"one_from_other, LPS mm; {len(rows)} rows\n"
        )
        table = csv.writer(stream)
        table.writerow(
            ["frame", "time_s", "one", "other", "state", "trusted", *ENTRIES, *DEVIATIONS]
        )
        for row in rows:
            numbers, deviations = [""] * len(ENTRIES), [""] * len(DEVIATIONS)
            if row.one_from_other is not None:
                matrix = row.one_from_other.matrix()[:3].flatten().tolist()
                numbers = [f"{v:.9g}" for v in matrix]
            if row.covariance is not None:
                sd = row.covariance.diagonal().clamp_min(0).sqrt().tolist()
                deviations = [f"{math.degrees(v) if n < 3 else v:.6g}" for n, v in enumerate(sd)]
            time_s = "" if row.time_s is None else f"{row.time_s:.12g}"
            first = [row.frame, time_s, row.one, row.other, row.state, "yes" if row.sure else "no"]
            table.writerow([*first, *numbers, *deviations])
