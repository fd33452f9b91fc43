"""Collimator blades and circular fields, found in synthetic images, and not found where there are none."""

import cv2
import numpy as np
import pytest
import torch

from napari_xreg.images import collimator_mask

SIZE = 400


def slow(value):
    return pytest.param(value, marks=pytest.mark.slow)


def patient(thickness, *, fills):
    """Line integrals: an elliptic body and bones, all off centre."""
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    width, height = (3.0, 3.0) if fills else (0.33, 0.6)
    p = thickness * np.sqrt(
        np.clip(1 - ((x - 0.47) / width) ** 2 - ((y - 0.52) / height) ** 2, 0, 1)
    )
    for bx, by, radius, peak in (
        (0.3, 0.3, 0.1, 1.5),
        (0.6, 0.35, 0.12, 1.2),
        (0.7, 0.72, 0.15, 1.0),
    ):
        p += peak * np.sqrt(np.clip(1 - ((x - bx) ** 2 + (y - by) ** 2) / radius**2, 0, 1))
    return p


def expose(p, field=None, *, seed=0):
    """Intensity with a blurred blade edge, scatter that reaches behind it, and quantum noise."""
    beam = np.exp(-p)
    open_ = np.ones((SIZE, SIZE), np.float32) if field is None else field.astype(np.float32)
    primary = beam * cv2.GaussianBlur(open_, (0, 0), 1.2)
    scatter = 0.03 * cv2.GaussianBlur((beam * open_).astype(np.float32), (0, 0), 25)
    counts = np.random.default_rng(seed).poisson(20000 * (primary + scatter))
    return torch.from_numpy(counts.astype(np.float64))


def rectangle(degrees):
    field = np.zeros((SIZE, SIZE), np.uint8)
    corners = cv2.boxPoints(((193.0, 208.0), (318.0, 281.0), degrees))
    cv2.fillConvexPoly(field, np.round(corners).astype(np.int32), 1)
    return field


def circle():
    field = np.zeros((SIZE, SIZE), np.uint8)
    cv2.circle(field, (206, 197), 178, 1, -1)
    return field


def blades(top=0, bottom=SIZE, left=0, right=SIZE):
    field = np.zeros((SIZE, SIZE), np.uint8)
    field[top:bottom, left:right] = 1
    return field


FIELDS = {
    "rectangle": rectangle(0.0),
    "turned 4 degrees": rectangle(4.0),
    "turned -9 degrees": rectangle(-9.0),
    "circle": circle(),
    "left blade": blades(left=61),
    "top and bottom": blades(top=47, bottom=352),
}


THICKNESSES = (1.5, 4.0, 6.0)
# Each field with each thickness, and with and without air; each thickness with and without air.
CASES = [
    (name, thickness, (i + j) % 2 == 1)
    for i, name in enumerate(FIELDS)
    for j, thickness in enumerate(THICKNESSES)
]


class TestFound:
    @pytest.mark.slow
    @pytest.mark.parametrize(("name", "thickness", "fills"), CASES)
    def test_mask_matches_the_field(self, name, thickness, fills):
        field = FIELDS[name] > 0
        found = collimator_mask(expose(patient(thickness, fills=fills), field))
        mask = found.mask.numpy()
        assert found.shape != "none"
        # A search pixel is 1.25 image pixels, so a rim of two pixels may go either way.
        assert (mask & ~field).sum() / field.sum() < 0.02, "leaks"
        assert (field & ~mask).sum() / field.sum() < 0.04, "loses"

    @pytest.mark.parametrize("fills", [False, True], ids=["air around", "no air"])
    @pytest.mark.parametrize("thickness", [slow(1.5), 4.0, slow(6.0)])
    def test_without_a_collimator_nothing_is_masked(self, thickness, fills):
        found = collimator_mask(expose(patient(thickness, fills=fills)))
        assert found.shape == "none"
        assert found.mask.all()
        assert found.outline == ()


