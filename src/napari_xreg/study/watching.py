"""A study as it stands, looked at again and again while others compute it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from napari_xreg.files import ReadError
from napari_xreg.records import PLAN_FILE, StudyRow, read_row
from napari_xreg.study.claims import Claims
from napari_xreg.study.evaluating import Evaluation, evaluation_of
from napari_xreg.study.running import ROWS, read_folder

Stamp = tuple[int, int, int]
"""Of a file: when it was written (ns), its size, its number on the disk."""


@dataclass(frozen=True, eq=False)
class Watched:
    """A study's folder, looked at.

    Parameters
    ----------
    out
        The folder.
    evaluation
        What was asked for, and the rows that are there.
    in_hand
        Cases that somebody is computing.
    problems
        A sentence for each row that cannot be read.
    """

    out: Path
    evaluation: Evaluation
    in_hand: int
    problems: tuple[str, ...] = ()
    seen: Mapping[str, tuple[Stamp, StudyRow]] = field(default_factory=dict, repr=False)
    """By file: what tells a row from one written in its place, and what it says."""
    planned: Stamp = (0, 0, 0)
    """The same of what was asked for."""

    def same_as(self, other: "Watched | None") -> bool:
        """Whether nothing that is shown has changed."""
        return (
            other is not None
            and self.evaluation is other.evaluation
            and (self.in_hand, self.problems) == (other.in_hand, other.problems)
        )


def watch(out: Path | str, before: Watched | None = None) -> Watched:
    """Look at the folder of a study; of what a last look knew, only what was written since is read.

    Parameters
    ----------
    out
        The folder.
    before
        What the last look at it found.

    Raises
    ------
    ReadError
        If it is no study's folder.
    """
    out = Path(out)
    planned = _written(out / PLAN_FILE)
    same_plan = before is not None and (before.out, before.planned) == (out, planned)
    known = before.seen if before is not None and same_plan else {}
    folder = before.evaluation.folder if before is not None and same_plan else read_folder(out)
    seen: dict[str, tuple[Stamp, StudyRow]] = {}
    problems = []
    for name in folder.files:
        written = _written(out / ROWS / name)
        if not any(written):
            continue
        try:
            there = known.get(name)
            seen[name] = (
                there if there and there[0] == written else (written, read_row(out / ROWS / name))
            )
        except ReadError as error:
            problems.append(str(error))
    claims = Claims(out / ROWS)
    in_hand = sum(claims.held(file.stem) for file in (out / ROWS).glob("*.claim"))
    new = not same_plan or len(seen) != len(known) or any(seen[n] is not known.get(n) for n in seen)
    if before is not None and not new:
        evaluation = before.evaluation
    else:
        evaluation = evaluation_of(folder, [row for _, row in seen.values()])
    return Watched(out, evaluation, in_hand, tuple(problems), seen, planned)


def _written(file: Path) -> Stamp:
    """What tells a file from one that was written in its place; zeros for one that is not there."""
    try:
        found = file.stat()
    except OSError:
        return (0, 0, 0)
    return (found.st_mtime_ns, found.st_size, found.st_ino)
