"""The tables of a study's folder, as files: for a paper, a spreadsheet, another program.

``cases.csv`` and ``summary.csv`` hold no times and no machine: whoever did the study, in whatever
order, on however many workers, they are the same to the last digit.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_xreg.files import EachFile, WriteError, missing_words, written
from napari_xreg.metrics import error_percentiles
from napari_xreg.records import StudyRow
from napari_xreg.study.elsewhere import ITS_OWN, ITS_OWN_WORDS
from napari_xreg.study.errors import METRICS
from napari_xreg.study.plan import methods_words
from napari_xreg.study.running import FolderRecord, read_folder, rows_there
from napari_xreg.study.starts import spread_words
from napari_xreg.study.tables import (
    COLUMNS,
    DEFINITIONS,
    Block,
    blocks_of,
    claimed,
    exclusions,
    failure_lines,
    figures,
    seconds,
)

SIMULATED = "Radiographs are SIMULATED: no accuracy on real images follows."
SOME_SIMULATED = "Some radiographs are SIMULATED: no accuracy on real images follows from those."


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A study, tabulated.

    Parameters
    ----------
    folder
        What was asked for.
    rows
        Those that are there.
    blocks
        They by group, start and method.
    damaged
        What is wrong with rows that cannot be read.
    """

    folder: FolderRecord
    rows: tuple[StudyRow, ...]
    blocks: tuple[Block, ...]
    damaged: tuple[str, ...] = ()

    @property
    def simulated_words(self) -> str:
        """What is said wherever a number is shown; "" where nothing was simulated."""
        kinds = {row.simulated for row in self.rows if not row.failure}
        return {frozenset({True}): SIMULATED, frozenset({True, False}): SOME_SIMULATED}.get(
            frozenset(kinds), ""
        )

    @property
    def exclusions(self) -> list[str]:
        """What is in no figure, and why."""
        return [*self.damaged, *exclusions(self.rows, self.folder.left_out)]

    @property
    def waiting(self) -> int:
        """Registrations that are not done yet."""
        return len(self.folder.files) - len(self.rows)


def evaluate(out: Path | str) -> Evaluation:
    """Read the folder of a study.

    Raises
    ------
    ReadError
        As `read_folder`.
    """
    rows, damaged = rows_there(out)
    return evaluation_of(read_folder(out), rows, damaged)


def evaluation_of(
    folder: FolderRecord, rows: Iterable[StudyRow], damaged: Iterable[str] = ()
) -> Evaluation:
    """Tabulate rows; subject, group and why one is left out are what the manifest says now."""
    now = tuple(folder.told(row) for row in rows)
    return Evaluation(folder, now, tuple(blocks_of(now)), tuple(damaged))


def write_tables(evaluation: Evaluation, out: Path | str) -> tuple[Path, ...]:
    """Write cases.csv, summary.csv, timing.csv and summary.md into a folder.

    Raises
    ------
    WriteError
        If a file cannot be written; the others are.
    """
    out = Path(out)
    each = EachFile(out)
    texts = {
        "cases.csv": csv_text(CASE_COLUMNS, map(case_row, evaluation.rows)),
        "summary.csv": csv_text(COLUMNS, ([f.get(c, "") for c in COLUMNS] for f in map(figures, evaluation.blocks))),
        "timing.csv": csv_text(TIMING_COLUMNS, map(_timing, evaluation.rows)),
        "summary.md": summary(evaluation),
    }  # fmt: skip
    for name, text in texts.items():
        with each.file(name) as path, written(path) as beside:
            beside.write_text(text, encoding="utf-8", newline="\n")
    if each.missing:
        raise WriteError(None, missing_words(each.missing), str(out))
    return tuple(out / name for name in texts)


CASE_COLUMNS = (
    "case", "subject", "group", "start", "repeat", "method", "simulated", "excluded", "failure",
    "status", "trusted", "probability", "loss", "iterations",
    *(f"start_{metric.name}" for metric in METRICS), *(metric.name for metric in METRICS), "claimed_mm",
)  # fmt: skip
TIMING_COLUMNS = ("case", "start", "repeat", "method", "cpu_seconds", "wall_seconds", "machine")


def case_row(row: StudyRow) -> list[object]:
    """Of one registration, by `CASE_COLUMNS`."""
    return [
        row.case, row.subject, row.group, row.start, row.repeat, row.method, row.simulated, row.excluded,
        row.failure, "" if row.status is None else row.status.name, row.trusted,
        "" if row.probability is None else row.probability, "" if row.failure else row.loss, row.iterations,
        *(row.start_errors.get(metric.name, "") for metric in METRICS),
        *(row.errors.get(metric.name, "") for metric in METRICS),
        "" if (error := claimed(row)) is None else error,
    ]  # fmt: skip


def _timing(row: StudyRow) -> list[object]:
    # 0: nobody knows, as of a result of another program.
    cpu, wall = (f"{each:.3f}" if each else "" for each in (row.cpu_seconds, row.wall_seconds))
    return [row.case, row.start, row.repeat, row.method, cpu, wall, row.machine]


