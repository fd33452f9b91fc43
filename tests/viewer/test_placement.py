"""Where a volume and a detector are shown."""

import numpy as np
import pytest
import torch
from napari.components import ViewerModel

from napari_xreg.geometry import Detector
from napari_xreg.viewer.detector.fit import MARGIN, look_at
from napari_xreg.viewer.layer_data import placement


def test_an_oblique_ct_is_shown_where_it_lies():
    """Turned about z by 3:4:5, voxels of 2, 3 and 5 mm: its diagonal alone would place it straight."""
    matrix = torch.eye(4, dtype=torch.float64)
    matrix[:3, 0] = torch.tensor([0.8, 0.6, 0.0]) * 2.0
    matrix[:3, 1] = torch.tensor([-0.6, 0.8, 0.0]) * 3.0
    matrix[:3, 2] = torch.tensor([0.0, 0.0, 5.0])
    matrix[:3, 3] = torch.tensor([11.0, -23.0, 64.0])
    shown = placement(matrix)
    assert "scale" not in shown
    # Index (z, y, x) = (1, 2, 3): z 69; y -23 + 2 * 2.4 + 3 * 1.2; x 11 - 2 * 1.8 + 3 * 1.6.
    world = shown["affine"] @ np.array([1.0, 2.0, 3.0, 1.0])
    assert world[:3] == pytest.approx([69.0, -14.6, 12.2])


@pytest.mark.parametrize("shape", [(200, 50), (40, 300)])
def test_the_whole_detector_fits_the_canvas(shape):
    viewer = ViewerModel()
    viewer.add_image(np.zeros(shape))
    detector = Detector(shape, (0.9, 1.3), (17.0, 31.0))
    look_at(viewer, detector)
    taken = np.array(detector.size_mm) * viewer.scene.camera.zoom
    share = taken / viewer.canvas.viewbox_size(viewer.layers)
    assert share.max() == pytest.approx(1 - MARGIN)
