"""``napari-xreg heatmap``: where a radiograph agrees with 3D points of a CT."""

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.cli.console import Console
from napari_xreg.cli.finding_start import shown
from napari_xreg.cli.further_views import check_counts, masked
from napari_xreg.cli.heatmap_picture import heatmap_picture
from napari_xreg.cli.inputs import (
    read_patient,
    read_xray,
    said_isocenter,
)
from napari_xreg.cli.refining import prepare_renderer
from napari_xreg.files import HEATMAPS, check_folder, plain, schema_head, written, written_folder
from napari_xreg.geometry import CArm, pixels_between
from napari_xreg.progress import Control
from napari_xreg.rayemb import Looks, WeightsFile
from napari_xreg.records import carm_to_json, write_picture
from napari_xreg.workflows import (
    HeatmapRequest,
    Patient,
    PrepareNetworkRequest,
    heatmaps,
    prepare_network,
)


def run(arguments: Namespace, console: Console) -> int:
    """Compute and write; the exit code."""
    out = Path(arguments.out)
    if not (arguments.point or arguments.landmark):
        raise ValueError("say which point: --point X Y Z in mm, or --landmark NAME")
    check_folder(out)
    check_counts(arguments)
    console.step("reading")
    patient = read_patient(arguments)
    console.notes(patient.volume.notes)
    radiograph = masked(arguments, read_xray(arguments), 0)
    named = wanted_points(arguments, patient)
    labels = patient.labels
    weights = WeightsFile(None if arguments.weights is None else Path(arguments.weights))
    request = PrepareNetworkRequest(
        patient.volume, radiograph, labels, said_isocenter(arguments), weights
    )
    prepare_renderer(console, arguments.threads)
    console.step("rendering reference views of the CT")
    control = Control()
    prepared = shown(prepare_network(request, control=control), control, arguments.threads, console)
    polarity = prepared.polarity
    if polarity.looks is not Looks.RIGHT:
        console.say(f"note: {polarity.sentence}")
    maps = heatmaps(HeatmapRequest(prepared, tuple(named.values()), seed=arguments.seed)).maps
    found, grid, carm = maps.found, maps.grid, radiograph.carm
    entries: list[dict[str, Any]] = []
    files: list[str] = []
    with written_folder(out, "heatmap") as part:
        for i, (name, point) in enumerate(named.items()):
            entry: dict[str, Any] = plain(
                {
                    "name": name,
                    "point_mm": list(point),
                    "peak_row_column": found.pixels[i].tolist(),
                    "covariance_px2": found.covariances[i].tolist(),
                    "similarity": float(found.similarity[i]),
                    "entropy_nats": float(found.posterior.entropy[i]),
                    "in_image": float(found.in_image[i]),
                }
            )
            words = _words(entry, found.covariances[i], carm.detector.spacing)
            picture = heatmap_picture(
                radiograph, maps, i,
                caption=[f"{name}, {patient.name} on {radiograph.source}", words],
            )  # fmt: skip
            file = _file_name(name, files)
            write_picture(part / file, picture)
            entries.append(entry | {"picture": str(out / file)})
            files.append(file)
        numbers = "heatmaps.npz"
        with written(part / numbers) as beside:
            np.savez_compressed(
                beside,
                names=np.array(list(named)),
                points_mm=found.points.numpy(),
                similarity=maps.similarity.cpu().numpy(),
                probability=maps.probability.cpu().numpy(),
                # Row, column on the radiograph of every heatmap pixel's centre.
                pixels=_pixel_centres(grid, carm),
            )
    for entry, covariance in zip(entries, found.covariances, strict=True):
        console.say(f"{entry['name']}: {_words(entry, covariance, carm.detector.spacing)}")
    console.say(f"written to {out}: {len(files)} pictures, {numbers}")
    console.answer(
        {
            **schema_head(HEATMAPS),
            "simulated": radiograph.simulated,
            "points": entries,
            "polarity": polarity.looks.name.lower(),
            "geometry": carm_to_json(carm),
            "heatmap_geometry": carm_to_json(grid),
            "weights": {
                k: prepared.about[k] for k in ("trained_on", "steps") if k in prepared.about
            },
            "files": [str(out / file) for file in (*files, numbers)],
        }
    )
    return 0


def wanted_points(arguments: Namespace, patient: Patient) -> dict[str, tuple[float, float, float]]:
    """Names and positions, world mm, of --point and --landmark, in this order.

    Raises
    ------
    ValueError
        If a landmark is not known, or a point lies outside the CT.
    """
    named = {
        f"point {number}": (x, y, z) for number, (x, y, z) in enumerate(arguments.point, start=1)
    }
    marks = patient.landmarks
    known = {mark.name: mark.position for mark in marks if mark.position is not None}
    if arguments.landmark and not known:
        raise ValueError("--landmark needs --landmarks FILE (.fcsv, .mrk.json, .csv)")
    for name in arguments.landmark:
        if name not in known:
            raise ValueError(f"no landmark is called {name!r}: there are {', '.join(known)}")
        named[name] = known[name]
    volume = patient.volume
    inverse = volume.world_from_index.double().inverse()
    for name, point in named.items():
        index = inverse[:3, :3] @ torch.tensor(point, dtype=torch.float64) + inverse[:3, 3]
        limit = torch.tensor(volume.shape[::-1], dtype=torch.float64) - 0.5
        if not bool(((index >= -0.5) & (index <= limit)).all()):
            x, y, z = point
            raise ValueError(
                f"{name} at ({x:g}, {y:g}, {z:g}) mm lies outside the CT: positions are world LPS"
            )
    return named


def _words(
    entry: dict[str, Any], covariance: Float[Tensor, "2 2"], spacing: tuple[float, float]
) -> str:
    row, column = entry["peak_row_column"]
    variance = covariance.diagonal() * torch.tensor(spacing, dtype=torch.float64) ** 2
    text = (
        f"row {row:.1f}, column {column:.1f}, ± {float(variance.mean().sqrt()):.0f} mm "
        f"on the detector (1 σ); similarity {entry['similarity']:.3f}"
    )
    if entry["in_image"] is not None:
        text += f"; in the image with probability {entry['in_image']:.2f}"
    return text


def _pixel_centres(grid: CArm, carm: CArm) -> np.ndarray:
    rows, columns = grid.detector.shape
    at = torch.cartesian_prod(torch.arange(rows).double(), torch.arange(columns).double())
    return pixels_between(at, grid, carm).reshape(rows, columns, 2).numpy()


def _file_name(name: str, taken: Sequence[str]) -> str:
    """A name as that of a picture, unlike those taken ("a b" and "a-b" would be one)."""
    stem = "".join(c if c.isalnum() or c in "-_." else "-" for c in name)
    file, number = f"{stem}.png", 2
    while file.lower() in {other.lower() for other in taken}:
        file, number = f"{stem}-{number}.png", number + 1
    return file
