"""Down a similarity whose lowest place is known, and what it says of a radiograph through another camera."""

import math

import pytest
import torch

from napari_xreg.geometry import CArm, Detector
from napari_xreg.images import Radiograph
from napari_xreg.progress import Control, run
from napari_xreg.registration import View
from napari_xreg.rendering import render_drr
from napari_xreg.similarity import (
    Comparison,
    SimilarityNetwork,
    damped_step,
    descend,
    learned_loss,
    prepared_for,
)
from napari_xreg.similarity.pose_distance import unit_step
from napari_xreg.simulation import phantom
from napari_xreg.training import FixedCamera

ARM = CArm(1020.0, 700.0, Detector((40, 32), (7.0, 8.0), (18.0, 15.5)))
ISOCENTER = torch.tensor([12.0, -40.0, 95.0], dtype=torch.float64)
TRUTH = ARM.world_from_camera(20.0, -15.0, 4.0, isocenter=ISOCENTER)


class Bowl(Comparison):
    """Residuals are the twist that leads home, but for a bend that no linear model knows."""

    isocenter = ISOCENTER

    def __init__(self):
        """It needs no network."""

    def residual(self, pose):
        motion = pose @ TRUTH.inverse()
        moved = (motion.rotation @ ISOCENTER) + motion.translation - ISOCENTER
        twist = torch.cat([type(pose)(motion.rotation, moved).log()]) / unit_step(moved)
        return twist + 0.3 * twist.square()

    def linearised(self, pose):
        columns = []
        for k in range(6):
            step = torch.zeros(6, dtype=torch.float64)
            step[k] = 1e-6
            ends = [
                self.residual(pose.left_perturb(sign * step * unit_step(step), ISOCENTER))
                for sign in (1, -1)
            ]
            columns.append((ends[0] - ends[1]) / 2e-6)
        return self.residual(pose), torch.stack(columns, 1)


def start():
    twist = torch.tensor([0.3, -0.2, 0.25, 60.0, -30.0, 90.0], dtype=torch.float64)
    return TRUTH.left_perturb(twist, ISOCENTER)


def test_a_descent_ends_at_the_lowest_place():
    events = []
    found = run(descend(Bowl(), start()), events.append)
    left = found.world_from_camera.inverse() @ TRUTH
    assert float(left.log()[:3].norm()) < 1e-4
    assert float(left.translation.norm()) < 0.1
    assert found.distance < 1e-3
    distances = [event.distance for event in events]
    assert distances == sorted(distances, reverse=True)
    assert found.iterations < 20


def test_a_descent_that_is_cancelled_stays_where_it_was():
    control = Control()
    control.cancel()
    found = run(descend(Bowl(), start(), control=control))
    torch.testing.assert_close(found.world_from_camera.translation, start().translation)
    assert found.iterations == 0


def test_a_step_by_hand_and_no_longer_than_a_step_may_be():
    columns = torch.eye(6).double()[:, :6] * torch.tensor([2.0, 1, 1, 1, 1, 1]).double()
    residual = torch.tensor([0.1, 0, 0, 0, 0, 0.2]).double()
    # Normal equations 4 x = -0.2 and x = -0.2, without damping.
    step = damped_step(residual, columns, 0.0)
    torch.testing.assert_close(step, torch.tensor([-0.05, 0, 0, 0, 0, -0.2]).double())
    # Twice the diagonal and a little: half of it.
    step = damped_step(residual, columns, 1.0)
    torch.testing.assert_close(
        step, torch.tensor([-0.025, 0, 0, 0, 0, -0.1]).double(), rtol=1e-3, atol=0
    )
    assert float(damped_step(100 * residual, columns, 0.0).norm()) == pytest.approx(0.35)


