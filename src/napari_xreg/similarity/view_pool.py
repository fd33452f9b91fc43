"""Pairs of views to learn from: one that is made to look acquired, one rendered near it with its derivatives."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.images import Volume
from napari_xreg.registration import Spread, perturbed
from napari_xreg.rendering import Prepared, march_view, prepare
from napari_xreg.training import Patient, PatientPool, PoolSettings

CUT = 2.0
"""Starts further off than so many standard deviations are not drawn."""


@dataclass(frozen=True)
class PairSettings(PoolSettings):
    """Which pairs to learn from; of the C-arm only where it turns counts, for the network has a camera
    of its own.

    Parameters
    ----------
    views
        Pairs of one patient that are rendered together: a set, of which `kept` are in memory.
    farthest
        The second view of a pair lies up to so many times the usual `Spread` from the first.
    """

    kept: int = 64
    renew_every: int = 4
    views: int = 16
    farthest: float = 6.0


@dataclass(frozen=True, eq=False)
class Pairs:
    """Rendered pairs of one patient.

    Parameters
    ----------
    patient
        Who.
    kinds
        Of the first views: line integrals of bone and of soft tissue.
    fixed
        Poses of the first views, ``world_from_camera``.
    images
        Line integrals of the second views.
    slopes
        Of `images` by a left twist about the isocenter, in world axes: rad, then mm.
    moving
        Poses of the second views.
    """

    patient: Patient
    kinds: Float[Tensor, "v 2 rows columns"]
    fixed: Pose
    images: Float[Tensor, "v rows columns"]
    slopes: Float[Tensor, "v 6 rows columns"]
    moving: Pose


class PairPool(PatientPool[Pairs, PairSettings]):
    """See `training.PatientPool`."""

    salt = 43
    _last: tuple[Patient, Prepared] | None = None
    """The patient that was rendered last, made ready."""

    def draw(self, count: int, generator: torch.Generator) -> Pairs:
        """Pairs of one patient; now and then new ones come in.

        Sets of one patient are mixed where there is only one patient.
        """
        sets = self.step()
        first = sets[int(torch.randint(len(sets), (1,), generator=generator))]
        same = [each for each in sets if each.patient is first.patient]
        chosen = self.single(same, self.settings.views, count, generator)
        return Pairs(
            first.patient,
            torch.stack([pairs.kinds[at] for pairs, at in chosen]),
            Pose.stack([pairs.fixed[at] for pairs, at in chosen]),
            torch.stack([pairs.images[at] for pairs, at in chosen]),
            torch.stack([pairs.slopes[at] for pairs, at in chosen]),
            Pose.stack([pairs.moving[at] for pairs, at in chosen]),
        )

    def views_of(self, patient: Patient, generator: torch.Generator) -> Pairs:
        """Render a patient."""
        s, isocenter = self.settings, patient.isocenter.double()
        fixed = s.poses.sample(s.carm, isocenter, s.views, generator)
        moving = Pose.stack(
            [near(fixed[i], isocenter, s.farthest, generator) for i in range(s.views)]
        )
        kinds = patient.render(self.carm, fixed).float()
        if self._last is None or self._last[0] is not patient:
            self._last = patient, prepare(whole(patient))
        prepared = self._last[1]
        made = [
            march_view(prepared, self.carm, moving[i], pivot=isocenter.numpy())
            for i in range(s.views)
        ]
        images, slopes = (torch.stack([torch.from_numpy(x[k]) for x in made]) for k in range(2))
        return Pairs(patient, kinds, fixed, images, slopes, moving)


def near(
    pose: Pose, isocenter: Float[Tensor, "3"], farthest: float, generator: torch.Generator
) -> Pose:
    """A pose up to so many times the usual spread away, near ones as often as far ones."""
    factor = farthest * float(torch.rand((), generator=generator))
    normals = torch.randn(1, 6, generator=generator, dtype=torch.float64).clamp(-CUT, CUT)
    return perturbed(pose, isocenter, normals, Spread().scaled(factor))[0]


def whole(patient: Patient) -> Volume:
    """Bone and soft tissue together, as a renderer without labels sees the patient."""
    return Volume(patient.bone.lac + patient.soft.lac, patient.bone.world_from_index)
