"""A row of a study: one registration of one case from one start by one method, in a file of its own."""

import json
from pathlib import Path

from pydantic import Field

from napari_xreg.files import STUDY_ROW, Flag, Number, Record, Text, Whole, read_json, written
from napari_xreg.records.entries import Matrix, Measured, Probability, StatusName, Vector


class StudyRow(Record):
    """What a study knows of one registration.

    `key` says of which inputs, settings and version of the program it is the answer. `failure` is the
    sentence of one that has no answer. `errors` and `start_errors` are distances to the truth by
    their names in `study.METRICS`; none where nobody knows the truth, which `truth_known` says of
    failures too (None: of a row of before it did). `claimed_mm` is the error that the verdict speaks of: as seen
    in the radiograph that it was judged in, mTRE where it was judged in space (None: no truth, or a row of
    before it was kept). Poses are those of every radiograph of the case. Seconds are 0 where nobody knows them.
    """

    SCHEMA = STUDY_ROW
    key: Text
    case: Text
    subject: Text
    group: Text
    start: Text
    repeat: Whole
    method: Text
    excluded: Text = ""
    truth_known: Flag | None = None
    simulated: Flag = False
    failure: Text = ""
    failure_kind: Text = ""
    start_poses: tuple[Matrix, ...] = ()
    poses: tuple[Matrix, ...] = ()
    pivot: Vector | None = None
    status: StatusName | None = None
    trusted: Flag = False
    probability: Probability | None = None
    seen_by: Whole | None = None
    loss: Measured = float("nan")
    iterations: Whole = 0
    start_errors: dict[str, Number] = Field(default_factory=dict)
    errors: dict[str, Number] = Field(default_factory=dict)
    claimed_mm: Number | None = None
    notes: tuple[Text, ...] = ()
    cpu_seconds: Number = 0.0
    wall_seconds: Number = 0.0
    machine: Text = ""


def read_row(path: Path | str) -> StudyRow:
    """The row in a file.

    Raises
    ------
    ReadError
        If it is absent, damaged, or of another kind or a later version.
    """
    return StudyRow.read(read_json(path), Path(path).name)


def write_row(path: Path | str, row: StudyRow) -> None:
    """Write a row, whole or not at all.

    Raises
    ------
    WriteError
        If it cannot be written; an older one is then untouched.
    """
    text = json.dumps(row.as_json(), indent=1, allow_nan=False) + "\n"
    with written(path) as beside:
        beside.write_text(text, encoding="utf-8")
