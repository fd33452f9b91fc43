"""Bones on the canvas, each where it is put, in the radiograph that is shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QObject, Signal

from napari_xreg.geometry import CArm, Detector, Pose
from napari_xreg.registration import Body
from napari_xreg.session import PreviewRequest
from napari_xreg.viewer import BoneLayers, bone_picture
from napari_xreg.widgets.jobs.lane import Lane
from napari_xreg.widgets.jobs.live_preview import drag_threads
from napari_xreg.widgets.jobs.workbench import Workbench
from napari_xreg.widgets.parts.radiograph_alone import RadiographAlone

MOVING_PIXELS, PIXELS = 256, 512
"""Longer side of the pictures, while bones are looked for and afterwards: more than a small radiograph has, or
edges were as wide as its pixels."""


@dataclass(frozen=True, eq=False)
class _Asked:
    """Bones to be drawn in a radiograph."""

    of: tuple[Body, ...]
    radiograph: str
    poses: Mapping[str, Pose]
    carm: CArm
    full: Detector

    def answer(self) -> tuple["_Asked", dict[str, npt.NDArray[np.float32]]]:
        pictures = {}
        for body in self.of:
            if body.name not in self.poses:
                continue
            pose = self.poses[body.name]
            asked = PreviewRequest(body.volume, self.carm, pose, threads=drag_threads())
            pictures[body.name] = bone_picture(asked.answer().image, filled=not body.rest)
        return self, pictures


class BonesDrawn(QObject):
    """Draws each bone at its pose in the radiograph that is shown.

    Parameters
    ----------
    bench
        Whose canvas.
    """

    switched = Signal(str, bool)
    """The user made a layer visible, or not: the name of its bone."""

    def __init__(self, bench: Workbench) -> None:
        super().__init__()
        self._bench, self._session = bench, bench.session
        self._alone = RadiographAlone(bench.canvas, ("blend", "blink"))
        self._lane = Lane(self._paint, name="Bones")
        self._bodies: tuple[Body, ...] = ()
        self._poses: Mapping[str, Mapping[str, Pose]] = {}  # of a bone, by the id of the radiograph
        self._moving = self._over = False  # _over: the DRR makes room for them
        self._painted = ""  # id of the radiograph whose pictures the layers have
        self.layers: BoneLayers | None = None
        """None: there is nothing to show."""

    @property
    def busy(self) -> bool:
        """Whether pictures are being drawn."""
        return self._lane.busy

    def put(self, bodies: Sequence[Body]) -> None:
        """Draw these from now on, in place of others; nowhere yet. Layers of the same names stay in the list."""
        names = [body.name for body in bodies]
        rest = next((body.name for body in bodies if body.rest), None)
        layers = self.layers
        if layers is not None and (list(layers.titles), layers.rest) == (names, rest):
            self._no_pictures()
            layers.hide()
            for name in names:
                layers.switch(name, True)
            self._alone.show(False)
        else:
            self._no_pictures()
            self.layers = BoneLayers(self._bench.viewer, names, rest, layers)
            self.layers.on_switched(self.switched.emit)
            self._alone.show(False)
        self._bench.preview.look_at(None)  # pictures of a refinement make room
        self._bodies = tuple(bodies)

    def place(self, poses: Mapping[str, Mapping[str, Pose]], *, moving: bool = False) -> None:
        """Where they are; the DRR makes room for them.

        Parameters
        ----------
        poses
            ``world_from_camera`` by the name of the bone, then by `Exposure.id`; a bone without one is not drawn.
        moving
            They will be elsewhere soon: coarse pictures are enough.
        """
        self._poses, self._moving, self._over = poses, moving, True
        self.draw()

    def draw(self) -> None:
        """Again, in the radiograph that is shown now; nothing in one that was not used."""
        layers, active = self.layers, self._session.exposures.active
        if layers is None:
            return
        poses = (
            {}
            if active is None
            else {name: each[active.id] for name, each in self._poses.items() if active.id in each}
        )
        if active is None or not poses:
            self._lane.drop()
            layers.hide()
            self._alone.show(False)
            return
        self._alone.show(self._over)
        if active.id != self._painted:
            layers.hide()
        full = active.radiograph.carm
        carm = _sampled(full, MOVING_PIXELS if self._moving else PIXELS)
        self._lane.ask(_Asked(self._bodies, active.id, poses, carm, full.detector))

    def show_drr(self) -> None:
        """The C-arm was moved: its DRR is to be seen too."""
        if self._over and not self._moving:
            self._over = False
            self._alone.show(False)

    def forget(self) -> None:
        """No bones any more; their layers go."""
        self._no_pictures()
        layers, self.layers = self.layers, None
        if layers is not None:
            layers.close(remove_layers=not self._bench.closed)
            if not self._bench.closed:
                self._alone.show(False)

    def _no_pictures(self) -> None:
        self._lane.drop()
        self._bodies = ()
        self._poses, self._painted = {}, ""
        self._moving = self._over = False

    def close(self) -> None:
        """For good."""
        self._lane.close()
        self.forget()

    def _paint(self, answer: tuple[_Asked, dict[str, npt.NDArray[np.float32]]]) -> None:
        asked, pictures = answer
        active = self._session.exposures.active
        layers = self.layers
        if layers is None or asked.of is not self._bodies or active is None:
            return
        if active.id == asked.radiograph and active.radiograph.carm.detector == asked.full:
            layers.show(pictures, asked.carm.detector, asked.full)
            self._painted = active.id


def _sampled(carm: CArm, pixels: int) -> CArm:
    """The same C-arm, the longer side of its detector sampled with so many pixels."""
    rows, columns = carm.detector.shape
    finer = pixels / max(rows, columns)
    detector = carm.detector.resize(max(1, round(rows * finer)), max(1, round(columns * finer)))
    return replace(carm, detector=detector)
