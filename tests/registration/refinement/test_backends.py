"""Both backends make the same sums: of one and two views, many cases, masks, tones and bones."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from backends import BACKENDS, DEVICE, refined
from bars import barred_patient
from blobs import CENTER, bent, blob_radiograph, blob_volume, carm
from torch.utils._python_dispatch import TorchDispatchMode

from napari_xreg.geometry import CArm, Detector, Pose
from napari_xreg.images import Radiograph, Volume
from napari_xreg.registration import (
    Channels,
    Level,
    RefineSettings,
    Spread,
    View,
    gradient,
    intensity,
    perturbed,
)
from napari_xreg.registration.refinement.batched import problem as batched_problem
from napari_xreg.registration.refinement.batched.backend import Batched
from napari_xreg.registration.refinement.batched.graph import cuda_graph
from napari_xreg.registration.refinement.batched.hardening import fit_gains
from napari_xreg.registration.refinement.batched.tone import ToneFit, median
from napari_xreg.registration.refinement.confidence import sandwich
from napari_xreg.registration.refinement.host.hardening import fit_gain, water_lac
from napari_xreg.registration.refinement.host.tone import fit_tone
from napari_xreg.registration.refinement.second_order.damped_steps import begin, step
from napari_xreg.registration.refinement.second_order.locks import Locks
from napari_xreg.registration.refinement.second_order.look import look_at
from napari_xreg.rendering import cuda, render_drr, render_with_jacobian

CARM = carm(48, 52)
TRUTHS = [
    CARM.world_from_camera(24.0, -13.0, 5.0, isocenter=CENTER, offset_mm=(4.0, -6.0, 9.0)),
    CARM.world_from_camera(-60.0, 8.0, 2.0, isocenter=CENTER, offset_mm=(1.0, 3.0, -4.0)),
    CARM.world_from_camera(70.0, 20.0, -4.0, isocenter=CENTER, offset_mm=(-5.0, 2.0, 3.0)),
]
GAINS = torch.tensor([0.0, 0.35, -0.25], dtype=torch.float64)
OF = torch.tensor([0, 1, 2, 1])
TONED = Channels(
    (*intensity(0.3), *gradient(0.7, sigma=0.8)), outlier_scale=3.0, tone=True, contrast_floor=0.1
)
LEVEL = Level(48, None, 20, channels=TONED)


@pytest.fixture(scope="module")
def volume():
    return blob_volume(4.0)


@pytest.fixture(scope="module")
def patient():
    return barred_patient()


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
    for gain, pose in zip(GAINS.tolist()[1:], TRUTHS[1:], strict=True):
        image = render_drr(brighter(volume, gain), CARM, pose, method="joseph")
        radiographs.append(Radiograph(0.2 + 0.7 * image, CARM, simulated=True))
    mask = torch.ones(48, 52, dtype=torch.bool)
    mask[30:, 20:] = False
    radiographs[2] = replace(radiographs[2], mask=mask)
    return [(View(radiograph, nearby(i)),) for i, radiograph in enumerate(radiographs)]


def problems(volume, cases, level, of, gains=None):
    """Of both backends, host first."""
    return [
        backend.problem(look_at(volume.to(device=backend.device), cases, level, CENTER), of, gains)
        for backend in BACKENDS.values()
    ]


def there(poses):
    """A batch where either backend wants it."""
    batch = Pose.stack(poses)
    return batch, batch.to(device=DEVICE)


def the_same(host, batched):
    """Two models, to what float32 images leave."""
    torch.testing.assert_close(batched.shares.cpu(), host.shares)
    torch.testing.assert_close(batched.loss.cpu(), host.loss, rtol=1e-3, atol=1e-8)
    torch.testing.assert_close(batched.terms.cpu(), host.terms, rtol=1e-3, atol=1e-7)
    scale = host.hessian.diagonal(dim1=1, dim2=2).sqrt()
    apart = (batched.gradient.cpu() - host.gradient) / scale
    assert apart.abs().max() < 2e-3
    apart = (batched.hessian.cpu() - host.hessian) / (scale[:, :, None] * scale[:, None])
    assert apart.abs().max() < 2e-3


@pytest.mark.parametrize("channels", [Channels(), TONED], ids=["plain", "toned"])
def test_the_same_sums_of_two_views(volume, channels):
    views = [
        View(bent(blob_radiograph(CARM, TRUTHS[0])), nearby(0)),
        View(blob_radiograph(CARM, TRUTHS[1]), nearby(1)),
    ]
    both = problems(volume, [views], replace(LEVEL, channels=channels), torch.tensor([0, 0]))
    assert both[0].names == both[1].names
    assert both[0].names[0] == "intensity[1]"
    pairs = [there([nearby(n), nearby(n, 0.3)]) for n in (0, 1)]
    models = [p.begin(tuple(pair[i] for pair in pairs))[1] for i, p in enumerate(both)]
    the_same(*models)


@pytest.mark.slow
def test_the_same_steps_and_covariances_of_many_cases(volume, cases):
    both = problems(volume, cases, LEVEL, OF, GAINS)
    poses = there([nearby(0), nearby(1), nearby(2), nearby(1, 0.3)])
    began = [problem.begin((poses[i],)) for i, problem in enumerate(both)]
    the_same(*(model for _, model in began))
    rows, covariances = [2, 0, 3], []
    for (seen, model), problem in zip(began, both, strict=True):
        meat = problem.correlated_sums(seen, rows)
        covariances.append(
            [sandwich(model.hessian[row].cpu().numpy(), meat[i]) for i, row in enumerate(rows)]
        )
    drrs = [problem.drrs(seen)[1].cpu() for problem, (seen, _) in zip(both, began, strict=True)]
    torch.testing.assert_close(*drrs, rtol=1e-3, atol=1e-3)
    for a, b in zip(*covariances, strict=True):
        torch.testing.assert_close(a, b, rtol=0.02, atol=1e-7)
    # A step is judged under the tone and weights of where it came from; only where it is taken are
    # they fitted anew.
    moved = there([nearby(0, 0.6), nearby(1, 0.6), nearby(2, 0.6), nearby(1, 0.2)])
    yes = torch.tensor([True, False, True, True])
    taken = torch.tensor([True, False, False, True])
    tried, renewed = [], []
    for i, problem in enumerate(both):
        seen, model = problem.attempt((moved[i],), began[i][0], yes.to(moved[i].rotation.device))
        tried.append(model)
        after = problem.renew(seen, *began[i], taken.to(moved[i].rotation.device))
        renewed.append(after[1])
    torch.testing.assert_close(tried[1].loss.cpu()[yes], tried[0].loss[yes], rtol=1e-3, atol=1e-8)
    the_same(*renewed)
    for (_, before), after in zip(began, renewed, strict=True):
        assert torch.equal(after.sums[~taken], before.sums[~taken])
        assert not torch.isclose(after.loss[taken], before.loss[taken]).any()
    alone = both[0].begin((moved[0],))[1]
    torch.testing.assert_close(renewed[0].sums[taken], alone.sums[taken])
    assert (tried[0].loss[taken] - alone.loss[taken]).abs().min() > 1e-5


def test_a_mask_may_take_a_channel_away(volume, cases):
    """Stripes leave no pixel whose derivative is clean: only grey values are compared there."""
    stripes = torch.zeros(48, 52, dtype=torch.bool)
    stripes[::6] = True
    striped = replace(cases[1][0].radiograph, mask=stripes)
    several = [cases[1], (View(striped, nearby(2)),)]
    both = problems(volume, several, LEVEL, torch.tensor([0, 1]))
    poses = there([nearby(1), nearby(2)])
    models = [problem.begin((poses[i],))[1] for i, problem in enumerate(both)]
    for problem, model in zip(both, models, strict=True):
        assert problem.names == ("intensity", "gradient_rows", "gradient_columns")
        assert model.terms[1, 1:].tolist() == [0, 0]
        assert model.terms[1, 0] > 0.01
        assert torch.isfinite(model.sums).all()
    the_same(*models)


def test_tone_and_medians_under_masks_of_their_own(cases):
    images = torch.stack([blob_radiograph(CARM, nearby(i)).line_integrals for i in range(3)])
    # The last but one has nothing to do with its target, the last is flat: no tone.
    noise = torch.rand(48, 52, generator=torch.Generator().manual_seed(4))
    images = torch.cat([images, noise[None], 0 * noise[None]])
    radiographs = [case[0].radiograph for case in cases] + [cases[0][0].radiograph] * 2
    targets = torch.stack([radiograph.line_integrals for radiograph in radiographs])
    usable = [np.flatnonzero(radiograph.usable.numpy()) for radiograph in radiographs]
    longest = max(len(u) for u in usable)
    pixels = torch.zeros(5, longest, dtype=torch.long)
    valid = torch.zeros(5, longest, dtype=torch.bool)
    for row, those in enumerate(usable):
        pixels[row, : len(those)] = torch.from_numpy(those)
        valid[row, : len(those)] = True
    assert len({len(u) for u in usable}) == 3
    found = ToneFit(targets.to(DEVICE), pixels.to(DEVICE), valid.to(DEVICE))(images.to(DEVICE))
    values, slopes = (part.cpu() for part in found.apply(images.to(DEVICE)))
    assert found.fitted.tolist()[::2] == [True, True, False]
    for row in range(5):
        wanted = fit_tone(images[row].numpy(), targets[row].numpy(), usable[row])
        assert found.fitted[row].item() == (wanted is not None)
        if wanted is None:
            assert torch.equal(values[row], images[row])
            assert (slopes[row] == 1).all()
            continue
        curve = [*wanted.curve, 0.0, 0.0][:4]
        assert found.curve[row].tolist() == pytest.approx(curve, rel=1e-5, abs=1e-7)
        torch.testing.assert_close(found.field[row].cpu(), torch.from_numpy(wanted.field))
        value, slope = (torch.from_numpy(part) for part in wanted.apply(images[row].numpy()))
        torch.testing.assert_close(values[row], value, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(slopes[row], slope, rtol=1e-4, atol=1e-5)
    rows = median(images[:3].flatten(1), torch.arange(48 * 52) < torch.tensor([[7], [8], [2000]]))
    for row, count in enumerate((7, 8, 2000)):
        assert rows[row].item() == pytest.approx(np.median(images[row].flatten()[:count].numpy()))


@pytest.mark.slow
@pytest.mark.parametrize("name", BACKENDS)
def test_every_radiograph_has_its_own_bone_gain(patient, name):
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
    pairs += [(views[0.3, 0], views[-0.2, 1])] * 2
    batches = [Pose.stack([poses[0]] * 4), Pose.stack([*[poses[1]] * 3, away])]
    backend = BACKENDS[name]
    look = look_at(patient.to(device=backend.device), pairs, LEVEL, CENTER)
    found = backend.bone_gains(look, [batch.to(device=backend.device) for batch in batches])
    # The last two: the mean of both, and what the only one that knows says.
    assert found.tolist() == pytest.approx([0.3, -0.2, 0.05, 0.3], abs=0.05)


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
    wanted = [fit_gain(image.numpy(), bone.numpy(), t.numpy(), everywhere.numpy()) for t in target]
    assert wanted == [pytest.approx(gains[0].item(), abs=1e-4), None]


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
    if not cuda.available():  # which loads it beside the OpenGL of an earlier test's window, too
        pytest.skip("Triton is not installed (pip install triton)")
    # The kernels' own launches, not those of the CPU.
    kernels = partial(render_with_jacobian, backend="triton")
    monkeypatch.setattr(batched_problem, "render_with_jacobian", kernels)
    pair = (cases[0][0], cases[2][0])
    level = replace(LEVEL, pixels=12)
    look = look_at(blob_volume(16.0).to(device=DEVICE), [pair, pair], level, CENTER)
    problem = BACKENDS["batched"].problem(look, torch.tensor([0, 1]), torch.tensor([0.1, 0.2]))
    locks = Locks(("roll",), CARM, CENTER.to(DEVICE))
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


@pytest.mark.slow
def test_recorded_iterations_are_the_same(volume):
    """A recorder that replays by calling: the state threads through the buffers of the recording."""
    recorded = []

    def capture(record):
        recorded.append(record)
        return cuda_graph(record) if DEVICE.type == "cuda" else record

    views = [View(bent(blob_radiograph(CARM, TRUTHS[0])), nearby(0))]
    levels = (Level(16, 8.0, 4), Level(24, 8.0, 8, channels=TONED))
    settings = RefineSettings(levels, starts=2, carried=(2,), spread=Spread().scaled(0.3))
    plain = refined("batched", volume, views, settings, CENTER)
    found = refined(Batched(DEVICE, capture), volume, views, settings, CENTER)
    assert len(recorded) == len(levels)
    assert len(plain.trajectory) == len(found.trajectory) > 12
    for a, b in zip(plain.trajectory, found.trajectory, strict=True):
        assert (a.start, a.level, a.accepted) == (b.start, b.level, b.accepted)
        assert a.losses == b.losses
        assert a.damping == b.damping
        assert torch.equal(a.world_from_camera.translation, b.world_from_camera.translation)
        assert torch.equal(a.image, b.image)
    assert torch.equal(plain.covariance, found.covariance)
    assert found.status is plain.status
