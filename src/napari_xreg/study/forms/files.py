"""Forms of papers as files: Markdown to read, a CSV with the same figures, a drawing."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from napari_xreg.files import EachFile, WriteError, missing_words, written
from napari_xreg.metrics import Interval
from napari_xreg.study.evaluating import Evaluation, csv_text, definitions, markdown
from napari_xreg.study.forms.filling import Filled, filled, mean_and_deviation, run_times
from napari_xreg.study.forms.form import FORMS, TITLES, UNITS, Figure, Form, Part
from napari_xreg.study.forms.titles import FORM_TITLES
from napari_xreg.study.forms.xvr_figure import FIGURE_COLUMNS, figure_rows, xvr_figure
from napari_xreg.study.tables import DEFINITIONS, failure_lines

_LABELS = ("group", "subject", "start", "method")


def write_forms(
    evaluation: Evaluation, out: Path | str, names: Iterable[str] = FORM_TITLES
) -> tuple[Path, ...]:
    """Write forms of papers into the folder of a study: ``xvr.md``, ``xvr.csv``, ``xvr-figure.svg`` ...

    Raises
    ------
    ValueError
        If there is no such form, or nothing of the study has a known truth.
    WriteError
        If a file cannot be written; the others are.
    """
    out, names = Path(out), tuple(dict.fromkeys(names))
    if unknown := [name for name in names if name not in FORM_TITLES]:
        raise ValueError(f"a form is one of {', '.join(FORM_TITLES)}: got {unknown[0]!r}")
    if not any(block.used for block in evaluation.blocks):
        raise ValueError(
            f"{out}: no registration with a known truth is done yet, so a paper's table has nothing to hold"
        )
    each, texts = EachFile(out), dict[str, str]()
    for name in names:
        if name in FORMS:
            lines = filled(FORMS[name], evaluation.blocks)
            texts[f"{name}.md"] = form_text(evaluation, FORMS[name], lines)
            texts[f"{name}.csv"] = form_csv(FORMS[name], lines)
        else:
            texts[f"{name}.svg"] = xvr_figure(evaluation)
            texts[f"{name}.csv"] = csv_text(FIGURE_COLUMNS, figure_rows(evaluation.blocks))
    for name, text in texts.items():
        with each.file(name) as path, written(path) as beside:
            beside.write_text(text, encoding="utf-8", newline="\n")
    if each.missing:
        raise WriteError(None, missing_words(each.missing), str(out))
    return tuple(out / name for name in texts)


def form_text(evaluation: Evaluation, form: Form, rows: Sequence[Filled]) -> str:
    """A form, filled, as Markdown: its tables, every definition, what is left out, and what failed."""
    title = evaluation.folder.manifest.title or "Study"
    lines = [f"# {title}", "", f"In the form of: {form.title}.", ""]
    if evaluation.simulated_words:
        lines += [f"**{evaluation.simulated_words}**", ""]
    if evaluation.waiting:
        lines += [f"{evaluation.waiting} registrations are not done yet.", ""]
    for heading, parts in form.tables:
        lines += [f"## {heading}", ""]
        lines += [*markdown(_head(form, parts), (_row(form, parts, row) for row in rows)), ""]
    lines += ["## What stands there", ""]
    lines += [f"* **{name}**: {words}" for name, words in _definitions(evaluation, form)]
    lines += ["", "## Left out", "", *(f"* {w}" for w in evaluation.exclusions or ["nothing"])]
    if failed := list(failure_lines(evaluation.rows)):
        lines += ["", "## Failed", "", *(f"* {words}" for words in failed)]
    return "\n".join(lines) + "\n"


def form_csv(form: Form, rows: Sequence[Filled]) -> str:
    """All figures of a form, a line each of its lines; mm, and shares from 0 to 1."""
    head = [*_LABELS, "subjects", "cases", "failed"]
    for part in form.parts:
        for figure in part.figures:
            name = f"{part.metric}_{figure.name}"
            head += [name, f"{name}_low", f"{name}_high"]
        head += [f"{part.metric}_mean", f"{part.metric}_sd"] if form.with_times else []
    head += ["wall_seconds", "cpu_seconds"] if form.with_times else []
    return csv_text(head, (_values(form, row) for row in rows))


def _values(form: Form, row: Filled) -> list[object]:
    line, block = row.line, row.line.block
    made: list[object | None] = [
        block.group, line.subject, block.start, block.method, block.subjects, len(block.used), block.failures,
    ]  # fmt: skip
    for part in form.parts:
        for figure in part.figures:
            found = row.figures[part.metric, figure.name]
            made += [None] * 3 if found is None else [found.value, *(found.bounds or [None] * 2)]
        if form.with_times:
            made += mean_and_deviation(block, part.metric) or [None, None]
    made += run_times(block) if form.with_times else ()
    return ["" if value is None else value for value in made]


def _head(form: Form, parts: Sequence[Part]) -> list[str]:
    subject = ["subject"] if form.by_subject else ["subjects"]
    head = ["group", *subject, "start", "method", "cases (failed)"]
    for part in parts:
        unit = f" ({UNITS[part.metric]})" if UNITS[part.metric] else ""
        of = f"{TITLES[part.metric]}, " if len(parts) > 1 else ""
        head += [f"{of}{each.title}{' (%)' if each.share else unit}" for each in part.figures]
        head += [f"mean ± SD{unit}"] if form.with_times else []
    return head + (["run time (s)"] if form.with_times else [])


def _row(form: Form, parts: Sequence[Part], row: Filled) -> list[str]:
    line, block = row.line, row.line.block
    subject = (
        ("all" if line.subject is None else line.subject or "–")
        if form.by_subject
        else str(block.subjects)
    )
    cells = [block.group or "–", subject, block.start, block.method]
    cells.append(f"{len(block.used)} ({block.failures})")
    for part in parts:
        cells += [_cell(each, row.figures[part.metric, each.name]) for each in part.figures]
        if form.with_times:
            cells.append(_mean(mean_and_deviation(block, part.metric)))
    if form.with_times:
        wall, cpu = ("–" if each is None else f"{each:.1f}" for each in run_times(block))
        cells.append(f"{wall} ({cpu})")
    return cells


def _cell(figure: Figure, found: Interval | None) -> str:
    if found is None:
        return "–"

    def of(value: float) -> str:
        return f"{100 * value:.1f}" if figure.share else f"{value:.2f}".replace("inf", "∞")

    within = f" [{', '.join(map(of, found.bounds))}]" if found.bounds else ""
    return of(found.value) + within


def _mean(found: tuple[float, float | None] | None) -> str:
    if found is None:
        return "–"
    mean, deviation = found
    return f"{mean:.2f} ± {'–' if deviation is None else f'{deviation:.2f}'}"


def _definitions(evaluation: Evaluation, form: Form) -> list[tuple[str, str]]:
    """What the words of a form mean: those of all tables, of its errors, and its own."""
    errors = {TITLES[part.metric] for part in form.parts}
    general = [(name, words) for name, words in DEFINITIONS if name in ("cases", "failed", "[low, high]")]  # fmt: skip
    rest = [
        (name, words)
        for name, words in definitions(evaluation)
        if name in errors or name.startswith(("start ", "method "))
    ]
    unknown = ("–", "not known: rows of before this error was measured, or nothing to take it of")
    machines = dict.fromkeys(row.machine for row in evaluation.rows if row.machine)
    where = [("machines", ", ".join(machines))] if form.with_times and machines else []
    return [*general, unknown, *form.words, *rest, *where]
