"""Scattered radiation: what lies over a radiograph and is in no DRR.

Scatter adds to the primary signal, so contrast falls most where little of the beam comes through; as far as that
differs from place to place it is no function of the DRR's grey value, and the depth pays for it. Its
source is the primary beam times what the patient attenuates of it (single scattering, to first
order), spread widely over the detector. Only how much there is has to be fitted, with the brightness of bone,
to the edges: what is smooth (heel effect, vignetting) does not disturb them.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
import torch

from napari_xreg.registration.refinement.host.hardening import HIGHEST, LOWEST
from napari_xreg.registration.refinement.host.planes import filtered
from napari_xreg.registration.refinement.host.robust import least_squares, outlier_weights
from napari_xreg.registration.refinement.host.tone import fit_tone
from napari_xreg.registration.refinement.host.view_problem import ViewProblem, with_scatter
from napari_xreg.registration.refinement.problem import Beams, Whole
from napari_xreg.registration.refinement.second_order.channels import OUTLIER_SCALE
from napari_xreg.registration.refinement.second_order.look import Field, Look

Array = npt.NDArray[np.float32]
Values = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]

SPREAD_MM = 25.0
"""Standard deviation of its Gaussian on the detector. Of a hip, 12 and 50 mm instead moved the depth by 0.1 mm either way."""
EVEN = 0.3
"""Share of it that is the same everywhere."""
BEHIND_PATIENT = float(np.exp(-1.0))
"""Where less than this share of the beam comes through, scatter is compared with the primary."""
MOST = 3.0
"""Times the primary, behind the patient: beyond, something else is being explained."""
FIRST_GUESS = 0.3
ROUNDS = 12
MOST_EDGES = 8_000  # of each direction: enough for three numbers
FEWEST_EDGES = 64
THROUGH_AIR = 0.1
"""Line integral, of the DRR: what is less is air, whose edges say nothing and make any other look like an outlier."""
LONGEST = 0.5  # change of a number in one round


@dataclass(frozen=True, eq=False)
class Beam:
    """What is judged of the beam of one radiograph.

    Parameters
    ----------
    gain
        How much brighter bone is than in the CT (`hardening`).
    scatter
        Its signal, as a share of the open beam.
    """

    gain: float
    scatter: Array


def within_blades(usable: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """What the beam reaches, of the pixels of a radiograph that count: the smallest convex region about them.

    Blades and the circle of an intensifier leave one; what is painted out within has scattered all the same.
    """
    reached = np.zeros(usable.shape, np.uint8)
    points = np.argwhere(usable)[:, ::-1].astype(np.int32)
    if len(points):
        cv2.fillConvexPoly(reached, cv2.convexHull(points), 1)
    return reached.astype(bool)


def scatter_shape(image: Array, field: npt.NDArray[np.bool_], pixel_mm: float) -> Array:
    """Where scatter falls, as much as the primary behind the patient, as a share of the open beam.

    Parameters
    ----------
    image
        DRR, line integrals [rows, columns].
    field
        Within the blades; behind them nothing scatters.
    pixel_mm
        On the detector.
    """
    primary = np.exp(-image)
    removed = primary * np.maximum(image, 0.0) * field
    width = SPREAD_MM / pixel_mm
    # The patient goes on beyond the detector, so the border is mirrored.
    wide = cv2.GaussianBlur(removed, (0, 0), width, borderType=cv2.BORDER_REFLECT)
    wide = (1 - EVEN) * wide + np.float32(EVEN * float(wide[field].mean()))
    behind = field & (primary < BEHIND_PATIENT)
    if not behind.any():
        behind = field
    total = float(wide[behind].mean())
    if not total > 0:
        return np.zeros_like(image)
    return np.asarray(wide * np.float32(float(primary[behind].mean()) / total), np.float32)


def beams_of(look: Look, whole: Whole, images: Callable[[int, int], tuple[Field, Field]]) -> Beams:
    """Of every case: the brightness of bone is the mean over the radiographs that can tell.

    Parameters
    ----------
    look
        The radiographs, at a level that compares edges.
    whole
        As of `Backend.beams`.
    images
        Of a case and a view, DRRs of the CT and of the excess of its attenuation over water.
    """
    gains, scatter = [], []
    for case, radiographs in enumerate(look.cases):
        beams: list[Beam | None] = []
        for view, radiograph in enumerate(radiographs):
            image, bone = images(case, view)
            # What is saturated is not compared, and scatters all the same: thin tissue does so most.
            field = within_blades(whole[case][view].usable.numpy())
            part = ViewProblem(radiograph, look.level.channels)
            beams.append(fit_beam(part, image, bone, field))
        told = [beam.gain for beam in beams if beam is not None]
        gains.append(float(np.mean(told)) if told else math.nan)
        scatter.append(tuple(None if beam is None else beam.scatter for beam in beams))
    return Beams(torch.tensor(gains, dtype=torch.float64), tuple(scatter))


def fit_beam(
    part: ViewProblem, image: Array, bone: Array, field: npt.NDArray[np.bool_]
) -> Beam | None:
    """Brightness of bone and scatter of one radiograph, at a pose that is right to a millimetre.

    None where they cannot be told: nothing is compared by its edges, a brighter DRR means a darker radiograph,
    or more would have to be assumed than can be.

    Parameters
    ----------
    part
        The radiograph, its pixels and edge images.
    image, bone
        DRRs of the CT and of the excess of its attenuation over water.
    field
        As of `scatter_shape`.
    """
    edges = [channel for channel in part.compared if channel.size > 1]
    if not edges or part.usable.size == 0:
        return None
    pixel_mm = max(part.radiograph.carm.detector.spacing)
    behind = image.ravel() > THROUGH_AIR
    chosen = []
    for channel in edges:
        there = np.flatnonzero(behind[channel.index])
        chosen.append(there[:: max(1, there.size // MOST_EDGES)])
    if sum(some.size for some in chosen) < FEWEST_EDGES:
        return None

    def across(plane: Array) -> npt.NDArray[np.float64]:
        return np.concatenate(
            [
                filtered(plane, channel.kernels).ravel()[channel.index[some]]
                for channel, some in zip(edges, chosen, strict=True)
            ]
        ).astype(np.float64)

    weight = np.concatenate([c.prior[some] for c, some in zip(edges, chosen, strict=True)])
    weight = np.sqrt(weight / weight.mean())
    seen = across(part.target) * weight
    trust = np.ones_like(seen)
    now = np.array([0.0, FIRST_GUESS])
    shape = np.zeros_like(image)
    for _ in range(ROUNDS):
        gain, amount = now.astype(np.float32)
        through = image + gain * bone
        shape = scatter_shape(through, field, pixel_mm)
        scattered, share = with_scatter(through, amount * shape)
        tone = fit_tone(scattered, part.target, part.usable)
        if tone is None:
            return None
        value, steep = tone.apply(scattered)
        planes = [value, steep * share * bone, -steep * shape * np.exp(scattered)]
        terms = np.stack([across(plane) for plane in planes]) * weight
        rest = seen - across(value + tone.field) * weight
        found = _between(terms, rest, trust, now)
        trust = outlier_weights(rest - found @ terms, centre=0.0, scale=OUTLIER_SCALE, least=1e-9)
        now = now + found[1:]
        if float(np.abs(found[1:]).max()) < 0.005:
            break
    if now[0] in (LOWEST, HIGHEST) or now[1] >= MOST:
        return None
    return Beam(float(now[0]), np.float32(now[1]) * shape)


def _between(terms: Matrix, rest: Values, trust: Values, now: Values) -> Values:
    """The least squares of a round, its two numbers changed by no more than they may; where one is held at a bound, the others' own best."""
    low, high = np.array([LOWEST, 0.0]) - now, np.array([HIGHEST, MOST]) - now
    low, high = np.maximum(low, -LONGEST), np.minimum(high, LONGEST)
    found = np.asarray(least_squares(terms, rest, trust), np.float64)
    held = (found[1:] < low) | (found[1:] > high)
    found[1:] = np.clip(found[1:], low, high)
    if held.any():
        free = np.array([True, *~held])
        left = rest - found[~free] @ terms[~free]
        found[free] = least_squares(terms[free], left, trust)
        found[1:] = np.clip(found[1:], low, high)
    return found
