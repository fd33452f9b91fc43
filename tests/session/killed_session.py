"""Run as a program: keeps a session, works on, and waits to be killed. See `test_autosave`."""

import itertools
import sys
import time
from pathlib import Path

import numpy as np
import torch
from session_parts import make_radiograph, make_volume, twist
from torch import nn

from napari_xreg.geometry import CArmPose
from napari_xreg.images import Landmark
from napari_xreg.registration import AdamSettings, View, refine
from napari_xreg.session import Autosave, Session
from napari_xreg.training import TrainSettings, Validation, train


def say(word):
    sys.stdout.write(word + "\n")
    sys.stdout.flush()


def refining(session, _):
    settings = AdamSettings(pixels=(16,), iterations=1_000_000, patience=1_000_000)
    entry = session.exposures.active
    views = (View(entry.radiograph, entry.world_from_camera),)
    for _ in refine(session.patient.volume, views, settings=settings):
        say("in the middle")


class Line:
    """Learns a line."""

    def __init__(self):
        self.network = nn.Linear(2, 1)

    def losses(self, generator):
        return {"loss": self.network(torch.randn(16, 2, generator=generator)).square().mean()}

    def validate(self):
        return {"score": 1.0}, None

    def state(self):
        return {}


def training(*_):
    settings = TrainSettings(steps=10_000_000, validate_every=1, averaging=0.9, warm_up=5)
    for event in itertools.chain(train(Line(), settings)):
        if isinstance(event, Validation):
            say("in the middle")


def saving(session, autosave):
    """Of another CT and another landmark, of whose file one half is written."""
    savez = np.savez

    def half(path, **arrays):
        savez(path, **arrays)
        data = Path(path).read_bytes()
        Path(path).write_bytes(data[: len(data) // 2])
        say("in the middle")
        time.sleep(600)

    np.savez = half
    session.patient.set_volume(make_volume())
    session.landmarks.set([Landmark("too late", (1.0, 2.0, 3.0))])
    autosave.write(session.capture()())


def main(what, root):
    session = Session()
    session.patient.set_volume(make_volume())
    session.exposures.add(make_radiograph(CArmPose(4.0, -7.0, 2.0)), name="frontal")
    session.landmarks.set([Landmark("asis", (1.5, 2.5, 3.5))])
    session.poses.set(twist(0.1, 0.2, 0.3, 4, 5, 6) @ session.poses.current, "drag")
    autosave = Autosave(Path(root))
    autosave.write(session.capture()())
    {"refinement": refining, "training": training, "save": saving}[what](session, autosave)


if __name__ == "__main__":
    main(*sys.argv[1:])
