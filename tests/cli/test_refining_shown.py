"""What is said while radiographs are registered."""

import torch
from session_parts import make_radiograph, make_registration, make_volume

from napari_xreg.cli import refining
from napari_xreg.cli.console import Console
from napari_xreg.geometry import CArmPose
from napari_xreg.registration import View
from napari_xreg.workflows import RefineRequest, TryingOthers


def test_that_other_explanations_are_tried_is_said(monkeypatch, capsys):
    radiograph = make_radiograph(CArmPose(5.0, 6.0))
    pose = radiograph.carm.world_from_camera(5.0, 6.0, isocenter=torch.zeros(3))

    def refused(*_, **__):
        yield TryingOthers()
        return make_registration([pose])

    monkeypatch.setattr(refining, "refine", refused)
    request = RefineRequest(make_volume(), (View(radiograph, pose),))
    refining.refine_shown(request, Console())
    assert "not trusted: trying other explanations ..." in capsys.readouterr().err
