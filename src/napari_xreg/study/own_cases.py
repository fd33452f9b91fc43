"""Cases of one's own: CT and radiographs by their files, as `register` takes them."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.files import TRUTH, ReadError, read_json
from napari_xreg.geometry import Pose
from napari_xreg.images import read_landmarks, read_radiograph
from napari_xreg.records import OwnCase, read_pose, read_truth
from napari_xreg.session import Source, file_source
from napari_xreg.study.case import (
    Prepared,
    StudyCase,
    content,
    fiducials_of,
    middle_of,
    placed,
)
from napari_xreg.workflows import (
    NONE_SEEN,
    SEVERAL_MOVED,
    PoseUnknown,
    header_pose,
    open_patient,
)


@dataclass(frozen=True)
class FilesOfCase:
    """The files of a case; paths in `entry` are relative to `folder`."""

    entry: OwnCase
    folder: Path

    def described(self) -> dict[str, Any]:
        """See `Described`."""
        said = self.entry.model_dump(exclude={"subject", "group", "excluded"})
        contents = [_content(self.folder / name) for name in _files(self.entry)]
        return {"kind": "own", **said, "contents": contents}

    def prepare(self) -> Prepared:
        """See `Described`."""
        e, at = self.entry, self.folder
        marks = () if e.landmarks is None else placed(tuple(read_landmarks(at / e.landmarks)))
        built_in = _built_in(e, at)
        ct = e.ct if built_in else at / e.ct
        patient = open_patient(
            ct, values=e.ct_values, labels=None if e.labels is None else at / e.labels,
            structures=e.structures or None, landmarks=marks,
        )  # fmt: skip
        if e.geometry and len(e.geometry) not in (1, len(e.xrays)):
            raise ReadError(
                f"geometry: one for all radiographs or one for each: got {len(e.geometry)} for "
                f"{len(e.xrays)}"
            )
        radiographs, sources = [], {}
        for number, name in enumerate(e.xrays):
            options: dict[str, Any] = {"read_as": e.read_as, "bone": e.bone}
            options = {key: value for key, value in options.items() if value is not None}
            source = file_source(at / name, **options)
            if e.geometry:
                chosen = e.geometry[number if len(e.geometry) > 1 else 0]
                options["geometry"] = str(at / chosen)
            else:
                sources[str(number)] = source
            radiographs.append(read_radiograph(at / name, **options))
        if not built_in:
            sources["ct"] = file_source(ct, **({"values": e.ct_values} if e.ct_values else {}))
        else:
            number_said = e.ct.partition(":")[2]
            seed = {"seed": int(number_said)} if number_said else {}
            sources["ct"] = Source("phantom", built_in=True, options=seed)
        if e.labels is not None:
            sources["labels"] = file_source(at / e.labels)
        start = None if e.start is None else read_pose(at / e.start)
        try:
            isocenter = header_pose(radiographs[0], patient.middle).isocenter
        except PoseUnknown:
            isocenter = middle_of(patient)
        notes = patient.volume.notes
        truth: Pose | None = None
        points: Float[Tensor, "n 3"] | None = None
        if e.truth is not None:
            known = truth_of(at / e.truth, patient.structures)
            truth, points = known or (None, None)
            if truth is None:
                notes = (*notes, SEVERAL_MOVED)
            elif points is None:
                points = fiducials_of(patient, radiographs[0], truth, 0)
            elif not len(points):
                points, notes = None, (*notes, NONE_SEEN)
        return Prepared(
            patient, tuple(radiographs), isocenter, truth, points, start, sources,
            notes,
        )  # fmt: skip


def case_of(entry: OwnCase, folder: Path) -> StudyCase:
    """The case of an entry of a manifest in a folder."""
    files = FilesOfCase(entry, folder)
    return StudyCase(
        entry.name, entry.subject or entry.name, files, entry.group, entry.excluded,
        entry.truth is not None,
    )  # fmt: skip


def absent(entry: OwnCase, folder: Path) -> list[Path]:
    """Files that an entry of a manifest in a folder names and that are not there."""
    named = _files(entry)[_built_in(entry, folder) :]
    return [folder / name for name in named if not (folder / name).exists()]


def _files(entry: OwnCase) -> list[str]:
    """All that an entry names, the CT first."""
    named = (entry.labels, entry.landmarks, entry.start, entry.truth)
    said = [name for name in named if name is not None]
    return [entry.ct, *entry.xrays, *entry.geometry, *said]


def _built_in(entry: OwnCase, folder: Path) -> bool:
    """Whether its CT is a phantom."""
    return entry.ct.partition(":")[0] == "phantom" and not (folder / entry.ct).exists()


def truth_of(
    path: Path, labels: Collection[int] = ()
) -> tuple[Pose, Float[Tensor, "n 3"] | None] | None:
    """A truth of `simulate` with its points, as `TruthFile.true_of` says of some structures; or any pose without.

    Raises
    ------
    ReadError
        If it is neither.
    """
    if path.suffix.lower() == ".json":
        data = read_json(path)
        if isinstance(data, dict) and data.get("schema") == TRUTH:
            known = read_truth(path)
            return (
                known.true_of(labels) if labels else (known.world_from_camera, known.fiducials_mm)
            )
    return read_pose(path).to(dtype=torch.float64), None


def _content(path: Path) -> str:
    """With the sidecar of a picture: it says where the C-arm stood."""
    beside = path.with_name(path.name + ".json")
    return content(path) + (content(beside) if beside.is_file() else "")