def test_a_step_is_differentiable():
    generator = torch.Generator().manual_seed(2)
    columns = torch.randn(9, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    residual = (0.01 * torch.randn(9, generator=generator, dtype=torch.float64)).requires_grad_()
    assert torch.autograd.gradcheck(lambda r, c: damped_step(r, c, 0.1), (residual, columns))


@pytest.fixture(scope="module")
def volume():
    return phantom(spacing_mm=8.0, seed=3).volume.to(dtype=torch.float32)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(1)
    made = SimilarityNetwork("sphere", 8, FixedCamera(1020.0, 32, 300 / 32), (8, 8, 16), 1, 2)
    with torch.no_grad():
        made.log_scale.fill_(math.log(3.0))
    return made.eval()


def radiograph_at(volume, pose):
    arm = FixedCamera(1020.0, 64, 300 / 64).carm(ARM)
    return Radiograph(render_drr(volume, arm, pose), arm, simulated=True)


def test_a_rendering_is_nearest_to_where_it_was_made(volume, network):
    center = volume.center.double()
    truth = ARM.world_from_camera(20.0, -15.0, 4.0, isocenter=center)
    image = radiograph_at(volume, truth)
    seen = Comparison(network, volume, image, center, threads=1)
    home = seen.distance(truth)
    for twist in ([0.2, 0, 0, 0, 0, 0], [0, 0.15, 0.1, 0, 0, 0], [0, 0, 0, 40.0, 0, -30.0]):
        away = truth.left_perturb(torch.tensor(twist, dtype=torch.float64), center)
        assert seen.distance(away) > 2 * home
    # As the landscape draws it, of two radiographs the mean.
    loss = learned_loss(network)(volume, (View(image, truth), View(image, truth)), center, 1)
    mean, terms = loss((truth, away))
    assert mean == pytest.approx((home + seen.distance(away)) / 2)
    assert terms["distance[2]"] == pytest.approx(seen.distance(away))


class Averages(SimilarityNetwork):
    """Sees the image itself, in 4 x 4 fields: a network that is linear."""

    def inputs(self, images, masks, carm):
        return torch.where(masks, images, 0.0)[:, None].expand(-1, 5, -1, -1)

    def forward(self, inputs):
        return torch.nn.functional.avg_pool2d(inputs[:, :1], 8).flatten(1)


def test_the_residual_is_as_long_as_the_distance_and_moves_as_its_columns_say(volume):
    network = Averages("euclidean", 16, FixedCamera(1020.0, 32, 300 / 32), (8, 8, 16), 1, 2).eval()
    center = volume.center.double()
    truth = ARM.world_from_camera(20.0, -15.0, 4.0, isocenter=center)
    prepared = prepared_for(volume)
    seen = Comparison(network, prepared, radiograph_at(volume, truth), center, threads=1)
    twist = torch.tensor([0.1, 0.05, -0.2, 20.0, 10.0, -30.0], dtype=torch.float64)
    pose = truth.left_perturb(twist, center)
    residual, columns = seen.linearised(pose)
    assert float(residual.norm()) == pytest.approx(seen.distance(pose), rel=1e-4)
    for k in range(6):
        step = torch.zeros(6, dtype=torch.float64)
        step[k] = 1e-2
        ends = [
            seen.residual(pose.left_perturb(sign * step * unit_step(step), center)).double()
            for sign in (1, -1)
        ]
        difference = (ends[0] - ends[1]) / 2e-2
        # Over a third of the way: renderings through voxels of 8 mm are not straight.
        assert float((difference - columns[:, k]).norm()) < 0.2 * float(difference.norm()), k
        assert float(columns[:, k].norm()) > 0.02 * float(columns.norm()), k


class OnDevice(torch.Tensor):
    """A tensor of another device: nothing can be done with it but to bring it here."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        assert func is torch.Tensor.cpu
        with torch._C.DisableTorchFunctionSubclass():
            return args[0].as_subclass(torch.Tensor)


class Elsewhere(SimilarityNetwork):
    """On a device that there is not."""

    @property
    def scale(self):
        return torch.tensor(2.0).as_subclass(OnDevice)

    def forward(self, inputs):
        assert inputs.device.type == "meta"
        return torch.tensor([[0.6, 0.8]]).repeat(len(inputs), 1).as_subclass(OnDevice)


def test_a_network_on_another_device_is_sent_what_it_sees_and_its_points_are_fetched(volume):
    network = Elsewhere("euclidean", 2, FixedCamera(1020.0, 32, 300 / 32), (8, 8, 16), 1, 2)
    network.eval().to("meta")
    center = volume.center.double()
    pose = ARM.world_from_camera(20.0, -15.0, 4.0, isocenter=center)
    seen = Comparison(network, volume, radiograph_at(volume, pose), center, threads=1)
    assert seen.fixed.tolist() == pytest.approx([0.6, 0.8])
    assert seen.distance(pose) == pytest.approx(0.0, abs=1e-3)
    residual, columns = seen.linearised(pose)
    assert (residual.device.type, columns.device.type) == ("cpu", "cpu")


def test_a_descent_ends_where_the_ct_is_out_of_view(volume, network):
    center = volume.center.double()
    truth = ARM.world_from_camera(20.0, -15.0, 4.0, isocenter=center)
    seen = Comparison(network, volume, radiograph_at(volume, truth), center, threads=1)
    away = truth.left_perturb(torch.tensor([0, 0, 0, 5000.0, 0, 0]).double(), center)
    found = run(descend(seen, away))
    assert found.iterations == 0
    assert torch.equal(found.world_from_camera.translation, away.translation)


def test_it_says_how_much_of_its_picture_the_radiograph_covers(volume, network):
    center = volume.center.double()
    pose = ARM.world_from_camera(20.0, -15.0, 4.0, isocenter=center)
    assert Comparison(network, volume, radiograph_at(volume, pose), center).seen_share == 1.0
    # 150 of 300 mm along rows, 75 along columns, both in the middle.
    arm = CArm(1020.0, 700.0, Detector((8, 16), (9.375, 9.375)))
    small = Radiograph(render_drr(volume, arm, pose), arm, simulated=True)
    assert Comparison(network, volume, small, center).seen_share == 0.125


def test_a_radiograph_past_which_the_camera_looks_is_refused(volume, network):
    away = CArm(1020.0, 750.0, Detector((8, 8), (1.0, 1.0), (900.0, 3.5)))
    with pytest.raises(ValueError, match="does not show what the network looks at"):
        Comparison(network, volume, Radiograph(torch.zeros(8, 8), away), ISOCENTER)
