"""A slider over frames that is nobody else's: beside a CT, beside the iterations of a refinement."""

import numpy as np
import pytest
from detector_scene import iterate, session
from napari.components import ViewerModel
from napari.layers import Image

from napari_xreg.viewer import FrameAxis
from napari_xreg.viewer.detector.frame_axis import ROLE
from napari_xreg.viewer.iterates.layers import IterateLayers

NUMBERS = (6, 7, 9, 20)


@pytest.fixture
def viewer():
    made = ViewerModel()
    made.add_image(np.zeros((25, 40)), units=("mm", "mm"), name="radiograph")
    return made


@pytest.fixture
def axis(viewer):
    made = FrameAxis(viewer)
    yield made
    made.close(remove_layers=True)
    assert ROLE not in viewer.layers


def heard(axis):
    numbers = []
    axis.moved.connect(numbers.append)
    return numbers


def test_a_place_on_the_slider_is_a_frame_by_its_number(axis, viewer):
    numbers = heard(axis)
    axis.show(NUMBERS)
    axis.go(9)
    assert viewer.dims.nsteps[0] == 4
    assert viewer.dims.current_step[0] == 2
    assert viewer.dims.axis_labels[0] == "frame"
    assert numbers == []
    viewer.dims.set_current_step(0, 3)
    viewer.dims.set_current_step(0, 0)
    assert numbers == [20, 6]
    assert not viewer.layers[ROLE].visible
    assert viewer.layers.selection.active is viewer.layers["radiograph"]


def test_one_frame_has_no_slider(axis, viewer):
    axis.show((5,))
    assert ROLE not in viewer.layers
    axis.show(NUMBERS)
    axis.show(())
    assert ROLE not in viewer.layers
    assert viewer.dims.ndim == 2


def test_a_ct_that_comes_has_its_own_slider_in_its_own_steps(axis, viewer):
    axis.show(NUMBERS)
    axis.go(7)
    numbers = heard(axis)
    ct = Image(np.zeros((11, 8, 9)), scale=(2.5, 1.0, 1.5), translate=(40.0, 3.0, 2.0), units="mm")
    viewer.add_layer(ct)
    assert viewer.dims.ndim == 4
    assert viewer.dims.current_step[0] == 1
    low, high, step = viewer.dims.range[1]
    assert (low, high, step) == pytest.approx((40.0, 65.0, 2.5))
    viewer.dims.set_current_step(1, 7)
    assert numbers == []
    viewer.dims.set_current_step(0, 3)
    assert numbers == [20]
    viewer.layers.remove(ct)
    viewer.dims.set_current_step(0, 0)
    assert numbers == [20, 6]


@pytest.mark.parametrize("frames_first", [True, False])
def test_iterations_and_frames_have_a_slider_each(axis, viewer, frames_first):
    layers = IterateLayers(viewer, session())
    numbers = heard(axis)
    scrubbed = []
    layers.scrubbed.connect(lambda one: scrubbed.append(one.index))

    def fill():
        layers.begin((25, 40), (8.4, 6.2), 5)
        for index in range(5):
            layers.append(iterate(index))
        layers.finish()

    order = [lambda: axis.show(NUMBERS), fill]
    for step in order if frames_first else order[::-1]:
        step()
    axis.go(9)
    label = list(viewer.dims.axis_labels)
    assert label[:2] == ["iteration", "frame"]
    assert viewer.dims.nsteps[:2] == (5, 4)
    viewer.dims.set_current_step(0, 1)
    assert (numbers, scrubbed) == ([], [1])
    viewer.dims.set_current_step(1, 3)
    assert (numbers, scrubbed) == ([20], [1])
    layers.forget()
    assert viewer.dims.axis_labels[0] == "frame"
    assert viewer.dims.current_step[0] == 3
    assert numbers == [20]
    layers.close()
