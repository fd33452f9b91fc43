"""Points of the patient by a click on the CT's layers."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from napari.components import ViewerModel
from napari.layers import Image, Labels

from napari_xreg.images import Volume
from napari_xreg.session import Session
from napari_xreg.viewer.layer_data import volume_layer
from napari_xreg.viewer.patient3d.ct_pick import CtPick, point_in


def a_volume():
    """Axes swapped and turned: nothing but the affine is right."""
    matrix = torch.tensor(
        [[0.0, -2.0, 0.0, 40.0], [3.0, 0.0, 0.0, -25.0], [0.0, 0.0, 5.0, 600.0], [0, 0, 0, 1]],
        dtype=torch.float64,
    )
    return Volume(torch.zeros(6, 7, 8), matrix)


@pytest.fixture
def scene():
    """A viewer with the session's CT, and a list of what was picked and refused."""
    viewer, session = ViewerModel(), Session()
    volume = a_volume()
    session.patient.set_volume(volume)
    data, options, _ = volume_layer(volume, name="CT")
    layer = viewer.add_image(data, **options)
    picked, refused = [], []
    pick = CtPick(viewer, session, picked.append, refused.append)
    return SimpleNamespace(
        viewer=viewer, session=session, layer=layer, pick=pick, picked=picked, refused=refused
    )


def press(viewer, positions, *, button=1, modifiers=()):
    """A press at the first place, moves to the others, and the release."""
    event = SimpleNamespace(
        type="mouse_press", button=button, modifiers=modifiers, position=positions[0], handled=False
    )
    for callback in list(viewer.mouse_drag_callbacks):
        if (
            callback.__module__.startswith("napari.")
            or next(steps := callback(viewer, event), 0) == 0
        ):
            continue  # napari's own, or it has nothing to do with this press
        for position in positions[1:]:
            event.type, event.position = "mouse_move", position
            next(steps, None)
        event.type = "mouse_release"
        for _ in steps:
            pass
    return event


def world_of(layer, index_zyx):
    return tuple(layer.data_to_world(index_zyx))


def test_a_click_is_the_point_of_the_patient(scene):
    event = press(scene.viewer, [world_of(scene.layer, (2.0, 3.0, 5.0))])
    # Index (x, y, z) = (5, 3, 2): x = -2 * 3 + 40, y = 3 * 5 - 25, z = 5 * 2 + 600.
    assert scene.picked == [pytest.approx((34.0, -10.0, 610.0))]
    assert event.handled


def test_a_drag_goes_along_and_the_camera_does_not(scene):
    camera = scene.viewer.scene.camera
    seen = []
    scene.pick._picked = lambda point: seen.append((point, camera.mouse_pan))
    places = [world_of(scene.layer, (1.0, 2.0, float(k))) for k in range(3)]
    press(scene.viewer, places)
    assert [point[1] for point, _ in seen] == pytest.approx([-25.0, -22.0, -19.0])
    assert not any(pan for _, pan in seen)
    assert camera.mouse_pan


def test_other_buttons_keys_displays_and_places_are_napari_s(scene):
    at = world_of(scene.layer, (2.0, 3.0, 5.0))
    assert not press(scene.viewer, [at], button=2).handled
    assert not press(scene.viewer, [at], modifiers=("Control",)).handled
    assert not press(scene.viewer, [world_of(scene.layer, (2.0, 30.0, 5.0))]).handled
    scene.pick.on = False
    press(scene.viewer, [at])
    scene.pick.on = True
    scene.layer.visible = False
    press(scene.viewer, [at])
    scene.layer.visible = True
    scene.viewer.dims.ndisplay = 3
    press(scene.viewer, [at])
    scene.viewer.dims.ndisplay = 2
    scene.viewer.layers.selection.clear()
    press(scene.viewer, [at])
    assert scene.picked == []
    scene.viewer.layers.selection.select_only(scene.layer)
    before = len(scene.viewer.mouse_drag_callbacks)
    scene.pick.close()
    assert len(scene.viewer.mouse_drag_callbacks) == before - 1
    press(scene.viewer, [at])
    assert scene.picked == []


def test_the_ct_of_another_patient_is_refused(scene):
    data, options, _ = volume_layer(a_volume(), name="somebody else")
    other = scene.viewer.add_image(data, **options)
    scene.viewer.layers.selection.select_only(other)
    press(scene.viewer, [world_of(other, (2.0, 3.0, 5.0))])
    assert scene.picked == []
    assert "somebody else is not the CT" in scene.refused[0]


def test_a_layer_in_another_unit_still_gives_millimetres():
    layer = Image(
        np.zeros((6, 7, 8), np.float32), scale=(0.5, 0.2, 0.3), translate=(60.0, -2.0, 4.0),
        units=("cm",) * 3,
    )  # fmt: skip
    found = point_in(layer, layer.data_to_world((2.0, 3.0, 5.0)))
    assert found == pytest.approx((10 * 5.5, 10 * -1.4, 10 * 61.0))
    assert point_in(layer, layer.data_to_world((2.0, 6.6, 5.0))) is None


def test_a_drag_does_not_look_at_the_table_of_a_layer(monkeypatch):
    looked = []
    table = Labels.features
    monkeypatch.setattr(
        Labels, "features", table.getter(lambda layer: looked.append(layer) or table.fget(layer))
    )
    layer = Labels(np.ones((3, 4, 5), np.uint8), scale=(2.0, 0.9, 1.3), units="mm")
    looked.clear()
    assert point_in(layer, (2.0, 1.8, 3.9)) == pytest.approx((3.9, 1.8, 2.0))
    assert looked == []
