"""The iterates: every loss kept, memory bounded, scrubbing gives the iterate back."""

import numpy as np
import pytest
import torch
from detector_scene import CARM, iterate, landmarks, point_at, session
from napari.components import ViewerModel

from napari_xreg.registration import Registration, Status
from napari_xreg.viewer.detector.canvas import DetectorCanvas
from napari_xreg.viewer.iterates import layers as module
from napari_xreg.viewer.iterates.layers import IterateLayers
from napari_xreg.viewer.iterates.stack import PictureStack

SHAPE, SCALE = (25, 40), (8.4, 6.2)  # half of the radiograph's pixels


@pytest.fixture
def viewer():
    return ViewerModel()


@pytest.fixture
def work():
    return session()


@pytest.fixture
def layers(viewer, work):
    made = IterateLayers(viewer, work)
    yield made
    made.close()


def filled(layers, count=30, **more):
    layers.begin(SHAPE, SCALE, count)
    for i in range(count):
        layers.append(iterate(i, **more))
    layers.finish()
    return layers


# ---------------------------------------------------------------------- the layers


def test_the_stack_is_iteration_row_column_on_the_detector(layers, viewer):
    filled(layers)
    stack = viewer.layers["iterations"]
    assert stack.data.shape == (30, 1, 25, 40)
    np.testing.assert_array_equal(np.asarray(stack.data)[:, 0, 3, 5], np.arange(30))
    # Coarse pixel (0, 0) covers fine pixels 0 and 1.
    np.testing.assert_allclose(stack.data_to_world((7, 0, 0, 0)), (7, 0, 0.5 * 4.2, 0.5 * 3.1))
    np.testing.assert_allclose(stack.data_to_world((7, 0, 3, 5)), (7, 0, 6.5 * 4.2, 10.5 * 3.1))
    assert [str(u) for u in stack.units] == ["dimensionless", *["millimeter"] * 3]
    assert stack.axis_labels == ("iteration", "plane", "row", "column")


def test_each_level_has_its_own_contrast(layers, viewer):
    layers.begin(SHAPE, SCALE, 4)
    ramp = torch.linspace(0.0, 1.0, 25 * 40).reshape(SHAPE)
    limits = []
    for index, (level, peak) in enumerate([(0, 2.0), (0, 9.0), (1, 6.0), (1, 1.0)]):
        layers._painted = 0.0  # as if long ago: every one is painted
        layers.append(iterate(index, level=level, image=peak * ramp))
        limits.append(viewer.layers["iterations"].contrast_limits[1])
    assert limits[1] == limits[0]
    assert limits[2] == pytest.approx(3 * limits[0], rel=0.01)
    assert limits[3] == limits[2]
    # Looking back too: the bright bone of a fine level would leave a coarse one dark.
    layers.go(1)
    assert viewer.layers["iterations"].contrast_limits[1] == pytest.approx(
        4.5 * limits[0], rel=0.01
    )
    layers.go(3)
    assert viewer.layers["iterations"].contrast_limits[1] == pytest.approx(
        0.5 * limits[0], rel=0.01
    )


def test_units_agree_with_the_detector_canvas(layers, viewer, work, monkeypatch):
    said = []
    monkeypatch.setattr("napari_xreg.viewer.detector.canvas.show_warning", said.append)
    canvas = DetectorCanvas(viewer, work)
    filled(layers)
    assert [str(u) for u in viewer.layers.extent.units][-2:] == ["millimeter"] * 2
    # A CT, a stack of pictures over time: along rows and columns all are in mm.
    viewer.add_image(np.zeros((3, 4, 5), np.float32), units=("mm",) * 3)
    viewer.add_image(np.zeros((3, 4, 5), np.float32), units=("s", "mm", "mm"))
    assert said == []
    canvas.close()


