"""The contrastive loss by hand, and that a step on a fixed batch lowers it."""

import math

import pytest
import torch

from napari_xreg.rayemb import (
    CompactEncoder,
    RayEmbSettings,
    RayEmbTask,
    ViewPool,
    ViewSettings,
    info_nce,
)
from napari_xreg.rayemb.contrast import usable_cells
from napari_xreg.registration import AdamSteps
from napari_xreg.training import PhantomPopulation

SMALL = ViewSettings(template_extent=1.25, queries=3, templates=5, kept=2, renew_every=1, first=2)
POPULATION = PhantomPopulation(seeds=(3, 4, 5), spacing_mm=10.0)


def one_row(similarities: list[float]) -> tuple[torch.Tensor, torch.Tensor]:
    """Embeddings whose cosine with the first axis are these, and that axis as a subspace."""
    s = torch.tensor(similarities)
    embedding = torch.stack([s, (1 - s**2).sqrt()]).reshape(1, 2, 1, len(similarities))
    return 3.0 * embedding, torch.tensor([1.0, 0.0]).reshape(1, 1, 2, 1)


def loss_of(position, inside=True, counted=True, usable=None, outside=None):
    embedding, basis = one_row([0.2, 0.9, 0.5, 0.4])
    usable = torch.ones(1, 1, 4, dtype=torch.bool) if usable is None else usable
    return info_nce(
        embedding, basis, torch.tensor([[[0.0, position]]]), torch.tensor([[inside]]),
        torch.tensor([[counted]]), usable, upsampling=1, temperature=torch.tensor(0.1),
        outside_logit=None if outside is None else torch.tensor(outside),
    )[0].item()  # fmt: skip


def test_a_softmax_over_all_pixels_by_hand():
    total = sum(math.exp(v) for v in (2.0, 9.0, 5.0, 4.0))
    assert loss_of(1.0) == pytest.approx(math.log(total) - 9.0, abs=1e-4)
    # Between pixels 1 and 2, a quarter of the way: 0.75 * 9 + 0.25 * 5.
    assert loss_of(1.25) == pytest.approx(math.log(total) - 8.0, abs=1e-4)
    assert loss_of(9.0) == pytest.approx(math.log(total) - 4.0, abs=1e-4)


def test_outside_is_one_more_answer():
    total = sum(math.exp(v) for v in (2.0, 9.0, 5.0, 4.0, 8.5))
    assert loss_of(1.0, outside=8.5) == pytest.approx(math.log(total) - 9.0, abs=1e-4)
    assert loss_of(99.0, inside=False, outside=8.5) == pytest.approx(
        math.log(total) - 8.5, abs=1e-4
    )
    assert loss_of(float("nan"), inside=False, outside=8.5) == pytest.approx(
        math.log(total) - 8.5, abs=1e-4
    )


def test_what_is_masked_or_not_counted_has_no_say():
    usable = torch.tensor([[[True, True, False, True]]])
    total = sum(math.exp(v) for v in (2.0, 9.0, 4.0))
    assert loss_of(1.0, usable=usable) == pytest.approx(math.log(total) - 9.0, abs=1e-4)
    # Beside the mask the true position counts by its own similarity, masked or not.
    assert loss_of(1.25, usable=usable) == pytest.approx(math.log(total) - 8.0, abs=1e-4)
    assert loss_of(1.0, counted=False) == 0.0
    assert loss_of(1.0, inside=False) == 0.0


def test_a_heatmap_pixel_is_usable_from_one_half_on():
    mask = torch.zeros(1, 4, 8, dtype=torch.bool)
    mask[0, :2, :2] = True
    mask[0, 0, 4:6] = True
    mask[0, 0, 6] = True
    assert usable_cells(mask, 2, 4)[0].tolist() == [[True, False, True, False], [False] * 4]


@pytest.fixture(scope="module")
def task():
    torch.manual_seed(1)
    encoder = CompactEncoder(dimensions=16, widths=(8, 16, 16))
    settings = RayEmbSettings(views=SMALL, queries=3, templates=5, points=24, per_point=3, seed=4)
    return RayEmbTask(encoder, POPULATION, lambda network: ({"score": 1.0}, None), settings)


@pytest.mark.slow
def test_steps_on_a_fixed_batch_lower_the_loss(task):
    views = task.pool.draw(torch.Generator().manual_seed(0))
    optimiser = AdamSteps(list(task.network.parameters()))
    values = []
    for _ in range(12):
        loss = task.losses_of(views, torch.Generator().manual_seed(1))["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step(3e-3)
        values.append(loss.item())
    assert all(math.isfinite(v) for v in values)
    assert values[-1] < 0.8 * values[0]


@pytest.mark.slow
def test_the_gradient_reaches_every_weight(task):
    views = task.pool.draw(torch.Generator().manual_seed(0))
    task.network.zero_grad()
    task.losses_of(views, torch.Generator().manual_seed(2))["loss"].backward()
    dead = [
        name
        for name, value in task.network.named_parameters()
        if value.grad is None or not value.grad.abs().max() > 0
    ]
    # A bias before the head's own normalisation by the cosine's length has a gradient too.
    assert dead == []


@pytest.mark.slow
def test_the_pool_is_the_same_after_a_restore():
    framing = CompactEncoder(dimensions=8, widths=(8, 8, 8)).framing
    pool = ViewPool(POPULATION, framing, SMALL, seed=7)
    generator = torch.Generator().manual_seed(3)
    first = pool.draw(generator)
    state, random = pool.state(), generator.get_state()
    later = [pool.draw(generator) for _ in range(2)]
    again = ViewPool(POPULATION, framing, SMALL, seed=7)
    again.restore(state)
    generator.set_state(random)
    repeated = [again.draw(generator) for _ in range(2)]
    for one, two in zip(later, repeated, strict=True):
        assert one.name == two.name
        assert torch.equal(one.queries, two.queries)
        assert torch.equal(one.points, two.points)
    other = ViewPool(POPULATION, framing, SMALL, seed=8)
    drawn = other.draw(torch.Generator().manual_seed(3))
    assert not torch.equal(drawn.query_poses.matrix(), first.query_poses.matrix())
