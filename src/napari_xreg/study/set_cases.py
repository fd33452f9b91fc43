"""Cases of a data set: every radiograph is one."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_xreg.datasets import open_data_set
from napari_xreg.files import ReadError
from napari_xreg.records import SetCases
from napari_xreg.study.case import Prepared, StudyCase, content, fiducials_of, middle_of
from napari_xreg.workflows import CaseRequest, PoseUnknown, header_pose, open_case


@dataclass(frozen=True)
class ViewOfSet:
    """A radiograph of a case of a set."""

    path: Path
    case: str
    view: str
    structures: tuple[str, ...] = ()

    def described(self) -> dict[str, Any]:
        """See `Described`."""
        of_case = self.path / self.case
        return {
            "kind": "set",
            "case": self.case,
            "view": self.view,
            "structures": list(self.structures),
            "content": content(of_case if of_case.is_dir() else self.path),
        }

    def prepare(self) -> Prepared:
        """See `Described`."""
        opened = open_case(CaseRequest(self.path, self.case, self.view, self.structures or None))
        patient, radiograph, truth = opened.patient, opened.view.radiograph, opened.truth
        center = middle_of(patient)
        with contextlib.suppress(PoseUnknown):
            center = header_pose(radiograph, center).isocenter
        points = None if truth is None else fiducials_of(patient, radiograph, truth, 0)
        return Prepared(patient, (radiograph,), center, truth, points, notes=opened.notes)


def expand(entry: SetCases, folder: Path) -> Iterator[StudyCase]:
    """The cases of an entry of a manifest in a folder.

    Raises
    ------
    ReadError
        If the set cannot be opened, or has no case or radiograph of a name.
    """
    path = folder / entry.path
    found = open_data_set(path)
    _known(entry.cases, [case.name for case in found.entries], f"{path.name}: its cases are")
    chosen = [case for case in found.entries if not entry.cases or case.name in entry.cases]
    views = [view for case in chosen for view in case.views]
    _known(entry.views, views, f"{path.name}: radiographs of these cases are")
    for case in chosen:
        for view in case.views:
            reason = case.exclusions.get(view, "")
            if (entry.views and view not in entry.views) or (
                reason and not entry.with_excluded and not entry.views
            ):
                continue
            described = ViewOfSet(path, case.name, view, entry.structures)
            left = "" if entry.with_excluded else reason
            yield StudyCase(f"{case.name} {view}", case.name, described, entry.group, left)


def left_out(entry: SetCases, folder: Path) -> list[str]:
    """Radiographs that published evaluations leave out and this study too: name and reason."""
    if entry.with_excluded or entry.views:
        return []
    return [
        f"{case.name} {view}: {reason}"
        for case in open_data_set(folder / entry.path).entries
        if not entry.cases or case.name in entry.cases
        for view, reason in case.exclusions.items()
    ]


def _known(wanted: tuple[str, ...], names: list[str], words: str) -> None:
    for name in wanted:
        if name not in names:
            shown = ", ".join(names[:12]) + (" ..." if len(names) > 12 else "")
            raise ReadError(f"{words} {shown}: got {name!r}")
