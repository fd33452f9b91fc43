"""A bone that some of several radiographs hardly show is looked for in the others: a sliver of it leads astray."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace

import torch

from napari_xreg.geometry import Pose
from napari_xreg.images import Volume
from napari_xreg.registration.refinement.result import Iterate, Registration
from napari_xreg.registration.refinement.settings import RefineSettings
from napari_xreg.registration.refinement.views import View, carried_along
from napari_xreg.registration.verdict.shown import share_shown

LEAST = 0.15
"""How much of its structure a radiograph has to show where the bone is thought to be, of what the one shows that shows most: a
shaft goes on beyond every picture."""

Judge = Callable[[Registration, Volume, Sequence[View]], Registration]
"""As `judged`, of what is locked."""


def radiographs_that_show(volume: Volume, views: Sequence[View]) -> tuple[int, ...]:
    """The numbers of the radiographs that show a bone where it is thought to be; all, where none does.

    Parameters
    ----------
    volume
        Bones alone, on the processor.
    """
    if len(views) < 2:
        return tuple(range(len(views)))
    shares = [share_shown(volume, view) for view in views]
    return tuple(n for n, share in enumerate(shares) if share >= LEAST * max(shares))


class Rig:
    """Radiographs of a rig that are refined in place of all: what is found of their first is told of the first of all.

    Parameters
    ----------
    views
        All, where they start.
    some
        Numbers of those that are refined; where it is all, nothing is changed.
    """

    def __init__(self, views: Sequence[View], some: Sequence[int]) -> None:
        self._all, self._some = tuple(views), tuple(some)
        self._fewer = len(self._some) < len(self._all)
        self._poses = tuple(v.world_from_camera.to(dtype=torch.float64) for v in views)
        self._back = self._poses[some[0]].inverse() @ self._poses[0]

    @property
    def views(self) -> tuple[View, ...]:
        """Those that are refined."""
        return tuple(self._all[number] for number in self._some)

    def settings(self, settings: RefineSettings) -> RefineSettings:
        """With the poses that others propose as those of the first that is refined."""
        if not self._fewer:
            return settings
        there = self._back.inverse()
        beside = tuple(
            replace(each, world_from_camera=each.world_from_camera.to(dtype=torch.float64) @ there)
            for each in settings.beside
        )
        return replace(settings, beside=beside, depth=None if self._some[0] else settings.depth)

    def judge(self, judge: Judge) -> Judge:
        """The verdict of all radiographs on what some have found."""
        if not self._fewer:
            return judge

        def by_all(found: Registration, volume: Volume, seen: Sequence[View]) -> Registration:
            views = list(self._all)
            for number, view in zip(self._some, seen, strict=True):
                views[number] = view
            return replace(judge(self._with_all(found), volume, views), views=found.views)

        return by_all

    def told(
        self, events: Generator[Iterate, None, Registration]
    ) -> Generator[Iterate, None, Registration]:
        """Iterates and the result as those of all radiographs; no pictures where the first is not refined."""
        if not self._fewer:
            return (yield from events)
        while True:
            try:
                event = next(events)
            except StopIteration as end:
                return self._registration(end.value)
            yield self._iterate(event)

    def _iterate(self, found: Iterate) -> Iterate:
        image = None if self._some[0] else found.image
        return replace(found, world_from_camera=self._first(found.world_from_camera), image=image)

    def _registration(self, found: Registration) -> Registration:
        candidates = (
            replace(each, initial=self._first(each.initial), final=self._first(each.final))
            for each in found.candidates
        )
        return replace(
            self._with_all(found),
            world_from_camera=self._first(found.world_from_camera),
            candidates=tuple(candidates),
            trajectory=tuple(map(self._iterate, found.trajectory)),
        )

    def _with_all(self, found: Registration) -> Registration:
        return replace(found, views=carried_along(self._poses, self._first(found.views[0])))

    def _first(self, pose: Pose) -> Pose:
        return pose.to(dtype=torch.float64) @ self._back
