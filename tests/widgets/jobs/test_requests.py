"""What widgets ask of the library: the choices, the similarity. No viewer is needed."""

import numpy as np
import pytest
import torch

from napari_xreg.geometry import CArmPose
from napari_xreg.images import Radiograph
from napari_xreg.metrics import ncc
from napari_xreg.registration import COARSE_TO_FINE, AdamSettings, at_pixels
from napari_xreg.session import PreviewRequest, Session
from napari_xreg.widgets.pose.similarity_reading import (
    GradientNcc,
    SmallRadiographs,
    ncc_of,
    read_at_centres,
)
from napari_xreg.widgets.refine.choices import RefineChoices, pixels_of

TURN = {"primary_deg": 84.0, "secondary_deg": 5.0}


@pytest.fixture
def session(patient, radiograph, make_radiograph):
    made = Session()
    made.patient.set_volume(patient.volume)
    made.exposures.add(radiograph, name="frontal")
    made.exposures.add(make_radiograph(48, **TURN), name="lateral")
    return made


def half_painted(session, name):
    """The left half may not be used."""
    rows, columns = session.exposures.named(name).radiograph.carm.detector.shape
    painted = torch.ones(rows, columns, dtype=torch.bool)
    painted[:, : columns // 2] = False
    session.exposures.set_painted(session.exposures.named(name).id, painted)
    return painted


# ---------------------------------------------------------------------- choices


def test_scales_are_the_levels_of_the_library():
    sizes = [level.pixels for level in COARSE_TO_FINE]
    assert sizes == sorted(sizes)
    assert [level.pixels for level in RefineChoices().settings().levels] == sizes
    (finest,) = RefineChoices(scales="finest only").settings().levels
    assert finest.pixels == sizes[-1]
    assert finest.voxel_mm is None


def test_own_scales_end_with_the_whole_ct():
    levels = RefineChoices(scales="custom", pixels=(40, 90), iterations=7).settings().levels
    assert [level.pixels for level in levels] == [40, 90]
    assert [level.iterations for level in levels] == [7, 7]
    assert levels[0].voxel_mm is not None
    assert levels[1].voxel_mm is None
    assert pixels_of(" 40,90;120 ") == (40, 90, 120)


@pytest.mark.parametrize(
    ("metric", "names"),
    [("gradient", ["gradient_rows", "gradient_columns"]), ("intensity", ["intensity"])],
)
def test_the_metric_is_that_of_its_name(metric, names):
    for level in RefineChoices(metric=metric).settings().levels:
        assert [channel.name for channel in level.channels.compared] == names
        assert sum(channel.weight for channel in level.channels.compared) == 1


def test_adam_has_its_own_settings():
    settings = RefineChoices("adam", "NCC", "finest only", iterations=33).settings()
    assert isinstance(settings, AdamSettings)
    assert (settings.pixels, settings.iterations) == ((128,), 33)
    assert settings.similarity.__name__ == "ncc"


# ---------------------------------------------------------------------- the similarity


def preview_of(session, name):
    exposure = session.exposures.named(name)
    carm = exposure.radiograph.carm
    return PreviewRequest(session.patient.volume, carm, exposure.world_from_camera).answer()


def test_what_was_painted_does_not_count_for_the_similarity(session, radiograph):
    truth = CArmPose(7.0, -4.0, 2.0, (6.0, -9.0, 14.0), tuple(session.patient.isocenter.tolist()))
    session.poses.rig_locked = False
    session.poses.set(
        radiograph.carm.pose_from(truth), "truth", exposure=session.exposures.named("frontal").id
    )
    spoiled = radiograph.line_integrals.clone()
    spoiled[:, : spoiled.shape[1] // 2] = torch.rand(spoiled[:, : spoiled.shape[1] // 2].shape)
    old = session.exposures.named("frontal").radiograph
    session.exposures.replace_image(
        session.exposures.named("frontal").id, Radiograph(spoiled, old.carm, simulated=True)
    )
    preview, small = preview_of(session, "frontal"), SmallRadiographs()
    before = ncc_of(session.exposures.named("frontal").masked, preview, small)
    assert GradientNcc(session.exposures.named("frontal").masked, preview, small).answer() < 0.9
    half_painted(session, "frontal")
    # The very same memory of shrunken radiographs: it must notice that this is another.
    after = ncc_of(session.exposures.named("frontal").masked, preview, small)
    assert before < 0.9
    assert after > 0.999
    assert GradientNcc(session.exposures.named("frontal").masked, preview, small).answer() > 0.9


def test_ncc_of_a_picture_of_more_pixels_is_that_of_the_averaged_one(patient, make_radiograph):
    """The centres of 128 pixels of 300: no shift of half a pixel, which would cost 0.003."""
    fine = make_radiograph(300)
    carm = fine.carm
    start = carm.world_from_camera(9.0, -4.0, 2.0, isocenter=patient.volume.center.double())
    preview = PreviewRequest(patient.volume, carm, start).answer()
    small = at_pixels(Radiograph(torch.from_numpy(preview.image), carm), 128)
    by_hand = float(ncc(at_pixels(fine, 128).line_integrals, small.line_integrals))
    assert ncc_of(fine, preview, SmallRadiographs()) == pytest.approx(by_hand, abs=1e-3)
    ramp = np.add.outer(2.0 * np.arange(9), 0.5 * np.arange(14)).astype(np.float32)
    # Of 9 rows the middles of three threes; of 14 columns those of four of 3.5.
    expected = np.add.outer(2.0 * np.array([1, 4, 7]), 0.5 * np.array([1.25, 4.75, 8.25, 11.75]))
    np.testing.assert_allclose(read_at_centres(ramp, (3, 4)), expected, rtol=1e-6)
    np.testing.assert_array_equal(read_at_centres(ramp, (9, 14)), ramp)
