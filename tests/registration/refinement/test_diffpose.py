"""The recipe of DiffPose: which pixels it looks at, how its steps fall, when it ends."""

from dataclasses import replace

import pytest
import torch
from blobs import CENTER, blob_radiograph, blob_volume, carm

from napari_xreg.metrics import multiscale_ncc, ncc
from napari_xreg.progress import run
from napari_xreg.registration import SOLVERS, Attention, DiffPoseSettings, View, Wanted, refine
from napari_xreg.rendering import render_drr

ARM = carm(36, 44)
ARM = replace(ARM, detector=replace(ARM.detector, spacing=(5.6, 5.0), principal_point=(16.0, 23.5)))
TRUE = ARM.world_from_camera(24.0, -13.0, 5.0, isocenter=CENTER)
ASIDE = TRUE.left_perturb(
    torch.tensor([0.02, -0.03, 0.025, 2.5, -3.0, 4.0], dtype=torch.float64), CENTER
)
VOLUME = blob_volume(6.0)


@pytest.fixture(scope="module")
def target():
    return blob_radiograph(ARM, TRUE)


def looked_at(row, column):
    """A network that looked at one pixel."""
    cells = torch.zeros(ARM.detector.shape)
    cells[row, column] = 3.0
    return Attention(cells, ARM)


def seen(settings, target, pose=ASIDE, view=0):
    value, rendered = settings.compared(VOLUME, target, view)(pose)
    return float(value), rendered


def test_attention_on_a_point_compares_the_patch_around_it(target):
    """All patches are that one, and so are all pixels: the mean of both is its NCC."""
    attention = looked_at(13, 29)
    value, rendered = seen(DiffPoseSettings(side=7, attention=attention), target)
    assert rendered.shape == (49,)
    window = (slice(10, 17), slice(26, 33))
    drr = render_drr(VOLUME, ARM, ASIDE)
    torch.testing.assert_close(rendered, drr[window].flatten(), rtol=1e-4, atol=1e-5)
    expected = float(ncc(target.line_integrals[window], drr[window], eps=1e-4))
    assert value == pytest.approx(expected, abs=1e-4)
    # Of a further radiograph nobody knows where to look: evenly.
    assert len(seen(DiffPoseSettings(side=7, attention=attention), target, view=1)[1]) > 400


def test_attention_stays_where_it_was_when_the_radiograph_is_cropped(target):
    """Rows 8 to 29, columns 20 to 40 of the radiograph, as of what is near a bone: the same patch."""
    settings = DiffPoseSettings(side=7, attention=looked_at(13, 29))
    part = target.crop(8, 20, 22, 21)
    whole, cut = seen(settings, target), seen(settings, part)
    assert cut[1].shape == (49,)
    torch.testing.assert_close(cut[1], whole[1], rtol=1e-4, atol=1e-5)
    assert cut[0] == pytest.approx(whole[0], abs=1e-4)


def test_many_patches_are_worth_all_of_them(target):
    """In the limit sparse mNCC is mNCC: drawn with replacement, 20,000 of 960 windows."""
    value, rendered = seen(DiffPoseSettings(patches=20_000), target)
    assert rendered.shape == (36 * 44,)
    drr = render_drr(VOLUME, ARM, ASIDE)
    expected = float(multiscale_ncc(target.line_integrals, drr))
    assert value == pytest.approx(expected, abs=0.005)


def test_what_is_masked_does_not_count(target):
    """A bright instrument in half of the only patch: NCC of the other half."""
    attention = looked_at(13, 29)
    mask = torch.ones(36, 44, dtype=torch.bool)
    mask[10:13, 26:33] = False
    image = target.line_integrals.clone()
    image[~mask] = 50.0
    painted = replace(target, line_integrals=image, mask=mask)
    value, _ = seen(DiffPoseSettings(side=7, attention=attention), painted)
    drr = render_drr(VOLUME, ARM, ASIDE)
    window = (slice(13, 17), slice(26, 33))
    expected = float(ncc(target.line_integrals[window], drr[window], eps=1e-4))
    assert value == pytest.approx(expected, abs=1e-4)


def test_a_radiograph_without_a_usable_patch_is_refused(target):
    mask = torch.zeros(36, 44, dtype=torch.bool)
    mask[:, :3] = True
    with pytest.raises(ValueError, match="no 13 x 13 patch of the radiograph is half usable"):
        seen(DiffPoseSettings(), replace(target, mask=mask))


def test_attention_that_looks_past_the_picture_is_no_attention(target):
    cells = torch.zeros(36, 44)
    cells[:, 0] = 1.0  # no patch has its middle there
    expected = seen(DiffPoseSettings(), target)[0]
    assert seen(DiffPoseSettings(attention=Attention(cells, ARM)), target)[0] == expected


def test_patches_are_drawn_anew_and_again_the_same(target):
    settings = DiffPoseSettings(patches=4, seed=3)
    compared = settings.compared(VOLUME, target, 0)
    first, second = (float(compared(ASIDE)[0]) for _ in range(2))
    assert first != second
    again = settings.compared(VOLUME, target, 0)
    assert [float(again(ASIDE)[0]) for _ in range(2)] == [first, second]
    assert seen(replace(settings, seed=4), target)[0] != first


def test_rates_fall_by_a_tenth_every_25_iterations():
    rule = DiffPoseSettings().rule(0)
    rates = []
    for iteration in range(50):
        rates.append(rule.rates)
        rule.met(0.06 * iteration)  # it always gains
    assert rates[24] == (7.5e-3, 7.5)
    assert rates[25] == pytest.approx((6.75e-3, 6.75))
    assert rates[49] == rates[25]
    assert rule.rates == pytest.approx((6.075e-3, 6.075))


def test_it_ends_after_20_iterations_without_a_gain_of_a_twentieth():
    rule = DiffPoseSettings().rule(0)
    values = [0.10, 0.14, 0.16, *[0.2] * 19, 0.209]  # 0.16 is the last gain of 0.05
    ended = [rule.met(value) for value in values]
    assert ended == [False] * 22 + [True]


def test_it_is_a_solver_that_comes_nearer(target):
    settings = SOLVERS["diffpose"].settings_for(Wanted(pixels=(44,), iterations=30))
    found = run(refine(VOLUME, View(target, ASIDE), settings=settings, isocenter=CENTER))
    points = CENTER + torch.cat([torch.zeros(1, 3), 40 * torch.eye(3)]).double()

    def in_plane(pose):
        apart = pose.inverse().apply(points) - TRUE.inverse().apply(points)
        return float(apart[:, :2].norm(dim=1).mean())

    assert in_plane(found.world_from_camera) < 0.6 * in_plane(ASIDE)
    # What an iteration shows is the whole picture, whatever was compared.
    assert found.trajectory[0].image.shape == (36, 44)


def test_what_is_asked_reaches_the_recipe():
    attention = Attention(torch.ones(3, 5), ARM)
    usual = SOLVERS["diffpose"].settings_for(Wanted(attention=attention, seed=7))
    assert (usual.patches, usual.side, usual.pixels, usual.iterations) == (100, 13, (256,), 500)
    assert usual.attention is attention
    assert usual.seed == 7
    dense = SOLVERS["diffpose"].settings_for(Wanted(compare="multiscale NCC"))
    assert dense.patches == 0
    assert dense.similarity is multiscale_ncc
    with pytest.raises(ValueError, match="an odd number of pixels"):
        DiffPoseSettings(side=12)
