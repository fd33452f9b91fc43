"""All that can be trained."""

from napari_xreg.widgets.train.landmarks import LandmarkRecipe
from napari_xreg.widgets.train.rayemb import RayEmbRecipe
from napari_xreg.widgets.train.recipe import Recipe


def recipes() -> tuple[Recipe, ...]:
    """The first is the default."""
    return (RayEmbRecipe(), LandmarkRecipe())
