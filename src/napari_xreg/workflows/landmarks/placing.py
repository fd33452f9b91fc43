"""Landmarks that follow from a label map: extreme points, centres and the spheres of joints."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import scipy  # its parts are imported when they are used
import torch
from jaxtyping import Bool, Float
from numpy import ndarray

from napari_xreg.images import LabelMap, Landmark
from napari_xreg.session import Session
from napari_xreg.workflows.landmarks.templates import Template, TemplateEntry

_WAYS: Mapping[str, tuple[int, float]] = {
    "left": (0, 1.0),
    "right": (0, -1.0),
    "posterior": (1, 1.0),
    "anterior": (1, -1.0),
    "superior": (2, 1.0),
    "inferior": (2, -1.0),
}
"""Axis (x, y, z; LPS) and sign."""
BY_HAND = "to be picked by hand"
"""Why a landmark without a rule is not placed."""
_TIP_MM = 2.0  # of a structure's end that are its extreme point, together
_PIECE = 0.2  # of the largest piece: another as large is another bone of the same name
_JOINT_MM = 12.0  # between the surfaces of the two bones of a joint
_HEAD_MM = (12.0, 35.0)  # radii that a femoral head may have
_ROUND_MM = 2.5  # mean square distance of a joint's surface from its sphere, at most


@dataclass(frozen=True, eq=False)
class Placed:
    """What a label map says of a template.

    Parameters
    ----------
    landmarks
        That could be placed.
    left
        Names that could not, and why.
    labels
        The label map.
    """

    landmarks: tuple[Landmark, ...]
    left: Mapping[str, str]
    labels: LabelMap

    def words(self, new: int) -> str:
        """Sentences, where `take_placed` added so many of the landmarks."""
        text = f"{new} landmark{'' if new == 1 else 's'} placed from the label map"
        if new:
            text += ": check each"
        if kept := len(self.landmarks) - new:
            text += f". {kept} had a position and kept it"
        reasons: dict[str, list[str]] = {}
        for name, why in self.left.items():
            reasons.setdefault(why, []).append(name)
        by_hand = len(reasons.pop(BY_HAND, ()))
        told = [f"To be picked by hand: {by_hand}"] if by_hand else []
        told += [f"{why}: {', '.join(names)}" for why, names in reasons.items()]
        return ". ".join([text, *told]) + "."


@dataclass(frozen=True, eq=False)
class PlaceRequest:
    """A template to be placed; `answer` may run in any thread.

    Parameters
    ----------
    template
        Names and rules.
    labels
        The label map.
    """

    template: Template
    labels: LabelMap

    def answer(self) -> Placed:
        """Place every landmark that has a rule and whose structure is whole.

        A point at which the structure leaves the CT is not its end, and is not taken for one.
        """
        bones = _Bones(self.labels)
        landmarks, left = [], {}
        for entry in self.template.entries:
            try:
                x, y, z = _place(entry, bones).tolist()
            except LookupError as why:
                left[entry.name] = str(why.args[0])
            else:
                landmarks.append(Landmark(entry.name, (x, y, z)))
        return Placed(tuple(landmarks), left, self.labels)


def take_placed(session: Session, placed: Placed) -> int:
    """Add what was placed, in one step; landmarks that have a position keep it. How many were new."""
    there = {mark.name: mark for mark in session.landmarks.all}
    new = [mark for mark in placed.landmarks if mark.name not in there]
    if new:
        with session.one_step("landmarks from the label map"):
            session.landmarks.set([*there.values(), *new])
    return len(new)


@dataclass(frozen=True, eq=False)
class _Bone:
    """Voxels of a structure: centres (LPS, mm), which are its surface, which lie on the CT's border."""

    points: Float[ndarray, "n 3"]
    surface: Bool[ndarray, "n"]
    border: Bool[ndarray, "n"]

    def part(self, keep: Bool[ndarray, "n"]) -> "_Bone":
        return _Bone(self.points[keep], self.surface[keep], self.border[keep])


