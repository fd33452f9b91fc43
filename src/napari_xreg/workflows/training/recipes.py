"""All that can be trained: one line each.

Nothing heavy is imported here: the parser of the command line reads the table.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_xreg.training import Recipe


def _rayemb() -> "Recipe":
    from napari_xreg.rayemb import RayEmbRecipe

    return RayEmbRecipe()


def _landmarks() -> "Recipe":
    from napari_xreg.landmarks import LandmarkRecipe

    return LandmarkRecipe()


def _pose() -> "Recipe":
    from napari_xreg.regression import PoseRecipe

    return PoseRecipe()


RECIPES: dict[str, Callable[[], "Recipe"]] = {
    "rayemb": _rayemb,
    "landmarks": _landmarks,
    "pose": _pose,
}
"""By `Recipe.kind`; the first is the default."""
