"""The verdict on the public set 2D3D-RegQuality: radiographs and DRRs of good and bad registrations.

``python -m benchmarks reg_quality FOLDER`` judges every pair of a folder of that set
(``dataset_real`` or ``dataset_simulated``; Cho et al., "Explainable AI for collaborative assessment
of 2D/3D registration quality") and prints the areas under the ROC and the precision-recall curve,
specimen by specimen, and the reliability. Its layout::

    Image_Poses_mTRE_binary.csv      spec_id, proj_idx, sample_id, binary (1: good), ...
    <spec_id>/<proj_idx, 3 digits>/xray.png
    <spec_id>/<proj_idx, 3 digits>/DRR/drr_remap_<sample_id, 3 digits>.png

There are no CTs and no poses in it, so what is judged is the pair of pictures (`match_patches`);
what a header says of distances is not known. The set is not part of this repository.
"""

import argparse
import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch

from benchmarks import report
from benchmarks.cases import carm
from benchmarks.scores import area_under_precision, area_under_roc, reliability, share
from napari_xreg.geometry import CArmPose, Pose
from napari_xreg.registration.verdict.evidence import PIXELS, weighed
from napari_xreg.registration.verdict.likelihood import TRUSTED
from napari_xreg.registration.verdict.patches import Patches, match_patches
from napari_xreg.registration.verdict.verdict import WITHIN_MM, verdict_on
from napari_xreg.rendering import render_drr
from napari_xreg.simulation import phantom

LABELS = "Image_Poses_mTRE_binary.csv"
COLUMNS = ("spec_id", "proj_idx", "sample_id", "binary")
FIELD_MM = 220.0
"""Longer side of a picture at the patient: a detector of 300 mm, three quarters of the way from the source."""
POLARITIES = ("auto", "same", "opposite")
Picture = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Pair:
    """A radiograph and the DRR of a registration.

    Parameters
    ----------
    specimen
        Whose.
    radiograph, drr
        Files.
    good
        Whether the set calls the registration good.
    """

    specimen: str
    radiograph: Path
    drr: Path
    good: bool


def pairs_of(folder: Path) -> list[Pair]:
    """The pairs of the set, in the order of its table; those whose pictures are missing left out.

    Raises
    ------
    SystemExit
        If the table is missing or lacks a column.
    """
    file = folder / LABELS
    if not file.is_file():
        raise SystemExit(f"{folder} holds no {LABELS}: give dataset_real or dataset_simulated")
    with file.open(newline="", encoding="utf-8-sig") as stream:
        rows = csv.DictReader(stream)
        missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
        if missing:
            raise SystemExit(f"{file} has no column {', '.join(missing)}: got {rows.fieldnames}")
        pairs = []
        for row in rows:
            projection, sample = (int(float(row[name])) for name in COLUMNS[1:3])
            place = folder / row["spec_id"] / f"{projection:03d}"
            drr = place / "DRR" / f"drr_remap_{sample:03d}.png"
            pairs.append(Pair(row["spec_id"], place / "xray.png", drr, float(row["binary"]) == 1))
    return [pair for pair in pairs if pair.radiograph.is_file() and pair.drr.is_file()]


def patches_of(pair: Pair, *, opposite: bool = False) -> tuple[Patches, float]:
    """The patches of a pair, the pictures brought to the size that is judged, and the size of their pixels, mm.

    How large a picture is at the patient the set does not say: `FIELD_MM` is assumed.

    Parameters
    ----------
    opposite
        Whether bone is bright in one picture and dark in the other.
    """
    drr, seen = (_read(file) for file in (pair.drr, pair.radiograph))
    rows, columns = drr.shape
    scale = PIXELS / max(rows, columns)
    size = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    usable = np.ones(seen.shape, np.float32)
    for end in (seen.min(), seen.max()):  # where the detector had no more to say
        if (seen == end).mean() > 0.01:
            usable[seen == end] = 0.0
    small = [
        cv2.resize(picture, size, interpolation=cv2.INTER_AREA) for picture in (drr, seen, usable)
    ]
    sign = np.float32(-1.0 if opposite else 1.0)
    mask = small[2] > 0.999
    found = match_patches(small[0], np.where(mask, sign * small[1], np.float32(0.0)), mask)
    return found, FIELD_MM / max(small[0].shape)


