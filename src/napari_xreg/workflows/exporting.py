"""Export: everything a registration leaves behind, in one folder."""

import importlib.util
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import torch

from napari_xreg.files import EachFile, written_folder
from napari_xreg.geometry import Pose
from napari_xreg.images import Volume, write_radiograph
from napari_xreg.records import (
    carm_words,
    compare,
    overlay_picture,
    refinement_frames,
    result_to_json,
    write_gif,
    write_mp4,
    write_picture,
    write_pose,
    write_report,
    write_result,
    write_trajectory,
)
from napari_xreg.registration import Registration, View
from napari_xreg.session import Rendering, Result, Session, Source, rendered
from napari_xreg.workflows.refining import rig_poses
from napari_xreg.workflows.truth_errors import errors_against, predicted_landmarks

Film = Literal["auto", "gif", "mp4", "none"]
FILM_FRAMES = 40
"""Of a film, at most."""


@dataclass(frozen=True, eq=False)
class ExportRequest:
    """What is written, and where.

    Parameters
    ----------
    folder
        Where the files shall stand; it is made where it does not exist.
    volume
        The CT as it was registered.
    views
        Radiographs with the poses they started from.
    registration
        Of them.
    title
        Of the report and the pictures.
    settings
        Of the refinement.
    inputs
        The files it came from: see `records.result_files.describe_input`.
    extra
        More for result.json: ``truth``, ``landmarks``, ``assumptions``, ``structures`` ...
    film
        "auto": MP4 where the package for it is installed, else GIF.
    with_radiographs
        Write radiograph.npz too (radiograph-2.npz ...): of images that stand in no file.
    kind
        What wrote the folder: a run replaces the files of the last one of its kind.
    xvr
        Write result.pth too, which xvr goes on from.
    also
        Names that the caller writes there afterwards and that belong to this run.
    """

    folder: Path
    volume: Volume | Rendering
    views: tuple[View, ...]
    registration: Registration
    title: str
    settings: object
    inputs: Sequence[Mapping[str, Any]] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    film: Film = "auto"
    with_radiographs: bool = False
    kind: str = "register"
    xvr: bool = False
    also: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_film(self.film)


def export_request(session: Session, result: Result, folder: Path) -> ExportRequest:
    """What a session knows of a result, to be exported.

    Parameters
    ----------
    session
        With the CT and the radiographs that the result came from.
    result
        One of its results.
    folder
        As of `ExportRequest`.

    Raises
    ------
    ValueError
        If the CT or a radiograph is no longer there, or it is of one bone.
    """
    if result.bone is not None:
        raise ValueError(f"{result.name} is one of several bones: Bones writes them, with Save…")
    volume = session.patient.rendering
    if volume is None:
        raise ValueError("the pictures are drawn from the CT: load it first")
    found_there = [session.exposures.find(id) for id in result.radiographs]
    entries = [entry for entry in found_there if entry is not None]
    if len(entries) < len(found_there):
        raise ValueError("a radiograph is no longer there, and its pictures are needed")
    found = result.registration
    rig = found.views or (found.world_from_camera,)
    # The first iteration is the pose that a refinement starts from.
    start = found.trajectory[0].world_from_camera if found.trajectory else rig[0]
    starts = rig_poses(result.radiographs, rig, start)
    views = tuple(View(entry.masked, starts[entry.id]) for entry in entries)
    extra: dict[str, Any] = {}
    carm, truth = entries[0].radiograph.carm, entries[0].truth
    places = [mark.position for mark in session.landmarks.all]
    if truth is not None and places:
        points = torch.tensor(places, dtype=torch.float64)
        extra["truth"] = errors_against(truth, points, carm, start, found)
    if places:
        extra["landmarks"] = predicted_landmarks(session.landmarks.all, carm, found)
    sources = [("ct", session.patient.volume_source), *(("radiograph", e.source) for e in entries)]
    return ExportRequest(
        folder, volume, views, replace(found, views=tuple(rig)),
        f"{result.name}: {', '.join(entry.called for entry in entries)}", dict(result.settings), described_sources(sources), extra,
        with_radiographs=True,
    )  # fmt: skip


def described_sources(sources: Iterable[tuple[str, Source | None]]) -> list[dict[str, Any]]:
    """Where each part of a session came from, by its role; what stands in no file is left out."""
    return [
        {"role": role, "path": source.path, "sha256": source.sha256, "built_in": source.built_in}
        for role, source in sources
        if source is not None
    ]


@dataclass(frozen=True)
class Drawn:
    """A picture, or a frame of the film, was drawn: `done` of at most `of`."""

    what: str
    done: int
    of: int


@dataclass(frozen=True, eq=False)
class Exported:
    """The contents of result.json, and the files in the folder: name to what it is.

    `missing` are those that could not be written, and why.
    """

    data: dict[str, Any]
    files: dict[str, str]
    missing: dict[str, str] = field(default_factory=dict)


