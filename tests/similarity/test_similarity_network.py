"""The encoder: small enough, its columns and second derivatives against differences, its file."""

import pytest
import torch

from napari_xreg.geometry import CArm, Detector
from napari_xreg.similarity import (
    SPACES,
    SimilarityNetwork,
    around,
    load_similarity,
    squared_distance,
)
from napari_xreg.training import CheckpointError, FixedCamera, save_network

CAMERA = FixedCamera(1020.0, 16, 300 / 16)
ARM = CAMERA.carm(CArm(1020.0, 700.0, Detector((40, 32), (7.0, 8.0))))


def small(space="sphere", seed=0):
    torch.manual_seed(seed)
    return SimilarityNetwork(space, 8, CAMERA, (8, 8, 16), 1, 2).double().eval()


def images(count, seed=3):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 16, 16, generator=generator, dtype=torch.float64)


def test_the_usual_network_has_less_than_two_million_numbers():
    assert sum(p.numel() for p in SimilarityNetwork().parameters()) < 2_000_000


@pytest.mark.parametrize("space", SPACES)
def test_around_a_rendering_lies_its_derivative(space):
    network, slopes = small(space), images(6, 8) - 0.5
    image = images(1)[0].requires_grad_()
    fixed = network.of_rendering(images(1, 5), ARM)[0].detach()
    with torch.no_grad():
        points = network.of_rendering(around(image, slopes), ARM)
        found = squared_distance(fixed, points, space)
    growth = (found[:6] - found[6:]) / 0.02
    squared = squared_distance(fixed, network.of_rendering(image[None], ARM)[0], space)
    (by_image,) = torch.autograd.grad(squared, image)
    expected = (by_image * slopes).sum((1, 2))
    # Of the third order, over a step of a hundredth.
    torch.testing.assert_close(growth, expected, atol=1e-3 * float(expected.abs().max()), rtol=5e-3)


@pytest.mark.parametrize("space", SPACES)
def test_the_slope_of_a_slope_by_the_weights_agrees_with_differences(space):
    """What a training that matches derivatives needs: d/dw of d(distance)/d(pose), both ways of taking the first."""
    network, slopes = small(space), images(1, 8) - 0.5
    picture = images(1)[0].requires_grad_()
    fixed = network.of_rendering(images(1, 5), ARM)[0].detach()

    def by_steps():
        points = network.of_rendering(around(picture.detach(), slopes), ARM)
        ends = squared_distance(fixed, points, space)
        return (ends[0] - ends[1]) / 0.02

    def exactly():
        squared = squared_distance(fixed, network.of_rendering(picture[None], ARM)[0], space)
        (by_image,) = torch.autograd.grad(squared, picture, create_graph=True)
        return (by_image * slopes[0]).sum()

    for growth in (by_steps, exactly):
        network.zero_grad()
        growth().backward()
        places = (
            (network.whole[5].weight, (2, 7)),
            (network.body[0].weight, (1, 0, 2, 1)),
            (network.places, (3, 5)),
        )
        for tensor, at in places:
            given, ends = float(tensor.grad[at]), []
            with torch.no_grad():
                tensor[at] += 1e-5
            ends.append(float(growth().detach()))
            with torch.no_grad():
                tensor[at] -= 2e-5
            ends.append(float(growth().detach()))
            with torch.no_grad():
                tensor[at] += 1e-5
            assert given == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-4, abs=1e-9)
            assert given != 0


def test_a_network_comes_back_from_its_file(tmp_path):
    network = small("hyperbolic").float()
    with torch.no_grad():
        network.log_scale.fill_(0.7)
    save_network(tmp_path / "one.safetensors", network, {"words": "one"})
    again, about = load_similarity(tmp_path / "one.safetensors")
    picture = images(2).float()
    torch.testing.assert_close(again.of_rendering(picture, ARM), network.of_rendering(picture, ARM))
    assert float(again.scale.detach()) == pytest.approx(2.0138, abs=1e-4)
    assert about["words"] == "one"
    torch.save({"weight": torch.zeros(2)}, tmp_path / "two.pth")
    with pytest.raises(CheckpointError, match="no file of a learned similarity has been published"):
        load_similarity(tmp_path / "two.pth")


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="multiple of 8"):
        SimilarityNetwork(framing=FixedCamera(1020.0, 20, 15.0))


def test_a_space_that_there_is_not_is_refused(tmp_path):
    network = small().float()
    network.space = "sphre"
    save_network(tmp_path / "one.safetensors", network, {})
    with pytest.raises(
        CheckpointError, match="a space is sphere, euclidean, hyperbolic: got 'sphre'"
    ):
        load_similarity(tmp_path / "one.safetensors")
