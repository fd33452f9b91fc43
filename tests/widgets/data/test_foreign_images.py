"""Images that another reader opened: asked about once, and hidden once the session has them."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from napari.components import ViewerModel
from napari.layers import Image
from napari.layers._source import layer_source
from qtpy.QtTest import QTest

from napari_xreg.geometry import CArm, Detector
from napari_xreg.images import Radiograph, Volume
from napari_xreg.session import Session
from napari_xreg.widgets.data import foreign_images
from napari_xreg.widgets.data.foreign_images import ForeignImages


@pytest.fixture
def scene(qapp, monkeypatch):
    """Layers and a session without a window; what is asked and what is adopted is kept."""
    monkeypatch.setattr(foreign_images, "seen", lambda window: True)
    model, session = ViewerModel(), Session()
    viewer = SimpleNamespace(layers=model.layers, window=SimpleNamespace(_qt_window=object()))
    asked, adopted = [], []

    def adopt(layer, values):
        adopted.append((layer.name, values))
        foreign.adopted(layer)

    foreign = ForeignImages(
        viewer,
        session,
        lambda request: foreign.ask(request.answer()),
        lambda words, answers: asked.append((words, answers)),
        adopt,
    )
    yield SimpleNamespace(
        layers=model.layers, session=session, asked=asked, adopted=adopted, foreign=foreign
    )
    foreign.close()


def taken(source):
    """A radiograph of a source."""
    carm = CArm(1000.0, 700.0, Detector((4, 5), (0.5, 0.6)))
    return Radiograph(torch.ones(4, 5), carm, source=source)


def opened(scene, *shapes, path="/somewhere/film.tif", **options):
    """Layers as napari's own reader makes them of files."""
    layers = []
    for number, shape in enumerate(shapes):
        with layer_source(path=path, reader_plugin="napari"):
            layers.append(Image(np.zeros(shape, np.float32), name=f"film{number}", **options))
    for layer in layers:
        scene.layers.append(layer)
    QTest.qWait(10)
    return layers


def test_a_flat_image_is_asked_about_once_and_its_eye_closes_when_it_is_the_radiograph(scene):
    (layer,) = opened(scene, (40, 50))
    ((words, answers),) = scene.asked
    assert words == "Use “film0” as the radiograph?"
    assert list(answers) == ["yes", "no: leave it as a layer of napari"]
    answers["no: leave it as a layer of napari"]()
    assert scene.adopted == []
    answers["yes"]()
    assert scene.adopted == [("film0", "radiograph")]
    assert layer.visible  # its geometry is still being asked
    scene.session.exposures.add(taken("another"), name="another")
    assert layer.visible
    scene.session.exposures.add(taken("layer 'film0'"), name="film0")
    assert not layer.visible
    layer.visible = True
    scene.session.exposures.add(taken("third"), name="third")
    assert layer.visible  # the user's own wish
    scene.layers.move(0, 0)
    assert len(scene.asked) == 1
    opened(scene, (40, 50), (40, 50))
    assert scene.asked[-1][0] == "Use these 2 images as radiographs?"
    scene.asked[-1][1]["yes"]()
    assert len(scene.adopted) == 3


def test_a_stack_is_asked_about_as_a_ct(scene):
    (layer,) = opened(scene, (4, 5, 6))
    ((words, answers),) = scene.asked
    assert words == "Use “film0” as the CT?"
    answers["yes: its values are Hounsfield units"]()
    assert scene.adopted == [("film0", "hu")]
    scene.session.patient.set_volume(Volume(torch.full((4, 5, 7), 0.02), torch.eye(4)))
    assert layer.visible  # that was another one
    scene.session.patient.set_volume(Volume(torch.full((4, 5, 6), 0.02), torch.eye(4)))
    assert not layer.visible


def test_what_was_computed_or_is_in_colour_or_gone_is_no_question(scene):
    opened(scene, (40, 50), path=None)
    opened(scene, (40, 50, 3), rgb=True)
    opened(scene, (2, 3, 4, 5))
    assert scene.asked == []
    later = []
    scene.foreign._queue = later.append
    opened(scene, (40, 50))
    scene.layers.clear()
    scene.foreign.ask(later[0])
    assert scene.asked == []


def test_of_two_stacks_the_one_named_is_the_ct(scene):
    opened(scene, (4, 5, 6), (4, 5, 6))
    ((words, answers),) = scene.asked
    assert words == "Use one of these 2 images as the CT?"
    assert list(answers) == [
        "yes: film0; its values are Hounsfield units",
        "yes: film0; its values are attenuation (1/mm)",
        "yes: film1; its values are Hounsfield units",
        "yes: film1; its values are attenuation (1/mm)",
        "no: leave it as a layer of napari",
    ]
    answers["yes: film1; its values are attenuation (1/mm)"]()
    assert scene.adopted == [("film1", "attenuation")]


def test_a_pyramid_is_no_question(scene):
    with layer_source(path="/somewhere/film.tif", reader_plugin="napari"):
        pyramid = Image([np.zeros((64, 64)), np.zeros((32, 32))], multiscale=True)
    scene.layers.append(pyramid)
    QTest.qWait(10)
    assert scene.asked == []


def test_a_layer_that_went_while_asked_about_is_not_taken_nor_asked_about_again(scene):
    gone, there = opened(scene, (40, 50), (40, 50))
    ((_, answers),) = scene.asked
    scene.layers.remove(gone)
    answers["yes"]()
    assert scene.adopted == [(there.name, "radiograph")]
    scene.layers.append(gone)
    QTest.qWait(10)
    assert len(scene.asked) == 1
