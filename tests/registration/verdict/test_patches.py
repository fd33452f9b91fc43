"""Patches of a DRR are found where they are: pictures of noise, shifted by whole pixels."""

import cv2
import numpy as np
import pytest

from napari_xreg.registration.verdict.patches import (
    ASIDE,
    REACH,
    SIDE,
    STRIDE,
    _detail,
    match_patches,
)

ROWS, COLUMNS = 84, 120


def texture(seed: int = 3) -> np.ndarray:
    """Smooth noise, [rows, columns], with room around it for shifts."""
    noise = np.random.default_rng(seed).standard_normal((ROWS + 20, COLUMNS + 20))
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 2.0), np.float32)


def window(picture: np.ndarray, down: int = 0, right: int = 0) -> np.ndarray:
    """The picture moved down and to the right."""
    return picture[10 - down : 10 - down + ROWS, 10 - right : 10 - right + COLUMNS]


EVERYWHERE = np.ones((ROWS, COLUMNS), bool)


def test_a_picture_fits_itself_in_place_whatever_its_brightness_and_contrast():
    picture = window(texture())
    found = match_patches(picture, 5.0 - 0.1 + 3.0 * picture, EVERYWHERE)
    assert found.here.size == len(range(0, ROWS - SIDE + 1, 12)) * len(
        range(0, COLUMNS - SIDE + 1, 12)
    )
    np.testing.assert_allclose(found.here, 1.0, atol=1e-4)
    np.testing.assert_allclose(found.best, found.here, atol=1e-4)
    assert found.aside.max() < 0.9


def test_an_inverted_picture_fits_worst_in_place():
    picture = window(texture())
    np.testing.assert_allclose(match_patches(picture, -picture, EVERYWHERE).here, -1.0, atol=1e-4)


@pytest.mark.parametrize("place", [(2, 2), (0, -5), (3, 0)])
def test_a_moved_picture_is_found_down_and_right_of_its_place(place):
    picture = texture()
    found = match_patches(window(picture), window(picture, *place), EVERYWHERE)
    # The borders differ: only patches well inside are exact.
    assert np.median(found.best) == pytest.approx(1.0, abs=1e-3)
    np.testing.assert_allclose(
        np.median(found.aside[:, ASIDE.index(place)]), np.median(found.best), atol=1e-3
    )
    assert np.median(found.here) < 0.8
    np.testing.assert_array_equal(np.median(found.moved, 0), place)


def test_unusable_pixels_have_no_say():
    picture, usable = window(texture()), EVERYWHERE.copy()
    usable[:, :60] = False
    radiograph = np.where(usable, picture, 0.0).astype(np.float32)
    spoilt = np.where(usable, picture, 1e3).astype(np.float32)
    found = match_patches(picture, radiograph, usable)
    # Half a patch and more is usable: from column 48 on.
    assert found.here.size == len(range(0, ROWS - SIDE + 1, STRIDE)) * len(
        range(48, COLUMNS - SIDE + 1, STRIDE)
    )
    assert set(found.share) == {0.5, 1.0}
    # Both pictures are smoothed over the same pixels, so that the edge of the mask changes nothing.
    np.testing.assert_allclose(found.here, 1.0, atol=1e-3)
    again = match_patches(picture, spoilt, usable)
    np.testing.assert_allclose(again.best, found.best, atol=1e-6)
    np.testing.assert_allclose(again.aside, found.aside, atol=1e-6)


def test_a_correlation_is_that_of_the_pixels_usable_at_that_place():
    # One patch at the oblique edge of a mask, moved by two rows and two columns.
    picture, other = window(texture()), window(texture(7))
    usable = EVERYWHERE & (np.add.outer(np.arange(ROWS), np.arange(COLUMNS)) > 40)
    seen = np.where(usable, picture + 0.5 * other, 0.0).astype(np.float32)
    found = match_patches(picture, seen, usable)
    number = int(np.flatnonzero((found.share < 1.0) & (found.share > 0.6))[0])
    row, column = (found.middle[number] - 0.5 * (SIDE - 1)).astype(int)
    place = (2, 2)
    there = (slice(row + 2, row + 2 + SIDE), slice(column + 2, column + 2 + SIDE))
    here = (slice(row, row + SIDE), slice(column, column + SIDE))
    on = usable[there]
    made = _detail(picture, usable.astype(np.float32))[here][on]
    shown = _detail(seen, usable.astype(np.float32))[there][on]
    expected = np.corrcoef(made, shown)[0, 1]
    assert found.aside[number, ASIDE.index(place)] == pytest.approx(expected, abs=1e-4)


