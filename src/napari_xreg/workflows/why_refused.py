"""Why radiographs were refused, as far as trying tells: calibrations exchanged, contradicting, a picture inverted.

What a verdict trusts in another way is said; where there is none, carefully, the trial that is much likelier than the result. A
trial that explains no more says nothing.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product

import torch

from napari_xreg.geometry import Pose
from napari_xreg.images import Radiograph
from napari_xreg.registration import Registration, Status, View, likelihood_of

_log = logging.getLogger(__name__)

APART_MM = 4.0
"""At the patient, as seen, twice what right may be off: what each radiograph says alone contradicts the rest."""
_REACH_MM = 40.0
"""Of the points about the pivot that are looked at for that."""

_LIKELIER, _TIMES = 0.3, 3.0
"""A trial that is not trusted is worth a careful word from this probability on, and so many times that of the result."""

_FAILS = (ValueError, ArithmeticError, RuntimeError, MemoryError)
"""What a registration raises by nature: other pictures, no memory. A hint is worth no result."""

Trial = Callable[[Sequence[View]], Registration]
"""Registers some views, quickly, from one start."""


class _Stopped(Exception):
    """A trial was cancelled: none is begun after it."""


def worth_trying(found: Registration) -> bool:
    """Whether `why_refused` tries anything: a result that is not trusted, though nobody ended it."""
    return not found and found.status not in (Status.CANCELLED, Status.NO_OVERLAP)


def why_refused(views: Sequence[View], found: Registration, trial: Trial) -> tuple[str, ...]:
    """What else would explain the radiographs of a result that is not trusted, in sentences.

    Parameters
    ----------
    views
        What was registered, with the starting poses.
    found
        Not trusted.
    trial
        Costs a registration from one start each time: at most two for each view, and one. Where one is
        cancelled, or fails, nothing is said.
    """

    def tried(some: Sequence[View]) -> Registration:
        answer = trial(some)
        if answer.status is Status.CANCELLED:
            raise _Stopped
        return answer

    if not worth_trying(found):
        return ()
    try:
        return _explained(views, found, tried)
    except (_Stopped, *_FAILS) as why:
        _log.debug("what else explains the radiographs was not found out", exc_info=why)
        return ()


def _explained(views: Sequence[View], found: Registration, trial: Trial) -> tuple[str, ...]:
    better: dict[str, float] = {}  # careful words, and how likely the trial is
    if len(views) == 2 and views[0].radiograph.carm.detector.shape == (
        views[1].radiograph.carm.detector.shape
    ):
        exchanged = trial(_exchanged(*views))
        order = "are the calibrations in the order of the radiographs? Nothing was changed."
        if exchanged:
            said = f"With their geometries exchanged both radiographs are explained ({_chance(exchanged)}): {order}"
            return (said,)
        if likelier(exchanged, found):
            said = f"Both radiographs fit better with their geometries exchanged {_against(exchanged, found)}: {order}"
            better[said] = exchanged.probability or 0.0
    alone = [trial([view]) for view in views] if len(views) > 1 else [found]
    if len(views) > 1 and all(map(_likely, alone)):
        apart = max(
            apart_mm(view.radiograph, together, each)
            for view, together, each in zip(views, found.views, alone, strict=True)
        )
        if apart <= APART_MM:
            return ()
        chances = ", ".join(map(_chance, alone))
        said = (
            f"Each radiograph alone is explained ({chances}), but not where the others put the patient: {apart:.0f} mm "
            "off, as seen. Is each calibration that of its radiograph, and were all taken while nothing moved?"
        )
        return (said,)
    polarity = "is it read with the right polarity (bone dark or bright)? Nothing was changed."
    found_inverted = []
    for view, each in zip(views, alone, strict=True):
        if not _likely(each):
            turned = trial([replace(view, radiograph=view.radiograph.invert())])
            name = view.radiograph.source or "The radiograph"
            if _likely(turned):
                found_inverted.append(
                    f"{name} is explained when bright and dark are exchanged ({_chance(turned)}): {polarity}"
                )
            elif likelier(turned, each):
                said = f"{name} fits better when bright and dark are exchanged {_against(turned, each)}: {polarity}"
                better[said] = turned.probability or 0.0
    return tuple(found_inverted) or tuple(sorted(better, key=lambda said: -better[said])[:1])


def likelier(trial: Registration, found: Registration) -> bool:
    """Whether a trial that is not trusted is worth a careful word."""
    likely = trial.probability or 0.0
    return likely >= _LIKELIER and likely >= _TIMES * (found.probability or 0.0)


def _against(trial: Registration, found: Registration) -> str:
    return f"({_chance(trial)} likely, against {_chance(found)}; not trusted either)"


def _exchanged(one: View, other: View) -> list[View]:
    """Each radiograph with the geometry, and where it starts, of the other."""
    return [
        View(
            replace(
                a.radiograph,
                carm=b.radiograph.carm,
                nominal=b.radiograph.nominal,
                geometry=b.radiograph.geometry,
            ),
            b.world_from_camera,
        )
        for a, b in ((one, other), (other, one))
    ]


def _likely(found: Registration) -> bool:
    """Whether the radiographs are explained, whatever the depth of one says of its header."""
    judged = likelihood_of(found)
    return bool(replace(judged, doubted=False).trusted)


def _chance(found: Registration) -> str:
    return f"{100 * (found.probability or 0.0):.0f} %"


def apart_mm(radiograph: Radiograph, together: Pose, alone: Registration) -> float:
    """How far apart two poses show the middle of what is registered, mm at the patient."""
    steps = torch.tensor(list(product((-_REACH_MM, _REACH_MM), repeat=3)), dtype=torch.float64)
    points = alone.pivot.double().cpu() + steps
    carm = radiograph.carm
    poses = [pose.to(dtype=torch.float64) for pose in (together, alone.world_from_camera)]
    one, other = (carm.project(points, pose) for pose in poses)
    spacing = torch.tensor(carm.detector.spacing, dtype=torch.float64)
    depth = float(poses[1].inverse().apply(points)[:, 2].mean())
    on_detector = float(((one - other) * spacing).norm(dim=1).mean())
    return on_detector * depth / carm.source_to_detector
