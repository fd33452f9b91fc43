"""The bones on the canvas, where a registration has them at the moment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QObject, Signal

from napari_xreg.geometry import CArm, Detector, Pose
from napari_xreg.registration import BodiesIterate, Body, BodyIterate
from napari_xreg.session import PreviewRequest
from napari_xreg.viewer import BoneLayers, bone_picture
from napari_xreg.widgets.jobs.lane import Lane
from napari_xreg.widgets.jobs.live_preview import drag_threads
from napari_xreg.widgets.jobs.workbench import Workbench
from napari_xreg.widgets.parts.radiograph_alone import RadiographAlone
from napari_xreg.workflows import PATIENT, BodiesRequest, SessionBones, SessionBonesRequest

MOVING_PIXELS, PIXELS = 256, 512
"""Longer side of the pictures, while bones are looked for and afterwards: more than a small radiograph has, or
edges were as wide as its pixels."""


@dataclass(frozen=True, eq=False)
class _Asked:
    """Bones to be drawn in a radiograph."""

    of: BodiesRequest
    radiograph: str
    bodies: Mapping[str, Body]
    poses: Mapping[str, Pose]
    carm: CArm
    full: Detector

    def answer(self) -> tuple["_Asked", dict[str, npt.NDArray[np.float32]]]:
        pictures = {}
        for name, body in self.bodies.items():
            asked = PreviewRequest(body.volume, self.carm, self.poses[name], threads=drag_threads())
            pictures[name] = bone_picture(asked.answer().image, filled=not body.rest)
        return self, pictures


class BonesOnCanvas(QObject):
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
        self._asked: SessionBonesRequest | None = None
        self._request: BodiesRequest | None = None
        self._poses: dict[str, dict[str, Pose]] = {}  # of a bone, by the id of the radiograph
        self._moving = self._over = False  # _over: the DRR makes room for them
        self._painted = ""  # id of the radiograph whose pictures the layers have
        self.layers: BoneLayers | None = None
        """None: there is nothing to show."""

    @property
    def busy(self) -> bool:
        """Whether pictures are being drawn."""
        return self._lane.busy

    def begin(self, asked: SessionBonesRequest, request: BodiesRequest) -> None:
        """Bones that were cut out of the CT, where they start."""
        self.forget()
        self._bench.preview.look_at(None)  # pictures of a refinement make room
        self._asked, self._request = asked, request
        self._moving = self._over = True
        start = asked.poses_at(asked.views[0].world_from_camera)
        self._poses = {body.name: start for body in request.bodies}
        names = list(self._poses)
        self.layers = BoneLayers(self._bench.viewer, names, PATIENT)
        self.layers.on_switched(self.switched.emit)
        self.draw()

    def extend(self, events: Sequence[BodyIterate | BodiesIterate]) -> None:
        """Where they were tried."""
        asked = self._asked
        if asked is None:
            return
        for event in events:
            if isinstance(event, BodyIterate):
                if event.iterate.accepted:
                    pose = event.iterate.world_from_camera
                    self._poses[event.name] = asked.poses_at(pose)
            elif event.accepted:
                for name, pose in zip(self._poses, event.world_from_camera, strict=True):
                    self._poses[name] = asked.poses_at(pose)
        self.draw()

    def finish(self, bones: SessionBones) -> None:
        """Where they were found, by what has begun or before."""
        if self.layers is None:
            self.begin(bones.asked, bones.request)
        self._moving, self._over = False, True
        self._poses = {name: bones.poses_of(name) for name in bones.found.names}
        self.draw()

    def draw(self) -> None:
        """Again, in the radiograph that is shown now; nothing in one that was not used."""
        request, layers, active = self._request, self.layers, self._session.exposures.active
        if request is None or layers is None:
            return
        if active is None or any(active.id not in poses for poses in self._poses.values()):
            self._lane.drop()
            layers.hide()
            self._alone.show(False)
            return
        self._alone.show(self._over)
        if active.id != self._painted:
            layers.hide()
        full = active.radiograph.carm
        self._lane.ask(
            _Asked(
                request,
                active.id,
                {body.name: body for body in request.bodies},
                {name: poses[active.id] for name, poses in self._poses.items()},
                _sampled(full, MOVING_PIXELS if self._moving else PIXELS),
                full.detector,
            )
        )

    def show_drr(self) -> None:
        """The C-arm was moved: its DRR is to be seen too."""
        if self._over and not self._moving:
            self._over = False
            self._alone.show(False)

    def forget(self) -> None:
        """No bones any more; their layers go."""
        self._lane.drop()
        self._asked = self._request = None
        self._poses, self._painted = {}, ""
        self._moving = self._over = False
        layers, self.layers = self.layers, None
        if layers is not None:
            layers.close(remove_layers=not self._bench.closed)
            if not self._bench.closed:
                self._alone.show(False)

    def close(self) -> None:
        """For good."""
        self._lane.close()
        self.forget()

    def _paint(self, answer: tuple[_Asked, dict[str, npt.NDArray[np.float32]]]) -> None:
        asked, pictures = answer
        active = self._session.exposures.active
        layers = self.layers
        if layers is None or asked.of is not self._request or active is None:
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
