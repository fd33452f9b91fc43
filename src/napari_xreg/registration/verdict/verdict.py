"""The verdict: how likely a pose is right, as a probability, and why.

What an optimiser says of itself (converged, stalled) is `Status`; the verdict is what the
radiographs say. It is fitted on simulated radiographs of several anatomies, each judged by a fit
that never saw it: docs/decisions/0024-verdict.md.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from napari_xreg.images import Volume
from napari_xreg.registration.refinement.confidence import SCALE_SIGMA, as_deep_as_one_view
from napari_xreg.registration.refinement.result import Registration, Status
from napari_xreg.registration.refinement.views import View
from napari_xreg.registration.verdict.evidence import (
    FEWEST,
    Evidence,
    patches_of,
    that_show,
    weighed,
)
from napari_xreg.registration.verdict.likelihood import Likelihood
from napari_xreg.registration.verdict.shown import share_shown

WITHIN_MM = 2.0
"""Right is: mean target registration error of the bone below this; with one radiograph, which says
little of depth, the distance of its projection, at the patient. So too where one of several alone shows it."""
SEEN, SEEN_ALONE = "as seen in this radiograph", "as seen in {} alone"
ISOCENTER_OFF = 0.07
"""Of the source-isocenter distance: a middle of rotation farther from where the header puts it
contradicts the header."""

OFFSET, SETTLED, SHARPNESS, AGREEMENT, SLACK, DRIFT = -2.89, 10.44, 6.17, -13.29, -2.02, -1.05
"""Of the log odds, that of slack for its logarithm in mm, of drift for mm: `python -m benchmarks verdict --fit`."""
NOTHING_SEEN = (
    "Too little of the CT shows in the radiograph to judge this pose: look at the overlay."
)
FITTED = "(fitted on simulated radiographs)"
_NOT_JUDGED = (Status.CANCELLED, Status.NO_OVERLAP)


@dataclass(frozen=True)
class Verdict:
    """Whether to trust a pose.

    Parameters
    ----------
    probability
        Of lying within `WITHIN_MM`; 0 where there is nothing to judge by.
    evidence
        What it rests on; None where too little of the CT is seen.
    isocenter_off
        How far the middle of rotation lies from the source, against the header, as a share of what
        the header says: 0.1 is a tenth farther. None where several radiographs fix the depth.
    """

    probability: float
    evidence: Evidence | None
    isocenter_off: float | None = None
    depth_mm: float | None = None
    depth_sigma_mm: float | None = None
    depth_given: bool = False
    """It was locked: nothing was found of it that could have an error."""
    shown: tuple[float, ...] = ()
    """Of several radiographs, how much of what is registered each of them shows (`share_shown`)."""
    seen_by: int | None = None
    """Of several radiographs the one, from 0, that alone shows enough to judge by; None: not one alone."""
    names: tuple[str, ...] = ()
    """Of the radiographs, for words: a window puts the one that is shown first. None: they are counted."""

    @property
    def contradicts_header(self) -> bool:
        """Whether the depth found does not fit the distances that the header gives."""
        return self.isocenter_off is not None and abs(self.isocenter_off) > ISOCENTER_OFF

    @property
    def likelihood(self) -> Likelihood:
        """On the scale of all poses."""
        one = self.depth_mm is not None
        measured = SEEN if one else ""
        return Likelihood(
            self.probability,
            WITHIN_MM,
            measured
            if self.seen_by is None
            else SEEN_ALONE.format(_called(self.names, self.seen_by)),
            doubted=self.contradicts_header,
        )

    @property
    def trusted(self) -> bool:
        """Whether the pose may be used without a second look."""
        return bool(self.likelihood.trusted)

    @property
    def words(self) -> str:
        """In sentences, for the user."""
        if self.evidence is None:
            return NOTHING_SEEN
        share = f"{100 * self.evidence.settled:.0f} %"
        said = (
            f"{self.likelihood.words} {FITTED}: {share} of the details of "
            "the DRR fit the radiograph nowhere better than where this pose puts them."
        )
        if self.seen_by is not None:
            said += f" {shown_words(self.shown, self.seen_by, self.names)}"
        if self.depth_given:
            said += " The depth was locked: it is as given, and was not looked for."
        elif self.depth_mm is not None:
            said += f" {depth_words(self.depth_mm, self.depth_sigma_mm)}"
        if self.contradicts_header:
            assert self.isocenter_off is not None
            way = "farther from" if self.isocenter_off > 0 else "nearer to"
            said += (
                f" But the CT lies {100 * abs(self.isocenter_off):.0f} % {way} the source than the "
                "header says: either the patient is not at the isocenter, or the source-detector "
                "distance or the pixel spacing is wrong, and the depth with it."
            )
        return said


def _called(names: Sequence[str], number: int) -> str:
    return names[number] if names else f"radiograph {number + 1}"


def shown_words(shown: Sequence[float], seen_by: int, names: Sequence[str] = ()) -> str:
    """Which radiograph alone shows enough of what is registered; parameters as of `Verdict`."""
    others = [
        f"{_called(names, number)} shows {100 * share:.0f} %"
        for number, share in enumerate(shown)
        if number != seen_by
    ]
    return (
        f"Only {_called(names, seen_by)} shows enough of what is registered ({100 * shown[seen_by]:.0f} % of its "
        f"structure; {', '.join(others)}): it is judged as by that one."
    )


def depth_words(depth_mm: float, sigma_mm: float | None = None) -> str:
    """What a depth from one radiograph is worth.

    Parameters
    ----------
    depth_mm
        Of the patient, from the source.
    sigma_mm
        Its standard deviation, what is not known of the scale included; None: that alone is known.
    """
    of_scale = SCALE_SIGMA * depth_mm
    sigma = f"{of_scale:.1f} mm or more" if sigma_mm is None else f"{sigma_mm:.1f} mm"
    return (
        f"In depth, along the rays, it may lie farther off: ± {sigma} (one standard deviation). One view "
        "knows the depth only as well as the CT's scale, the source-detector distance and the pixel "
        f"spacing, here taken as right within {100 * SCALE_SIGMA:.0f} %: ± {of_scale:.1f} mm."
    )


def verdict_on(
    evidence: Evidence | None,
    isocenter_off: float | None = None,
    depth_mm: float | None = None,
    depth_sigma_mm: float | None = None,
    depth_given: bool = False,
    shown: tuple[float, ...] = (),
    seen_by: int | None = None,
    names: tuple[str, ...] = (),
) -> Verdict:
    """The verdict that evidence supports; parameters as of `Verdict`."""
    likely = 0.0
    if evidence is not None:
        odds = (
            OFFSET
            + SETTLED * evidence.settled
            + SHARPNESS * evidence.sharpness
            + AGREEMENT * evidence.agreement
            + SLACK * math.log(evidence.slack_mm)
            + DRIFT * evidence.drift_mm
        )
        likely = 1.0 / (1.0 + math.exp(-odds))
    return Verdict(
        likely,
        evidence,
        isocenter_off,
        depth_mm,
        depth_sigma_mm,
        depth_given,
        shown,
        seen_by,
        names,
    )


def judged(
    registration: Registration, volume: Volume, views: Sequence[View], locked: Sequence[str] = ()
) -> Registration:
    """The registration with its probability and what it rests on; NOT_TRUSTED where that is low.

    Of one radiograph that alone shows it its covariance says no more of the depth than that can: where the others show a sliver, what
    was refined with them is as sure as if that were the bone.

    Parameters
    ----------
    registration
        As an optimiser left it.
    volume
        The CT as it was registered.
    views
        What was registered; their starting poses do not count.
    locked
        Of `CARM_PARAMETERS`: those that were given.
    """
    if registration.status in _NOT_JUDGED:
        return registration
    verdict = verdict_of(registration, volume, views, locked)
    covariance, scale = registration.covariance, registration.scale
    if (by := verdict.seen_by) is not None and not verdict.depth_given:
        covariance, scale = _by_one(registration, by)
    status, said = registration.status, registration.notes
    if not verdict.trusted:
        if status is not Status.CONVERGED:
            said = (*said, status.value)  # why the optimiser stopped is worth knowing too
        status = Status.NOT_TRUSTED
    return replace(
        registration,
        status=status,
        probability=verdict.probability,
        notes=(*said, verdict.words),
        covariance=covariance,
        scale=scale,
        shown=verdict.shown,
        seen_by=verdict.seen_by,
    )


def verdict_of(
    registration: Registration, volume: Volume, views: Sequence[View], locked: Sequence[str] = ()
) -> Verdict:
    """What the radiographs say of the poses found; parameters as of `judged`."""
    found = [
        View(view.radiograph, pose) for view, pose in zip(views, registration.views, strict=True)
    ]
    showing = that_show([patches_of(volume, view) for view in found])
    several = len(found) > 1
    names = tuple(view.radiograph.source for view in found)
    shown = tuple(share_shown(volume, view) for view in found) if several else ()
    enough = [number for number in showing if len(showing[number][0].here) >= FEWEST]
    alone = enough[0] if len(enough) == 1 else None
    given = "depth" in locked and not alone  # that of the first
    off = depth = sigma = None
    if (by := alone if several else 0) is not None:
        pose = found[by].world_from_camera.to(dtype=torch.float64)
        depth = float(pose.inverse().apply(registration.pivot.double()[None])[0, 2])
        covariance = registration.covariance
        if several and not given:
            covariance, _ = _by_one(registration, by)
        if covariance is not None:
            along = pose.rotation[:, 2]
            sigma = float((along @ covariance[3:, 3:].double() @ along).clamp_min(0).sqrt())
        radiograph = found[by].radiograph
        # Nobody said where the C-arm turns about: nothing to contradict.
        assumed = radiograph.geometry is not None and radiograph.geometry.assumed(
            "source_to_isocenter"
        )
        off = None if assumed else depth / radiograph.carm.source_to_isocenter - 1.0
    return verdict_on(
        weighed(list(showing.values())),
        off,
        depth,
        sigma,
        given,
        shown,
        alone if several else None,
        names if all(names) and len(set(names)) == len(names) else (),
    )


def _by_one(registration: Registration, by: int) -> tuple[Tensor | None, Tensor | None]:
    """Covariance and scale, as sure of the depth as one of the radiographs is."""
    covariance, scale = registration.covariance, registration.scale
    if covariance is None:
        return None, scale
    source = registration.views[by].translation
    return as_deep_as_one_view(covariance, scale, source, registration.pivot.to(source)) or (
        covariance,
        scale,
    )


def is_verdict(note: str) -> bool:
    """Whether a note of a registration is the sentence of its verdict (`Verdict.words`)."""
    return note == NOTHING_SEEN or FITTED in note


def likelihood_of(registration: Registration) -> Likelihood:
    """What was judged of a registration, on the scale of all poses."""
    measured = SEEN if len(registration.views) == 1 else ""
    if registration.seen_by is not None:
        measured = SEEN_ALONE.format("one radiograph")  # its notes say which
    doubted = not registration and registration.status is not Status.CANCELLED
    return Likelihood(registration.probability, WITHIN_MM, measured, doubted=doubted)
