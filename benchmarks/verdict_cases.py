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
from benchmarks.single_bones import BONES
from napari_xreg.geometry import CArmPose, Pose
from napari_xreg.images import Radiograph
from napari_xreg.registration import View

NAMES = (*cases.VOLUMES, cases.PHANTOM, *BONES)
BONE_SPREAD = 0.2
"""Starts of single bones: this share of the spread of whole CTs. Neighbours look alike nearer by."""
SECOND_DEG = (60.0, 100.0)
"""A second view is turned so far from the first about the patient's long axis, either way."""


@dataclass(frozen=True, eq=False)
class Trial:
    """What is refined.

    Parameters
    ----------
    ct
        Name of the CT or bone.
    views
        Simulated radiographs with their starts; they move together.
    isocenter, points
        Of that CT, world, mm.
    truth
        Of the first view; None where no pose is right: another patient, or a picture changed beyond
        recovery.
    taken
        The radiographs' true geometry and poses, of every view.
    """

    ct: str
    views: tuple[View, ...]
    isocenter: Tensor
    points: Tensor
    truth: Pose | None
    taken: tuple[View, ...]


def trial(name: str, seed: int, severity: str, kind: str, views: int = 1) -> Trial:
    """The trial of a CT or bone, a seed, a kind, and one view or two."""
    made, arm = KINDS[kind], cases.carm()
    points, isocenter = cases.committed_points(name)
    truths = [cases.true_pose(name, seed, arm)]
    rng = np.random.default_rng([seed, NAMES.index(name), 78])
    if views == 2:
        first = arm.carm_pose(truths[0], isocenter)
        turn = float(rng.uniform(*SECOND_DEG)) * (1 if rng.random() < 0.5 else -1)
        x, y, z = isocenter.tolist()
        other = CArmPose(first.primary_deg + turn, float(rng.uniform(-10, 10)), isocenter=(x, y, z))
        truths.append(arm.pose_from(other))
    factor = made.factor * (BONE_SPREAD if name in BONES else 1.0)
    start = cases.start_pose(name, seed, factor, truths[0])
    radiographs = [_picture(name, seed, severity, truth) for truth in truths]
    taken = tuple(View(r, truth) for r, truth in zip(radiographs, truths, strict=True))
    plain = Trial(name, _rig(taken, start), isocenter, points, truths[0], taken)
    return made.change(plain, np.random.default_rng([seed, NAMES.index(name), 77]))


def _picture(name: str, seed: int, severity: str, truth: Pose) -> Radiograph:
    """Of the patient whom the bone is of; at severity `real` of the bone in a limb."""
    whole = BONES[name][0] if name in BONES and severity != "real" else name
    return cases.radiograph_of(whole, seed, severity, cases.carm(), truth)


def _rig(views: tuple[View, ...], first: Pose) -> tuple[View, ...]:
    """The views with the first at a pose, the others moved along."""
    back = first @ views[0].world_from_camera.inverse()
    return tuple(replace(view, world_from_camera=back @ view.world_from_camera) for view in views)


def _pictures(
    given: Trial, change: Callable[[Radiograph], Radiograph], **known: Pose | None
) -> Trial:
    """With every radiograph changed."""
    views = tuple(replace(view, radiograph=change(view.radiograph)) for view in given.views)
    return replace(given, views=views, **known)


def saturated(given: Trial, rng: np.random.Generator) -> Trial:
    """Air and a quarter of the picture at the end of the detector's range; 8 bits."""

    def burnt(radiograph: Radiograph) -> Radiograph:
        values = radiograph.line_integrals
        low = torch.quantile(values[radiograph.usable].float(), 0.25)
        step = (values.max() - low) / 255
        written = ((values.clamp_min(low) - low) / step).round() * step + low
        return replace(radiograph, line_integrals=written)

    return _pictures(given, burnt)


def _moved(change: Callable[[Tensor], Tensor]) -> Callable[[Radiograph], Radiograph]:
    """What changes pixels and mask alike."""

    def moved(radiograph: Radiograph) -> Radiograph:
        mask = None if radiograph.mask is None else change(radiograph.mask)
        return replace(radiograph, line_integrals=change(radiograph.line_integrals), mask=mask)

    return moved


def mirrored(given: Trial, rng: np.random.Generator) -> Trial:
    """Left and right exchanged, unknown to the file."""
    return _pictures(given, _moved(lambda picture: picture.flip(1)), truth=None)


def turned(given: Trial, rng: np.random.Generator) -> Trial:
    """Upside down, unknown to the file."""
    return _pictures(given, _moved(lambda picture: picture.flip(0, 1)), truth=None)


def inverted(given: Trial, rng: np.random.Generator) -> Trial:
    """Bright and dark exchanged."""
    return _pictures(given, Radiograph.invert, truth=None)


def astray(given: Trial, rng: np.random.Generator) -> Trial:
    """The start shifted by 50 to 100 mm in the plane of the detector."""
    turn, far = rng.uniform(0, 2 * np.pi), rng.uniform(50, 100)
    along = torch.tensor([far * np.cos(turn), far * np.sin(turn), 0.0], dtype=torch.float64)
    start = given.views[0].world_from_camera
    matrix = start.matrix().double().clone()
    matrix[:3, 3] += matrix[:3, :3] @ along
    return replace(given, views=_rig(given.views, Pose.from_matrix(matrix)))


def geometry(given: Trial, rng: np.random.Generator) -> Trial:
    """The source-detector distance or the pixel spacing wrong by a tenth, either way."""
    factor = 1.1 if rng.random() < 0.5 else 1 / 1.1
    distance = rng.random() < 0.5

    def wrong(radiograph: Radiograph) -> Radiograph:
        arm = radiograph.carm
        if distance:
            arm = replace(arm, source_to_detector=arm.source_to_detector * factor)
        else:
            row, column = arm.detector.spacing
            detector = replace(arm.detector, spacing=(row * factor, column * factor))
            arm = replace(arm, detector=detector)
        return replace(radiograph, carm=arm)

    return _pictures(given, wrong)


def other(given: Trial, rng: np.random.Generator) -> Trial:
    """Another patient's CT, its bone where this patient's was; of a bone, another bone."""
    among = BONES if given.ct in BONES else (*cases.VOLUMES, cases.PHANTOM)
    others = [name for name in among if name != given.ct]
    ct = others[int(rng.integers(len(others)))]
    points, isocenter = cases.committed_points(ct)
    shift = isocenter.double() - given.isocenter.double()

    def there(view: View) -> View:
        pose = view.world_from_camera
        return replace(view, world_from_camera=Pose(pose.rotation, pose.translation + shift))

    views = tuple(map(there, given.views))
    return Trial(ct, views, isocenter, points, None, given.taken)


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
        "start, five times the spread": Kind(5.0),
        "saturated": Kind(1.0, saturated),
        "saturated, twice the spread": Kind(2.0, saturated),
        "saturated, three times the spread": Kind(3.0, saturated),
        "mirrored": Kind(1.0, mirrored),
        "turned by 180 deg": Kind(1.0, turned),
        "inverted": Kind(1.0, inverted),
        "isocenter astray": Kind(1.0, astray),
        "geometry off by a tenth": Kind(1.0, geometry),
        "another patient": Kind(1.0, other),
    }
)
"""Every kind by name."""
