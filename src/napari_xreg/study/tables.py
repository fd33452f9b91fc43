"""The field's tables of a study: how often, how far, from how far off, by method and start."""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from napari_xreg.metrics import (
    Interval,
    OfDraws,
    Rate,
    StartBin,
    area_of_draws,
    bootstrap_over_subjects,
    capture_range,
    error_percentiles,
    gross_failure_rate,
    mean_of_draws,
    percentile_of_draws,
    success_by_start,
    success_rate,
)
from napari_xreg.records import StudyRow
from napari_xreg.study.errors import METRICS

CURVE_MM = 10.0
"""Where a survival curve ends."""
WRONG_MM = 2.0
"""A trusted result farther off is a wrong one."""
JUDGED_BY = METRICS[0]
BELOW_1_MM, MEDIAN = mean_of_draws(lambda error: error < 1.0), percentile_of_draws(50.0)
AREA = area_of_draws(CURVE_MM)
_SEEN = "mrpd_mm"

DEFINITIONS: tuple[tuple[str, str], ...] = (
    ("cases", "registrations with a known truth that are not left out; a failure counts as infinitely far off"),
    ("failed", "of them, those that ended without a result"),
    ("SMSR", "share with mTRE below 1 mm"),
    ("under 2 mm", "share with mTRE below 2 mm"),
    ("as seen", "share below 2 mm in what the verdict speaks of: as one radiograph shows it (mRPD, without the depth), else mTRE"),
    ("GFR@10, GFR@5", "gross failures: share with mTRE beyond 10 and beyond 5 mm"),
    ("median, 75 %, 95 %", "smallest mTRE that so many of the cases do not exceed"),
    ("AUC", "area under the share of cases below a threshold, thresholds 0 to 10 mm, over 10 mm: 1 is perfect"),
    ("[low, high]", "95 % interval: subjects drawn with replacement, 1000 times (bootstrap); of one subject none is known"),
    ("capture range", "bins of 10 mm of the start's mTRE: up to where 95 % of the cases of each end below 2 mm"),
    ("trusted", "results that the program says may be used"),
    ("wrong", "of the trusted ones: 2 mm or more off as seen"),
    ("wrong in space", "of the trusted ones: mTRE of 2 mm or more"),
    ("right, refused", "below 2 mm as seen, and not trusted"),
    ("CPU s", "median processor seconds of start and refinement, one thread"),
)  # fmt: skip
"""What stands in a table, in words."""


@dataclass(frozen=True, eq=False)
class Block:
    """All registrations of a group by a method from one kind of start.

    Parameters
    ----------
    group, start, method
        Names.
    rows
        With those that are left out.
    """

    group: str
    start: str
    method: str
    rows: tuple[StudyRow, ...]

    @cached_property
    def used(self) -> tuple[StudyRow, ...]:
        """What is judged: not left out, and with a truth, also where it failed."""
        return tuple(r for r in self.rows if not r.excluded and not without_truth(r))

    @cached_property
    def errors(self) -> list[float]:
        """mTRE of what is judged, mm; infinity where there is no result."""
        return [row.errors.get(JUDGED_BY.name, float("inf")) for row in self.used]

    @cached_property
    def started(self) -> list[tuple[float, float]]:
        """mTRE of start and result where there was a start."""
        return [
            (row.start_errors[JUDGED_BY.name], error)
            for row, error in zip(self.used, self.errors, strict=True)
            if JUDGED_BY.name in row.start_errors
        ]

    @property
    def failures(self) -> int:
        """Without a result."""
        return sum(bool(row.failure) for row in self.used)

    @property
    def excluded(self) -> int:
        """Left out."""
        return sum(bool(row.excluded) for row in self.rows)

    @property
    def subjects(self) -> int:
        """Whose cases are judged."""
        return len({row.subject for row in self.used})

    def interval(self, figure: OfDraws, errors: Sequence[float] | None = None) -> Interval:
        """A figure of what is judged, by mTRE or other errors of it, and its interval over subjects."""
        subjects = [row.subject for row in self.used]
        return bootstrap_over_subjects(self.errors if errors is None else errors, subjects, figure)

    def bins(self) -> tuple[StartBin, ...]:
        """Success by how far off the start was."""
        if not self.started:
            return ()
        began, ended = zip(*self.started, strict=True)
        return success_by_start(list(ended), list(began), threshold_mm=WRONG_MM)

    def column(self, name: str) -> list[float]:
        """Another error of those that have one."""
        return [row.errors[name] for row in self.used if name in row.errors]


def blocks_of(rows: Sequence[StudyRow]) -> list[Block]:
    """Rows by group, start and method, in the order they first occur."""
    found: dict[tuple[str, str, str], list[StudyRow]] = {}
    for row in rows:
        found.setdefault((row.group, row.start, row.method), []).append(row)
    return [Block(*names, tuple(some)) for names, some in found.items()]


