"""A pose from landmarks is kept in a session like any other result, and survives its file."""

import torch
from pnp_cases import PIVOT, carm, points, pose
from session_parts import make_radiograph

from napari_xreg.registration import Correspondences, Status, solve_pnp
from napari_xreg.session import Session
from napari_xreg.session.files.session_json import result_from_json, result_to_json


def test_round_trip():
    view = carm()
    world = points(3, 9)
    noise = torch.randn(9, 2, generator=torch.Generator().manual_seed(3)).double()
    pixels = view.project(world, pose(3, view)) + noise
    registration = solve_pnp(Correspondences(world, pixels), view, pivot=PIVOT).registration()
    session = Session()
    shot = session.exposures.add(make_radiograph())
    added = session.results.add(registration, [shot], {"kind": "pnp"}, name="landmarks")
    assert session.results[added].name == "landmarks 1"
    again = result_from_json(result_to_json(session.results[added])).registration
    assert again.status is Status.CONVERGED
    assert again.losses == dict(registration.losses)
    assert registration.covariance is not None
    assert again.covariance is not None
    assert torch.equal(again.covariance, registration.covariance)
    assert torch.allclose(again.world_from_camera.matrix(), registration.world_from_camera.matrix())
