"""Everything a registration leaves behind, in one folder."""

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from napari_xreg.cli.console import Console
from napari_xreg.geometry import Pose
from napari_xreg.images import Volume
from napari_xreg.records.pictures import (
    carm_words,
    compare,
    overlay_picture,
    refinement_frames,
    write_gif,
    write_mp4,
    write_picture,
)
from napari_xreg.records.pose_files import write_pose
from napari_xreg.records.report import write_report
from napari_xreg.records.result_files import result_to_json, write_result
from napari_xreg.records.trajectory_file import write_trajectory
from napari_xreg.registration import Registration, View, weakest_direction


def write_registration(
    folder: Path,
    volume: Volume,
    views: Sequence[View],
    registration: Registration,
    *,
    title: str,
    settings: object,
    inputs: Sequence[Mapping[str, Any]],
    extra: Mapping[str, Any],
    film: str,
    console: Console,
) -> tuple[dict[str, Any], dict[str, str]]:
    """Write result.json, two transforms, trajectory.csv, overlays, the film and report.html.

    Into a folder that `written_folder` gave: a run is there as a whole or not at all.
    Pictures, film and trajectory show the first view; every further one has an overlay of its own.

    Returns
    -------
    dict, dict
        The contents of result.json, and the files: name to what it is.
    """
    view = views[0]
    carm = view.radiograph.carm
    data = result_to_json(registration, views, settings=settings, inputs=inputs, extra=extra)
    write_result(folder / "result.json", data)
    files = {"result.json": "pose, covariance, geometry, settings, versions, input hashes"}
    write_pose(folder / "result.tfm", registration.world_from_camera)
    files["result.tfm"] = "ITK transform from camera coordinates to patient LPS mm"
    write_pose(folder / "result-slicer.tfm", registration.world_from_camera, frame="slicer")
    files["result-slicer.tfm"] = "the same for 3D Slicer: its node takes the camera to the patient"
    write_trajectory(folder / "trajectory.csv", registration, carm, view.world_from_camera)
    files["trajectory.csv"] = "every iterate: losses, step, damping, pose"
    console.step("drawing")
    for number, (shown, pose) in enumerate(zip(views, registration.views, strict=True), start=1):
        comparison = compare(volume, shown.radiograph, shown.world_from_camera, pose)
        words = caption(title, shown, pose, registration, data)
        picture = overlay_picture(comparison, registration, caption=words)
        name = "overlay.png" if number == 1 else f"overlay-{number}.png"
        write_picture(folder / name, picture)
        files[name] = "before, after, edges, losses"
    made = write_film(folder, volume, view, registration, film, console)
    if made is not None:
        files[made] = "the refinement, step by step"
    write_report(folder / "report.html", data, title=title, film=made)
    files["report.html"] = "all of this on one page"
    return data, files


def say_result(view: View, registration: Registration, console: Console) -> None:
    """How it ended, the pose, and what is least certain about it: once the files are there."""
    carm, pivot = view.radiograph.carm, registration.pivot
    terms = carm.carm_pose(registration.world_from_camera, pivot)
    console.say(f"{registration.status.value}")
    console.say(f"pose: {carm_words(terms)}")
    if registration.covariance is not None:
        weakest = weakest_direction(
            carm, registration.world_from_camera, registration.covariance, pivot
        )
        console.say(f"least certain: {weakest}")


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
        raise ValueError("--film mp4 needs the package imageio-ffmpeg: install it, or use gif")


def write_film(
    folder: Path,
    volume: Volume,
    view: View,
    registration: Registration,
    film: str,
    console: Console,
) -> str | None:
    """The film in the format asked for; its name."""
    if film == "none" or not registration.trajectory:
        return None
    if film == "auto":
        film = "mp4" if importlib.util.find_spec("imageio_ffmpeg") else "gif"
    frames, most = [], 40
    for frame in refinement_frames(volume, view.radiograph, registration, most=most):
        frames.append(frame)
        console.progress(len(frames) / most, f"film: frame {len(frames)}")
    console.progress(1.0, f"film: {len(frames)} frames", last=True)
    name = f"refinement.{film}"
    (write_gif if film == "gif" else write_mp4)(folder / name, frames)
    return name