def looks_opposite(pairs: Sequence[Pair]) -> bool:
    """Whether patches correlate negatively in their places, over up to a hundred pairs."""
    some = pairs[:: max(1, len(pairs) // 100)]
    here = np.concatenate([patches_of(pair)[0].here for pair in some])
    return here.size > 0 and float(here.mean()) < 0


def probability_of(pair: Pair, *, opposite: bool) -> float:
    """What the verdict gives the pair."""
    return verdict_on(weighed([patches_of(pair, opposite=opposite)])).probability


def _read(file: Path) -> Picture:
    picture = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH)
    if picture is None:
        raise SystemExit(f"{file} is no picture that can be read")
    return np.asarray(picture, np.float32)


def summary(pairs: Sequence[Pair], probability: Sequence[float], about: str) -> str:
    """The tables."""
    rows = []
    for name in (*sorted({pair.specimen for pair in pairs}), "all"):
        of = [i for i, pair in enumerate(pairs) if name in (pair.specimen, "all")]
        p, good = [probability[i] for i in of], [pairs[i].good for i in of]
        yes = [g for value, g in zip(p, good, strict=True) if value >= TRUSTED]
        rows.append(
            (
                name, len(of), sum(good), report.number(area_under_roc(p, good), 4),
                report.number(area_under_precision(p, good), 4), len(yes), share(sum(yes), len(yes)),
            )
        )  # fmt: skip
    head = ("specimen", "pairs", "good", "AUROC", "AUPRC", f"at least {TRUSTED:g}", "of these good")
    good = [pair.good for pair in pairs]
    return "\n\n".join(
        (
            "# Verdict on 2D3D-RegQuality",
            f"{about} Good is what the set calls so; the probability: within {WITHIN_MM:g} mm.",
            report.table(head, rows),
            "Of the pairs that were said to be so likely, so many are good:",
            reliability(probability, good),
        )
    )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of ``python -m benchmarks reg_quality``."""
    parser.add_argument("set", nargs="?", type=Path, help="dataset_real or dataset_simulated")
    parser.add_argument(
        "--polarity", choices=POLARITIES, default="auto",
        help="whether bone is as bright in the radiographs as in the DRRs; auto: by the correlation",
    )  # fmt: skip


def main(options: argparse.Namespace, folder: Path = report.RESULTS) -> None:
    """Judge, write."""
    if options.set is None:
        print("reg_quality: not run, no folder of the set given")
        return
    pairs = pairs_of(options.set)
    if not pairs:
        raise SystemExit(f"{options.set}: none of the pictures that {LABELS} names is there")
    opposite = options.polarity == "opposite"
    if options.polarity == "auto":
        opposite = looks_opposite(pairs)
    found = [probability_of(pair, opposite=opposite) for pair in pairs]
    about = (
        f"{options.set.name}, polarity of the pictures {'opposite' if opposite else 'the same'}."
    )
    env = report.environment()
    text = f"{summary(pairs, found, about)}\n\n{report.described(env)}"
    report.write("reg_quality", text, {"environment": env, "set": options.set.name}, folder)


def smoke(folder: Path) -> None:
    """A twin of the layout, of the phantom: simulated, a good and a bad registration each."""
    made, arm, place = phantom(spacing_mm=4.0, seed=3), carm(192), folder / "twin"
    volume = made.volume.to(dtype=torch.float32)
    middle = torch.tensor(list(made.landmarks.values()), dtype=torch.float64).mean(0)
    rows = []
    for number, specimen in enumerate(("17-1882", "18-0725")):
        truth = arm.pose_from(CArmPose(10.0 * number, 5.0, isocenter=tuple(middle.tolist())))
        shots = place / specimen / f"{number:03d}"
        (shots / "DRR").mkdir(parents=True)
        for sample, off in enumerate((0.0, 0.5, 12.0, 20.0)):
            shift = truth.rotation @ torch.tensor([off, -off, 0.0], dtype=torch.float64)
            pose = Pose(truth.rotation, truth.translation + shift).to(dtype=torch.float32)
            drr = render_drr(volume, arm, pose).reshape(arm.detector.shape).numpy()
            scaled = np.uint8(np.round(255 * drr / drr.max()))
            cv2.imwrite(str(shots / "DRR" / f"drr_remap_{sample:03d}.png"), scaled)
            if sample == 0:  # the radiograph: bone dark
                cv2.imwrite(str(shots / "xray.png"), np.uint8(255 * np.exp(-drr)))
            rows.append((specimen, number, sample, off, int(off < 1)))
    with (place / LABELS).open("w", newline="") as stream:
        csv.writer(stream).writerows(
            [("spec_id", "proj_idx", "sample_id", "mTRE", "binary"), *rows]
        )
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    main(parser.parse_args([str(place)]), folder)
