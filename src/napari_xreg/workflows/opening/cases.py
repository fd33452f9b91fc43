"""Open: a case of a data set, as the patient and the radiograph that are registered."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_xreg.datasets import Case, CaseView, DataSet, open_data_set
from napari_xreg.geometry import Pose
from napari_xreg.records import describe_input
from napari_xreg.session import Session
from napari_xreg.workflows.opening.patients import Patient, structure_ids


@dataclass(frozen=True)
class CaseRequest:
    """Which part of a data set.

    Parameters
    ----------
    path
        Of the set.
    case, view
        By name; None: the only one.
    structures
        As of `open_patient`. None: those of the structure whose pose is the truth.
    """

    path: Path
    case: str | None = None
    view: str | None = None
    structures: Sequence[str] | None = None


@dataclass(frozen=True, eq=False)
class OpenedCase:
    """A case with one of its radiographs.

    Parameters
    ----------
    data_set, case, view
        What was read.
    patient
        The CT with what is registered of it.
    truth
        World from camera of what is registered; None where nobody knows it.
    """

    data_set: DataSet
    case: Case
    view: CaseView
    patient: Patient
    truth: Pose | None

    @property
    def notes(self) -> tuple[str, ...]:
        """What the layout's reader decided, and whether published evaluations leave the view out."""
        left_out = (
            f"published evaluations leave this radiograph out: {self.view.excluded}"
            if self.view.excluded
            else ""
        )
        said = (*self.data_set.notes, *self.case.notes, *self.view.notes, left_out)
        return tuple(note for note in said if note)

    def fill(self, session: Session) -> None:
        """Put it into a session, in place of the CT there; its radiograph beside those there."""
        patient, view = self.patient, self.view
        with session.one_step("load case", work=False):
            session.patient.set_volume(patient.volume)
            if patient.labels is not None:
                session.patient.set_labels(patient.labels)
                session.patient.set_structures(tuple(patient.structures))
            session.landmarks.set(patient.landmarks)
            name = f"{self.case.entry.name} {view.name}"
            session.exposures.add(view.radiograph, name=name, truth=self.truth)

    def described(self) -> dict[str, Any]:
        """Set, case and terms, as a result file says them."""
        return {
            "title": self.data_set.title,
            "layout": self.data_set.layout,
            "case": self.case.entry.name,
            "view": self.view.name,
            "excluded": self.view.excluded or None,
            "licence": self.data_set.terms.licence,
            "citation": self.data_set.terms.citation,
        }

    def inputs(self) -> list[dict[str, Any]]:
        """The files it came from, as a result file says them; they are read to the end for that."""
        of_case = [dict(describe_input(file, "ct")) for file in self.case.files]
        return of_case + [
            dict(describe_input(file, "radiograph"))
            for file in self.view.files
            if file not in self.case.files
        ]


def open_case(request: CaseRequest) -> OpenedCase:
    """Read the CT of a case and one of its radiographs.

    Raises
    ------
    SeveralCases, SeveralCaseViews
        If there are several and none was chosen.
    ReadError
        If the path is no data set, or what was chosen is absent or damaged.
    ValueError
        If a structure is named that does not occur.
    """
    data_set = open_data_set(request.path)
    case = data_set.case(request.case)
    view = case.view(request.view)
    ids = case.structures.get(case.target, ())
    if request.structures is not None:
        if case.labels is None:
            raise ValueError(
                f"{case.entry.name}: this case has no labels to choose structures from"
            )
        ids = tuple(structure_ids(request.structures, case.labels))
    patient = Patient(
        case.volume,
        f"{data_set.title} {case.entry.name}",
        request.path,
        case.labels,
        {i: f"label {i}" if case.labels is None else case.labels.called(i) for i in ids},
        case.landmarks,
        case.attenuation,
    )
    chosen = next((s for s, of in case.structures.items() if set(of) == set(ids)), None)
    structure = case.target if not ids else chosen
    return OpenedCase(
        data_set, case, view, patient, None if structure is None else view.truths.get(structure)
    )