class _Bones:
    """Structures of a label map, each looked at once."""

    def __init__(self, labels: LabelMap) -> None:
        self._matrix = labels.world_from_index.double().cpu().numpy()
        self._ids = labels.ids.cpu().numpy()
        self._id_of = {labels.names[id]: id for id in labels.present() if id in labels.names}
        self._boxes = _boxes(labels.ids, set(self._id_of.values()))
        self._known: dict[str, _Bone] = {}

    def __getitem__(self, structure: str) -> _Bone:
        if structure not in self._id_of:
            raise LookupError(f"the label map holds no {structure}")
        if structure not in self._known:
            self._known[structure] = self._look(structure)
        return self._known[structure]

    def _look(self, structure: str) -> _Bone:
        id = self._id_of[structure]
        box = self._boxes[id]
        mask = self._ids[box] == id
        pieces, count = scipy.ndimage.label(mask)
        if count > 1:
            sizes = np.bincount(pieces.ravel())[1:]
            if np.sort(sizes)[-2] > _PIECE * sizes.max():
                raise LookupError(f"{structure} is in several pieces")
            mask = pieces == 1 + sizes.argmax()
        inner = scipy.ndimage.binary_erosion(mask)  # outside the box is none of it
        at = np.argwhere(mask)
        index = at + np.array([part.start for part in box])
        border = ((index == 0) | (index == np.array(self._ids.shape) - 1)).any(axis=1)
        points = index[:, ::-1] @ self._matrix[:3, :3].T + self._matrix[:3, 3]
        return _Bone(points, ~inner[tuple(at.T)], border)


def _boxes(ids: torch.Tensor, wanted: set[int]) -> dict[int, tuple[slice, ...]]:
    """Of each structure, the smallest box of voxels (z, y, x) around it."""
    array = ids.cpu().numpy()
    found = scipy.ndimage.find_objects(array.astype(np.int32, copy=False), max(wanted, default=1))
    return {id: found[id - 1] for id in wanted if id > 0 and found[id - 1] is not None}


def _place(entry: TemplateEntry, bones: _Bones) -> Float[ndarray, "3"]:
    rule = entry.rule
    if rule is None:
        raise LookupError(BY_HAND)
    bone = bones[entry.structure]
    if rule.beside:
        return _sphere(bone, bones[rule.beside])
    for way, share in rule.within:
        along = _along(bone, way)
        bone = bone.part(along >= along.max() - share * (along.max() - along.min()))
    tip = bone
    if rule.toward:
        along = _along(bone, rule.toward)
        tip = bone.part(along >= along.max() - _TIP_MM)
    # Of a bone that the CT cuts, an end or a part is another.
    if (bone if rule.within else tip).border.any():
        raise LookupError(f"{entry.structure} leaves the CT")
    if not rule.toward:
        return np.asarray(bone.points.mean(axis=0))
    end = tip.points.mean(axis=0)
    # Two tips of the same height have their mean in the air between them.
    return np.asarray(tip.points[np.linalg.norm(tip.points - end, axis=1).argmin()])


def _along(bone: _Bone, way: str) -> Float[ndarray, "n"]:
    axis, sign = _WAYS[way]
    return np.asarray(sign * bone.points[:, axis])


def _sphere(bone: _Bone, other: _Bone) -> Float[ndarray, "3"]:
    """Centre of the least-squares sphere through the surface that faces another bone.

    Linear in centre and r² - |c|² (Coope 1993).
    """
    surface = bone.points[bone.surface & ~bone.border]
    away, _ = scipy.spatial.KDTree(other.points[other.surface]).query(
        surface, distance_upper_bound=_JOINT_MM
    )
    facing = surface[np.isfinite(away)]
    if len(facing) < 30:
        raise LookupError("no joint is to be seen")
    middle = facing.mean(axis=0)
    near = facing - middle
    system = np.column_stack([2 * near, np.ones(len(near))])
    solution, *_ = np.linalg.lstsq(system, (near**2).sum(axis=1), rcond=None)
    radius = float(np.sqrt(max(solution[3] + (solution[:3] ** 2).sum(), 0.0)))
    rough = np.sqrt(((np.linalg.norm(near - solution[:3], axis=1) - radius) ** 2).mean())
    if not _HEAD_MM[0] <= radius <= _HEAD_MM[1] or rough > _ROUND_MM:
        raise LookupError("its joint is no sphere")
    return np.asarray(middle + solution[:3])