def test_a_flat_drr_has_no_patches():
    found = match_patches(np.full((ROWS, COLUMNS), 3.7, np.float32), window(texture()), EVERYWHERE)
    assert found.here.size == found.best.size == 0
    assert found.aside.shape == (0, len(ASIDE))


def test_a_picture_smaller_than_a_patch_has_none():
    small = texture()[:20, :20]
    assert match_patches(small, small, np.ones(small.shape, bool)).here.size == 0


def test_along_an_edge_nothing_rivals_a_patch():
    # Stripes along the columns: a patch slides along them, which the DRR itself knows.
    row = cv2.GaussianBlur(np.random.default_rng(5).standard_normal((1, COLUMNS)), (0, 0), 2.0)
    stripes = np.asarray(np.repeat(row, ROWS, 0), np.float32)
    noisy = stripes + 0.2 * stripes.std() * texture(8)[:ROWS, :COLUMNS] / texture(8).std()
    found = match_patches(stripes, np.asarray(noisy, np.float32), EVERYWHERE)
    assert (found.here > found.rival).mean() > 0.95
    assert (found.here >= found.best).mean() < 0.5  # somewhere along the stripe noise fits better
    np.testing.assert_allclose(found.own[:, ASIDE.index((5, 0))], 1.0, atol=1e-3)


def test_what_can_be_told_apart_is_asked_of_the_drr():
    # A radiograph that has nothing of the stripes: by chance some patches fit best further along
    # their stripe, which is no rival, however little they correlate there.
    row = cv2.GaussianBlur(np.random.default_rng(5).standard_normal((1, COLUMNS)), (0, 0), 2.0)
    stripes = np.asarray(np.repeat(row, ROWS, 0), np.float32)
    found = match_patches(stripes, window(texture()), EVERYWHERE)
    weak = found.best < 0.75
    assert weak.sum() > 10
    assert (found.rival[weak] < found.best[weak] - 1e-3).any()
    assert (found.rival <= found.best).all()


def test_how_the_own_correlation_falls_off_is_told_by_direction():
    # Stripes along the columns: nothing is lost along them. Across them a wave of 2 pi / 0.3 pixels
    # loses 1 - cos(0.3 d), 0.045 d^2 to begin with and a little less at 3 pixels.
    wave = np.cos(0.3 * np.arange(COLUMNS))
    stripes = np.asarray(np.repeat(wave[None], ROWS, 0), np.float32)
    found = match_patches(stripes, stripes, EVERYWHERE)
    inside = (found.middle[:, 1] > SIDE) & (found.middle[:, 1] < COLUMNS - SIDE)
    bend = np.median(found.bend[inside], 0)
    assert bend[1, 1] == pytest.approx(0.09, rel=0.1)
    assert abs(bend[0, 0]) < 1e-3
    assert abs(bend[0, 1]) < 1e-3


def test_beyond_the_picture_nothing_is_known():
    picture = window(texture())
    found = match_patches(picture, picture, EVERYWHERE)
    corner = np.flatnonzero((found.middle == 0.5 * (SIDE - 1)).all(1))[0]
    # Eight pixels up and to the left 16 x 16 of 24 x 24 are left, fewer than half; five leave 19 x 19.
    assert (SIDE - REACH) ** 2 < 0.5 * SIDE**2 < (SIDE - 5) ** 2
    assert np.isfinite(found.aside[corner]).all()
    assert np.isfinite(found.best[corner])
