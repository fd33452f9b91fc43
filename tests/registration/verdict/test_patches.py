"""Patches of a DRR are found where they are: pictures of noise, shifted by whole pixels."""

import cv2
import numpy as np
import pytest

from napari_xreg.registration.verdict.patches import ASIDE, SIDE, match_patches

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
    # Mirrored borders differ: only patches well inside are exact.
    assert np.median(found.best) == pytest.approx(1.0, abs=1e-3)
    np.testing.assert_allclose(
        np.median(found.aside[:, ASIDE.index(place)]), np.median(found.best), atol=1e-3
    )
    assert np.median(found.here) < 0.8


def test_unusable_pixels_have_no_say():
    picture, usable = window(texture()), EVERYWHERE.copy()
    usable[:, :60] = False
    radiograph = np.where(usable, picture, 1e3)
    found = match_patches(picture, np.where(usable, radiograph, 0.0).astype(np.float32), usable)
    assert found.here.size == len(range(0, ROWS - SIDE + 1, 12)) * len(
        range(60, COLUMNS - SIDE + 1, 12)
    )
    assert np.median(found.here) == pytest.approx(1.0, abs=1e-3)


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
