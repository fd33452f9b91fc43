"""The tables of papers, filled by a study: the same rows and columns, over one's own cases.

The form alone is theirs. What every figure means here stands below each table, and errors that a
paper's code computes by a measure of its own have columns of their own, under its name.
"""

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from napari_xreg.metrics import bootstrap_over_subjects, error_percentiles
from napari_xreg.study.errors import LATER, METRICS
from napari_xreg.study.tables import Block, seconds

TITLES = {metric.name: metric.title for metric in METRICS}
UNITS = {metric.name: metric.unit for metric in METRICS}


@dataclass(frozen=True)
class Figure:
    """What a column holds of the errors of all cases.

    Parameters
    ----------
    name, title
        In a CSV and in a table.
    of
        Computes it.
    share
        Whether it is a share, which tables give in percent.
    """

    name: str
    title: str
    of: Callable[[np.ndarray], float]
    share: bool = False


@dataclass(frozen=True)
class Measured:
    """A figure, with bounds where several subjects tell them."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Part:
    """Columns that belong together.

    Parameters
    ----------
    metric
        Of `METRICS`.
    figures
        Of it.
    """

    metric: str
    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class Form:
    """A table of a paper.

    Parameters
    ----------
    title
        Which.
    tables
        Headings, each with the columns below it.
    words
        What is to be known before its figures are compared with published ones.
    by_subject
        A line for each subject, and one for all.
    with_times
        Mean, deviation and run times, as Chen et al. have them.
    """

    title: str
    tables: tuple[tuple[str, tuple[Part, ...]], ...]
    words: tuple[tuple[str, str], ...]
    by_subject: bool = False
    with_times: bool = False

    @property
    def parts(self) -> tuple[Part, ...]:
        """All columns."""
        return tuple(part for _, parts in self.tables for part in parts)


@dataclass(frozen=True, eq=False)
class Line:
    """A line of a form: a block, or what of it is one subject's; `subject` is "" for all of them."""

    subject: str
    block: Block


@dataclass(frozen=True, eq=False)
class Filled:
    """A line with its figures, by metric and name; None: not known."""

    line: Line
    figures: Mapping[tuple[str, str], Measured | None]


def percentile(number: int) -> Figure:
    """The error that so many percent of the cases do not exceed."""
    title = {25: "25th", 50: "50th", 75: "75th", 95: "95th"}[number]
    return Figure(f"p{number}", title, lambda v: error_percentiles(v, (float(number),))[0])


MEDIAN = replace(percentile(50), title="median")
SMSR = Figure("below_1mm", "SMSR", lambda v: float((v < 1.0).mean()), share=True)
_GFR = tuple(
    Figure(f"gfr_{mm}mm", f"GFR@{mm}", lambda v, mm=mm: float((v > mm).mean()), share=True)  # type: ignore[misc]
    for mm in (10, 5)
)
_RAYEMB = (percentile(25), percentile(50), percentile(95), *_GFR)
_CHEN = (SMSR, MEDIAN, percentile(75), percentile(95))

_PERCENTILES = "smallest error that so many percent of the cases do not exceed: an observed one, where others mostly interpolate between two"
_GROSS = "gross failures: share of the cases beyond 10 and beyond 5 mm in the error that the heading names"
_BELOW = "share of the cases below 1 mm in the error that the column or heading names"
_RUN_TIME = "median seconds by the clock of start and refinement, one thread, whatever else ran; in brackets those of the processor"
_OF_RAYEMB = "their mTRE is the one that stands here, at 14 landmarks; their mPD of real radiographs is that of the last table"
_OF_XVR = (
    "their mPE, mRPE, dGeo and mTRE are the first four errors, where those count from the middle of the CT; the last is the "
    "mTRE of all other tables of this program, and compares with none of theirs"
)
_OF_CHEN = "made with DiffPose's measure, which is no target registration error: compare them with the second table alone"

