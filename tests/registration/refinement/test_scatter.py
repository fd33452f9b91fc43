"""Scatter that lies over a radiograph: where it falls, how much is found of it, what it does to the comparison."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from backends import BACKENDS, refined
from bars import barred_patient

from napari_xreg.geometry import CArm, Detector, Pose
from napari_xreg.images import Radiograph, Volume
from napari_xreg.metrics import mean_target_registration_error
from napari_xreg.registration import Level, RefineSettings, View
from napari_xreg.registration.refinement.host.hardening import water_lac
from napari_xreg.registration.refinement.host.scatter import (
    _between,
    fit_beam,
    scatter_shape,
    within_blades,
)
from napari_xreg.registration.refinement.host.view_problem import ViewProblem, with_scatter
from napari_xreg.registration.refinement.second_order.channels import ROBUST
from napari_xreg.registration.refinement.second_order.look import look_at
from napari_xreg.rendering import prepare, render_drr

ARM = CArm(1020.0, 740.0, Detector((64, 72), (3.0, 3.1), (4.0, -7.0)))
FIELD = np.ones((64, 72), bool)
FIELD[:, :3] = False
ANGLES = ((15.0, -10.0), (70.0, 5.0))


@pytest.fixture(scope="module")
def patient():
    return barred_patient()


def pose_of(patient, number=0):
    return ARM.world_from_camera(*ANGLES[number], isocenter=patient.center)


def parts_of(patient, pose):
    """DRRs of the patient, and of the excess of its attenuation over water."""
    image = render_drr(patient, ARM, pose, method="joseph")
    excess = (patient.lac - water_lac()).clamp_min(0)
    bone = render_drr(Volume(excess, patient.world_from_index), ARM, pose, method="joseph")
    return image.numpy(), bone.numpy()


def exposed(patient, pose, gain, amount, rod=2.0):
    """A radiograph whose bone is brighter and over which scatter lies; a bent response, a tilted beam, a rod."""
    image, bone = parts_of(patient, pose)
    through = image + np.float32(gain) * bone
    over = amount * scatter_shape(through, FIELD, 3.1)
    read = -np.log(np.exp(-through) + over)
    tilt = np.linspace(0.0, 0.3, 72, dtype=np.float32)
    read = 0.4 + 0.8 * read + 0.02 * read**2 + tilt
    noise = torch.randn(64, 72, generator=torch.Generator().manual_seed(3))
    read = read + 0.004 * noise.numpy()
    read[20:23] += rod
    read[:, :3] = 9.0
    return Radiograph(torch.from_numpy(read), ARM, mask=torch.from_numpy(FIELD), simulated=True)


def test_it_adds_to_the_primary():
    """Half of the beam and half as scatter are the whole beam; a quarter and a quarter are a half."""
    image = np.array([[math.log(2), math.log(4)]], np.float32)
    seen, share = with_scatter(image, np.array([[0.5, 0.25]], np.float32))
    assert seen[0].tolist() == pytest.approx([0.0, math.log(2)], abs=1e-6)
    assert share[0].tolist() == pytest.approx([0.5, 0.5])


def test_it_falls_widely_about_what_took_it_out_of_the_beam():
    """A thick half and a half of air, edge along the columns; by hand, with the normal distribution of 25 mm."""
    image = np.zeros((40, 400), np.float32)
    image[:, :200] = 2.0
    shape = scatter_shape(image, np.ones(image.shape, bool), 2.5)
    # As much as the primary where the patient is.
    assert shape[:, :200].mean() == pytest.approx(math.exp(-2), rel=1e-4)
    deep = shape[20, 50]  # 0.7 there and half of 0.3 everywhere
    assert shape[20, 350] / deep == pytest.approx(0.15 / 0.85, rel=1e-3)
    edge = shape[20, 199:201].mean()
    assert edge / deep == pytest.approx(0.5 / 0.85, rel=1e-3)
    # 25 mm beyond the edge, 10 pixels: one standard deviation, 0.158655.
    beyond = shape[20, 209:211].mean()
    assert beyond / deep == pytest.approx((0.7 * 0.158655 + 0.15) / 0.85, rel=5e-3)
    # Behind blades nothing is hit: with the thick half masked away nothing scatters.
    assert not scatter_shape(image, image == 0, 2.5).any()


@pytest.mark.parametrize(("gain", "amount"), [(0.3, 0.6), (-0.2, 0.0), (0.0, 1.4)])
def test_it_is_found_beside_the_brightness_of_bone(patient, gain, amount):
    pose = pose_of(patient)
    radiograph = exposed(patient, pose, gain, amount)
    part = ViewProblem(radiograph, ROBUST)
    image, bone = parts_of(patient, pose)
    found = fit_beam(part, image, bone, FIELD)
    assert found.gain == pytest.approx(gain, abs=0.11)
    behind = np.exp(-image) < math.exp(-1)
    primary = np.exp(-image - gain * bone)[behind].mean()
    assert found.scatter[behind].mean() / primary == pytest.approx(amount, abs=0.1)


def test_what_has_no_edges_or_no_tone_says_nothing(patient):
    pose = pose_of(patient)
    radiograph = exposed(patient, pose, 0.3, 0.6)
    image, bone = parts_of(patient, pose)
    grey = replace(ROBUST, compared=ROBUST.compared[:1])
    assert fit_beam(ViewProblem(radiograph, grey), image, bone, FIELD) is None
    inverted = replace(radiograph, line_integrals=-radiograph.line_integrals)
    assert fit_beam(ViewProblem(inverted, ROBUST), image, bone, FIELD) is None


def test_what_is_painted_out_or_saturated_has_scattered_all_the_same():
    """A convex field, turned, with a hole: the hole is within, what lies behind the blades is not."""
    usable = np.zeros((30, 40), bool)
    usable[5:25, 6:34] = True
    usable[12:18, 15:22] = False
    wanted = np.zeros((30, 40), bool)
    wanted[5:25, 6:34] = True
    assert np.array_equal(within_blades(usable), wanted)
    assert not within_blades(np.zeros((4, 5), bool)).any()


def test_of_two_numbers_one_at_its_bound_leaves_the_other_its_own_best():
    """y = 0.3 a - 0.2 b with a and b alike by half: b held at 0, a is 0.3 - 0.2 x 0.5."""
    terms = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.5, np.sqrt(0.75), 0.0]])
    rest = np.array([0.0, 0.3, -0.2]) @ terms
    found = _between(terms, rest, np.ones(3), np.array([0.0, 0.0]))
    assert found.tolist() == pytest.approx([0.0, 0.2, 0.0], abs=1e-6)


def test_more_scatter_than_can_be_is_none(patient):
    """Of a thin patient under three and a half times its primary: something else is explained."""
    pose = pose_of(patient)
    radiograph = exposed(patient, pose, 0.0, 4.5, rod=0.0)
    image, bone = parts_of(patient, pose)
    assert fit_beam(ViewProblem(radiograph, ROBUST), image, bone, FIELD) is None


def test_an_opaque_ray_is_read_as_no_more_than_that():
    seen, share = with_scatter(np.array([[200.0, 2.0]], np.float32), np.zeros((1, 2), np.float32))
    assert seen[0].tolist() == pytest.approx([80.0, 2.0])
    assert share[0].tolist() == [1.0, 1.0]


@pytest.mark.parametrize("name", BACKENDS)
def test_every_radiograph_has_its_own(patient, name):
    """Of two patients, two radiographs each; the brightness is the mean of those that can tell."""
    amounts = ((0.8, 0.2), (0.0, 0.5))
    cases = [
        [
            View(exposed(patient, pose_of(patient, n), 0.3, amount), pose_of(patient, n))
            for n, amount in enumerate(two)
        ]
        for two in amounts
    ]
    inverted = replace(
        cases[1][1].radiograph, line_integrals=-cases[1][1].radiograph.line_integrals
    )
    cases[1][1] = replace(cases[1][1], radiograph=inverted)
    backend = BACKENDS[name]
    level = Level(72, None, channels=ROBUST)
    look = look_at(patient.to(device=backend.device), cases, level, patient.center)
    # Of the second of the first something is saturated; of its first something is painted out.
    burnt, hole = look.cases[0][1], look.cases[0][0]
    mask = hole.usable.clone()
    mask[9:19, 9:17] = False
    painted = replace(hole, mask=mask)
    mask = burnt.usable.clone()
    mask[50:, 60:] = False
    look = replace(look, cases=((painted, replace(burnt, mask=mask)), look.cases[1]))
    whole = ((painted, burnt), look.cases[1])
    batches = [Pose.stack([pose_of(patient, n)] * 2).to(device=backend.device) for n in range(2)]
    found = backend.beams(look, batches, whole)
    assert found.gains.tolist() == pytest.approx([0.3, 0.3], abs=0.08)
    assert found.scatter[1][1] is None
    for case, view in ((0, 0), (0, 1), (1, 0)):
        image, bone = parts_of(patient, pose_of(patient, view))
        whole = scatter_shape(image + np.float32(0.3) * bone, FIELD, 3.1)
        # Everywhere alike: what is painted out and what is saturated is within the blades.
        ratio = (found.scatter[case][view] / whole)[8:-8, 8:-8]
        assert ratio.std() < 0.04 * ratio.mean()
        amount = found.scatter[case][view].mean() / whole.mean()
        assert amount == pytest.approx(amounts[case][view], abs=0.1)


def test_both_backends_compare_alike_under_it(patient):
    """Two radiographs of one case, of which only the first has any."""
    views = [
        View(exposed(patient, pose_of(patient, n), 0.3, 0.7, rod=0.0), pose_of(patient, n))
        for n in (0, 1)
    ]
    image, bone = parts_of(patient, pose_of(patient))
    beam = fit_beam(ViewProblem(views[0].radiograph, ROBUST), image, bone, FIELD)
    models, plain = [], []
    for backend in BACKENDS.values():
        level = Level(72, None, channels=ROBUST)
        look = look_at(patient.to(device=backend.device), [views], level, patient.center)
        poses = tuple(Pose.stack([pose_of(patient, n)]).to(device=backend.device) for n in (0, 1))
        of, gains = torch.tensor([0]), torch.tensor([0.3], dtype=torch.float64)
        over = replace(look, scatter=((beam.scatter, None),))
        models.append(backend.problem(over, of, gains).begin(poses)[1])
        plain.append(backend.problem(look, of, gains).begin(poses)[1])
    host, batched = models
    torch.testing.assert_close(batched.terms.cpu(), host.terms, rtol=2e-3, atol=1e-7)
    scale = host.hessian.diagonal(dim1=1, dim2=2).sqrt()
    assert ((batched.gradient.cpu() - host.gradient) / scale).abs().max() < 2e-3
    apart = (batched.hessian.cpu() - host.hessian) / (scale[:, :, None] * scale[:, None])
    assert apart.abs().max() < 2e-3
    # What lies over the first is explained there, and the second is as before.
    assert host.terms[0, 1] < 0.75 * plain[0].terms[0, 1]
    torch.testing.assert_close(host.terms[0, 3:], plain[0].terms[0, 3:])


def test_slopes_are_those_of_what_is_read(patient):
    """Against differences of the DRR with its scatter, pixel by pixel of the edge images."""
    pose = pose_of(patient)
    radiograph = exposed(patient, pose, 0.0, 0.7)
    over = np.float32(0.7) * scatter_shape(parts_of(patient, pose)[0], FIELD, 3.1)
    part = ViewProblem(radiograph, ROBUST, scatter=over)
    pivot = patient.center.double().numpy()
    ready = prepare(patient, packed=True)
    step = torch.tensor([0.0, 0.0, 0.0, 0.1, -0.08, 0.05], dtype=torch.float64)

    def at(moved):
        there = pose.left_perturb(moved, patient.center.double())
        return part.observe(ready, Pose.stack([there]), pivot)

    seen = at(0 * step)
    held, _ = part.fitted(seen)
    jacobian = part._as_shown(seen, part._shown(seen, held)[0])
    slope = part._through(jacobian, part.compared[1])[0].T @ step.numpy()
    ahead, behind = (part._shown(at(sign * step), held)[0].values[1][0] for sign in (1, -1))
    difference = (ahead - behind) / 2
    assert np.corrcoef(slope, difference)[0, 1] > 0.98
    assert np.abs(slope).sum() == pytest.approx(np.abs(difference).sum(), rel=0.05)


def test_judged_in_fewer_pixels_it_lies_where_it_was(patient):
    """A ramp along the rows and another along the columns, in half as many pixels: 0 is the outer edge of each."""
    views = [
        View(exposed(patient, pose_of(patient, n), 0.0, 0.0), pose_of(patient, n)) for n in (0, 1)
    ]
    look = look_at(patient, [views], Level(72, None, channels=ROBUST), patient.center)
    coarse = (np.arange(32)[:, None] + 0.5 + 10 * (np.arange(36)[None] + 0.5)).astype(np.float32)
    ((fine, none),) = look.below(((coarse, None),)).scattered
    wanted = (np.arange(64)[:, None] + 0.5) / 2 + 10 * (np.arange(72)[None] + 0.5) / 2
    assert none is None
    np.testing.assert_allclose(fine[1:-1, 1:-1], wanted[1:-1, 1:-1], rtol=1e-5)


@pytest.mark.parametrize("begun_near", [False, True])
def test_a_pose_is_nearer_with_it(patient, begun_near):
    """One radiograph; without its scatter the patient seems to be at another depth.

    Two levels; or the last of them alone, from near by, with what is judged of the beam judged in fewer pixels.
    """
    pose = pose_of(patient)
    radiograph = exposed(patient, pose, 0.3, 1.0)
    share = 0.4 if begun_near else 1.0
    start = pose.left_perturb(
        share * torch.tensor([0.01, -0.01, 0.01, 2.0, -2.0, 3.0], dtype=torch.float64),
        patient.center.double(),
    )
    levels = tuple(Level(n, None, 25, channels=ROBUST) for n in (36, 72))
    settings = RefineSettings(levels=levels, starts=1, antipode=False, keep_images=False)
    if begun_near:
        settings = replace(settings, levels=levels[1:], begun_near=True, bone_pixels=48)
    points = patient.center.double() + 40.0 * torch.eye(3, dtype=torch.float64)

    def off(backend, settings=settings):
        found = refined(backend, patient, [View(radiograph, start)], settings, patient.center)
        found = found.world_from_camera.to(dtype=torch.float64)
        return float(mean_target_registration_error(found, pose, points))

    class Without(type(BACKENDS["host"])):
        def beams(self, look, poses, whole):
            found = super().beams(look, poses, whole)
            return replace(found, scatter=((None,),))

    assert off("host") < 0.5 * off(Without(1))
    if begun_near:  # unless it is said to be, a first level is not near enough
        assert off("host") < 0.5 * off("host", replace(settings, begun_near=False))