def export(request: ExportRequest) -> Generator[Drawn, None, Exported]:
    """Write result.json, two transforms, trajectory.csv, overlays, the film and report.html.

    They are there together when it ends; one that cannot be written costs the others nothing. If none
    can, the folder is as it was. Pictures, film and trajectory show the first view; every further
    one has an overlay of its own.

    Yields
    ------
    Drawn
        What takes time.

    Raises
    ------
    WriteError
        If no file could be written, or they could not be put there.
    """
    volume, views, registration = rendered(request.volume), request.views, request.registration
    view = views[0]
    carm = view.radiograph.carm
    data: dict[str, Any] = {}
    with written_folder(request.folder, request.kind, also=request.also) as folder:
        each = EachFile(folder)
        about = "pose, covariance, geometry, settings, versions, input hashes"
        with each.file("result.json", about) as path:
            data = result_to_json(
                registration, views,
                settings=request.settings, inputs=request.inputs, extra=request.extra,
            )  # fmt: skip
            write_result(path, data)
        with each.file(
            "result.tfm", "ITK transform from camera coordinates to patient LPS mm"
        ) as path:
            write_pose(path, registration.world_from_camera)
        slicer = "the same for 3D Slicer: its node takes the camera to the patient"
        with each.file("result-slicer.tfm", slicer) as path:
            write_pose(path, registration.world_from_camera, frame="slicer")
        with each.file("trajectory.csv", "every iteration: losses, step, damping, pose") as path:
            write_trajectory(path, registration, carm, view.world_from_camera)
        for number, (shown, pose) in enumerate(zip(views, registration.views, strict=True), 1):
            suffix = "" if number == 1 else f"-{number}"
            if request.with_radiographs:
                name = f"radiograph{suffix}.npz"
                with each.file(name, "the radiograph with its geometry") as path:
                    write_radiograph(path, shown.radiograph)
            with each.file(f"overlay{suffix}.png", "before, after, edges, losses") as path:
                comparison = compare(volume, shown.radiograph, shown.world_from_camera, pose)
                words = caption(request.title, shown, pose, registration, data)
                write_picture(path, overlay_picture(comparison, registration, caption=words))
            yield Drawn("pictures", number, len(views))
        if request.xvr:
            from napari_xreg.datasets import write_xvr_result  # files of torch, which few runs need

            with each.file("result.pth", "for xvr register restart") as path:
                write_xvr_result(
                    path, registration, view.radiograph, view.world_from_camera,
                    volume_center=volume.center,
                )  # fmt: skip
        film = _format_of(request.film) if registration.trajectory else None
        if film is not None:
            with each.file(film, "the refinement, step by step") as path:
                yield from _film(path, volume, view, registration)
        with each.file("report.html", "all of this on one page") as path:
            if not data:
                raise ValueError("it is made of result.json")
            shown_film = film if film in each.files else None
            write_report(path, data, title=request.title, film=shown_film)
        each.check()
    return Exported(data, each.files, each.missing)


def caption(
    title: str, view: View, pose: Pose, registration: Registration, data: Mapping[str, Any]
) -> list[str]:
    """The lines below the overlay."""
    carm, pivot = view.radiograph.carm, registration.pivot
    before = carm.carm_pose(view.world_from_camera, pivot)
    after = carm.carm_pose(pose, pivot)
    lines = [
        f"{title}:  {registration.status.value}",
        f"start:   {carm_words(before)}",
        f"result:  {carm_words(after)}   loss {registration.losses['loss']:.4f}",
    ]
    truth = data.get("truth")
    if truth:
        lines.append(error_words(truth))
    return lines


def error_words(truth: Mapping[str, Any]) -> str:
    """mTRE before and after, in words."""
    start = truth["start"]["mean_target_registration_error_mm"]
    final = truth["final"]["mean_target_registration_error_mm"]
    return f"mTRE over {truth['fiducials']} points: {start:.2f} mm at the start, {final:.2f} mm now"


def check_film(film: str) -> None:
    """Find out now whether a film of this format can be written.

    Raises
    ------
    ValueError
        If a package is missing.
    """
    if film == "mp4" and not importlib.util.find_spec("imageio_ffmpeg"):
        raise ValueError("a film as mp4 needs the package imageio-ffmpeg: install it, or use gif")


def _format_of(film: Film) -> str | None:
    """The name of a film's file; None: none is wanted."""
    if film == "none":
        return None
    if film == "auto":
        film = "mp4" if importlib.util.find_spec("imageio_ffmpeg") else "gif"
    return f"refinement.{film}"


def _film(
    path: Path, volume: Volume, view: View, registration: Registration
) -> Generator[Drawn, None, None]:
    """Draw the film and write it, in the format of its name."""
    frames = []
    for frame in refinement_frames(volume, view.radiograph, registration, most=FILM_FRAMES):
        frames.append(frame)
        yield Drawn("film", len(frames), FILM_FRAMES)
    (write_gif if path.suffix == ".gif" else write_mp4)(path, frames)
