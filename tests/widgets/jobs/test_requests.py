"""What widgets ask of the library: the choices, the radiographs, the masks. No viewer is needed."""

import math

import pytest
import torch

from napari_xreg.geometry import CArmPose, Pose
from napari_xreg.images import Radiograph
from napari_xreg.registration import COARSE_TO_FINE, AdamSettings
from napari_xreg.session import PreviewRequest, Session
from napari_xreg.widgets.pose.similarity_reading import SimilarityRequest, SmallRadiographs
from napari_xreg.widgets.refine.choices import ADAM, CHANNELS, RefineChoices, pixels_of
from napari_xreg.widgets.refine.run import request_of, rig_poses

TURN = {"primary_deg": 84.0, "secondary_deg": 5.0}


@pytest.fixture
def session(patient, radiograph, make_radiograph):
    made = Session()
    made.set_volume(patient.volume)
    made.add_radiograph(radiograph, name="frontal")
    made.add_radiograph(make_radiograph(48, **TURN), name="lateral")
    return made


def half_painted(session, name):
    """The left half may not be used."""
    rows, columns = session.exposure(name).radiograph.carm.detector.shape
    painted = torch.ones(rows, columns, dtype=torch.bool)
    painted[:, : columns // 2] = False
    session.set_painted(name, painted)
    return painted


# ---------------------------------------------------------------------- choices


def test_scales_are_the_levels_of_the_library():
    sizes = [level.pixels for level in COARSE_TO_FINE]
    assert sizes == sorted(sizes)
    assert [level.pixels for level in RefineChoices().levels()] == sizes
    (finest,) = RefineChoices(scales="finest only").levels()
    assert finest.pixels == sizes[-1]
    assert finest.voxel_mm is None


def test_own_scales_end_with_the_whole_ct():
    levels = RefineChoices(scales="own", pixels=(40, 90), iterations=7).levels()
    assert [level.pixels for level in levels] == [40, 90]
    assert [level.iterations for level in levels] == [7, 7]
    assert levels[0].voxel_mm is not None
    assert levels[1].voxel_mm is None
    assert pixels_of(" 40,90;120 ") == (40, 90, 120)


@pytest.mark.parametrize(("metric", "weights"), [("edges only", (0, 1)), ("image only", (1, 0))])
def test_the_metric_is_that_of_its_name(metric, weights):
    for level in RefineChoices(metric=metric).levels():
        assert (level.channels.intensity, level.channels.gradient) == weights
    assert set(CHANNELS) >= {metric}


def test_adam_has_its_own_settings():
    settings = RefineChoices(ADAM, "NCC", "finest only", iterations=33).settings()
    assert isinstance(settings, AdamSettings)
    assert (settings.pixels, settings.iterations) == ((128,), 33)
    assert settings.similarity.__name__ == "ncc"


# ---------------------------------------------------------------------- a refinement


def asked(session, **more):
    return request_of(session, RefineChoices().settings(), {}, **more)


def names(session, request):
    return [session.named(id) for id in request.ids]


def test_the_active_radiograph_comes_first_and_the_unticked_is_left_out(session):
    assert names(session, asked(session)) == ["lateral", "frontal"]
    session.set_active("frontal")
    request = asked(session)
    assert names(session, request) == ["frontal", "lateral"]
    assert [view.world_from_camera for view in request.views] == [
        session.exposure(name).world_from_camera for name in ("frontal", "lateral")
    ]
    session.set_used("frontal", False)
    assert names(session, asked(session)) == ["lateral"]
    session.set_used("lateral", False)
    with pytest.raises(ValueError, match="no radiograph is ticked"):
        asked(session)


def test_what_was_painted_is_left_out_if_it_is_asked_for(session):
    painted = half_painted(session, "lateral")
    masked, bare = (asked(session, use_painted=use).views[0].radiograph for use in (True, False))
    assert torch.equal(masked.usable, painted)
    assert bool(bare.usable.all())


def test_the_rig_of_an_iterate_by_hand():
    # Cameras at (10, 0, 0) and (10, 20, 0). The first goes to the origin and a quarter turn about z,
    # which takes the way between them, +20 y, to -20 x.
    eye = torch.eye(3, dtype=torch.float64)
    rig = [Pose(eye, torch.tensor(p, dtype=torch.float64)) for p in ((10.0, 0, 0), (10.0, 20, 0))]
    first = Pose.exp(torch.tensor([0, 0, math.pi / 2, 0, 0, 0], dtype=torch.float64))
    poses = rig_poses(("a", "b"), rig, first)
    assert poses["a"].translation.tolist() == pytest.approx([0, 0, 0], abs=1e-9)
    assert poses["b"].translation.tolist() == pytest.approx([-20, 0, 0], abs=1e-9)
    assert poses["b"].rotation[:, 0].tolist() == pytest.approx([0, 1, 0], abs=1e-9)


# ---------------------------------------------------------------------- the similarity


def preview_of(session, name):
    exposure = session.exposure(name)
    carm = exposure.radiograph.carm
    return PreviewRequest(session.volume, carm, exposure.world_from_camera).answer()


def test_what_was_painted_does_not_count_for_the_similarity(session, radiograph):
    truth = CArmPose(7.0, -4.0, 2.0, (6.0, -9.0, 14.0), tuple(session.isocenter.tolist()))
    session.rig_locked = False
    session.set_pose(radiograph.carm.pose_from(truth), "truth", name="frontal")
    spoiled = radiograph.line_integrals.clone()
    spoiled[:, : spoiled.shape[1] // 2] = torch.rand(spoiled[:, : spoiled.shape[1] // 2].shape)
    old = session.exposure("frontal").radiograph
    session.replace_radiograph("frontal", Radiograph(spoiled, old.carm, simulated=True))
    preview, small = preview_of(session, "frontal"), SmallRadiographs()
    before = SimilarityRequest(session.exposure("frontal").masked, preview, small).answer()
    half_painted(session, "frontal")
    # The very same memory of shrunken radiographs: it must notice that this is another.
    after = SimilarityRequest(session.exposure("frontal").masked, preview, small).answer()
    assert before.ncc < 0.9
    assert after.ncc > 0.999
    assert after.shape == (96, 108)