@pytest.mark.slow
def test_shapes_are_named():
    body = patient(4.0, fills=False)
    assert collimator_mask(expose(body, circle())).shape == "circle"
    assert collimator_mask(expose(body, rectangle(4.0))).shape == "rectangle"


def test_corners_are_rows_and_columns_of_the_image():
    found = collimator_mask(expose(patient(1.5, fills=True), blades(47, 352, 61, 290)))
    rows, columns = zip(*found.outline, strict=True)
    assert (min(rows), max(rows)) == pytest.approx((47, 351), abs=3)
    assert (min(columns), max(columns)) == pytest.approx((61, 289), abs=3)


@pytest.mark.parametrize("thickness", [2.0, slow(5.0), 9.0])
@pytest.mark.parametrize("center", [-0.1, 0.1, 1.0])
def test_a_body_that_fills_one_side_is_not_a_blade(center, thickness):
    y, x = np.mgrid[:SIZE, :SIZE] / SIZE
    p = thickness * np.sqrt(np.clip(1 - ((x - center) / 0.5) ** 2 - ((y - 0.5) / 0.9) ** 2, 0, 1))
    assert collimator_mask(expose(p)).mask.all()


@pytest.mark.parametrize("at", [(160, 240, 170, 250), (120, 280, 0, 40)])
def test_a_metal_plate_is_not_a_blade(at):
    p = patient(2.0, fills=False)
    p[at[0] : at[1], at[2] : at[3]] += 6
    assert collimator_mask(expose(p)).mask.all()


def test_rows_and_columns_are_not_swapped():
    field = np.zeros((SIZE, SIZE), np.uint8)
    field[:, 90:] = 1
    found = collimator_mask(expose(patient(2.0, fills=True), field)[:300])
    assert tuple(found.mask.shape) == (300, SIZE)
    assert not found.mask[:, :85].any()
    assert found.mask[:, 95:].double().mean() > 0.98


def test_tiny_or_dark_images_are_left_alone():
    assert collimator_mask(torch.rand(9, 40)).shape == "none"
    assert collimator_mask(torch.zeros(64, 64)).shape == "none"


@pytest.mark.parametrize("degrees", [3.0, -7.0])
def test_blades_that_scatter_outshines(degrees):
    """Behind the blades it is on the left brighter than inside on the right, and a rod crosses."""
    field = rectangle(degrees)
    p = patient(4.0, fills=True)
    p[270:284] += 3
    beam = np.exp(-p)
    primary = beam * cv2.GaussianBlur(field.astype(np.float32), (0, 0), 1.2)
    haze = np.broadcast_to(0.03 * np.exp(-np.arange(SIZE) / 150), (SIZE, SIZE))
    counts = np.random.default_rng(4).poisson(20000 * (primary + haze))
    intensity = torch.from_numpy(counts.astype(np.float64))
    inside = field > 0
    assert np.quantile(counts[~inside], 0.9) > np.quantile(counts[inside], 0.1)
    mask = collimator_mask(intensity).mask.numpy()
    assert (mask & ~inside).sum() / inside.sum() < 0.02
    assert (inside & ~mask).sum() / inside.sum() < 0.04


def test_rows_that_are_seen_vote_for_an_edge_that_falls_by_their_median():
    from napari_xreg.images.intensity import collimator_blades as blades

    image = np.zeros((9, 40), np.float32)
    image[:, 12:] = 0.1 * np.arange(1, 10)[:, None]
    seen = np.ones(image.shape, bool)
    assert blades._falls(image, seen)[12] == pytest.approx(0.5)
    seen[:4] = False
    # Of the five rows that are left each falls far enough; those that are not seen fall by 0.
    assert blades._votes(image, seen)[12] == pytest.approx(1.0)
    assert blades._falls(image, seen)[12] == pytest.approx(0.5)
    assert blades._votes(image, seen)[20] == -1.0  # too far inside for a blade
