"""All that can be trained: one line each.

Nothing heavy is imported here: the parser of the command line reads the table.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

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


def _similarity() -> "Recipe":
    from napari_xreg.similarity import SimilarityRecipe

    return SimilarityRecipe()


RECIPES: dict[str, Callable[[], "Recipe"]] = {
    "rayemb": _rayemb,
    "landmarks": _landmarks,
    "pose": _pose,
    "similarity": _similarity,
}
"""By `Recipe.kind`; the first is the default."""


def recipe_described(recipe: "Recipe") -> dict[str, Any]:
    """What a recipe was asked beside what every training is, as plain values; most have nothing."""
    described = getattr(recipe, "described", None)
    return {} if described is None else dict(described())


def recipe_as_it_was(recipe: "Recipe", settings: Mapping[str, Any]) -> "Recipe":
    """The recipe as `recipe_described` has it in the settings of an interrupted training.

    Raises
    ------
    ValueError
        If they do not say something that it needs to know.
    """
    as_described = getattr(recipe, "as_described", None)
    made: Recipe = recipe if as_described is None else as_described(settings)
    return made
