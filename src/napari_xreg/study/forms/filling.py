"""A form, filled with the blocks of a study."""

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from napari_xreg.metrics import Interval
from napari_xreg.study.errors import LATER
from napari_xreg.study.forms.form import Figure, Form
from napari_xreg.study.tables import Block, seconds


@dataclass(frozen=True, eq=False)
class Line:
    """A line of a form: a block, or what of it is one subject's; `subject` is None for all of them."""

    subject: str | None
    block: Block


@dataclass(frozen=True, eq=False)
class Filled:
    """A line with its figures, by metric and name; None: not known."""

    line: Line
    figures: Mapping[tuple[str, str], Interval | None]


def lines_of(form: Form, blocks: Sequence[Block]) -> Iterator[Line]:
    """Lines of a form, in the order of the rows; by subject, all of them come last."""
    if not form.by_subject:
        yield from (Line(None, block) for block in blocks if block.used)
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
            yield from (Line(None, block) for block in ours)


def filled(form: Form, blocks: Sequence[Block]) -> tuple[Filled, ...]:
    """All lines of a form with their figures."""
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


def measured(block: Block, metric: str, figure: Figure) -> Interval | None:
    """A figure of a block; None where its error is not known."""
    errors = errors_by(block, metric)
    return None if errors is None else block.interval(figure.of, errors)


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
