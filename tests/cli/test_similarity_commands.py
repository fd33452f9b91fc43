"""``train similarity`` and ``register --init similarity``, as a user asks for them."""

import json

import pytest
import torch

from napari_xreg.cli.arguments.parser import build_parser
from napari_xreg.cli.commands.train import train_request
from napari_xreg.geometry import Pose
from napari_xreg.images import read_radiograph
from napari_xreg.progress import run
from napari_xreg.similarity import (
    Comparison,
    SimilarityNetwork,
    SimilarityRecipe,
    descend,
    load_similarity,
)
from napari_xreg.training import FixedCamera, save_network


@pytest.fixture
def weights(tmp_path):
    torch.manual_seed(1)
    network = SimilarityNetwork("sphere", 8, FixedCamera(1020.0, 32, 9.375), (8, 8, 16), 1, 2)
    save_network(tmp_path / "one.safetensors", network, {"trained_on": "nothing"})
    return tmp_path / "one.safetensors"


@pytest.mark.slow
def test_a_registration_descends_from_the_pose_that_is_given(case, weights, call, tmp_path):
    done = call(
        "register", case.ct, case.xray, "--init", "similarity", "--weights", weights, "--primary", 12,
        "--secondary", -3, "--multi-start", 1, "--film", "none", "--out", tmp_path / "out", "--json",
    )  # fmt: skip
    answer = json.loads(done.out)
    init = answer["init"]
    assert init["method"] == "similarity"
    assert init["weights"]["trained_on"] == "nothing"
    assert 0 < init["distance_rad"] <= init["began_rad"]
    assert answer["start_origin"].startswith("a learned similarity, from ")
    radiograph = read_radiograph(case.xray)
    center = case.volume.center.double()
    x, y, z = center.tolist()
    start = radiograph.carm.world_from_camera(12.0, -3.0, 0.0, isocenter=(x, y, z))
    seen = Comparison(load_similarity(weights)[0], case.volume, radiograph, center)
    assert init["began_rad"] == pytest.approx(seen.distance(start), rel=1e-3)
    found = run(descend(seen, start))
    assert init["distance_rad"] == pytest.approx(found.distance, rel=0.05)
    assert isinstance(found.world_from_camera, Pose)


def test_weights_have_to_be_given(case, call, tmp_path):
    done = call("register", case.ct, case.xray, "--init", "similarity", "--out", tmp_path / "out")
    assert done.code == 2
    assert (
        "--init similarity needs --weights: train a network first (napari-xreg train similarity)"
        in done.err
    )


def test_a_training_asks_for_the_recipe(case, tmp_path):
    arguments = build_parser().parse_args(
        [
            "train",
            "similarity",
            str(case.ct),
            "--out",
            str(tmp_path / "w.safetensors"),
            "--minutes",
            "3",
        ]
    )
    request = train_request(arguments)
    assert isinstance(request.recipe, SimilarityRecipe)
    assert request.settings.by_time == 180.0
    arguments.similarity = 1.0
    with pytest.raises(ValueError, match="belongs to train pose: got train similarity"):
        train_request(arguments)
