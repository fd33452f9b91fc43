"""Preparing RayEmb with real weights: templates, cache, and when it holds no longer."""

from pathlib import Path

import numpy as np
import pytest
import torch
from qtpy.QtCore import Qt

from napari_xreg.geometry import CArmPose
from napari_xreg.rayemb import TemplateSettings, shipped_encoder
from napari_xreg.session import Weights, WeightsFile
from napari_xreg.training import save_network
from napari_xreg.widgets.rayemb import (
    prepare as rayemb_prepare,
    requests as rayemb_requests,
    widget as rayemb_widget,
)
from napari_xreg.widgets.rayemb.prepare import tidy
from napari_xreg.widgets.rayemb.requests import (
    HeatmapRequest,
    PrepareRequest,
    ScoreRequest,
    embedding_colours,
    millimetres,
)
from napari_xreg.widgets.rayemb.widget import RayEmbWidget

LEFT = Qt.MouseButton.LeftButton
LONG = 120_000
TEMPLATES = 8


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where templates are kept."""
    monkeypatch.setattr(rayemb_widget, "template_folder", lambda: tmp_path / "templates")
    return tmp_path / "templates"


@pytest.fixture
def widget(bench, viewer, folder, qtbot):
    made = RayEmbWidget(viewer)
    viewer.window.add_dock_widget(made, name="RayEmb", area="right")
    made.network.count.setValue(TEMPLATES)
    return made


def prepared(widget, qtbot):
    state = widget.workbench.session.ray_points
    qtbot.waitUntil(lambda: state.prepared is not None, timeout=LONG)
    return state.prepared


def test_prepare_once_and_then_from_the_disk(widget, bench, folder, qtbot, monkeypatch):
    group = widget.network
    assert "simulated pelves" in group.words.words
    assert group.cancel.isHidden()
    qtbot.mouseClick(group.prepare, LEFT)
    assert not group.prepare.isEnabled()
    first = prepared(widget, qtbot)
    assert len(first.templates) == TEMPLATES
    assert f"Ready: {TEMPLATES} templates, compact-pelvis, on frontal" in group.status.words
    assert len(list(folder.glob("templates-*.safetensors"))) == 1
    widget.look_at(bench.session.landmarks[0].position)
    qtbot.waitUntil(lambda: widget.look.heatmap is not None, timeout=LONG)
    answer = widget.look.heatmap
    assert answer.similarity.min() >= 0
    assert answer.similarity.max() <= 1.0001
    assert answer.probability.sum() == pytest.approx(1.0, abs=1e-3)

    # Nothing is rendered again, also not by another widget after this one.
    bench.session.ray_points.set_prepared(None)
    monkeypatch.setattr("napari_xreg.rayemb.templates.render_drr", None)
    qtbot.mouseClick(group.prepare, LEFT)
    again = prepared(widget, qtbot)
    assert again is not first
    assert torch.equal(again.templates.embeddings, first.templates.embeddings)


def test_another_radiograph_and_a_painted_mask_are_embedded_by_themselves(
    widget, bench, make_radiograph, qtbot
):
    session = bench.session
    qtbot.mouseClick(widget.network.prepare, LEFT)
    first = prepared(widget, qtbot)
    session.add_radiograph(make_radiograph(96, primary_deg=-11.0), name="second")
    assert session.ray_points.prepared is None
    second = prepared(widget, qtbot)
    assert second.templates is first.templates
    assert second.exposure.name == "second"
    assert not torch.equal(second.embedded.embedding, first.embedded.embedding)

    painted = torch.ones(session.active.radiograph.carm.detector.shape, dtype=torch.bool)
    painted[:, :50] = False
    session.set_painted("second", painted)
    masked = prepared(widget, qtbot)
    columns = masked.embedded.usable.shape[1]
    assert not masked.embedded.usable[:, : columns // 3].any()

    session.set_active("frontal")
    back = prepared(widget, qtbot)
    assert back.exposure.name == "frontal"
    session.move(session.pose)  # a pose is no reason
    assert session.ray_points.prepared is back

    # Another scale needs other templates: not without being asked.
    session.add_radiograph(make_radiograph(48, primary_deg=5.0), name="small")
    small = session.active.radiograph
    assert small.carm.detector.size_mm[0] == pytest.approx(330.0)
    small_again = prepared(widget, qtbot)  # the same area: the same scale after all
    assert small_again.templates is first.templates


def test_cancelling_leaves_nothing_half_made(widget, bench, folder, qtbot):
    widget.network.count.setValue(400)
    qtbot.mouseClick(widget.network.prepare, LEFT)
    qtbot.waitUntil(lambda: "of 400" in widget.network.status.words, timeout=LONG)
    qtbot.mouseClick(widget.network.cancel, LEFT)
    qtbot.waitUntil(lambda: not widget.preparation.running, timeout=LONG)
    assert bench.session.ray_points.prepared is None
    assert widget.network.status.words == "Cancelled."
    assert not list(folder.glob("*")) if folder.exists() else True
    assert widget.network.prepare.isEnabled()


def test_a_ct_that_changes_meanwhile_drops_what_is_being_made(widget, bench, patient, qtbot):
    widget.network.count.setValue(100)
    qtbot.mouseClick(widget.network.prepare, LEFT)
    qtbot.waitUntil(lambda: "of 100" in widget.network.status.words, timeout=LONG)
    bench.session.set_volume(patient.volume.downsample(2))
    assert not widget.preparation.running
    qtbot.wait(200)
    assert bench.session.ray_points.prepared is None
    assert "Not prepared" in widget.network.status.words


def test_other_weights_and_other_templates_are_another_preparation(
    widget, bench, tmp_path, qtbot, notified
):
    session, group = bench.session, widget.network
    qtbot.mouseClick(group.prepare, LEFT)
    prepared(widget, qtbot)
    group.layout_of.setCurrentText("grid")
    assert session.ray_points.prepared is None
    assert group.settings == TemplateSettings(layout="grid", count=9)
    group.layout_of.setCurrentText("random")

    # Trained in this session: the Train widget says "use these".
    encoder, _ = shipped_encoder()
    file = tmp_path / "mine.safetensors"
    save_network(file, encoder, {})
    session.want(Weights("rayemb", file, "localises to 4 mm"))
    assert group.weights == WeightsFile(file)
    assert group.words.words == "localises to 4 mm"
    qtbot.mouseClick(group.prepare, LEFT)
    assert prepared(widget, qtbot).weights == WeightsFile(file)
    session.want(Weights("landmarks", tmp_path / "other.safetensors"))
    assert group.weights == WeightsFile(file)

    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(b"nothing of the kind")
    group.use(broken)
    assert session.ray_points.prepared is None
    qtbot.mouseClick(group.prepare, LEFT)
    qtbot.waitUntil(lambda: bool(notified), timeout=LONG)
    assert "Preparing RayEmb failed" in notified[-1]
    assert "broken.safetensors" in notified[-1]
    assert group.status.words == "Failed."
    assert group.which.itemText(group.which.count() - 1) == "Open file…"


# ---------------------------------------------------------------------- without a viewer


@pytest.fixture(scope="module")
def ready(patient, radiograph):
    """Prepared with real weights, by a script."""
    from napari_xreg.progress import run
    from napari_xreg.session import Session

    session = Session()
    session.set_volume(patient.volume)
    session.add_radiograph(radiograph, name="frontal")
    from napari_xreg.progress import Control

    request = PrepareRequest(
        WeightsFile(), TemplateSettings(count=TEMPLATES), patient.volume, patient.labels, None,
        session.active,
    )  # fmt: skip
    return run(request.events(Control()))


def test_templates_stand_where_the_weights_learned(ready, tmp_path):
    from napari_xreg.progress import Control, run

    file = tmp_path / "lateral.safetensors"
    request = {"primary_deg": [60.0, 100.0], "secondary_deg": [-5.0, 5.0]}
    save_network(file, shipped_encoder()[0], {"request": request})
    asked = PrepareRequest(
        WeightsFile(file), TemplateSettings(count=4), ready.volume, None, None, ready.exposure
    )
    lateral = run(asked.events(Control()))
    assert (ready.templates.poses.rotation[:, 0, 2] < 0.8).all()
    assert (lateral.templates.poses.rotation[:, 0, 2] > 0.8).all()


def test_a_heatmap_takes_one_thread_and_gives_the_others_back(ready, patient, monkeypatch):
    seen = []
    look = rayemb_requests.point_heatmaps

    def watched(*arguments, **options):
        seen.append(torch.get_num_threads())
        return look(*arguments, **options)

    monkeypatch.setattr(rayemb_requests, "point_heatmaps", watched)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        HeatmapRequest(ready, next(iter(patient.landmarks.values()))).answer()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert seen == [1]


def test_the_list_and_the_single_point_agree_on_the_peak(ready, patient):
    points = torch.tensor(list(patient.landmarks.values()), dtype=torch.float64)
    _, found = ScoreRequest(ready, points).answer()
    assert sorted(found.index.tolist()) == list(range(len(points)))
    # One point in a list of one draws the same templates as the single point does.
    _, alone = ScoreRequest(ready, points[3:4]).answer()
    x, y, z = points[3].tolist()
    heatmap = HeatmapRequest(ready, (x, y, z)).answer()
    torch.testing.assert_close(alone.pixels, heatmap.found.pixels)
    torch.testing.assert_close(alone.covariances, heatmap.found.covariances)
    torch.testing.assert_close(alone.in_image, heatmap.found.in_image)


def test_the_templates_named_are_those_that_were_used(ready, patient):
    from napari_xreg.rayemb import similarity, subspace_basis

    x, y, z = next(iter(patient.landmarks.values()))
    heatmap = HeatmapRequest(ready, (x, y, z)).answer()
    point = torch.tensor([[x, y, z]], dtype=torch.float64)
    pixels, _ = ready.templates.project(point)
    basis = subspace_basis(
        ready.templates.features(pixels, heatmap.templates[None], heatmap.seen[None])
    )
    with torch.no_grad():
        expected = similarity(ready.embedded.embedding, basis, upsampling=ready.encoder.upsampling)[
            0
        ]
    np.testing.assert_allclose(heatmap.similarity, expected.numpy(), atol=1e-5)
    torch.testing.assert_close(heatmap.template_pixels, pixels[heatmap.templates, 0])


def test_distances_are_in_mm_at_the_isocenter(radiograph):
    carm = radiograph.carm  # 750 of 1020 mm, pixels of 330 / 96 mm
    away = torch.tensor([[3.0, 0.0], [0.0, 4.0]], dtype=torch.float64)
    expected = torch.tensor([3.0, 4.0], dtype=torch.float64) * 330 / 96 * 750 / 1020
    torch.testing.assert_close(millimetres(away, carm), expected)


def test_the_embedding_s_colours_lie_as_the_radiograph_does(ready):
    from dataclasses import replace

    colours = embedding_colours(ready)
    assert colours.shape == (*ready.embedded.embedding.shape[1:], 3)
    assert colours.dtype == np.uint8
    assert colours.std(axis=(0, 1)).min() > 10
    exposure = ready.exposure
    turned = replace(
        ready,
        exposure=replace(
            exposure, radiograph=exposure.radiograph.flip_columns(), painted=None, landmarks=()
        ),
    )
    np.testing.assert_array_equal(embedding_colours(turned), colours[:, ::-1])


def test_old_templates_go_first(tmp_path):
    import os

    for number in range(4):
        file = tmp_path / f"templates-{number}.safetensors"
        file.write_bytes(b"x" * 100)
        os.utime(file, (1000 + number, 1000 + number))
    (tmp_path / "mine.txt").write_text("not ours")
    tidy(tmp_path, 250)
    assert sorted(f.name for f in tmp_path.iterdir()) == [
        "mine.txt", "templates-2.safetensors", "templates-3.safetensors",
    ]  # fmt: skip
    tidy(tmp_path / "nowhere", 250)
    assert rayemb_prepare.template_folder().name == "templates"
    assert isinstance(rayemb_prepare.template_folder(), Path)


def test_the_isocenter_or_the_middle_of_the_bone(patient, radiograph):
    from napari_xreg.progress import Control, run
    from napari_xreg.rayemb import sample_points
    from napari_xreg.session import Session

    session = Session()
    session.set_volume(patient.volume)
    session.add_radiograph(radiograph, name="frontal")
    bone = sample_points(patient.volume, labels=patient.labels, count=20_000).mean(0)
    given = torch.tensor([10.0, -20.0, 630.0], dtype=torch.float64)
    for isocenter, expected in ((None, bone), (given, given)):
        request = PrepareRequest(
            WeightsFile(), TemplateSettings(layout="grid", count=4), patient.volume,
            patient.labels, isocenter, session.active,
        )  # fmt: skip
        made = run(request.events(Control()))
        terms = made.templates.carm.carm_pose(made.templates.poses[0], expected)
        assert terms.offset_mm == pytest.approx((0, 0, 0), abs=1e-6)
        assert isinstance(terms, CArmPose)