FORMS: Mapping[str, Form] = {
    "rayemb": Form(
        "RayEmb, Tables 1 and 2 (Shrestha et al., ACCV 2024)",
        tuple(
            (f"{TITLES[name]} by subject", (Part(name, _RAYEMB),))
            for name in ("mtre_mm", "mpd_mm", "rayemb_mpd_mm")
        ),
        (
            ("25th, 50th, 95th", _PERCENTILES),
            ("GFR@10, GFR@5", _GROSS),
            ("published figures", _OF_RAYEMB),
        ),
        by_subject=True,
    ),
    "xvr": Form(
        "xvr, Table S1 (Gopalakrishnan et al., 2025)",
        (
            (
                "Median error and SMSR",
                tuple(
                    Part(name, (MEDIAN, SMSR))
                    for name in (
                        "xvr_mpe_mm", "xvr_mrpe_mm", "double_geodesic_mm", "xvr_mtre_mm", "mtre_mm",
                    )
                ),
            ),
        ),
        (("median", _PERCENTILES), ("SMSR", _BELOW), ("published figures", _OF_XVR)),
    ),
    "chen": Form(
        "Chen et al., registration by data set (WACV 2026)",
        tuple((TITLES[name], (Part(name, _CHEN),)) for name in ("mtre_mm", "diffpose_mtre")),
        (
            ("median, 75th, 95th", _PERCENTILES),
            ("SMSR", _BELOW),
            ("mean ± SD", "of the results that there are, without the failures; SD over n - 1"),
            ("run time", _RUN_TIME),
            ("published figures", _OF_CHEN),
        ),
        with_times=True,
    ),
}  # fmt: skip


def lines_of(form: Form, blocks: Sequence[Block]) -> Iterator[Line]:
    """Lines of a form, in the order of the rows; by subject, all of them come last."""
    if not form.by_subject:
        yield from (Line("", block) for block in blocks if block.used)
        return
    for group in dict.fromkeys(block.group for block in blocks):
        ours = [block for block in blocks if block.group == group and block.used]
        subjects = list(dict.fromkeys(row.subject for block in ours for row in block.used))
        for subject in subjects:
            for block in ours:
                own = tuple(row for row in block.used if row.subject == subject)
                if own:
                    yield Line(subject, replace(block, rows=own))
        if len(subjects) > 1:
            yield from (Line("", block) for block in ours)


def filled(form: Form, blocks: Sequence[Block]) -> tuple[Filled, ...]:
    """All lines of a form with their figures, once for its table and its CSV: intervals take their time."""
    columns = [(part.metric, figure) for part in form.parts for figure in part.figures]
    return tuple(
        Filled(line, {(m, f.name): measured(line.block, m, f) for m, f in columns})
        for line in lines_of(form, blocks)
    )


def errors_by(block: Block, metric: str) -> list[float] | None:
    """An error of all that is judged, infinite where there is no result; None where some rows do not say it."""
    if metric in LATER and any(row.errors and metric not in row.errors for row in block.used):
        return None
    return [row.errors.get(metric, float("inf")) for row in block.used] or None


def measured(block: Block, metric: str, figure: Figure) -> Measured | None:
    """A figure of a block, with its 95 % interval over subjects where there are several."""
    errors = errors_by(block, metric)
    if errors is None:
        return None
    value = figure.of(np.asarray(errors))
    if block.subjects < 2:
        return Measured(value)
    found = bootstrap_over_subjects(errors, [row.subject for row in block.used], figure.of)
    return Measured(value, found.low, found.high)


def mean_and_deviation(block: Block, metric: str) -> tuple[float, float | None] | None:
    """Of the results that there are; no deviation of a single one."""
    errors = [value for value in errors_by(block, metric) or () if value < float("inf")]
    if not errors:
        return None
    return statistics.fmean(errors), statistics.stdev(errors) if len(errors) > 1 else None


def run_times(block: Block) -> tuple[float | None, float | None]:
    """Median seconds by the clock and of the processor; None where nobody knows them."""
    walls = [row.wall_seconds for row in block.used if row.wall_seconds and not row.failure]
    return (statistics.median(walls) if walls else None), seconds(block)
