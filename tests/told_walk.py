"""A body that says itself where it is found in a sequence: a `Sought` without a radiograph that shows anything."""

import torch

from napari_xreg.geometry import CArm, Detector, Pose
from napari_xreg.images import Radiograph
from napari_xreg.registration import Registration, Status, View
from napari_xreg.workflows import Frames
from napari_xreg.workflows.tracking.sought import Found

ARM = CArm(1000.0, 700.0, Detector((3, 5), (2.0, 2.5)))
PIVOT = torch.tensor([3.0, -2.0, 1.0], dtype=torch.float64)


def at(x: float) -> Pose:
    return Pose(torch.eye(3, dtype=torch.float64), torch.tensor([x, 0.0, 0.0]).double())


def frames(count):
    def views(number):
        picture = torch.full((3, 5), float(number))
        return (View(Radiograph(picture, ARM), at(100.0)),)

    return Frames(tuple(range(1, count + 1)), views)


class Told:
    """A body at 2 mm a frame; the coarse look is 0.25 mm off. Numbers of frames that are found otherwise."""

    pivots = (PIVOT,)

    def __init__(self, doubtful=(), jumped=(), lost=()):
        self.doubtful, self.jumped, self.lost = doubtful, jumped, lost
        self.roughly, self.widely, self.held = [], [], []

    def _found(self, seen, off, status=Status.CONVERGED):
        ((view,),) = seen
        number = float(view.radiograph.line_integrals[0, 0])
        pose = at(100.0 + 2.0 * (number - 1.0) + off)
        return Found(
            (Registration(pose, status, {"loss": 0.1}, (), PIVOT, torch.eye(6).double(), (pose,)),)
        )

    def holding(self, given):
        self.held.append(dict(given))
        return self

    def number_of(self, seen):
        return int(seen[0][0].radiograph.line_integrals[0, 0])

    def starts(self, first):
        return (Pose.identity(),)

    def first(self, seen):
        return self._found(seen, 0.0)

    def rough(self, seen, before):
        expected = float(seen[0][0].world_from_camera.translation[0]) - 100.0
        self.roughly.append((self.number_of(seen), round(expected, 6)))
        if self.number_of(seen) in self.lost:
            return self._found(seen, 50.0)
        return self._found(seen, 0.25)

    def fine(self, seen, before):
        doubtful = self.number_of(seen) in (*self.doubtful, *self.jumped)
        return self._found(seen, 0.0, Status.NOT_TRUSTED if doubtful else Status.CONVERGED)

    def wide(self, seen):
        number = self.number_of(seen)
        self.widely.append(number)
        if number in self.jumped:
            return self._found(seen, 5.0)
        return self._found(seen, 50.0 if number in self.lost else 0.5, Status.NOT_TRUSTED)