def test_the_iterations_have_a_slider_of_their_own_beside_a_ct(layers, viewer):
    filled(layers)
    layers.go(12)
    ct = viewer.add_image(
        np.zeros((11, 8, 9), np.float32),
        scale=(2.5, 0.9, 1.3),
        translate=(-400.0, 3.0, 4.0),
        units=("mm", "mm", "mm"),
        axis_labels=("z", "y", "x"),
    )
    assert tuple(viewer.dims.range[0]) == (0.0, 29.0, 1.0)
    assert tuple(viewer.dims.range[1]) == (-400.0, -375.0, 2.5)
    assert viewer.dims.nsteps[:2] == (30, 11)
    assert viewer.dims.axis_labels == ("iteration", "z", "row", "column")
    assert [str(u) for u in viewer.layers.extent.units] == ["dimensionless", *["millimeter"] * 3]
    assert viewer.dims.point[0] == 12
    stack = viewer.layers["iterations"]
    np.testing.assert_allclose(stack.data_to_world((7, 0, 3, 5)), (7, -387.5, 27.3, 32.55))
    # Whatever plane of the CT is looked at, the iterate is there.
    for plane in (-400.0, -387.5, -375.0):
        viewer.dims.set_point(1, plane)
        for number in (3, 17):
            viewer.dims.set_point(0, number)
            assert layers.current().index == number
            np.testing.assert_array_equal(shown(stack), np.full(SHAPE, number))
    viewer.layers.remove(ct)
    assert viewer.dims.nsteps[:2] == (30, 1)  # napari shows no slider of one step
    assert tuple(viewer.dims.range[0]) == (0.0, 29.0, 1.0)
    assert viewer.dims.point[0] == 17
    np.testing.assert_allclose(stack.data_to_world((7, 0, 3, 5)), (7, 0, 27.3, 32.55))
    assert [str(u) for u in stack.units] == ["dimensionless", *["millimeter"] * 3]
    np.testing.assert_array_equal(shown(stack), np.full(SHAPE, 17))


def test_a_ct_that_was_there_before_keeps_its_slider_too(layers, viewer):
    affine = np.diag([2.0, 0.9, 1.3, 1.0])
    affine[0, 1], affine[:3, 3] = 0.4, (-100.0, 3.0, 4.0)  # oblique
    viewer.add_image(np.zeros((4, 6, 7), np.float32), affine=affine, units=("mm",) * 3)
    viewer.add_points(np.zeros((0, 3)), units=("mm",) * 3)  # nowhere yet
    layers.begin(SHAPE, SCALE, 5)
    for i in range(5):
        layers.append(iterate(i))
    layers.finish()
    assert tuple(viewer.dims.range[0]) == (0.0, 4.0, 1.0)
    # z of the corners: 2 k + 0.4 j - 100, k up to 3 and j up to 5.
    assert viewer.dims.range[1].start == pytest.approx(-100)
    assert viewer.dims.range[1].stop == pytest.approx(-92)
    assert layers.current().index == 4
    np.testing.assert_array_equal(shown(viewer.layers["iterations"]), np.full(SHAPE, 4.0))
    # A layer that napari makes for a user as deep as the viewer is adds no further axis.
    viewer.add_points(ndim=4, units=viewer.layers.extent.units)
    assert viewer.dims.ndim == 4


@pytest.mark.slow
def test_two_refinements_side_by_side_share_one_iteration_axis(viewer, work):
    one, other = (IterateLayers(viewer, work, name=name) for name in ("LM", "Adam"))
    for made in (one, other):
        filled(made, 6)
    viewer.add_image(np.zeros((3, 4, 5), np.float32), units=("mm",) * 3)
    assert viewer.dims.nsteps[:2] == (6, 3)
    assert [viewer.layers[f"iterations ({name})"].ndim for name in ("LM", "Adam")] == [4, 4]
    one.close()
    other.close()


def shown(layer):
    """The pixels that napari cut out of a layer for its canvas."""
    return np.asarray(layer._slice.image.raw)


def test_the_table_holds_everything_of_every_iterate(layers, viewer):
    filled(layers)
    table = viewer.layers["path on the radiograph"].features
    assert list(table.columns) == [
        *("index", "start", "level", "accepted", "loss", "ncc", "damping", "step", "seconds"),
        *("primary", "secondary", "roll", "x", "y", "depth"),
    ]
    assert len(table) == 30
    row = table.iloc[7]
    for name in ("index", "start", "level", "accepted", "damping", "step", "seconds"):
        assert row[name] == getattr(iterate(7), name), name
    assert row["loss"] == pytest.approx(1.93)
    assert row["ncc"] == pytest.approx(1 / 8)
    assert table["ncc"].tolist() == [1 / (1 + i) for i in range(30)]


