"""The phantom as napari layers: the world they lie in, checked with napari's own layers."""

import numpy as np
import pytest
import torch
from napari.components import ViewerModel
from napari.layers import Layer

from napari_xreg.simulation import phantom
from napari_xreg.viewer.sample import phantom_layers, placement


@pytest.fixture(scope="module")
def layers():
    return [Layer.create(*data) for data in phantom_layers(spacing_mm=6.0)]


def test_a_voxel_lies_where_the_phantom_has_it(layers):
    image, labels, _ = layers
    volume = phantom(spacing_mm=6.0).volume
    x, y, z, one = (volume.world_from_index @ torch.tensor([7.0, 5.0, 3.0, 1.0]).double()).tolist()
    assert one == 1.0
    assert image.data_to_world((3, 5, 7)) == pytest.approx((z, y, x))
    assert labels.data_to_world((3, 5, 7)) == pytest.approx((z, y, x))
    assert image.data[3, 5, 7] == volume.hu[3, 5, 7]


def test_landmarks_lie_on_the_bone_they_name(layers):
    # A (x, y, z) left unreversed lands hundreds of mm away, in air.
    _, labels, points = layers
    names = dict(zip(labels.features["index"], labels.features["name"], strict=True))
    seen = 0
    for name, world in zip(points.features["name"], points.data, strict=True):
        index = np.round(labels.world_to_data(points.data_to_world(world))).astype(int)
        near = labels.data[tuple(slice(max(i - 2, 0), i + 3) for i in index)]
        found = {names[i] for i in np.unique(near) if i}
        assert found, name
        side = "left" if name.endswith("-l") else "right"
        seen += any(f.endswith(side) for f in found)
    assert len(points.data) == 14
    assert seen == 14


def test_units_are_millimetres_everywhere(layers):
    for layer in layers:
        assert [str(unit) for unit in layer.units] == ["millimeter"] * 3
        assert layer.axis_labels == ("z", "y", "x")
    assert layers[0].scale == pytest.approx((6.0, 6.0, 6.0))


def test_bone_is_labelled_where_the_image_is_bright(layers):
    image, labels, _ = layers
    assert image.data[labels.data > 0].mean() > 250 + image.data[labels.data == 0].mean()


def test_placement_of_an_oblique_anisotropic_grid():
    # Worked by hand: x index +1 moves (0, 2, 0) mm, y moves (-3, 0, 0), z moves (0, 0, 5).
    matrix = torch.tensor(
        [[0.0, -3.0, 0.0, 11.0], [2.0, 0.0, 0.0, -13.0], [0.0, 0.0, 5.0, 17.0], [0, 0, 0, 1.0]],
        dtype=torch.float64,
    )
    layer = Layer.create(np.zeros((4, 5, 6)), placement(matrix), "image")
    # index (x, y, z) = (1, 2, 3): x = 11 - 6, y = -13 + 2, z = 17 + 15
    assert layer.data_to_world((3, 2, 1)) == pytest.approx((32.0, -11.0, 5.0))


def test_placement_of_a_straight_grid_keeps_scale_apart():
    matrix = torch.diag(torch.tensor([2.0, 3.0, 5.0, 1.0], dtype=torch.float64))
    matrix[:3, 3] = torch.tensor([11.0, -13.0, 17.0])
    placed = placement(matrix)
    assert placed["scale"] == (5.0, 3.0, 2.0)
    assert placed["translate"] == (17.0, -13.0, 11.0)
    assert "affine" not in placed


def test_a_mirrored_grid_is_not_straight():
    matrix = torch.diag(torch.tensor([-2.0, 3.0, 5.0, 1.0], dtype=torch.float64))
    assert "affine" in placement(matrix)


def test_napari_opens_the_sample_by_its_name(npe2pm):
    viewer = ViewerModel()
    with npe2pm.tmp_plugin(package="napari-xreg"):
        viewer.open_sample("napari-xreg", "phantom")
    assert [layer.name for layer in viewer.layers] == [
        "phantom CT",
        "phantom labels",
        "phantom landmarks",
    ]
    assert [str(unit) for unit in viewer.layers.extent.units] == ["millimeter"] * 3
