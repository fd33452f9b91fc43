"""How several bones lie to each other: CSV, one row a pair."""

import csv
import math
from itertools import combinations
from pathlib import Path

from napari_xreg.files import BONES, VERSIONS, ReadError, read_text, written
from napari_xreg.registration import BodiesRegistration

ENTRIES = [f"m{row}{column}" for row in range(3) for column in range(4)]
DEVIATIONS = ("rx_sd_deg", "ry_sd_deg", "rz_sd_deg", "x_sd_mm", "y_sd_mm", "z_sd_mm")


def bones_in(path: Path | str) -> set[str]:
    """The names of the bones of a table.

    Raises
    ------
    ReadError
        If it cannot be read.
    """
    rows = csv.DictReader(read_text(path).splitlines()[1:])
    try:
        return {name for row in rows for name in (row.get("one"), row.get("other")) if name}
    except csv.Error as error:
        raise ReadError(f"{Path(path).name}: a row is damaged: {error}") from error


def write_bones(path: Path | str, found: BodiesRegistration) -> None:
    """Write a row for every pair of bones, below one comment line with schema, version and what the numbers are.

    ``m00`` to ``m23`` are the first three rows of the matrix that takes points of the other bone's CT (LPS mm) to
    where they lie in the frame of the first one's; in the CT's own pose it is the identity. The standard deviations are of a turn about
    the first bone's pivot and of a shift, along the world axes of its CT; empty where they could not be estimated.

    Raises
    ------
    WriteError
        If the file cannot be written; an older one is then untouched.
    """
    simulated = any(body.simulated for body in found.bodies)
    with written(path) as beside, beside.open("w", encoding="utf-8", newline="") as stream:
        stream.write(
            f"# {BONES} version {VERSIONS[BONES]}; simulated {'yes' if simulated else 'no'}; one_from_other, LPS mm\n"
        )
        table = csv.writer(stream)
        table.writerow(["one", "other", "trusted", *ENTRIES, *DEVIATIONS])
        for one, other in combinations(found.names, 2):
            between, covariance = found.between(one, other)
            numbers = [f"{v:.9g}" for v in between.matrix()[:3].flatten().tolist()]
            deviations = [""] * 6
            if covariance is not None:
                sd = covariance.diagonal().clamp_min(0).sqrt().tolist()
                deviations = [f"{math.degrees(v) if n < 3 else v:.6g}" for n, v in enumerate(sd)]
            trusted = "yes" if found[one] and found[other] else "no"
            table.writerow([one, other, trusted, *numbers, *deviations])