def test_the_table_speaks_c_arm_terms(layers, viewer, work):
    isocenter = work.patient.isocenter
    pose = CARM.world_from_camera(12.0, -8.0, 5.0, isocenter=isocenter, offset_mm=(3.0, -4.0, 25.0))
    layers.begin(SHAPE, SCALE, 5)
    layers.append(iterate(0, world_from_camera=pose))
    layers.finish()
    row = viewer.layers["path on the radiograph"].features.iloc[0]
    expected = {"primary": 12, "secondary": -8, "roll": 5, "x": 3, "y": -4, "depth": 25}
    for name, value in expected.items():
        assert row[name] == pytest.approx(value), name


def test_a_loss_that_only_some_have_is_nan_elsewhere(layers):
    layers.begin(SHAPE, SCALE, 5)
    layers.append(iterate(0, losses={"loss": 3.0}))
    layers.append(iterate(1, losses={"loss": 2.0, "gradient": 0.5}))
    gradient = layers.columns()["gradient"]
    assert np.isnan(gradient[0])
    assert gradient[1] == 0.5


def test_the_path_is_the_projected_centroid_of_the_landmarks(viewer, work, layers):
    work.landmarks.set(landmarks((9.0, 12.5, 700.0), (33.25, 61.0, 900.0)))
    points = np.array([point_at(9.0, 12.5, 700.0), point_at(33.25, 61.0, 900.0)])
    x, y, z = points.mean(0)  # depth 800, in the camera at iterate 0
    filled(layers)
    path = viewer.layers["path on the radiograph"]
    expected_row, expected_column = 21 + y * 1000 / z / 4.2, 33 - x * 1000 / z / 3.1
    np.testing.assert_allclose(path.data[0], (expected_row, expected_column))
    # The camera moves down by 4 mm, so the anatomy goes up by 4 * 1000 / 800 mm.
    np.testing.assert_allclose(path.data[4] - path.data[0], (-5 / 4.2, 0.0), atol=1e-9)
    np.testing.assert_allclose(path.data_to_world((2, 3)), (2 * 4.2, 3 * 3.1))


def test_coarser_pictures_are_enlarged_edge_to_edge(layers, viewer):
    layers.begin((4, 8), (52.5, 31.0), 5)
    half = torch.zeros(2, 4)
    half[:, 2:] = 1.0
    layers.append(iterate(0, image=half))
    layers.finish()
    frame = np.asarray(viewer.layers["iterations"].data)[0, 0]
    np.testing.assert_allclose(frame[1], [0, 0, 0, 0.25, 0.75, 1, 1, 1])


def test_an_iterate_without_picture_repeats_the_last(layers, viewer):
    layers.begin(SHAPE, SCALE, 5)
    layers.append(iterate(3))
    layers.append(iterate(4, image=None))
    layers.append(iterate(5, image=None), np.full(SHAPE, 7.5, np.float32))
    layers.finish()
    np.testing.assert_array_equal(
        np.asarray(viewer.layers["iterations"].data)[:, 0, 0, 0], [3, 3, 7.5]
    )


# ---------------------------------------------------------------------- scrubbing


def test_scrubbing_the_slider_gives_the_iterate_back(layers, viewer):
    filled(layers)
    assert layers.current().index == 29
    got = []
    layers.scrubbed.connect(got.append)
    viewer.dims.set_current_step(0, 7)
    assert [i.index for i in got] == [7]
    assert layers.current().index == 7
    assert layers.current().losses == iterate(7).losses
    torch.testing.assert_close(
        layers.current().world_from_camera.translation, iterate(7).world_from_camera.translation
    )
    viewer.dims.set_current_step(0, 7)
    assert len(got) == 1


def test_clicking_a_point_of_the_path_moves_the_slider(layers, viewer):
    filled(layers)
    got = []
    layers.scrubbed.connect(got.append)
    path = viewer.layers["path on the radiograph"]
    path.selected_data = {12}
    assert [i.index for i in got] == [12]
    assert viewer.dims.point[0] == 12
    assert layers.current().index == 12
    assert path.size[12] > path.size[11] == path.size[13]


def test_go(layers, viewer):
    layers.go(3)  # nothing there yet
    filled(layers)
    layers.go(3)
    assert layers.current().index == 3
    assert viewer.dims.point[0] == 3
    layers.go(-1)
    assert layers.current().index == 29
    with pytest.raises(IndexError):
        layers.go(30)


