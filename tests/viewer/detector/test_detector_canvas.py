"""The picture layers: where they lie, when they show, what survives."""

from types import SimpleNamespace

import numpy as np
import pytest
from detector_scene import (
    CARM,
    COLUMNS,
    OTHER_CARM,
    ROWS,
    SPACING,
    landmarks,
    picture,
    preview,
    radiograph,
    session,
    volume,
)
from napari.components import ViewerModel
from napari.layers import Image

from napari_xreg.images import read_radiograph
from napari_xreg.session import Session
from napari_xreg.viewer.detector import canvas as detector_canvas
from napari_xreg.viewer.detector.canvas import OVERLAYS, DetectorCanvas
from napari_xreg.viewer.detector.overlays import resample
from napari_xreg.viewer.detector.pictures import BACKDROP
from napari_xreg.viewer.files.writers import write_radiograph_layer

DRR = np.linspace(0, 5, ROWS * COLUMNS, dtype=np.float32).reshape(ROWS, COLUMNS)


@pytest.fixture
def viewer():
    return ViewerModel()


@pytest.fixture
def canvas(viewer):
    made = DetectorCanvas(viewer, session())
    yield made
    made.close()


def shown(canvas):
    return {layer.name for layer in canvas.viewer.layers if layer.visible}


# ---------------------------------------------------------------------- where things are


def test_a_pixel_of_the_radiograph_lies_at_its_millimetres(canvas):
    layer = canvas.viewer.layers["first"]
    np.testing.assert_allclose(layer.data_to_world((7, 11)), (7 * 4.2, 11 * 3.1))
    assert layer.data.shape == (ROWS, COLUMNS)
    assert [str(unit) for unit in layer.units] == ["millimeter", "millimeter"]
    assert layer.axis_labels == ("row", "column")
    assert layer.data[7, 11] == pytest.approx((7 * COLUMNS + 11) / 1000)


def test_a_preview_of_half_the_pixels_covers_the_same_area(canvas):
    carm = canvas.preview_carm(40)
    assert carm.detector.shape == (25, 40)
    canvas.show_preview(preview(DRR[::2, ::2], carm))
    layer = canvas.viewer.layers["DRR"]
    # The first coarse pixel covers fine pixels 0 and 1: its centre is at half a fine pixel.
    np.testing.assert_allclose(layer.data_to_world((0, 0)), (0.5 * 4.2, 0.5 * 3.1))
    np.testing.assert_allclose(layer.data_to_world((3, 5)), (6.5 * 4.2, 10.5 * 3.1))
    outer = (-0.5 * 4.2, -0.5 * 3.1), (49.5 * 4.2, 79.5 * 3.1)
    for name in ("DRR", "first"):
        np.testing.assert_allclose(canvas.viewer.layers[name]._extent_augmented.world, outer)


def test_a_preview_never_has_more_pixels_than_the_radiograph(canvas):
    assert canvas.preview_carm(80) is canvas.carm
    assert canvas.preview_carm(4000) is canvas.carm
    assert canvas.preview_carm(10).detector.shape == (6, 10)
    with pytest.raises(ValueError, match="at least one pixel"):
        canvas.preview_carm(0)


def test_a_heatmap_of_any_resolution_covers_the_detector(canvas):
    heat = np.zeros((10, 16), np.float32)
    heat[2, 3] = 0.7
    canvas.show_heatmap(heat)
    layer = canvas.viewer.layers["heatmap"]
    np.testing.assert_allclose(
        layer.data_to_world((2, 3)), ((2.5 * 5 - 0.5) * 4.2, (3.5 * 5 - 0.5) * 3.1)
    )
    assert layer.contrast_limits == [0.0, pytest.approx(0.7)]
    canvas.show_heatmap(None)
    assert not layer.visible
    canvas.show_heatmap(heat)
    assert layer.visible


# ---------------------------------------------------------------------- nothing to show