def summary(evaluation: Evaluation) -> str:
    """The tables in words, as Markdown: every figure's definition stands beside it."""
    manifest = evaluation.folder.manifest
    lines = [f"# {manifest.title or 'Study'}", ""]
    if evaluation.simulated_words:
        lines += [f"**{evaluation.simulated_words}**", ""]
    if evaluation.waiting:
        lines += [f"{evaluation.waiting} registrations are not done yet.", ""]
    lines += markdown(MAIN_HEAD, map(main_row, evaluation.blocks))
    lines += ["", "## Success by how far off the start was", ""]
    lines += markdown(*bins_table(evaluation.blocks))
    lines += ["", "## Other errors, median (95 % of the cases)", ""]
    lines += markdown(*others_table(evaluation.blocks))
    lines += ["", "## What stands there", ""]
    lines += [f"* **{name}**: {words}" for name, words in definitions(evaluation)]
    left = evaluation.exclusions
    lines += ["", "## Left out", "", *(f"* {words}" for words in left or ["nothing"])]
    failed = list(failure_lines(evaluation.rows))
    if failed:
        lines += ["", "## Failed", "", *(f"* {words}" for words in failed[:50])]
        lines += [f"* and {len(failed) - 50} more, in cases.csv"] if len(failed) > 50 else []
    return "\n".join(lines) + "\n"


MAIN_HEAD = (
    "group", "start", "method", "subjects", "cases (failed)", "start, median", "SMSR [low, high]", "under 2 mm (as seen)",
    "GFR@10", "GFR@5", "median [low, high]", "75 %", "95 %", "AUC [low, high]", "capture range",
    "trusted (wrong; wrong in space)", "right, refused", "CPU s",
)  # fmt: skip


def main_row(block: Block) -> list[str]:
    """Of the main table, by `MAIN_HEAD`."""
    f = figures(block)

    def of(name: str, unit: str = "") -> str:
        value = f.get(name)
        if not isinstance(value, float):
            return "–" if value is None else str(value)
        if unit == "%":
            return f"{100 * value:.0f} %"
        return ("∞" if value == float("inf") else f"{value:.2f}") + unit

    def within(low: str, high: str, unit: str = "") -> str:
        return f"[{of(low, unit)}, {of(high, unit)}]" if low in f else ""

    spent = seconds(block)
    wrong = (
        f" ({of('trusted_wrong')}; {of('trusted_wrong_in_space')})" if "trusted_wrong" in f else ""
    )
    return [
        block.group or "–", block.start, block.method, of("subjects"), f"{of('cases')} ({of('failed')})",
        of("start_median_mm", " mm"), f"{of('smsr', '%')} {within('smsr_low', 'smsr_high', '%')}",
        f"{of('under_2mm', '%')} ({of('as_seen_under_2mm', '%')})", of("gfr_10mm", "%"), of("gfr_5mm", "%"),
        f"{of('median_mm', ' mm')} {within('median_low_mm', 'median_high_mm')}",
        of("p75_mm", " mm"), of("p95_mm", " mm"), f"{of('auc_10mm')} {within('auc_low', 'auc_high')}",
        of("capture_mm", " mm"), f"{of('trusted')}{wrong}", of("right_refused"),
        "–" if spent is None else f"{spent:.2f}",
    ]  # fmt: skip


def bins_table(blocks: Sequence[Block]) -> tuple[list[str], list[list[str]]]:
    """Head and rows: share below 2 mm, by mTRE of the start."""
    rows: list[list[str]] = []
    words: list[str] = []
    for block in blocks:
        bins = block.bins()
        words = words or [f"{each.words} mm" for each in bins]
        if bins:
            shares = ["–" if b.rate is None else f"{b.rate.count}/{b.rate.cases}" for b in bins]
            rows.append([block.group or "–", block.start, block.method, *shares])
    return ["group", "start", "method", *words], rows


def others_table(blocks: Sequence[Block]) -> tuple[list[str], list[list[str]]]:
    """Head and rows: median and 95th percentile of the other errors, of results that are there."""
    head = ["group", "start", "method", *(f"{m.title} ({m.unit})" if m.unit else m.title for m in METRICS[1:])]  # fmt: skip
    rows = []
    for block in blocks:
        cells = []
        for metric in METRICS[1:]:
            values = block.column(metric.name)
            if values:
                middle, most = error_percentiles(values, (50.0, 95.0))
                cells.append(f"{middle:.2f} ({most:.2f})")
            else:
                cells.append("–")
        rows.append([block.group or "–", block.start, block.method, *cells])
    return head, rows


def definitions(evaluation: Evaluation) -> list[tuple[str, str]]:
    """Every word of the tables, with what it means here."""
    manifest = evaluation.folder.manifest
    starts = [(f"start {entry.name}", spread_words(entry)) for entry in manifest.starts]
    if any(method.results is not None for method in manifest.methods):
        starts.append((f"start {ITS_OWN.name}", ITS_OWN_WORDS))
    methods = [(f"method {name}", words) for name, words in methods_words(manifest)]
    return [*DEFINITIONS, *((m.title, m.definition) for m in METRICS), *starts, *methods]


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table."""
    lines = [f"| {' | '.join(head)} |", f"|{'|'.join('---' for _ in head)}|"]
    return lines + [f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows]


def csv_text(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table with commas."""
    stream = io.StringIO()
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(head)
    table.writerows(rows)
    return stream.getvalue()