def test_the_viewer_follows_until_somebody_looks_back(layers, viewer, monkeypatch):
    monkeypatch.setattr(module, "PICTURE_SECONDS", 0.0)
    got = []
    layers.scrubbed.connect(got.append)
    layers.begin(SHAPE, SCALE, 30)
    for i in range(10):
        layers.append(iterate(i))
    assert viewer.dims.point[0] == 9
    assert got == []  # nobody scrubbed
    viewer.dims.set_current_step(0, 4)
    layers.append(iterate(10))
    assert viewer.dims.point[0] == 4
    assert layers.current().index == 4
    viewer.dims.set_current_step(0, 10)
    layers.append(iterate(11))
    assert viewer.dims.point[0] == 11
    assert [i.index for i in got] == [4, 10]


@pytest.mark.slow
def test_beside_a_ct_the_slider_still_counts_iterates(layers, viewer):
    viewer.add_image(
        np.zeros((9, 7, 8)), scale=(2.5, 0.9, 0.8), translate=(-40.0, 3.0, 2.0), units="mm"
    )
    filled(layers)
    layers.go(7)
    assert layers.current().index == 7
    viewer.dims.set_point(0, -12.0)
    assert layers.current().index == 0
    viewer.dims.set_point(0, 12.3)
    assert layers.current().index == 12


# ---------------------------------------------------------------------- memory, lifetime


@pytest.mark.slow
def test_500_iterates_stay_in_the_preallocated_stack_with_every_loss(layers):
    layers.begin((32, 32), (6.0, 8.0), 500)
    buffer = layers._stack._buffer
    assert buffer.nbytes == 500 * 32 * 32 * 4
    for i in range(500):
        layers.append(iterate(i, image=torch.full((32, 32), float(i))))
    layers.finish()
    assert layers._stack._buffer is buffer
    assert len(layers._stack) == 500
    assert all(i.image is None for i in layers.iterates)
    assert layers.columns()["loss"].tolist() == [2.0 - 0.01 * i for i in range(500)]
    assert buffer[499, 3, 4] == 499.0


def test_beyond_the_limit_every_second_then_fourth_picture_is_kept(layers, viewer, monkeypatch):
    said = []
    monkeypatch.setattr(module, "show_info", said.append)
    layers.begin((10, 16), (21.0, 15.5), 8)
    for i in range(21):
        layers.append(iterate(i, image=torch.full((10, 16), float(i))))
    layers.finish()
    stack = viewer.layers["iterations"]
    np.testing.assert_array_equal(np.asarray(stack.data)[:, 0, 0, 0], [0, 4, 8, 12, 16, 20])
    np.testing.assert_allclose(stack.data_to_world((3, 0, 0, 0))[0], 12.0)
    assert len(layers.columns()["loss"]) == 21
    assert len(said) == 1
    assert "Every loss" in said[0]
    layers.go(13)  # no picture of its own, but still an iterate
    assert layers.current().index == 13


def test_a_stack_never_sets_more_memory_aside_than_its_limit():
    stack = PictureStack((10, 20), 1000, largest_bytes=80_000)
    assert stack.nbytes == 80_000
    # Many may come ("auto"), few mostly do: all of those are kept.
    for i in range(100):
        stack.append(np.full((10, 20), i, np.float32))
    assert stack.every == 1
    assert stack.shape == (100, 10, 20)
    for i in range(100, 1000):
        stack.append(np.full((10, 20), i, np.float32))
    assert stack.nbytes == 80_000
    assert stack.every == 16  # doubled each time it was full: at 100, 200, 400 and 800
    assert stack.shape == (63, 10, 20)
    np.testing.assert_array_equal(stack[:, 0, 0], 16 * np.arange(63))
    small = PictureStack((10, 20), 3)
    assert small.nbytes == 3 * 800


@pytest.mark.parametrize("frames", [2, 3, 5, 8])
def test_thinning_keeps_the_right_frames(frames):
    stack = PictureStack((1, 2), frames)
    for i in range(40):
        stack.append(np.full((1, 2), i, np.float32))
        np.testing.assert_array_equal(stack[:, 0, 0], stack.every * np.arange(len(stack)))
        assert stack.every * (len(stack) - 1) <= i < stack.every * len(stack)


