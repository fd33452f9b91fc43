"""Radiographs and starts on which a verdict must be right: good ones, hard ones, and impossible ones.

All radiographs are simulated (`benchmarks.cases`); what happened to each is its kind.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor

from benchmarks import cases
from napari_xreg.geometry import Pose
from napari_xreg.images import Radiograph

NAMES = (*cases.VOLUMES, cases.PHANTOM)


@dataclass(frozen=True, eq=False)
class Trial:
    """What is refined.

    Parameters
    ----------
    ct
        Name of the CT.
    radiograph, start
        Simulated; ``world_from_camera``.
    isocenter, points
        Of that CT, world, mm.
    truth
        None where no pose is right: another patient, or a picture changed beyond recovery.
    """

    ct: str
    radiograph: Radiograph
    start: Pose
    isocenter: Tensor
    points: Tensor
    truth: Pose | None


def trial(volume: str, seed: int, severity: str, kind: str) -> Trial:
    """The trial of a CT, a seed and a kind."""
    made = KINDS[kind]
    case = cases.case(volume, seed, severity=severity, factor=made.factor)
    plain = Trial(volume, case.radiograph, case.start, case.isocenter, case.points, case.truth)
    return made.change(plain, np.random.default_rng([seed, NAMES.index(volume), 77]))


def saturated(given: Trial, rng: np.random.Generator) -> Trial:
    """Air and a quarter of the picture at the end of the detector's range; 8 bits."""
    values = given.radiograph.line_integrals
    low = torch.quantile(values[given.radiograph.usable].float(), 0.25)
    step = (values.max() - low) / 255
    burnt = ((values.clamp_min(low) - low) / step).round() * step + low
    return replace(given, radiograph=replace(given.radiograph, line_integrals=burnt))


def _changed(given: Trial, change: Callable[[Tensor], Tensor]) -> Trial:
    radiograph = given.radiograph
    mask = None if radiograph.mask is None else change(radiograph.mask)
    picture = replace(radiograph, line_integrals=change(radiograph.line_integrals), mask=mask)
    return replace(given, radiograph=picture, truth=None)


def mirrored(given: Trial, rng: np.random.Generator) -> Trial:
    """Left and right exchanged, unknown to the file."""
    return _changed(given, lambda picture: picture.flip(1))


def turned(given: Trial, rng: np.random.Generator) -> Trial:
    """Upside down, unknown to the file."""
    return _changed(given, lambda picture: picture.flip(0, 1))


def inverted(given: Trial, rng: np.random.Generator) -> Trial:
    """Bright and dark exchanged."""
    return replace(given, radiograph=given.radiograph.invert(), truth=None)


def astray(given: Trial, rng: np.random.Generator) -> Trial:
    """The start shifted by 50 to 100 mm in the plane of the detector."""
    turn, far = rng.uniform(0, 2 * np.pi), rng.uniform(50, 100)
    along = torch.tensor([far * np.cos(turn), far * np.sin(turn), 0.0], dtype=torch.float64)
    matrix = given.start.matrix().double().clone()
    matrix[:3, 3] += matrix[:3, :3] @ along
    return replace(given, start=Pose.from_matrix(matrix))


def geometry(given: Trial, rng: np.random.Generator) -> Trial:
    """The source-detector distance or the pixel spacing wrong by a tenth, either way."""
    factor = 1.1 if rng.random() < 0.5 else 1 / 1.1
    arm = given.radiograph.carm
    if rng.random() < 0.5:
        arm = replace(arm, source_to_detector=arm.source_to_detector * factor)
    else:
        row, column = arm.detector.spacing
        detector = replace(arm.detector, spacing=(row * factor, column * factor))
        arm = replace(arm, detector=detector)
    return replace(given, radiograph=replace(given.radiograph, carm=arm))


def other(given: Trial, rng: np.random.Generator) -> Trial:
    """Another patient's CT, its bone where this patient's was."""
    others = [name for name in NAMES if name != given.ct]
    ct = others[int(rng.integers(len(others)))]
    points, isocenter = cases.committed_points(ct)
    matrix = given.start.matrix().double().clone()
    matrix[:3, 3] += isocenter.double() - given.isocenter.double()
    start = Pose.from_matrix(matrix)
    return Trial(ct, given.radiograph, start, isocenter, points, None)


@dataclass(frozen=True)
class Kind:
    """What happens to a picture or a start.

    Parameters
    ----------
    factor
        Of the usual spread of starts.
    change
        The rest.
    """

    factor: float = 1.0
    change: Callable[[Trial, np.random.Generator], Trial] = lambda given, rng: given


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "start": Kind(),
        "start, twice the spread": Kind(2.0),
        "start, three times the spread": Kind(3.0),
        "saturated": Kind(1.0, saturated),
        "saturated, twice the spread": Kind(2.0, saturated),
        "mirrored": Kind(1.0, mirrored),
        "turned by 180 deg": Kind(1.0, turned),
        "inverted": Kind(1.0, inverted),
        "isocenter astray": Kind(1.0, astray),
        "geometry off by a tenth": Kind(1.0, geometry),
        "another patient": Kind(1.0, other),
    }
)
"""Every kind by name."""
