"""The refinement for devices against that for the CPU. It is plain torch, so it runs here too."""

import numpy as np
import pytest
import torch
from blobs import CENTER, bent, blob_radiograph, blob_volume, carm

from napari_xreg.geometry import Pose
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
)
from napari_xreg.registration.refinement.batched.graph import cuda_graph
from napari_xreg.registration.refinement.batched.locks import DeviceLocks
from napari_xreg.registration.refinement.batched.problem import DeviceProblem, hosts_of
from napari_xreg.registration.refinement.batched.refining import refine_on_device
from napari_xreg.registration.refinement.batched.tone import ToneFit
from napari_xreg.registration.refinement.lm import evaluate
from napari_xreg.registration.refinement.locks import Locks
from napari_xreg.registration.refinement.tone import fit_tone
from napari_xreg.registration.refinement.views import JointProblem
from napari_xreg.rendering import prepare

CARM = carm(48, 52)
TRUE = CARM.world_from_camera(24.0, -13.0, 5.0, isocenter=CENTER, offset_mm=(4.0, -6.0, 9.0))
SIDE = CARM.world_from_camera(-60.0, 8.0, 2.0, isocenter=CENTER, offset_mm=(1.0, 3.0, -4.0))
TONED = Channels(
    (*intensity(0.3), *gradient(0.7, sigma=0.8)), outlier_scale=3.0, tone=True, contrast_floor=0.1
)
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


@pytest.fixture(scope="module")
def volume():
    return blob_volume(4.0)


def start_of(seed, true=TRUE, factor=1.0):
    generator = torch.Generator().manual_seed(seed)
    normals = torch.randn(1, 6, generator=generator, dtype=torch.float64)
    return perturbed(true, CENTER, normals, Spread().scaled(factor))[0]


def views_of():
    return (
        View(bent(blob_radiograph(CARM, TRUE)), start_of(1)),
        View(blob_radiograph(CARM, SIDE), start_of(2, SIDE)),
    )


@pytest.mark.parametrize("channels", [Channels(), TONED], ids=["plain", "toned"])
def test_the_same_sums(volume, channels):
    views = views_of()
    level = Level(48, None, channels=channels)
    host = JointProblem(prepare(volume), views, level, CENTER, threads=1)
    device = DeviceProblem(
        volume.to(device=DEVICE), hosts_of([views], level), level, CENTER, of=torch.tensor([0, 0])
    )
    assert device.names[0] == "intensity[1]"
    pairs = [
        (view.world_from_camera, start_of(7 + i, p))
        for i, (view, p) in enumerate(zip(views, (TRUE, SIDE), strict=True))
    ]
    seen = device.fitted(
        device.observe([Pose.stack(list(pair)).to(device=DEVICE) for pair in pairs])
    )
    model = device.linearise(seen, seen)
    for row in range(2):
        state = evaluate(host, tuple(pair[row] for pair in pairs))
        assert model.loss[row].item() == pytest.approx(state.loss, rel=1e-4)
        terms = dict(zip(device.names, model.terms[row].tolist(), strict=True))
        assert terms == pytest.approx(dict(state.model.terms), rel=1e-3, abs=1e-7)
        for found, wanted in (
            (model.hessian[row], state.model.hessian),
            (model.gradient[row], state.model.gradient),
        ):
            scale = np.sqrt(np.diag(state.model.hessian))
            scale = np.outer(scale, scale) if wanted.ndim == 2 else scale
            assert np.abs((found.cpu().numpy() - wanted) / scale).max() < 2e-3


