"""A study as it stands, looked at again and again while others compute it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from napari_xreg.files import ReadError
from napari_xreg.records import PLAN_FILE, StudyRow, read_row
from napari_xreg.study.claims import Claims
from napari_xreg.study.evaluating import Evaluation, evaluation_of
from napari_xreg.study.running import ROWS, read_folder


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
    seen: Mapping[str, tuple[int, StudyRow]] = field(default_factory=dict, repr=False)
    """By file: when a row was written, ns, and what it says."""
    planned: int = 0
    """When what was asked for was written, ns."""

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
    seen: dict[str, tuple[int, StudyRow]] = {}
    problems = []
    for name in folder.files:
        written = _written(out / ROWS / name)
        if not written:
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


def _written(file: Path) -> int:
    """When, ns; 0 for a file that is not there."""
    try:
        return file.stat().st_mtime_ns
    except OSError:
        return 0