def test_without_a_radiograph_nothing_shows_and_nothing_fails(viewer):
    canvas = DetectorCanvas(viewer, Session())
    canvas.show_preview(preview(DRR))
    for mode in OVERLAYS:
        canvas.overlay = mode
    canvas.blink()
    canvas.fit_contrast()
    canvas.show_heatmap(None)
    canvas.show_uncertainty(None)
    assert canvas.edit_mask() is None
    assert canvas.carm is None
    assert len(viewer.layers) == 0
    with pytest.raises(ValueError, match="no radiograph"):
        canvas.preview_carm(64)
    with pytest.raises(ValueError, match="load one first"):
        canvas.show_heatmap(np.zeros((4, 5), np.float32))


def test_without_a_ct_the_radiograph_shows_in_every_mode(viewer):
    canvas = DetectorCanvas(viewer, session(with_volume=False))
    for mode in set(OVERLAYS) - {"DRR"}:
        canvas.overlay = mode
        assert shown(canvas) == {"first"}


def test_removing_the_last_radiograph_hides_everything(canvas):
    canvas.show_preview(preview(DRR))
    canvas.show_heatmap(np.ones((4, 5), np.float32))
    canvas.session.exposures.remove(canvas.session.exposures.named("first").id)
    assert shown(canvas) == set()
    canvas.session.exposures.add(radiograph(OTHER_CARM), name="again")
    assert shown(canvas) == {"again"}


def test_another_ct_takes_its_drr_away(canvas):
    canvas.show_preview(preview(DRR))
    assert shown(canvas) == {"first", "DRR"}
    canvas.session.patient.set_volume(volume())
    assert shown(canvas) == {"first"}
    canvas.show_preview(preview(10 * DRR))
    assert shown(canvas) == {"first", "DRR"}
    assert canvas.viewer.layers["DRR"].contrast_limits[1] > 20  # fitted to the new one


# ---------------------------------------------------------------------- overlays


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("blend", {"first", "DRR"}),
        ("edges", {"first", "edges"}),
        ("difference", {"difference"}),
        ("checkerboard", {"checkerboard"}),
        ("swipe", {"swipe"}),
        ("radiograph", {"first"}),
        ("DRR", {"DRR"}),
    ],
)
def test_each_mode_shows_its_layers(canvas, mode, expected):
    canvas.overlay = mode
    canvas.show_preview(preview(DRR))
    assert shown(canvas) == expected
    canvas.overlay = "blend"
    canvas.overlay = mode
    assert shown(canvas) == expected
    assert canvas.overlay == mode


def test_an_unknown_mode_is_refused(canvas):
    with pytest.raises(ValueError, match=r"one of blend, edges.*got 'fade'"):
        canvas.overlay = "fade"


def test_the_radiograph_is_dimmed_under_colour_alone_and_stays_opaque(canvas):
    radiograph = canvas.viewer.layers["first"]
    assert radiograph.colormap.name == "gray"  # there is no DRR yet
    canvas.show_preview(preview(picture()))
    assert radiograph.colormap.name == BACKDROP.name
    assert radiograph.opacity == 1.0  # or the white of the light theme would shine through
    radiograph.colormap = "viridis"  # the user knows better
    canvas.show_preview(preview(picture() + 1))
    assert radiograph.colormap.name == "viridis"
    canvas.overlay = "radiograph"
    assert radiograph.colormap.name == "viridis"
    canvas.backdrop = True
    assert radiograph.colormap.name == BACKDROP.name
    canvas.backdrop = False
    assert radiograph.colormap.name == "viridis"  # as the user chose it
    radiograph.colormap = "gray"
    canvas.overlay = "blend"
    assert radiograph.colormap.name == BACKDROP.name
    canvas.overlay = "radiograph"
    assert radiograph.colormap.name == "gray"