def claimed(row: StudyRow) -> float | None:
    """How far off a result is in what its verdict speaks of, mm: `StudyRow.claimed_mm`; None where no error is known."""
    if row.claimed_mm is not None or not row.errors:
        return row.claimed_mm
    # A row of before it was kept. Which of several radiographs its errors are of: always the first.
    seen = len(row.poses) == 1 or row.seen_by == 0
    return row.errors.get(_SEEN if seen else JUDGED_BY.name)


def is_wrong(row: StudyRow) -> bool:
    """Trusted, though it is off in what the verdict speaks of, or has no numbers beside a known truth."""
    error = claimed(row)
    wrong = error >= WRONG_MM if error is not None else not without_truth(row)
    return row.trusted and wrong


def is_refused(row: StudyRow) -> bool:
    """Right in what the verdict speaks of, and not trusted."""
    error = claimed(row)
    return not row.trusted and error is not None and error < WRONG_MM


COLUMNS: tuple[str, ...] = (
    "group", "start", "method", "subjects", "cases", "failed", "excluded", "smsr", "smsr_low", "smsr_high",
    "under_2mm", "as_seen_under_2mm", "gfr_10mm", "gfr_5mm", "start_median_mm", "median_mm", "median_low_mm", "median_high_mm",
    "p75_mm", "p95_mm", "auc_10mm", "auc_low", "auc_high", "capture_mm", "trusted", "trusted_wrong",
    "trusted_wrong_in_space", "right_refused",
)  # fmt: skip


def figures(block: Block) -> dict[str, object]:
    """The row of a table that says nothing of time, by `COLUMNS`; only names and counts where nothing is judged."""
    made: dict[str, object] = {
        "group": block.group,
        "start": block.start,
        "method": block.method,
        "subjects": block.subjects,
        "cases": len(block.used),
        "failed": block.failures,
        "excluded": block.excluded,
        "trusted": sum(row.trusted for row in block.used),
    }
    if not block.used:
        return made
    e = block.errors
    rates: dict[str, Rate] = {
        "under_2mm": success_rate(e, 2.0),
        "gfr_10mm": gross_failure_rate(e, 10.0),
        "gfr_5mm": gross_failure_rate(e, 5.0),
    }
    seen = [off for row in block.used if (off := claimed(row)) is not None]
    made["as_seen_under_2mm"] = sum(off < WRONG_MM for off in seen) / len(e)
    made |= {name: rate.share for name, rate in rates.items()}
    made["p75_mm"], made["p95_mm"] = error_percentiles(e, (75.0, 95.0))
    for figure, name, low, high in (
        (BELOW_1_MM, "smsr", "smsr_low", "smsr_high"),
        (MEDIAN, "median_mm", "median_low_mm", "median_high_mm"),
        (AREA, "auc_10mm", "auc_low", "auc_high"),
    ):
        found = block.interval(figure)
        made[name] = found.value
        if found.bounds is not None:
            made[low], made[high] = found.bounds
    if block.started:
        made["start_median_mm"] = error_percentiles([began for began, _ in block.started], (50.0,))[
            0
        ]
        made["capture_mm"] = capture_range(block.bins())
    pairs = list(zip(block.used, e, strict=True))
    made["trusted_wrong"] = sum(map(is_wrong, block.used))
    made["trusted_wrong_in_space"] = sum(r.trusted and not off < WRONG_MM for r, off in pairs)
    made["right_refused"] = sum(map(is_refused, block.used))
    return {name: made[name] for name in COLUMNS if name in made}


def seconds(block: Block) -> float | None:
    """Median processor seconds of a registration; None where none has a result, or all were computed elsewhere."""
    spent = [row.cpu_seconds for row in block.used if row.cpu_seconds]
    return statistics.median(spent) if spent else None


def exclusions(rows: Sequence[StudyRow], left_out: Sequence[str]) -> Iterator[str]:
    """Every case that is in no figure, and why."""
    yield from left_out
    yield from dict.fromkeys(f"{row.case}: {row.excluded}" for row in rows if row.excluded)
    yield from dict.fromkeys(
        f"{row.case}: nobody knows its true pose"
        for row in rows
        if not row.excluded and without_truth(row)
    )


def without_truth(row: StudyRow) -> bool:
    """Whether nobody can say how far off it is."""
    if row.truth_known is not None:
        return not row.truth_known
    return not (row.errors or row.failure)


def failure_lines(rows: Sequence[StudyRow]) -> Iterator[str]:
    """What failed and why, once for each case and reason."""
    found: dict[tuple[str, str], list[StudyRow]] = {}
    for row in rows:
        if row.failure:
            found.setdefault((row.case, row.failure), []).append(row)
    for (case, why), some in found.items():
        of = (
            f", {some[0].start}, {some[0].method}"
            if len(some) == 1
            else f", {len(some)} registrations"
        )
        yield f"{case}{of}: {why}"
