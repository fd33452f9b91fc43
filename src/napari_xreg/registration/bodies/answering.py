"""What is known of several bodies where their refinement ended."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from napari_xreg.geometry import Pose
from napari_xreg.progress import Control
from napari_xreg.registration.bodies.apart import Apart
from napari_xreg.registration.bodies.confidence import joint_covariance, part_of
from napari_xreg.registration.bodies.looking import BodiesLook
from napari_xreg.registration.bodies.priors import PriorPull
from napari_xreg.registration.bodies.result import BodiesIterate, BodiesRegistration
from napari_xreg.registration.near_bone.refining import NearBone
from napari_xreg.registration.near_bone.view import near_bone_view
from napari_xreg.registration.refinement.confidence import CALIBRATION
from napari_xreg.registration.refinement.host.problem import HostProblem, SeenOnce
from napari_xreg.registration.refinement.result import Registration
from napari_xreg.registration.refinement.second_order.damped_steps import (
    Starts,
    quadratic,
    stopping_status,
)
from napari_xreg.registration.refinement.settings import status_of
from napari_xreg.registration.refinement.views import View
from napari_xreg.registration.verdict.evidence import PIXELS
from napari_xreg.registration.verdict.verdict import judged


@dataclass(frozen=True, eq=False)
class End:
    """Where a level ended."""

    look: BodiesLook
    gain: float
    problem: HostProblem
    state: Starts[tuple[SeenOnce, ...]]
    pull: PriorPull | None
    tolerance_mm: float
    untried_mm: float

    def apart(self, poses: Sequence[Pose], pixels: int) -> Apart:
        """What each body shows at other poses, under the tones found here; see `Apart`."""
        return Apart(self.look, self.gain, self.state.seen[0], poses, pixels)


def answered(
    end: End,
    poses: tuple[Pose, ...],
    trajectory: Sequence[BodiesIterate],
    *,
    near: NearBone | None,
    finished: bool,
    judge: bool,
    simulated: bool,
    notes: tuple[str, ...],
    control: Control | None,
) -> BodiesRegistration:
    """Every body with its covariance and its verdict, and how sure they are together.

    Parameters
    ----------
    end
        Of the last level that ran.
    poses
        Of the views of the first body, then of the next.
    trajectory
        All iterates.
    near, control
        As of `refine_bodies`.
    finished
        Whether the last level was reached: before it nothing is judged.
    judge
        As of `refine_bodies`.
    simulated, notes
        Of every registration.
    """
    state, problem, bodies = end.state, end.problem, end.look.bodies
    model, count, views = state.model, len(bodies), len(end.look.radiographs)
    hessian, gradient = (part[0] for part in quadratic(model, state.poses, end.pull))
    loss = float(model.loss[0])
    flat = problem.flat(state.seen, [0])[0]
    covariance = scale = None
    if finished and not flat:
        meat = problem.correlated_sums(state.seen, [0])[0]
        if end.pull is not None:
            # What is known needs no calibration: it is as sure as was said.
            meat = meat + end.pull.scatter(state.poses)[0].numpy() / CALIBRATION**2
        sources = torch.stack([pose.translation for pose in poses]).double()
        known = None if end.pull is None else end.pull.hessian(state.poses)[0]
        covariance, scale = joint_covariance(
            model.hessians(problem.names, views)[0], meat,
            sources.reshape(count, views, 3).transpose(0, 1), end.look.pivots, known,
        ) or (None, None)  # fmt: skip
    losses = {"loss": loss, **dict(zip(problem.names, model.terms[0].tolist(), strict=True))}
    each = []
    for number, body in enumerate(bodies):
        part = part_of(number)
        # Of each by itself: what one of them does not show is no fault of the others.
        how = stopping_status(
            loss, hessian[part, part], gradient[part], end.tolerance_mm,
            untried_mm=end.untried_mm, cut_off=not bool(state.ended[0]),
        )  # fmt: skip
        own = None if covariance is None else covariance[part, part]
        own = None if own is None or bool(own.isnan().any()) else own
        seen_from = poses[number * views : (number + 1) * views]
        each.append(
            Registration(
                seen_from[0],
                status_of(flat, how, control),
                losses,
                tuple(step.of(number) for step in trajectory),
                body.pivot,
                own,
                seen_from,
                simulated=simulated,
                notes=notes,
                scale=None if scale is None or own is None else scale[part],
                bone_gain=end.gain,
            )
        )
    found = _judged(each, end, poses, near) if finished and judge else each
    if covariance is not None and scale is not None:
        # What one radiograph alone shows is no surer in depth than that makes it (`judged`): together with the others, too.
        own_scale = torch.cat(
            [scale[part_of(n)] if one.scale is None else one.scale for n, one in enumerate(found)]
        )
        covariance = covariance - scale.outer(scale) + own_scale.outer(own_scale)
        scale = own_scale
    names = tuple(body.name for body in bodies)
    return BodiesRegistration(names, tuple(found), covariance, scale, tuple(trajectory))


def _judged(
    found: Sequence[Registration], end: End, poses: Sequence[Pose], near: NearBone | None
) -> list[Registration]:
    """Each by the radiographs without the others."""
    apart = end.apart(poses, 2 * PIXELS)
    judgements = []
    for number, (body, registration) in enumerate(zip(end.look.bodies, found, strict=True)):
        views = [
            View(picture, at)
            for picture, at in zip(apart.alone(number), registration.views, strict=True)
        ]
        if near is not None:
            own = [
                near_bone_view(body.volume, v, v.world_from_camera, near.reach_mm) for v in views
            ]
            views = [near_it or view for near_it, view in zip(own, views, strict=True)]
        judgements.append(judged(registration, body.volume, views))
    return judgements
