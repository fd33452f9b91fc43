"""Layers of the viewer that become a CT, a label map or a radiograph, as frozen requests."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from napari_xreg.images import (
    GeometryRecord,
    IncompleteRadiograph,
    LabelMap,
    Radiograph,
    StoredImage,
    Volume,
    radiograph_from_stored,
)
from napari_xreg.viewer import CapturedLayer, Carried, Values, as_edited
from napari_xreg.widgets.data.answers import CT, Labelled, Unfinished, Xray


@dataclass(frozen=True, eq=False)
class AdoptOwn:
    """Take over a layer that was made from a CT, label map or radiograph, as it was edited.

    Parameters
    ----------
    carry
        What it was made from.
    data, attributes
        Of the layer now.
    """

    carry: Carried
    data: Any
    attributes: Mapping[str, Any]

    @property
    def words(self) -> str:
        return f"Taking over {self.attributes.get('name', '')}"

    def answer(self) -> CT | Labelled | Xray | Unfinished:
        """The value it was made from, or one with what was edited, which no file holds.

        Raises
        ------
        ValueError
            If it was cropped, moved, scaled or turned.
        """
        value = as_edited(self.carry, self.data, self.attributes)
        source = self.carry.source if value is self.carry.value else None
        if isinstance(value, Volume):
            return CT(value, source)
        if isinstance(value, LabelMap):
            return Labelled(value, source)
        assert isinstance(value, Radiograph)
        truth = None if self.carry.case is None else self.carry.case.truth
        name = str(self.attributes.get("name", "radiograph"))
        return Xray(value, self.carry.source, name, truth, edited=value is not self.carry.value)


@dataclass(frozen=True, eq=False)
class AdoptVolume:
    """Make a CT of a layer."""

    layer: CapturedLayer
    values: Values

    @property
    def words(self) -> str:
        return f"Taking over {self.layer.name}"

    def answer(self) -> CT | Labelled | Xray | Unfinished:
        """Convert it."""
        return CT(self.layer.volume(self.values), None, self.layer.notes)


@dataclass(frozen=True, eq=False)
class AdoptLabels:
    """Make a label map of a layer."""

    layer: CapturedLayer

    @property
    def words(self) -> str:
        return f"Taking over {self.layer.name}"

    def answer(self) -> CT | Labelled | Xray | Unfinished:
        """Convert it."""
        return Labelled(self.layer.labels(), None)


@dataclass(frozen=True, eq=False)
class AdoptImage:
    """Make a radiograph of a layer; what a layer cannot say is asked for."""

    layer: CapturedLayer
    stored: StoredImage | None = None

    @property
    def words(self) -> str:
        return f"Taking over {self.layer.name}"

    def answer(self) -> CT | Labelled | Xray | Unfinished:
        """Convert it, or say what is missing."""
        stored = self.stored or self.layer.image()
        try:
            radiograph = radiograph_from_stored(
                stored, i0=None, find_collimator=True, source=stored.file
            )
        except IncompleteRadiograph as incomplete:
            return Unfinished(incomplete.stored, replace(self, stored=incomplete.stored))
        return Xray(radiograph, None, self.layer.name)

    def completed(self, geometry: GeometryRecord, read_as: Any, bone: Any) -> "AdoptImage":
        """The same with what the user said."""
        assert self.stored is not None
        stored = replace(self.stored, geometry=self.stored.geometry.override(geometry))
        return replace(
            self,
            stored=replace(stored, meaning=read_as or stored.meaning, bone=bone or stored.bone),
        )
