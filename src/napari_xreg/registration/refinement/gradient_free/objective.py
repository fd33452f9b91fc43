"""The loss of many poses at one size of the radiographs: all that a solver without derivatives asks for."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.geometry import Pose
from napari_xreg.images import Volume
from napari_xreg.metrics import Similarity, is_flat
from napari_xreg.registration.refinement.views import View, at_pixels, unsaturated
from napari_xreg.rendering import at_voxel_size, render_drr

Values = npt.NDArray[np.float64]
"""Six numbers a pose: rotation (rad) and shift (mm) from the start, along the axes of the first camera."""

VOXEL_PER_PIXEL = 0.9
"""Voxels of a level over its pixels, where the patient is: finer ones cost time and are not seen."""


class Objective:
    """Radiographs at one size, and how badly the CT explains them at many poses.

    Parameters
    ----------
    volume, views, pivot
        As a solver gets them.
    pixels
        Longer side of the radiographs.
    similarity
        ``(radiograph, rendered, mask=...)``, [1, rows, columns] and [n, rows, columns], to n numbers.
    """

    def __init__(
        self,
        volume: Volume,
        views: Sequence[View],
        pixels: int,
        pivot: Float[Tensor, "3"],
        similarity: Similarity,
    ) -> None:
        self._views, self._pivot, self._similarity = views, pivot, similarity
        self._targets = [at_pixels(view.radiograph, pixels) for view in unsaturated(views)]
        carm = self._targets[0].carm
        at_patient = carm.source_to_isocenter / carm.source_to_detector
        self._volume = at_voxel_size(
            volume, VOXEL_PER_PIXEL * max(carm.detector.spacing) * at_patient
        )
        self._camera = views[0].world_from_camera.rotation.double()

    def poses(self, values: Values) -> list[Pose]:
        """Of every view, a batch of as many poses as rows of `values`."""
        parts = torch.from_numpy(np.atleast_2d(values)).reshape(-1, 2, 3)
        twists = (parts @ self._camera.mT).reshape(-1, 6)
        return [_batch(view, len(twists)).left_perturb(twists, self._pivot) for view in self._views]

    def images(self, values: Values) -> list[Float[Tensor, "n rows columns"]]:
        """DRRs of every view."""
        return [
            render_drr(self._volume, target.carm, poses, method="joseph")
            for target, poses in zip(self._targets, self.poses(values), strict=True)
        ]

    def losses(self, values: Values) -> tuple[npt.NDArray[np.float64], list[Tensor]]:
        """One minus the similarity, mean over the views; what is not a number is infinitely bad."""
        images = self.images(values)
        each = [
            self._similarity(
                target.line_integrals[None].to(image), image, mask=target.usable.to(image.device)
            )
            for target, image in zip(self._targets, images, strict=True)
        ]
        found = (1.0 - torch.stack(each).mean(0)).double().cpu().numpy()
        return np.where(np.isfinite(found), found, np.inf), images

    def flat(self, values: Values) -> bool:
        """Whether no view shows anything at one pose."""
        return all(bool(is_flat(image[0].flatten())) for image in self.images(values))


def _batch(view: View, count: int) -> Pose:
    pose = view.world_from_camera.to(dtype=torch.float64)
    return Pose(pose.rotation.expand(count, 3, 3), pose.translation.expand(count, 3))
