"""Nothing that a caller says reaches a kernel unchecked: NaN there is a segmentation fault."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from rendering_phantoms import AFFINES

from napari_xreg.geometry import CArm, Detector, Pose
from napari_xreg.images import LabelMap, Volume
from napari_xreg.rendering import (
    march,
    march_view,
    prepare,
    render_drr,
    render_structures,
    render_with_jacobian,
)
from napari_xreg.rendering.adjoint import backproject
from napari_xreg.rendering.cpu.march import march_rays

METHODS = ("trilinear", "joseph", "siddon")
CARM = CArm(1020.0, 700.0, Detector((7, 5), (0.9, 1.3), principal_point=(4.2, 1.7)))


def ct() -> Volume:
    lac = torch.rand(7, 6, 5, generator=torch.Generator().manual_seed(3)) * 0.02
    return Volume(lac, AFFINES["oblique"].clone())


def pose() -> Pose:
    return CARM.world_from_camera(33.0, 21.0, 12.0, isocenter=ct().center)


def broken(part: str, value: float) -> Pose:
    rotation, translation = pose().rotation.clone(), pose().translation.clone()
    if part == "rotation":
        rotation[1, 2] = value
    else:
        translation[1] = value
    return Pose(rotation, translation)


BROKEN = [
    ("translation", float("nan"), "translation holds NaN"),
    ("translation", float("inf"), "translation holds NaN"),
    ("translation", 1e17, "check its unit"),
    ("rotation", float("nan"), "rotation holds NaN"),
    ("rotation", float("-inf"), "rotation holds NaN"),
    ("rotation", 1e12, "too far|no length"),
]


@pytest.mark.parametrize(("part", "value", "words"), BROKEN)
@pytest.mark.parametrize("method", METHODS)
def test_a_pose_that_is_none(method, part, value, words):
    bad = broken(part, value)
    labels = LabelMap(torch.ones(7, 6, 5, dtype=torch.int16), ct().world_from_index)
    moving = Pose(bad.rotation, bad.translation.clone().requires_grad_())
    for render in (
        lambda: render_drr(ct(), CARM, bad, method=method),
        lambda: render_drr(ct(), CARM, moving, method=method),
        lambda: render_drr(ct(), CARM, Pose.stack([pose(), bad]), method=method),
        lambda: render_with_jacobian(ct(), CARM, bad, pivot=(1.0, 2.0, 3.0), method=method),
        lambda: render_structures(ct(), labels, [{1}], CARM, bad),
    ):
        with pytest.raises(ValueError, match=words):
            render()
    # The entry of an optimiser speaks of what it takes: source and rays.
    with pytest.raises(ValueError, match=r"NaN or infinity|too far|no length"):
        march_view(prepare(ct()), CARM, bad, method=method)


def test_the_plain_torch_renderer_refuses_a_pose_alike():
    precise = ct().to(dtype=torch.float64)
    with pytest.raises(ValueError, match="translation holds NaN"):
        render_drr(precise, CARM, broken("translation", float("nan")))


def test_a_pivot_that_is_none():
    for pivot in ((0.0, float("nan"), 0.0), (float("inf"), 0.0, 0.0)):
        with pytest.raises(ValueError, match="finite pivot"):
            render_with_jacobian(ct(), CARM, pose(), pivot=pivot)


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        ([[1.0, float("nan")]], "pixels to render must be finite"),
        ([[1.0, 2.0], [float("inf"), 2.0]], "pixels to render must be finite"),
        ([[1e12, 2.0]], "too far"),
        ([[1.0, 2.0, 3.0]], r"list of \(row, column\): got shape \(1, 3\)"),
        ([1.0, 2.0], r"list of \(row, column\): got shape \(2,\)"),
    ],
)
def test_pixels_that_are_none(pixels, words):
    # numpy goes around the shape checks that tests put on tensors.
    with pytest.raises(ValueError, match=words):
        march_view(prepare(ct()), CARM, pose(), pixels=np.array(pixels))
    listed = torch.tensor(pixels)
    if listed.ndim == 2 and listed.shape[1] == 2:
        labels = LabelMap(torch.ones(7, 6, 5, dtype=torch.int16), ct().world_from_index)
        with pytest.raises(ValueError, match=words):
            render_drr(ct(), CARM, pose(), pixels=listed)
        with pytest.raises(ValueError, match=words):
            render_structures(ct(), labels, [{1}], CARM, pose(), pixels=listed)


def test_pixels_far_off_the_detector_see_air():
    image = render_drr(ct(), CARM, pose(), pixels=torch.tensor([[-4000.0, 3e4], [4.2, 1.7]]))
    assert image[0] == 0
    assert image[1] > 0


@pytest.mark.parametrize("method", METHODS)
def test_pixels_and_rays_in_any_memory_order(method):
    """Every second row backwards, as numpy slices it: the kernels read whole rows of memory."""
    wide = np.arange(24.0).reshape(6, 4) / 5
    odd = wide[::-2, ::-2]  # 3 x 2, negative strides
    ready, how = prepare(ct()), {"method": method, "jacobian": False}
    image, _ = march_view(ready, CARM, pose(), pixels=odd, **how)
    wanted, _ = march_view(ready, CARM, pose(), pixels=odd.copy(), **how)
    np.testing.assert_array_equal(image, wanted)
    assert image.max() > 0
    source, rays = CARM.rays(pose())
    turned = np.asfortranarray(rays.numpy())[::-1]
    image, _ = march_rays(ready, source.numpy(), turned, method=method)
    wanted, _ = march_rays(ready, source.numpy(), turned.copy(), method=method)
    np.testing.assert_array_equal(image, wanted)


def test_a_volume_stored_the_other_way_round():
    """A transposed array renders as what it holds, not as what lies in memory."""
    stored = ct().lac.numpy().transpose(2, 0, 1).copy(order="C").transpose(1, 2, 0)
    assert not stored.flags.c_contiguous
    other = Volume(torch.from_numpy(stored), ct().world_from_index)
    for packed in (False, True):
        ready = prepare(other, packed=packed)
        assert ready.values.flags.c_contiguous
        np.testing.assert_array_equal(ready.values, prepare(ct(), packed=packed).values)
    assert torch.equal(render_drr(other, CARM, pose()), render_drr(ct(), CARM, pose()))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_volume_that_became_none_in_place(value):
    volume = ct()
    volume.lac[3, 2, 1] = value
    for packed in (False, True):
        with pytest.raises(ValueError, match="attenuation must be finite"):
            prepare(volume, packed=packed)


def test_a_volume_that_lies_nowhere():
    far = ct()
    far.world_from_index[2, 3] = 1e300
    for method in METHODS:
        with pytest.raises(ValueError, match="too far from the CT"):
            render_drr(far, CARM, pose(), method=method)


def test_a_step_too_small_to_count():
    """0.5 nm: 1020 mm are 2e9 samples, but those in the CT, across its 20 mm, are 4e7."""
    with pytest.raises(ValueError, match=r"step_mm is too small: 5e-07 mm asks for"):
        render_drr(ct(), CARM, pose(), step_mm=5e-7)


def test_detectors_of_absurd_size():
    for method in METHODS:
        vast = replace(CARM, detector=Detector((2_000_000, 3_000_000), (0.9, 1.3)))
        with pytest.raises(ValueError, match="2000000 x 3000000 pixels cannot be rendered"):
            render_drr(ct(), vast, pose(), method=method)
        with pytest.raises(ValueError, match="at most 268435456 pixels"):
            march_view(prepare(ct()), vast, pose(), method=method)
    huge = replace(CARM, detector=Detector((7, 5), (0.9, 1e200)))
    with pytest.raises(ValueError, match="too far"):
        render_drr(ct(), huge, pose())
    near = CArm(1e-200, 1e-200, CARM.detector)
    with pytest.raises(ValueError, match="no length"):
        march_view(prepare(ct()), near, pose())


def test_labels_of_another_shape():
    labels = LabelMap(torch.ones(5, 6, 7, dtype=torch.int16), ct().world_from_index)
    with pytest.raises(ValueError, match=r"same grid: got \(5, 6, 7\) and \(7, 6, 5\)"):
        render_structures(ct(), labels, [{1}], CARM, pose())


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_the_way_back_to_the_voxels_is_checked_too(method):
    source, rays = (part.numpy() for part in CARM.rays(pose()))
    worth = np.ones(len(rays))
    how = {"method": method, "step_mm": 0.7}
    assert backproject(ct(), source, rays[::-1], worth[::-1], **how).max() > 0
    wrong = rays.copy()
    wrong[3, 1] = np.nan
    with pytest.raises(ValueError, match="finite rays"):
        backproject(ct(), source, wrong, worth, **how)
    with pytest.raises(ValueError, match="finite source"):
        backproject(ct(), source * np.inf, rays, worth, **how)
    with pytest.raises(ValueError, match=r"for each of 35 rays is needed: got \(34,\)"):
        backproject(ct(), source, rays, worth[1:], **how)
    with pytest.raises(ValueError, match="no length"):
        backproject(ct(), source, rays * 0, worth, **how)


def test_rays_without_a_length():
    ready, still = prepare(ct()), (0.0, 0.0, 0.0)
    with pytest.raises(ValueError, match="no length"):
        march_rays(ready, (1.0, 2.0, 3.0), np.zeros((2, 3)), method="joseph")
    with pytest.raises(ValueError, match="no length"):  # the row of pixels runs through the source
        march(ready, (1.0, 2.0, 3.0), (-3.0, 0.0, 0.0), still, (1.0, 0.0, 0.0), 1, 7)
    with pytest.raises(ValueError, match=r"\[n, 3\]"):
        march_rays(ready, (1.0, 2.0, 3.0), np.ones((2, 2)))


def test_a_prepared_volume_that_does_not_fit_itself():
    ready = prepare(ct())
    with pytest.raises(ValueError, match="in one row"):
        replace(ready, row=ready.row[:-1])
