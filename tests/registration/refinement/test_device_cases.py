"""Many radiographs in one batch on a device: each as if it were alone, and as on the CPU."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from bars import barred_patient
from blobs import CENTER, bent, blob_radiograph, blob_volume, carm
from torch.utils._python_dispatch import TorchDispatchMode

from napari_xreg.geometry import CArm, Detector, Pose
from napari_xreg.images import Radiograph, Volume
from napari_xreg.progress import Control, run
from napari_xreg.registration import (
    Channels,
    Level,
    RefineSettings,
    Spread,
    Status,
    View,
    gradient,
    intensity,
    perturbed,
    refine,
    refine_many,
)
from napari_xreg.registration.refinement.batched import (
    cases as device_cases,
    problem as device_problem,
    refine_many as many,
)
from napari_xreg.registration.refinement.batched.confidence import correlated_sums
from napari_xreg.registration.refinement.batched.hardening import bone_gains, fit_gains
from napari_xreg.registration.refinement.batched.lm import begin, step
from napari_xreg.registration.refinement.batched.locks import DeviceLocks
from napari_xreg.registration.refinement.batched.problem import DeviceProblem, hosts_of
from napari_xreg.registration.refinement.batched.refining import refine_on_device
from napari_xreg.registration.refinement.batched.tone import ToneFit, median
from napari_xreg.registration.refinement.confidence import covariance_of, sandwich
from napari_xreg.registration.refinement.hardening import fit_gain, water_lac
from napari_xreg.registration.refinement.lm import evaluate
from napari_xreg.registration.refinement.locks import Locks
from napari_xreg.registration.refinement.tone import fit_tone
from napari_xreg.registration.refinement.views import JointProblem, at_pixels
from napari_xreg.rendering import OutOfMemory, prepare, render_drr, render_with_jacobian

CARM = carm(48, 52)
TRUTHS = [
    CARM.world_from_camera(24.0, -13.0, 5.0, isocenter=CENTER, offset_mm=(4.0, -6.0, 9.0)),
    CARM.world_from_camera(-60.0, 8.0, 2.0, isocenter=CENTER, offset_mm=(1.0, 3.0, -4.0)),
    CARM.world_from_camera(70.0, 20.0, -4.0, isocenter=CENTER, offset_mm=(-5.0, 2.0, 3.0)),
]
GAINS = [0.0, 0.35, -0.25]
TONED = Channels(
    (*intensity(0.3), *gradient(0.7, sigma=0.8)), outlier_scale=3.0, tone=True, contrast_floor=0.1
)
LEVEL = Level(48, None, 20, channels=TONED)
SETTINGS = RefineSettings(
    levels=(Level(24, 8.0, 8), LEVEL), starts=3, carried=(2, 1), threads=1, keep_images=False
)
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


@pytest.fixture(scope="module")
def volume():
    return blob_volume(4.0)


def brighter(volume, gain):
    excess = (volume.lac - water_lac()).clamp_min(0)
    return Volume(volume.lac + gain * excess, volume.world_from_index)


def nearby(number, factor=0.7):
    generator = torch.Generator().manual_seed(number + 1)
    normals = torch.randn(1, 6, generator=generator, dtype=torch.float64)
    return perturbed(TRUTHS[number], CENTER, normals, Spread().scaled(factor))[0]


@pytest.fixture(scope="module")
def cases(volume):
    """Three radiographs: bent and masked; bone brighter; bone fainter, another mask."""
    radiographs = [bent(blob_radiograph(CARM, TRUTHS[0]))]
    for gain, pose in zip(GAINS[1:], TRUTHS[1:], strict=True):
        image = render_drr(brighter(volume, gain), CARM, pose, method="joseph")
        radiographs.append(Radiograph(0.2 + 0.7 * image, CARM, simulated=True))
    mask = torch.ones(48, 52, dtype=torch.bool)
    mask[30:, 20:] = False
    radiographs[2] = replace(radiographs[2], mask=mask)
    return [(View(radiograph, nearby(i)),) for i, radiograph in enumerate(radiographs)]


def way(a, b):
    points = CENTER + 40 * torch.eye(3, dtype=torch.float64)
    return float((a.inverse().apply(points) - b.inverse().apply(points)).norm(dim=1).max())


def test_the_same_sums_and_covariances(volume, cases):
    of = torch.tensor([0, 1, 2, 1])
    poses = [case[0].world_from_camera for case in cases]
    poses.append(nearby(1, 0.3))
    problem = DeviceProblem(
        volume.to(device=DEVICE), hosts_of(cases, LEVEL), LEVEL, CENTER, of=of,
        gains=torch.tensor(GAINS, dtype=torch.float64),
    )  # fmt: skip
    state = begin(problem, (Pose.stack(poses).to(device=DEVICE),))
    rows = torch.tensor([2, 0, 3], device=DEVICE)
    meat = correlated_sums(problem, state, rows).cpu().numpy()
    for row, (case, pose) in enumerate(zip(of.tolist(), poses, strict=True)):
        ready = prepare(brighter(volume, GAINS[case]))
        host = JointProblem(ready, cases[case], LEVEL, CENTER, threads=1)
        wanted = evaluate(host, (pose,))
        assert state.model.loss[row].item() == pytest.approx(wanted.loss, rel=1e-4)
        terms = dict(zip(problem.names, state.model.terms[row].tolist(), strict=True))
        assert terms == pytest.approx(dict(wanted.model.terms), rel=1e-3, abs=1e-7)
        scale = np.sqrt(np.diag(wanted.model.hessian))
        gradient = state.model.gradient[row].cpu().numpy()
        assert np.abs((gradient - wanted.model.gradient) / scale).max() < 2e-3
        hessian = state.model.hessian[row].cpu().numpy()
        assert np.abs((hessian - wanted.model.hessian) / np.outer(scale, scale)).max() < 2e-3
        if row in rows.tolist():
            covariance = sandwich(hessian, meat[rows.tolist().index(row)])
            torch.testing.assert_close(
                covariance, covariance_of(host, wanted), rtol=0.02, atol=1e-7
            )


def test_a_mask_may_take_a_channel_away(volume, cases):
    """Stripes leave no pixel whose derivative is clean: only grey values are compared there."""
    stripes = torch.zeros(48, 52, dtype=torch.bool)
    stripes[::6] = True
    striped = replace(cases[1][0].radiograph, mask=stripes)
    both = [cases[1], (View(striped, nearby(2)),)]
    problem = DeviceProblem(
        volume.to(device=DEVICE), hosts_of(both, LEVEL), LEVEL, CENTER, of=torch.tensor([0, 1])
    )
    poses = Pose.stack([nearby(1), nearby(2)]).to(device=DEVICE)
    state = begin(problem, (poses,))
    host = JointProblem(prepare(volume), both[1], LEVEL, CENTER, threads=1)
    wanted = evaluate(host, (nearby(2),))
    assert set(wanted.model.terms) == {"intensity"}
    assert state.model.terms[1].tolist() == pytest.approx([wanted.model.terms["intensity"], 0, 0])
    assert torch.isfinite(state.model.sums).all()
    assert state.model.loss[1].item() == pytest.approx(wanted.loss, rel=1e-4)


def test_tone_and_medians_under_masks_of_their_own(cases):
    images = torch.stack([blob_radiograph(CARM, nearby(i)).line_integrals for i in range(3)])
    targets = torch.stack([case[0].radiograph.line_integrals for case in cases])
    usable = [np.flatnonzero(case[0].radiograph.usable.numpy()) for case in cases]
    longest = max(len(u) for u in usable)
    pixels = torch.zeros(3, longest, dtype=torch.long)
    valid = torch.zeros(3, longest, dtype=torch.bool)
    for row, those in enumerate(usable):
        pixels[row, : len(those)] = torch.from_numpy(those)
        valid[row, : len(those)] = True
    assert len({len(u) for u in usable}) == 3
    found = ToneFit(targets.to(DEVICE), pixels.to(DEVICE), valid.to(DEVICE))(images.to(DEVICE))
    for row in range(3):
        wanted = fit_tone(images[row].numpy(), targets[row].numpy(), usable[row])
        assert found.fitted[row].item() == (wanted is not None)
        curve = [*wanted.curve, 0.0, 0.0][:4]
        assert found.curve[row].tolist() == pytest.approx(curve, rel=1e-5, abs=1e-7)
        torch.testing.assert_close(found.field[row].cpu(), torch.from_numpy(wanted.field))
    rows = median(images.flatten(1), torch.arange(48 * 52) < torch.tensor([[7], [8], [2000]]))
    for row, count in enumerate((7, 8, 2000)):
        assert rows[row].item() == pytest.approx(np.median(images[row].flatten()[:count].numpy()))


@pytest.fixture(scope="module")
def patient():
    return barred_patient()


def test_every_radiograph_has_its_own_bone_gain(patient):
    """Beside a rod and under masks of their own; a flat DRR says nothing of bone."""
    arm = CArm(1020.0, 740.0, Detector((64, 72), (3.0, 3.1)))
    poses = [arm.world_from_camera(a, b, isocenter=patient.center) for a, b in ((15, -10), (70, 5))]
    away = arm.world_from_camera(24.0, -13.0, isocenter=patient.center + 900.0)
    views = {}
    for gain in (0.3, -0.2):
        for number, pose in enumerate(poses):
            image = 0.4 + 0.8 * render_drr(brighter(patient, gain), arm, pose, method="joseph")
            image[20:23] += 2.0
            mask = torch.ones(64, 72, dtype=torch.bool)
            if gain > 0:
                mask[:, : 3 + number] = False
            image[~mask] = 9.0
            views[gain, number] = View(Radiograph(image, arm, mask=mask), pose)
    pairs = [(views[0.3, 0], views[0.3, 1]), (views[-0.2, 0], views[-0.2, 1])]
    pairs.append((views[0.3, 0], views[-0.2, 1]))
    pairs.append(pairs[-1])
    problem = DeviceProblem(
        patient.to(device=DEVICE), hosts_of(pairs, LEVEL), LEVEL, CENTER, of=torch.arange(4)
    )
    batches = [Pose.stack([poses[0]] * 4), Pose.stack([*[poses[1]] * 3, away])]
    found = bone_gains(problem, [batch.to(device=DEVICE) for batch in batches]).tolist()
    # The last two: the mean of both, and what the only one that knows says.
    assert found == pytest.approx([0.3, -0.2, 0.05, 0.3], abs=0.05)
    # The fit itself, of the same DRRs, as on the CPU.
    for part, batch, number in zip(problem.parts, batches, (0, 1), strict=True):
        batch = batch.to(device=DEVICE)
        image = part.observe(batch, problem.pivot, None).image
        bone = part.observe(batch, problem.pivot, torch.ones(4, device=DEVICE)).image - image
        gains, known = fit_gains(part.tone, image, bone)
        for row, pair in enumerate(pairs):
            radiograph = at_pixels(pair[number].radiograph, LEVEL.pixels)
            wanted = fit_gain(
                image[row].cpu().numpy(), bone[row].cpu().numpy(),
                radiograph.line_integrals.numpy(), np.flatnonzero(radiograph.usable.numpy()),
            )  # fmt: skip
            assert known[row].item() == (wanted is not None)
            assert gains[row].item() == pytest.approx(wanted or 0.0, abs=1e-4)


def test_an_inverted_radiograph_says_nothing_of_bone(patient):
    pose = CARM.world_from_camera(15.0, -10.0, isocenter=patient.center)
    image = render_drr(patient, CARM, pose, method="joseph")
    bone = render_drr(brighter(patient, 1.0), CARM, pose, method="joseph") - image
    target = torch.stack([image + 0.3 * bone, -image - 0.3 * bone])
    everywhere = torch.arange(image.numel())
    fit = ToneFit(target.to(DEVICE), everywhere.to(DEVICE).expand(2, -1))
    pair = (2, -1, -1)
    gains, known = fit_gains(fit, image.to(DEVICE).expand(pair), bone.to(DEVICE).expand(pair))
    assert known.tolist() == [True, False]
    assert gains.tolist() == [pytest.approx(0.3, abs=0.01), 0.0]
    assert fit_gain(image.numpy(), bone.numpy(), target[1].numpy(), everywhere.numpy()) is None


def test_bone_is_judged_at_the_first_level_that_needs_it_and_at_the_last(
    volume, cases, monkeypatch
):
    judged, used = [], []
    whole, problem = device_cases.bone_gains, device_cases.DeviceProblem

    def judge(*args):
        judged.append(whole(*args))
        return judged[-1]

    def look(*args, of, gains=None):
        used.append(gains)
        return problem(*args, of=of, gains=gains)

    monkeypatch.setattr(device_cases, "bone_gains", judge)
    monkeypatch.setattr(device_cases, "DeviceProblem", look)
    plain = Level(16, 8.0, 1)
    toned = [replace(LEVEL, pixels=n, iterations=1) for n in (20, 24, 32)]
    settings = replace(SETTINGS, levels=(plain, *toned), starts=1)
    run(device_cases.refine_cases(volume.to(device=DEVICE), cases, settings=settings, pivot=CENTER))
    first, last = judged
    assert not torch.equal(first, last)
    # Two problems a level that is judged: to judge, and to refine.
    assert [gains is None for gains in used] == [True, True, False, False, True, False]
    assert used[2] is used[3] is first
    assert used[5] is last


class Questions(TorchDispatchMode):
    """Operations whose answer the processor would wait for, or that bring it numbers of its own."""

    WAIT = (
        "_local_scalar_dense",
        "nonzero",
        "masked_select",
        "equal.default",
        "unique",
        "lift_fresh",
    )

    def __init__(self):
        super().__init__()
        self.asked, self.count = [], 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += 1
        name = str(function)
        masks = args[1] if "aten.index" in name and len(args) > 1 else ()
        if any(word in name for word in self.WAIT) or (
            isinstance(masks, list | tuple)
            and any(isinstance(m, torch.Tensor) and m.dtype is torch.bool for m in masks)
        ):
            self.asked.append(name)
        return function(*args, **(kwargs or {}))


@pytest.mark.slow
def test_an_iteration_asks_the_device_for_nothing(cases, monkeypatch):
    """With two radiographs a case, masks, gains and locks; a graph could not be recorded else."""
    pytest.importorskip("triton")
    # The kernels' own launches, not those of the CPU.
    kernels = partial(render_with_jacobian, backend="triton")
    monkeypatch.setattr(device_problem, "render_with_jacobian", kernels)
    level = replace(LEVEL, pixels=12)
    pair = (cases[0][0], cases[2][0])
    problem = DeviceProblem(
        blob_volume(16.0).to(device=DEVICE), hosts_of([pair, pair], level), level, CENTER,
        of=torch.tensor([0, 1]), gains=torch.tensor([0.1, 0.2]),
    )  # fmt: skip
    locks = DeviceLocks(Locks(("roll",), CARM, CENTER), CARM, CENTER.to(DEVICE))
    poses = [Pose.stack([view.world_from_camera] * 2).to(device=DEVICE) for view in pair]
    state = begin(problem, tuple(poses))
    step(problem, state, 0.01, locks)  # compiled, constants made
    with Questions() as questions:
        step(problem, state, 0.01, locks)
    assert questions.asked == []
    assert 300 < questions.count < 3000
    # ... and this is how such a question would be seen.
    with Questions() as questions:
        bool(state.active.any())
        state.damping[state.active]
        torch.tensor([1.0])
    assert len(questions.asked) == 3


@pytest.fixture(scope="module")
def together(volume, cases):
    there = volume.to(device=DEVICE)
    return run(device_cases.refine_cases(there, cases, settings=SETTINGS, pivot=CENTER))


@pytest.mark.slow
def test_cases_refined_together_are_those_refined_alone(volume, cases, together):
    for case, found in zip(cases, together, strict=True):
        alone = run(
            refine_on_device(volume.to(device=DEVICE), case, settings=SETTINGS, pivot=CENTER)
        )
        # Steps are judged by float32 sums, whose order the size of a batch may change.
        assert way(found.world_from_camera, alone.world_from_camera) < 0.01
        assert found.status is alone.status
        assert found.losses == pytest.approx(alone.losses, rel=1e-3)
        torch.testing.assert_close(found.covariance, alone.covariance, rtol=0.02, atol=1e-6)
        assert [(c.start, c.level) for c in found.candidates] == [
            (c.start, c.level) for c in alone.candidates
        ]
        assert found.simulated


@pytest.mark.slow
def test_and_as_on_the_cpu(volume, cases, together):
    for number, (case, found) in enumerate(zip(cases, together, strict=True)):
        on_cpu = run(refine(volume, case, settings=SETTINGS, isocenter=CENTER))
        assert way(found.world_from_camera, on_cpu.world_from_camera) < 0.1
        assert found.status is on_cpu.status
        if number > 0:  # the bent one ends 7 mm off at these few pixels, on either
            assert way(found.world_from_camera, TRUTHS[number]) < 1.5


class TestRefineMany:
    @pytest.fixture
    def on_a_card(self, monkeypatch):
        """The path of a card, wherever the volume is."""
        monkeypatch.setattr(many, "choose_backend", lambda volume, method: "triton")

    def test_one_after_the_other_on_the_cpu(self, volume, cases):
        seen = []
        quick = replace(SETTINGS, levels=SETTINGS.levels[:1], starts=1)
        events = refine_many(volume, [cases[0][0], cases[1]], settings=quick, isocenter=CENTER)
        found = run(events, seen.append)
        assert [number for number, _ in seen] == [0, 1]
        assert [r for _, r in seen] == found
        alone = run(refine(volume, cases[1], settings=quick, isocenter=CENTER))
        assert torch.equal(found[1].world_from_camera.rotation, alone.world_from_camera.rotation)

    @pytest.mark.slow
    def test_geometries_are_not_mixed(self, volume, cases, together, on_a_card):
        other = CArm(1100.0, 740.0, Detector((48, 52), (2.5, 2.4)))
        image = render_drr(volume, other, TRUTHS[1])
        odd = View(Radiograph(image, other), TRUTHS[1])
        seen = []
        mixed = [*cases[:2], odd, cases[2]]
        found = run(
            refine_many(volume.to(device=DEVICE), mixed, settings=SETTINGS, isocenter=CENTER),
            seen.append,
        )
        assert sorted(number for number, _ in seen) == [0, 1, 2, 3]
        for number, wanted in zip((0, 1, 3), together, strict=True):
            assert way(found[number].world_from_camera, wanted.world_from_camera) < 0.01
        assert way(found[2].world_from_camera, TRUTHS[1]) < 1.0

    @pytest.mark.slow
    def test_as_many_at_a_time_as_fit(self, volume, cases, together, on_a_card, monkeypatch):
        sizes = []
        whole = device_cases.refine_cases

        def full(volume, cases, **kwargs):
            sizes.append(len(cases))
            if len(cases) > 1:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return whole(volume, cases, **kwargs)

        monkeypatch.setattr(device_cases, "refine_cases", full)
        there = volume.to(device=DEVICE)
        found = run(refine_many(there, cases, settings=SETTINGS, isocenter=CENTER))
        assert sizes == [3, 2, 1, 1, 1]
        for a, b in zip(found, together, strict=True):
            assert way(a.world_from_camera, b.world_from_camera) < 0.01
        monkeypatch.setattr(device_cases, "refine_cases", lambda *a, **k: full(None, [1, 2]))
        with pytest.raises(OutOfMemory, match="a refinement from 3 starts: use a coarser CT"):
            run(refine_many(there, cases[:1], settings=SETTINGS, isocenter=CENTER))

    def test_a_bad_radiograph_is_named_before_anything_runs(self, volume, cases):
        flat = Radiograph(torch.ones(48, 52), CARM)
        events = refine_many(volume, [cases[0], View(flat, TRUTHS[0])], settings=SETTINGS)
        with pytest.raises(ValueError, match="case 1: the radiograph has no usable content"):
            next(events)
        with pytest.raises(ValueError, match="case 1 has none"):
            next(refine_many(volume, [cases[0], ()], settings=SETTINGS))

    @pytest.mark.parametrize("card", [False, True])
    def test_cancelled(self, volume, cases, card, monkeypatch):
        if card:
            monkeypatch.setattr(many, "choose_backend", lambda volume, method: "triton")
        control = Control()
        control.cancel()
        found = run(refine_many(volume, cases, settings=SETTINGS, control=control))
        assert len(found) == (3 if card else 1)
        assert all(r.status is Status.CANCELLED for r in found)