def test_tone_of_a_batch(volume):
    target = bent(blob_radiograph(CARM, TRUE)).line_integrals
    generator = torch.Generator().manual_seed(4)
    image = blob_radiograph(CARM, start_of(3)).line_integrals
    # The second has nothing to do with the target, the third is flat: no tone.
    batch = torch.stack([image, torch.rand(image.shape, generator=generator), 0 * image])
    usable = np.flatnonzero(np.ones(image.numel()))
    fit = ToneFit(
        target.expand(3, -1, -1).to(DEVICE), torch.from_numpy(usable).to(DEVICE).expand(3, -1)
    )
    found = fit(batch.to(DEVICE))
    wanted = [fit_tone(b.numpy(), target.numpy(), usable) for b in batch]
    assert found.fitted.tolist() == [w is not None for w in wanted]
    assert found.fitted.tolist()[::2] == [True, False]
    curve = [*wanted[0].curve, 0.0][:4]  # a quadratic was enough here
    assert found.curve[0].tolist() == pytest.approx(curve, rel=1e-5, abs=1e-7)
    value, slope = (part.cpu() for part in found.apply(batch.to(DEVICE)))
    on_cpu = wanted[0].apply(batch[0].numpy())
    torch.testing.assert_close(value[0], torch.from_numpy(on_cpu[0]), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(slope[0], torch.from_numpy(on_cpu[1]), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.field[0].cpu(), torch.from_numpy(wanted[0].field))
    assert torch.equal(value[2], batch[2])
    assert (slope[2] == 1).all()


SETTINGS = RefineSettings(
    levels=(Level(24, 8.0, 8), Level(48, None, 20, channels=TONED)),
    starts=3, carried=(2, 1), threads=1,
)  # fmt: skip


def way(a, b):
    points = CENTER + 40 * torch.eye(3, dtype=torch.float64)
    return float((a.inverse().apply(points) - b.inverse().apply(points)).norm(dim=1).max())


@pytest.mark.slow
def test_refines_like_the_cpu(volume):
    views = (View(blob_radiograph(CARM, TRUE), start_of(1, factor=0.7)),)
    on_cpu = run(refine(volume, views, settings=SETTINGS, isocenter=CENTER))
    seen = []
    found = run(
        refine_on_device(volume.to(device=DEVICE), views, settings=SETTINGS, pivot=CENTER),
        seen.append,
    )
    assert found.status is on_cpu.status is Status.CONVERGED
    # The CPU packs voxels to 16 bits and judges the bone a little differently.
    assert way(found.world_from_camera, on_cpu.world_from_camera) < 0.05
    # Step by step: 51 iterates each, 0.008 mm apart at the end, when this was written.
    assert abs(len(found.trajectory) - len(on_cpu.trajectory)) <= 3
    assert found.losses["loss"] == pytest.approx(on_cpu.losses["loss"], rel=0.05)
    assert torch.allclose(found.covariance, on_cpu.covariance, rtol=0.1, atol=1e-4)
    # Both of the two carried on end at the same loss to 1 %: which is first is a matter of rounding.
    last = [{c.start for c in one.candidates if c.level == 1} for one in (found, on_cpu)]
    assert last == [{0, 2}, {0, 2}]
    assert {i.start for i in seen if i.level == 0} == {0, 1, 2}
    assert len({i.start for i in seen if i.level == 1}) == 2
    assert len(seen) == len(found.trajectory)
    assert seen[0].image.shape == (22, 24)
    assert all(set(i.losses) >= {"loss", "intensity", "gradient_rows"} for i in seen)
    best = min((i for i in seen if i.level == 1 and i.accepted), key=lambda i: i.loss)
    assert way(best.world_from_camera, found.world_from_camera) < 0.5
    # Starts refined together are those refined alone.
    alone = RefineSettings(**{**vars(SETTINGS), "starts": 1})
    single = run(refine_on_device(volume.to(device=DEVICE), views, settings=alone, pivot=CENTER))
    first = [i for i in seen if i.start == 0 and i.level == 0]
    for a, b in zip(first, [i for i in single.trajectory if i.level == 0], strict=True):
        assert a.loss == pytest.approx(b.loss, rel=1e-4)


def test_cancelled_and_without_overlap(volume):
    views = (View(blob_radiograph(CARM, TRUE), start_of(1)),)
    control = Control()
    events = refine_on_device(
        volume.to(device=DEVICE), views, settings=SETTINGS, pivot=CENTER, control=control
    )
    next(events)
    control.cancel()
    assert run(events).status is Status.CANCELLED
    far = CARM.world_from_camera(24.0, -13.0, isocenter=CENTER + 800.0)
    lost = RefineSettings(**{**vars(SETTINGS), "starts": 1, "levels": (Level(24, 8.0, 4),)})
    nothing = run(
        refine_on_device(
            volume.to(device=DEVICE), (View(views[0].radiograph, far),), settings=lost, pivot=CENTER
        )
    )
    assert nothing.status is Status.NO_OVERLAP
    assert way(nothing.world_from_camera, far) < 1e-6


def test_locks_of_a_batch():
    # Isocenter off the pivot's usual place, so that offsets are not those of the start.
    isocenter = CENTER + torch.tensor([5.0, -9.0, 14.0], dtype=torch.float64)
    locks = Locks(("secondary", "depth"), CARM, isocenter)
    device = DeviceLocks(locks, CARM, isocenter.to(DEVICE))
    old, new = [start_of(i) for i in (1, 2, 3)], [start_of(i) for i in (4, 5, 6)]
    batch = Pose.stack(old).to(device=DEVICE)
    free = device.free(batch)
    held = device.settle(batch, Pose.stack(new).to(device=DEVICE))
    assert free.shape == (3, 6, 4)
    for i, (a, b) in enumerate(zip(old, new, strict=True)):
        torch.testing.assert_close(free[i].cpu(), torch.from_numpy(locks.free(a)))
        torch.testing.assert_close(held[i].matrix().cpu(), locks.settle(a, b).matrix())


@pytest.mark.slow
def test_refines_like_the_cpu_with_parameters_locked(volume):
    # Two radiographs move together; the first one's roll and depth stay.
    views = (
        View(blob_radiograph(CARM, TRUE), start_of(1, factor=0.7)),
        View(blob_radiograph(CARM, SIDE), start_of(2, SIDE, factor=0.7)),
    )
    settings = RefineSettings(**{**vars(SETTINGS), "starts": 1, "locked": ("roll", "depth")})
    on_cpu = run(refine(volume, views, settings=settings, isocenter=CENTER))
    found = run(refine_on_device(volume.to(device=DEVICE), views, settings=settings, pivot=CENTER))
    began = CARM.carm_pose(views[0].world_from_camera, CENTER)
    for iterate in found.trajectory:
        at = CARM.carm_pose(iterate.world_from_camera, CENTER)
        assert at.roll_deg == pytest.approx(began.roll_deg, abs=1e-6)
        assert at.offset_mm[2] == pytest.approx(began.offset_mm[2], abs=1e-6)
    assert abs(at.primary_deg - began.primary_deg) > 0.5
    for a, b in zip(found.views, on_cpu.views, strict=True):
        assert way(a, b) < 0.2
    torch.testing.assert_close(found.covariance, on_cpu.covariance, rtol=0.2, atol=1e-4)
    free = run(
        refine_on_device(
            volume.to(device=DEVICE), views, settings=RefineSettings(**{**vars(SETTINGS), "starts": 1}),
            pivot=CENTER,
        )
    )  # fmt: skip
    assert way(free.world_from_camera, on_cpu.world_from_camera) > 1.0


@pytest.mark.slow
def test_recorded_iterations_are_the_same(volume):
    """A recorder that replays by calling: the state threads through the buffers of the recording."""
    views = (View(bent(blob_radiograph(CARM, TRUE)), start_of(1, factor=0.7)),)
    recorded = []

    def capture(record):
        recorded.append(record)
        return cuda_graph(record) if DEVICE.type == "cuda" else record

    there = volume.to(device=DEVICE)
    plain = run(refine_on_device(there, views, settings=SETTINGS, pivot=CENTER))
    found = run(refine_on_device(there, views, settings=SETTINGS, pivot=CENTER, graphs=capture))
    assert len(recorded) == len(SETTINGS.levels)
    assert len(plain.trajectory) == len(found.trajectory) > 20
    for a, b in zip(plain.trajectory, found.trajectory, strict=True):
        assert (a.start, a.level, a.accepted) == (b.start, b.level, b.accepted)
        assert a.losses == b.losses
        assert a.damping == b.damping
        assert torch.equal(a.world_from_camera.translation, b.world_from_camera.translation)
        assert torch.equal(a.image, b.image)
    assert torch.equal(plain.covariance, found.covariance)
    assert found.status is plain.status
