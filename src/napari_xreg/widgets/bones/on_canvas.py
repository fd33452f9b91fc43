"""The bones on the canvas, where a registration has them at the moment."""

from collections.abc import Sequence

from napari_xreg.geometry import Pose
from napari_xreg.registration import BodiesIterate, BodyIterate
from napari_xreg.widgets.bones.drawn import BonesDrawn
from napari_xreg.widgets.jobs.workbench import Workbench
from napari_xreg.workflows import BodiesRequest, SessionBones, SessionBonesRequest


class BonesOnCanvas(BonesDrawn):
    """Draws each bone where a registration has it.

    Parameters
    ----------
    bench
        Whose canvas.
    """

    def __init__(self, bench: Workbench) -> None:
        super().__init__(bench)
        self._asked: SessionBonesRequest | None = None
        self._found: dict[str, dict[str, Pose]] = {}

    def begin(self, asked: SessionBonesRequest, request: BodiesRequest) -> None:
        """Bones that were cut out of the CT, where they start."""
        self.put(request.bodies)
        self._asked = asked
        start = asked.poses_at(asked.views[0].world_from_camera)
        self._found = {body.name: start for body in request.bodies}
        self.place(self._found, moving=True)

    def extend(self, events: Sequence[BodyIterate | BodiesIterate]) -> None:
        """Where they were tried."""
        asked = self._asked
        if asked is None:
            return
        for event in events:
            if isinstance(event, BodyIterate):
                if event.iterate.accepted:
                    pose = event.iterate.world_from_camera
                    self._found[event.name] = asked.poses_at(pose)
            elif event.accepted:
                for name, pose in zip(self._found, event.world_from_camera, strict=True):
                    self._found[name] = asked.poses_at(pose)
        self.draw()

    def finish(self, bones: SessionBones) -> None:
        """Where they were found, by what has begun or before."""
        if self.layers is None:
            self.begin(bones.asked, bones.request)
        self._found = {name: bones.poses_of(name) for name in bones.found.names}
        self.place(self._found)

    def forget(self) -> None:
        """No bones any more; their layers go."""
        super().forget()
        self._asked, self._found = None, {}