def test_what_was_not_handed_over_is_taken_from_the_registration(layers, viewer):
    layers.begin(SHAPE, SCALE, 10)
    layers.append(iterate(0))
    layers.append(iterate(1))
    done = Registration(
        iterate(4).world_from_camera,
        Status.CONVERGED,
        {"loss": 1.0},
        tuple(iterate(i) for i in range(5)),
        torch.zeros(3).double(),
        notes=("a note",),
    )
    layers.finish(done)
    assert [i.index for i in layers.iterates] == [0, 1, 2, 3, 4]
    assert viewer.layers["path on the radiograph"].metadata["xreg"]["status"] == "CONVERGED"
    layers.finish(done)
    assert len(layers.iterates) == 5


def test_a_registration_shares_the_pictures_of_the_stack(layers, viewer, monkeypatch):
    stack = PictureStack(SHAPE, 4, largest_bytes=4 * 4 * SHAPE[0] * SHAPE[1])
    monkeypatch.setattr(module, "PictureStack", lambda *_: stack)
    done = Registration(
        iterate(5).world_from_camera,
        Status.CONVERGED,
        {"loss": 1.0},
        (*(iterate(i) for i in range(5)), iterate(5, image=None), iterate(6)),
        torch.zeros(3),
        None,
    )
    layers.begin(SHAPE, SCALE, 4)
    layers.extend(done.trajectory[:6])
    light = layers.sharing(done).trajectory
    # Six pictures in place of four: every other one is kept; that of 6 never came here.
    kept = [None if it.image is None else float(it.image[3, 5]) for it in light]
    assert kept == [0.0, None, 2.0, None, 4.0, None, 6.0]
    assert all(np.shares_memory(light[i].image.numpy(), stack[:]) for i in (0, 2, 4))
    assert light[6] is done.trajectory[6]
    assert [it.losses for it in light] == [it.losses for it in done.trajectory]
    layers.finish(done)


def test_several_results_side_by_side(viewer, work, layers):
    filled(layers, 10)
    other = filled(IterateLayers(viewer, work, name="result 2"), 20)
    assert [layer.name for layer in viewer.layers] == [
        "iterations",
        "path on the radiograph",
        "iterations (result 2)",
        "path on the radiograph (result 2)",
    ]
    viewer.dims.set_point(0, 15.0)
    assert other.current().index == 15
    assert layers.current().index == 9  # its last
    viewer.layers["iterations"].visible = False
    viewer.dims.set_point(0, 5.0)
    assert other.current().index == 5
    assert layers.current().index == 9
    other.close(remove_layers=True)
    assert len(viewer.layers) == 2
    viewer.dims.set_point(0, 4.0)
    assert other.current().index == 5


def test_beginning_again_starts_over_in_the_same_layers(layers, viewer):
    filled(layers, 10)
    stack = viewer.layers["iterations"]
    filled(layers, 4)
    assert viewer.layers["iterations"] is stack
    assert stack.data.shape[0] == 4
    assert len(viewer.layers["path on the radiograph"].features) == 4
    assert layers.current().index == 3


def test_layers_removed_while_it_runs_are_made_again(layers, viewer, monkeypatch):
    monkeypatch.setattr(module, "PICTURE_SECONDS", 0.0)
    monkeypatch.setattr(module, "PATH_SECONDS", 0.0)
    layers.begin(SHAPE, SCALE, 10)
    layers.append(iterate(0))
    viewer.layers.clear()
    layers.go(0)
    viewer.dims.ndim = 3
    viewer.dims.set_point(0, 0.0)
    layers.append(iterate(1))
    assert len(viewer.layers) == 2
    viewer.layers.clear()
    layers.finish()
    assert len(viewer.layers) == 2
    assert len(layers.iterates) == 2


def test_the_first_radiograph_of_a_joint_run_may_be_named(layers, work):
    with pytest.raises(ValueError, match="load one first"):
        layers.begin(SHAPE, SCALE, 5, radiograph="none such")
    layers.begin(SHAPE, SCALE, 5, radiograph=work.exposures.named("first").id)
    assert layers.current() is None
    assert layers.columns()["index"].size == 0


def test_append_before_begin_is_a_mistake(layers):
    layers.finish()
    assert layers.iterates == ()
    with pytest.raises(RuntimeError, match="begin"):
        layers.append(iterate(0))
