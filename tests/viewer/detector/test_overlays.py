"""Comparison pictures: their sign, their tone, their grid."""

import numpy as np
import pytest

from napari_xreg.viewer.detector.overlays import CHECKERS, Reference, edges, resample, robust_limits


@pytest.fixture
def scene():
    grid = np.random.default_rng(3)
    return grid.normal(2.0, 0.5, (48, 80)).astype(np.float32)


def reference(picture, usable=None):
    return Reference(picture, np.ones(picture.shape, bool) if usable is None else usable)


def test_a_drr_that_differs_in_gain_and_offset_only_does_not_differ(scene):
    apart = reference(scene).difference(3.7 * scene - 1.2)
    assert np.abs(apart).max() < 1e-4


def test_the_difference_is_positive_where_the_radiograph_is_denser(scene):
    denser = scene.copy()
    denser[10, 60] += 0.4
    apart = reference(denser).difference(scene)
    assert apart[10, 60] == pytest.approx(0.4 / 0.5, rel=0.1)  # in its standard deviations
    assert abs(np.median(apart)) < 0.01


def test_what_is_masked_neither_differs_nor_counts(scene):
    usable = np.ones(scene.shape, bool)
    usable[:, :20] = False
    spoilt = scene.copy()
    spoilt[:, :20] = 500.0
    apart = reference(spoilt, usable).difference(scene)
    assert (apart[:, :20] == 0).all()
    assert np.abs(apart[:, 20:]).max() < 1e-3


def test_metal_does_not_change_the_tone_of_the_rest(scene):
    with_rod = scene.copy()
    with_rod[20:23] = 30.0  # three rows of 48
    rest = np.abs(reference(with_rod).difference(scene))
    rest[20:23] = 0
    assert rest.max() < 0.25  # a plain mean and deviation would give 3


def test_a_checkerboard_starts_with_the_radiograph_and_has_square_tiles():
    dark, bright = np.zeros((48, 80), np.float32), np.zeros((48, 80), np.float32)
    dark[0, 0] = bright[47, 79] = 1e-3  # some variance; the tones stay apart
    board = Reference(dark, np.ones((48, 80), bool)).checkerboard(bright)
    assert board[0, 0] == dark[0, 0]
    picture = np.full((48, 80), 7.0, np.float32)
    picture[::2] = 9.0
    drr = np.arange(48 * 80, dtype=np.float32).reshape(48, 80)
    board = Reference(picture, np.ones((48, 80), bool)).checkerboard(drr)
    side = 48 // CHECKERS
    np.testing.assert_array_equal(board[:side, :side], picture[:side, :side])
    assert not np.array_equal(board[:side, side : 2 * side], picture[:side, side : 2 * side])
    assert not np.array_equal(board[side : 2 * side, :side], picture[side : 2 * side, :side])
    two = slice(side, 2 * side)
    np.testing.assert_array_equal(board[two, two], picture[two, two])


def test_the_drr_in_tone_has_the_radiographs_mean_and_deviation(scene):
    drr = np.linspace(10, 90, scene.size, dtype=np.float32).reshape(scene.shape)
    matched = reference(scene).in_tone(drr)
    assert matched.mean() == pytest.approx(scene.mean(), abs=0.02)
    assert matched.std() == pytest.approx(scene.std(), rel=0.05)
    assert matched[0, 0] < matched[-1, -1]  # never inverted


def test_edges_are_where_the_step_is():
    drr = np.zeros((40, 60), np.float32)
    drr[:, 25:] = 1.0
    found = edges(drr)
    rows, columns = np.nonzero(found)
    assert set(columns) <= {24, 25}
    assert len(set(rows)) > 30


def rounded(value):
    """A constant as a filter leaves it: a part is a unit in the last place off."""
    picture = np.full((30, 34), value, np.float32)
    picture[5:20, 7:23] *= np.float32(1 + 2**-23)
    return picture


def test_an_empty_drr_has_no_edges():
    assert edges(np.zeros((20, 30), np.float32)).sum() == 0
    assert edges(rounded(3.7)).sum() == 0


def test_a_constant_drr_has_no_deviation(scene):
    # Its values less their mean are 5e-7 everywhere; by themselves they would be one deviation.
    drr = np.full(scene.shape, 3.7, np.float32)
    np.testing.assert_allclose(reference(scene).in_tone(drr), scene.mean(), atol=1e-4)


def test_resampling_keeps_the_outer_edges():
    fine = np.arange(8, dtype=np.float32)[None].repeat(4, 0)  # pixel c is c
    coarse = resample(fine, (2, 4))
    np.testing.assert_allclose(coarse[0], [0.5, 2.5, 4.5, 6.5])  # coarse p covers 2p and 2p + 1


def test_limits_ignore_metal_but_not_bone(scene):
    low, high = robust_limits(scene)
    assert (low, high) == pytest.approx((2 - 2.58 * 0.5, 2 + 2.58 * 0.5), abs=0.15)
    with_rod = scene.copy()
    with_rod[20:23] = 30.0
    assert robust_limits(with_rod)[1] < 5.0


def test_limits_are_always_an_interval(scene):
    assert robust_limits(np.full((3, 4), 2.5, np.float32)) == (2.5, 3.5)
    assert robust_limits(rounded(3.7)) == pytest.approx((3.7, 4.7))
    assert robust_limits(1e-9 * scene) == pytest.approx(np.multiply(1e-9, robust_limits(scene)))
    assert robust_limits(np.full((3, 4), np.nan, np.float32)) == (0.0, 1.0)
    mostly_empty = np.zeros((20, 30), np.float32)
    mostly_empty[:3, :4] = 1.0  # a bone that covers 2 %
    assert robust_limits(mostly_empty) == (0.0, 1.0)
