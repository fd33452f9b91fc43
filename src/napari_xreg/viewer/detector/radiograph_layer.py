"""What the radiograph's layer is called, and what it was made from."""

from typing import Any

import numpy as np
from napari.components import ViewerModel

from napari_xreg.session import Session
from napari_xreg.viewer.layer_data import KEY, Carried, shown_pixels
from napari_xreg.viewer.layer_shelf import LayerShelf

ROLE = "radiograph"


class RadiographLayer:
    """Keeps the name of the layer and of the session's active radiograph alike.

    A name that the user gives the layer becomes the radiograph's. No two layers of napari have one
    name: while another layer has it, a number follows. The layer carries its radiograph, so that it
    can be saved with its geometry, and the session, so that it can be saved as it is.

    Parameters
    ----------
    viewer
        Whose list it is in.
    shelf
        Where the layer is kept.
    session
        Whose active radiograph it shows.
    """

    def __init__(self, viewer: ViewerModel, shelf: LayerShelf, session: Session) -> None:
        self._shelf, self._session = shelf, session
        self._naming = False
        shelf.listen(viewer.layers.events.inserted, self._inserted)
        shelf.listen(viewer.layers.events.removed, self._removed)

    def show(self) -> None:
        """Call the layer as the radiograph is called, and let it carry it."""
        layer, active = self._shelf.get(ROLE), self._session.exposures.active
        if layer is None or active is None:
            return
        if layer.name != active.name:
            self._naming = True
            try:
                layer.name = active.name
            finally:
                self._naming = False
        layer.metadata.pop(KEY, None)
        # Of more digits than are drawn, or not finite everywhere: it would be saved as edited.
        if np.array_equal(layer.data, shown_pixels(active.radiograph)):
            source = None if active.edited else active.source
            layer.metadata[KEY] = Carried(active.radiograph, source, home=self._session)

    def _inserted(self, event: Any) -> None:
        layer = self._shelf.get(ROLE)
        if layer is not None and layer is event.value:
            self._shelf.listen(layer.events.name, self._renamed)
            self.show()

    def _removed(self, event: Any) -> None:
        """Perhaps the one that had the name."""
        self.show()

    def _renamed(self, event: Any) -> None:
        layer, active = self._shelf.get(ROLE), self._session.exposures.active
        if self._naming or layer is None or active is None:
            return
        try:
            self._session.exposures.rename(active.id, layer.name)
        except ValueError:  # another radiograph has it
            self.show()