def test_the_swipe_changes_pictures_where_the_mouse_is(canvas):
    canvas.overlay = "swipe"
    canvas.show_preview(preview(DRR[::-1, ::-1].copy()))
    layer, radiograph = canvas.viewer.layers["swipe"], canvas.viewer.layers["first"]
    columns = layer.data.shape[1]
    width = canvas.carm.detector.size_mm[1]

    def left(column):
        """How many columns are the radiograph's."""
        same = np.isclose(layer.data, resample(radiograph.data, layer.data.shape)).all(axis=0)
        return int(np.argmin(np.append(same, False)))

    assert left(columns) == round(0.5 * columns)
    (follow,) = [c for c in canvas.viewer.mouse_move_callbacks if c is canvas._swipe]
    for share in (0.25, 0.8):
        follow(canvas.viewer, SimpleNamespace(position=(0.0, share * width)))
        assert left(columns) == round(share * columns)
    canvas.close()
    assert canvas._swipe not in canvas.viewer.mouse_move_callbacks


def test_blinking_shows_one_after_the_other_in_one_tone(canvas):
    canvas.overlay = "blink"
    canvas.show_preview(preview(20 * DRR + 3))
    drr, under = canvas.viewer.layers["DRR"], canvas.viewer.layers["first"]
    assert drr.contrast_limits == under.contrast_limits
    assert drr.data.mean() == pytest.approx(under.data.mean(), rel=0.05)
    assert drr.colormap.name == "gray"
    before = drr.visible
    canvas.blink()
    assert drr.visible is not before
    canvas.blink()
    assert drr.visible is before
    canvas.overlay = "blend"
    assert drr.colormap.name != "gray"
    np.testing.assert_allclose(drr.data, 20 * DRR + 3)
    canvas.blink()  # does nothing in another mode
    assert drr.visible


def test_only_what_is_visible_is_painted_and_the_rest_when_it_becomes_visible(canvas):
    canvas.overlay = "difference"
    canvas.show_preview(preview(DRR))
    difference = canvas.viewer.layers["difference"]
    before = difference.data.copy()
    canvas.overlay = "blend"
    canvas.show_preview(preview(np.flip(DRR, 1)))
    np.testing.assert_array_equal(difference.data, before)
    difference.visible = True  # the eye in the layer list
    assert not np.array_equal(difference.data, before)


def test_a_frame_of_the_same_size_is_painted_in_place(canvas):
    canvas.show_preview(preview(DRR))
    layer = canvas.viewer.layers["DRR"]
    array = layer.data
    canvas.show_preview(preview(2 * DRR))
    assert layer.data is array
    np.testing.assert_array_equal(array, 2 * DRR)


def test_the_frame_is_copied(canvas):
    frame = DRR.copy()
    canvas.show_preview(preview(frame))
    frame[:] = -1
    assert canvas.viewer.layers["DRR"].data.min() >= 0


def test_contrast_is_fixed_by_the_first_frame_until_asked_for(canvas):
    canvas.show_preview(preview(np.zeros_like(DRR)))  # nothing to fit to
    canvas.show_preview(preview(DRR))
    layer = canvas.viewer.layers["DRR"]
    fixed = list(layer.contrast_limits)
    assert 4 < fixed[1] <= 5
    canvas.show_preview(preview(4 * DRR))
    assert list(layer.contrast_limits) == fixed
    canvas.fit_contrast()
    assert layer.contrast_limits[1] == pytest.approx(4 * fixed[1])


def test_the_radiographs_contrast_ignores_what_is_masked(viewer):
    usable = picture() < 2.0
    canvas = DetectorCanvas(viewer, session(mask=usable))
    assert viewer.layers["first"].contrast_limits[1] == pytest.approx(1.99, abs=0.02)
    canvas.close()


