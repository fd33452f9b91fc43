"""All that can be trained."""

from napari_xreg.widgets.train_landmarks import LandmarkRecipe
from napari_xreg.widgets.train_rayemb import RayEmbRecipe
from napari_xreg.widgets.train_recipe import Recipe


def recipes() -> tuple[Recipe, ...]:
    """The first is the default."""
    return (RayEmbRecipe(), LandmarkRecipe())
