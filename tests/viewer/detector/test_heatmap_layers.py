"""What RayEmb found, as layers on the detector canvas."""

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_xreg.geometry import Detector
from napari_xreg.viewer.detector.heatmaps import (
    ELLIPSE,
    EMBEDDING,
    FOUND,
    HERE,
    MISS,
    PEAK,
    ROLES,
    HeatmapLayers,
)

DETECTOR = Detector((60, 80), (1.5, 2.5))
PEAK_AT, HERE_AT = np.array([12.0, 33.0]), np.array([20.0, 29.0])
COVARIANCE = np.array([[9.0, 0.0], [0.0, 16.0]])


@pytest.fixture
def viewer():
    return ViewerModel()


@pytest.fixture
def layers(viewer):
    return HeatmapLayers(viewer)


def shown(viewer):
    return {layer.name for layer in viewer.layers if layer.visible}


def test_peak_ellipse_and_distance_lie_where_they_belong(viewer, layers):
    layers.show_point(DETECTOR, PEAK_AT, COVARIANCE, HERE_AT)
    # mm on the detector: rows times 1.5, columns times 2.5.
    np.testing.assert_allclose(viewer.layers[PEAK].data_to_world(PEAK_AT), (18.0, 82.5))
    np.testing.assert_allclose(viewer.layers[PEAK].data, [PEAK_AT])
    np.testing.assert_allclose(viewer.layers[HERE].data, [HERE_AT])
    np.testing.assert_allclose(viewer.layers[MISS].data, [[HERE_AT, PEAK_AT - HERE_AT]])
    ring = viewer.layers[ELLIPSE].data[:, 0] - PEAK_AT
    # Two standard deviations: 6 pixels down, 8 pixels across.
    np.testing.assert_allclose(np.abs(ring).max(axis=0), (6.0, 8.0), rtol=1e-6)
    assert not viewer.layers[PEAK].editable


def test_the_projection_moves_alone_and_goes_behind_the_source(viewer, layers):
    layers.show_point(DETECTOR, PEAK_AT, COVARIANCE, HERE_AT)
    layers.move_projection(DETECTOR, PEAK_AT, HERE_AT + 3)
    np.testing.assert_allclose(viewer.layers[HERE].data, [HERE_AT + 3])
    np.testing.assert_allclose(viewer.layers[PEAK].data, [PEAK_AT])
    layers.move_projection(DETECTOR, PEAK_AT, np.array([np.nan, np.nan]))
    assert shown(viewer) == {PEAK, ELLIPSE}
    layers.move_projection(DETECTOR, PEAK_AT, HERE_AT)
    assert shown(viewer) == {PEAK, ELLIPSE, HERE, MISS}
    layers.hide_point()
    assert shown(viewer) == set()


def test_many_points_are_coloured_by_score(viewer, layers):
    pixels = np.array([[1.0, 2.0], [30.0, 7.0], [50.0, 70.0]])
    layers.show_found(DETECTOR, pixels, np.array([0.0, 1.0, 0.5]))
    layer = viewer.layers[FOUND]
    np.testing.assert_allclose(layer.data, pixels)
    brightness = layer.face_color[:, :3].sum(axis=1)
    assert brightness[0] < brightness[2] < brightness[1]
    layers.show_found(DETECTOR, pixels[:2], np.array([1.0, 0.0]))
    assert len(layer.data) == len(layer.face_color) == 2
    layers.show_found(DETECTOR, pixels[:0], np.zeros(0))
    assert not layer.visible
    layers.show_found(DETECTOR, pixels, np.ones(3))
    assert layer.visible


def test_the_embedding_covers_the_detector(viewer, layers):
    colours = np.zeros((6, 8, 3), np.uint8)
    colours[2, 5] = (200, 30, 60)
    layers.show_embedding(DETECTOR, colours)
    layer = viewer.layers[EMBEDDING]
    assert layer.rgb
    # Outer edges agree: cell (2, 5) is centred on pixels 20 to 29 and 50 to 59.
    np.testing.assert_allclose(layer.data_to_world((2, 5)), (24.5 * 1.5, 54.5 * 2.5))
    layers.show_embedding(DETECTOR, None)
    assert not layer.visible


def test_layers_are_known_by_identity_and_made_again(viewer, layers):
    layers.show_point(DETECTOR, PEAK_AT, COVARIANCE, HERE_AT)
    first = viewer.layers[PEAK]
    first.name = "mine now"
    layers.show_point(DETECTOR, PEAK_AT + 1, COVARIANCE, HERE_AT)
    np.testing.assert_allclose(first.data, [PEAK_AT + 1])
    viewer.layers.remove(first)
    layers.show_point(DETECTOR, PEAK_AT, COVARIANCE, HERE_AT)
    assert viewer.layers[PEAK] is not first
    layers.close(remove_layers=True)
    assert len(viewer.layers) == 0


def test_the_order_from_bottom_to_top(viewer, layers):
    layers.show_point(DETECTOR, PEAK_AT, COVARIANCE, HERE_AT)
    layers.show_embedding(DETECTOR, np.zeros((6, 8, 3), np.uint8))
    layers.show_found(DETECTOR, PEAK_AT[None], np.ones(1))
    assert [layer.name for layer in viewer.layers] == list(ROLES)


def test_another_detector_takes_the_layers_along(viewer, layers):
    layers.show_point(DETECTOR, PEAK_AT, COVARIANCE, HERE_AT)
    layers.show_point(Detector((30, 40), (3.0, 5.0)), PEAK_AT / 2, COVARIANCE / 4, HERE_AT / 2)
    for name in (PEAK, HERE, MISS, ELLIPSE):
        assert tuple(viewer.layers[name].scale) == (3.0, 5.0)