def test_masked_pixels_that_are_not_finite_are_drawn_dark(viewer):
    spoilt, usable = picture(), picture() > 0.5
    spoilt[~usable] = float("nan")
    work = Session()
    work.exposures.add(type(radiograph())(spoilt, CARM, mask=usable), name="first")
    canvas = DetectorCanvas(viewer, work)
    assert np.isfinite(viewer.layers["first"].data).all()
    canvas.close()


# ---------------------------------------------------------------------- the user's list


def test_switching_the_radiograph_changes_the_layer_in_place(canvas):
    layers = canvas.viewer.layers
    canvas.show_preview(preview(DRR))
    layer = layers["first"]
    canvas.session.exposures.add(radiograph(OTHER_CARM), name="second")
    assert layers["second"] is layer
    assert layer.data.shape == (36, 24)
    np.testing.assert_allclose(layer.scale, (2.6, 5.3))
    assert shown(canvas) == {"second"}
    canvas.show_preview(preview(DRR))  # a late answer for the first radiograph
    assert shown(canvas) == {"second"}
    canvas.show_preview(preview(np.ones((36, 24)), OTHER_CARM))
    np.testing.assert_allclose(layers["DRR"].scale, (2.6, 5.3))
    canvas.session.exposures.activate(canvas.session.exposures.named("first").id)
    np.testing.assert_allclose(layer.scale, SPACING)
    assert len(layers) == 2


def test_replacing_the_geometry_moves_the_layer(canvas):
    canvas.session.exposures.replace_image(
        canvas.session.exposures.named("first").id, radiograph(OTHER_CARM)
    )
    np.testing.assert_allclose(canvas.viewer.layers["first"].scale, (2.6, 5.3))


@pytest.mark.parametrize("mode", OVERLAYS)
def test_layers_removed_by_the_user_are_made_again(canvas, mode):
    canvas.overlay = mode
    canvas.session.landmarks.set(landmarks((9, 12), (33, 61)))
    canvas.show_preview(preview(DRR))
    expected = shown(canvas)
    limits = canvas.viewer.layers[-1].visible
    canvas.viewer.layers.clear()
    canvas.blink()
    canvas.fit_contrast()
    canvas.show_preview(preview(DRR))
    assert shown(canvas) == expected
    assert limits
    for layer in list(canvas.viewer.layers):
        canvas.viewer.layers.remove(layer)
        canvas.show_preview(preview(DRR))
        assert shown(canvas) == expected


def test_a_layer_that_is_renamed_is_still_ours_and_renames_the_radiograph(canvas):
    canvas.viewer.layers["first"].name = "left hip"
    canvas.show_preview(preview(DRR))
    assert shown(canvas) == {"left hip", "DRR"}
    assert canvas.session.exposures.active.name == "left hip"
    canvas.session.exposures.add(radiograph(OTHER_CARM), name="second")
    canvas.viewer.layers["second"].name = "left hip"  # another one is called so
    assert [entry.name for entry in canvas.session.exposures.all] == ["left hip", "second"]
    assert shown(canvas) == {"second"}
    canvas.session.exposures.rename(canvas.session.exposures.active.id, "right hip")
    assert shown(canvas) == {"right hip"}
    canvas.viewer.layers.clear()
    canvas.show_preview(preview(np.ones((36, 24)), OTHER_CARM))
    assert shown(canvas) == {"right hip", "DRR"}  # made again, it is still called so


def test_a_name_that_a_layer_of_the_user_has_is_taken_up_when_it_is_free(viewer):
    theirs = viewer.add_image(np.zeros((9, 8)), name="first", units="mm")
    canvas = DetectorCanvas(viewer, session())
    assert [layer.name for layer in viewer.layers] == ["first", "first [1]"]
    assert canvas.session.exposures.active.name == "first"
    viewer.layers.remove(theirs)
    assert shown(canvas) == {"first"}
    canvas.close()


