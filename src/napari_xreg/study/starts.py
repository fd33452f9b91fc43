"""Where a case is started from: one row of a manifest, one draw of it."""

from pathlib import Path

import torch

from napari_xreg.geometry import CArmPose, Pose
from napari_xreg.progress import run
from napari_xreg.records import StartEntry
from napari_xreg.registration import Spread, perturbed
from napari_xreg.study.case import Prepared, seed_of
from napari_xreg.workflows import (
    INITIALISERS,
    InitialiseRequest,
    NoStart,
    StartingPose,
    header_pose,
    initialise,
)

SAME = 1e-6
"""Entries of two matrices (mm, or of a rotation) that differ by less are those of one pose."""


def start_of(prepared: Prepared, entry: StartEntry, folder: Path, seed: int) -> StartingPose:
    """The pose that a case starts from.

    Parameters
    ----------
    prepared
        The case.
    entry
        How.
    folder
        Paths of `entry` are relative to it.
    seed
        Of what is drawn.

    Raises
    ------
    NoStart
        If an initialiser finds none.
    PoseUnknown
        If the radiograph does not say where the C-arm stood, and that is asked for.
    ValueError
        If the case lacks what this start needs.
    """
    radiograph, isocenter = prepared.radiographs[0], prepared.isocenter
    if entry.kind == "truth":
        if prepared.truth is None:
            raise ValueError(
                "nobody knows the true pose of this case, so it cannot start near it: name its truth, or give "
                'a start of another kind ("header", "frontal", "file", or an initialiser)'
            )
        normals = torch.randn(
            1, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
        )
        pose = perturbed(prepared.truth, isocenter, normals, spread_of(entry))[0]
        return StartingPose(pose, isocenter, f"the truth, moved by {entry.name}")
    if entry.kind == "file":
        if prepared.start is None:
            raise ValueError(
                "this case names no pose to start from: give its start, or a start of another kind"
            )
        return _apart(
            StartingPose(prepared.start, isocenter, "the case's own pose"), prepared.truth
        )
    if entry.kind == "header":
        return _apart(header_pose(radiograph, isocenter), prepared.truth)
    if entry.kind == "frontal":
        x, y, z = isocenter.tolist()
        pose = radiograph.carm.pose_from(CArmPose(0.0, 0.0, isocenter=(x, y, z)))
        return StartingPose(pose, isocenter, "frontal view")
    patient = prepared.patient
    given = None
    if entry.kind == "similarity":
        given = start_of(prepared, _given(entry), folder, seed)
    request = InitialiseRequest(
        entry.kind, patient.volume, radiograph, patient.labels, patient.landmarks,
        weights=None if entry.weights is None else folder / entry.weights, seed=seed,
        given=given,
        beside=tuple((other, None) for other in prepared.radiographs[1:]),
    )  # fmt: skip
    found = run(initialise(request))
    if found is None:
        raise NoStart("it was cancelled")
    return found


def _given(entry: StartEntry) -> StartEntry:
    """The start that is moved nearer."""
    return entry.model_copy(update={"kind": entry.given})


def _apart(start: StartingPose, truth: Pose | None) -> StartingPose:
    """A start that is not the truth, as that of an Autoscoper trial with poses would be."""
    if truth is not None:
        off = start.pose.to(dtype=torch.float64).matrix() - truth.to(dtype=torch.float64).matrix()
        if float(off.abs().max()) < SAME:
            raise ValueError(
                f"{start.origin} is the true pose itself, so nothing would be measured from there: give a "
                'start of the kind "truth" with a spread, "frontal" or an initialiser'
            )
    return start


def spread_of(entry: StartEntry) -> Spread:
    """One standard deviation of a start near the truth."""
    usual = Spread().scaled(entry.spread)
    said = (entry.rotation_deg, entry.in_plane_mm, entry.depth_mm)
    of_usual = (usual.rotation_deg, usual.in_plane_mm, usual.depth_mm)
    return Spread(*(own if own is not None else so for own, so in zip(said, of_usual, strict=True)))


def spread_words(entry: StartEntry) -> str:
    """What a table says of a start."""
    if entry.kind == "truth":
        spread = spread_of(entry)
        return (
            f"the truth, moved by normal draws of {spread.rotation_deg:g}° about each axis, "
            f"{spread.in_plane_mm:g} mm in the plane and {spread.depth_mm:g} mm in depth (1 sigma)"
        )
    if entry.kind == "similarity":
        return f"{spread_words(_given(entry))}; then down a learned similarity"
    words = {
        "header": "where the radiograph's own file puts the C-arm",
        "frontal": "C-arm angles 0 and 0 about the isocenter",
        "file": "the pose that the case names",
    }
    return words.get(entry.kind) or INITIALISERS[entry.kind].line


def draws(entry: StartEntry) -> range:
    """Numbers of its repeats."""
    return range(entry.repeats if entry.kind in ("truth", *INITIALISERS) else 1)


def seed_of_start(study: int, case: str, entry: StartEntry, repeat: int) -> int:
    """Of one draw, whatever the order in which cases are done."""
    return seed_of(study, case, entry.name, repeat)
