"""Preparing RayEmb with real weights: templates, cache, and when it holds no longer."""

from pathlib import Path

import pytest
import torch
from qtpy.QtCore import Qt

from napari_xreg.rayemb import TemplateSettings, WeightsFile, shipped_encoder
from napari_xreg.session import Weights
from napari_xreg.training import save_network
from napari_xreg.widgets.rayemb import (
    prepare as rayemb_prepare,
    widget as rayemb_widget,
)
from napari_xreg.widgets.rayemb.prepare import tidy
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
    assert f"Ready: {TEMPLATES} reference views, compact-pelvis, on frontal" in group.status.words
    assert len(list(folder.glob("templates-*.safetensors"))) == 1
    widget.look_at(bench.session.landmarks.all[0].position)
    qtbot.waitUntil(lambda: widget.look.heatmap is not None, timeout=LONG)
    answer = widget.look.heatmap
    assert answer.similarity().min() >= 0
    assert answer.similarity().max() <= 1.0001
    assert answer.probability().sum() == pytest.approx(1.0, abs=1e-3)

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
    session.exposures.add(make_radiograph(96, primary_deg=-11.0), name="second")
    assert session.ray_points.prepared is None
    second = prepared(widget, qtbot)
    assert second.templates is first.templates
    assert session.ray_points.exposure.name == "second"
    assert not torch.equal(second.embedded.embedding, first.embedded.embedding)

    painted = torch.ones(session.exposures.active.radiograph.carm.detector.shape, dtype=torch.bool)
    painted[:, :50] = False
    session.exposures.set_painted(session.exposures.named("second").id, painted)
    masked = prepared(widget, qtbot)
    columns = masked.embedded.usable.shape[1]
    assert not masked.embedded.usable[:, : columns // 3].any()

    session.exposures.activate(session.exposures.named("frontal").id)
    back = prepared(widget, qtbot)
    assert session.ray_points.exposure.name == "frontal"
    session.poses.move(session.poses.current)  # a pose is no reason
    assert session.ray_points.prepared is back

    # Another scale needs other templates: not without being asked.
    session.exposures.add(make_radiograph(48, primary_deg=5.0), name="small")
    small = session.exposures.active.radiograph
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
    bench.session.patient.set_volume(patient.volume.downsample(2))
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
    session.weights.want(Weights("rayemb", file, "localises to 4 mm"))
    assert group.weights == WeightsFile(file)
    assert group.words.words == "localises to 4 mm"
    qtbot.mouseClick(group.prepare, LEFT)
    assert prepared(widget, qtbot).weights == WeightsFile(file)
    session.weights.want(Weights("landmarks", tmp_path / "other.safetensors"))
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