def test_the_radiographs_layer_is_saved_with_its_geometry(canvas, tmp_path):
    write_radiograph_layer(*as_saved(canvas, "first", tmp_path / "a.npz"))
    again = read_radiograph(tmp_path / "a.npz")
    assert again.carm.detector == CARM.detector
    np.testing.assert_array_equal(again.line_integrals, picture())
    canvas.session.exposures.add(radiograph(OTHER_CARM), name="second")
    write_radiograph_layer(*as_saved(canvas, "second", tmp_path / "b.npz"))
    assert read_radiograph(tmp_path / "b.npz").carm.detector.shape == (36, 24)


def as_saved(canvas, name, path):
    """What napari hands to a writer."""
    data, attributes, _ = canvas.viewer.layers[name].as_layer_data_tuple()
    return str(path), data, attributes


def test_the_users_layers_and_selection_stay(viewer):
    theirs = viewer.add_image(np.zeros((9, 8)), name="first", units="mm")
    viewer.layers.selection.active = theirs
    canvas = DetectorCanvas(viewer, session())
    canvas.show_preview(preview(DRR))
    assert viewer.layers.selection.active is theirs
    np.testing.assert_array_equal(theirs.data, 0)
    canvas.close(remove_layers=True)
    assert list(viewer.layers) == [theirs]


@pytest.mark.slow
def test_later_layers_go_to_their_place(canvas):
    layers = canvas.viewer.layers
    canvas.session.landmarks.set(landmarks((9, 12)))
    canvas.show_preview(preview(DRR))
    canvas.edit_mask()
    for mode in ("edges", "checkerboard", "difference"):
        canvas.overlay = mode
    names = [layer.name for layer in layers]
    assert names == [
        "first",
        "DRR",
        "difference",
        "checkerboard",
        "edges",
        "mask",
        "projected landmarks",
    ]


def test_a_ct_in_the_same_viewer_does_no_harm(viewer):
    scale = (2.0, 0.9, 0.8)
    viewer.add_image(np.zeros((6, 7, 8)), scale=scale, units="mm", axis_labels=("z", "y", "x"))
    canvas = DetectorCanvas(viewer, session())
    for mode in OVERLAYS:
        canvas.overlay = mode
        canvas.show_preview(preview(DRR))
    viewer.dims.set_point(0, 4.0)
    viewer.dims.ndisplay = 3
    canvas.show_preview(preview(2 * DRR))
    np.testing.assert_allclose(viewer.layers["first"].data_to_world((7, 11)), (7 * 4.2, 11 * 3.1))
    assert [str(unit) for unit in viewer.layers.extent.units] == ["millimeter"] * 3


def test_a_layer_in_other_units_is_warned_about_once(canvas, monkeypatch):
    said = []
    monkeypatch.setattr(detector_canvas, "show_warning", said.append)
    canvas.viewer.add_layer(Image(np.zeros((3, 4)), units="mm"))
    assert said == []
    canvas.viewer.add_layer(Image(np.zeros((3, 4)), units="um", name="cells"))
    assert len(said) == 1
    assert "The layer 'cells' is measured in micrometer x micrometer, not in mm" in said[0]
    canvas.viewer.add_layer(Image(np.zeros((3, 4))))
    assert len(said) == 1


def test_two_viewers_do_not_mix(canvas):
    other = DetectorCanvas(ViewerModel(), session())
    other.overlay = "difference"
    other.show_preview(preview(DRR))
    assert shown(canvas) == {"first"}
    other.session.exposures.remove(other.session.exposures.named("first").id)
    assert shown(canvas) == {"first"}
    other.close()


def test_a_closed_canvas_follows_no_more(viewer):
    work = session()
    canvas = DetectorCanvas(viewer, work)
    canvas.edit_mask()
    canvas.close()
    work.exposures.add(radiograph(OTHER_CARM), name="second")
    np.testing.assert_allclose(viewer.layers["first"].scale, SPACING)
    viewer.layers["mask"].data_setitem((np.array([3]), np.array([4])), 1)
    assert work.exposures.named("first").painted is None
