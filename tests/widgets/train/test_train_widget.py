"""The Train widget, driven as a person would."""

import threading
from pathlib import Path

import pytest
import torch
from qtpy.QtCore import QThreadPool
from qtpy.QtWidgets import QFileDialog, QWidget
from train_parts import (
    LONG,
    click,
    docked,
    ended,
    steps,
    type_into,
    validations,
)
from trainings import TinyRecipe, ToyRecipe

from napari_xreg import widgets
from napari_xreg.rayemb import load_encoder
from napari_xreg.regression import PoseRecipe
from napari_xreg.training import read_checkpoint, read_state
from napari_xreg.widgets import RayEmbWidget
from napari_xreg.widgets.docks.opening import found
from napari_xreg.widgets.docks.table import entry_titled
from napari_xreg.widgets.jobs.workbench import workbench_of
from napari_xreg.widgets.train.form import TrainForm
from napari_xreg.widgets.train.patients_form import ABOVE, FOLDER, PHANTOMS, STRUCTURES, THIS_CT
from napari_xreg.workflows import RECIPES, Interrupted, Resume, Unwritten

pytestmark = pytest.mark.usefixtures("canvas_aside")


def natives(form, name):
    """What is typed into."""
    return [field.native for field in form.fields[name]]


@pytest.fixture
def toy():
    return ToyRecipe()


@pytest.fixture
def widget(bench, viewer, tmp_path, toy):
    return docked(viewer, tmp_path, toy)


def indices(widget):
    return [step.index for step in widget.progress.plots.steps]


def test_an_encoder_is_trained_watched_stopped_and_written(bench, viewer, qtbot, tmp_path):
    widget = docked(viewer, tmp_path, TinyRecipe())
    click(qtbot, widget.start_button)
    assert widget.running
    assert not widget.form.minutes.isEnabled()
    assert not widget.form.poses.isEnabled()
    assert widget.samples.isEnabled()
    assert not widget.use_button.isEnabled()
    validations(qtbot, widget, 2)
    plots = widget.progress.plots
    click(qtbot, widget.stop_button)
    ended(qtbot, widget)
    encoder, about = load_encoder(tmp_path / "weights.safetensors")
    state = read_state(tmp_path / "weights.resume")
    assert state["steps"] == about["steps"] == indices(widget)[-1]
    assert about["task"] == "rayemb"
    assert about["status"] == "CANCELLED"
    # The best, not the last, in half precision.
    for name, value in encoder.state_dict().items():
        assert torch.equal(value, state["best"][name].half().float())
    best = min(plots.validations, key=lambda v: v.scores["score"])
    assert about["scores"] == best.scores
    assert about["request"]["primary_deg"] == [-45.0, 45.0]
    assert about["request"]["points"] == {"structures": "all"}
    # Drawn: every step, every validation, the cloud of the last one.
    assert indices(widget) == list(range(1, len(plots.steps) + 1))
    assert plots.errors.curves["validation, median"][1].tolist() == [
        v.scores["median_error_mm"] for v in plots.validations
    ]
    cloud = plots.scatter.cloud
    assert cloud.said.size == cloud.error_mm.size == 1000
    assert cloud.counts.any()
    # In words, and known to the session.
    words = widget.progress.closing_words.words
    assert f"within {best.scores['median_error_mm']:.1f} mm" in words
    assert "simulated radiographs" in words
    assert "Written: weights.safetensors, weights.resume." in words
    (known,) = bench.session.weights.trained
    assert (known.kind, known.file) == ("rayemb", tmp_path / "weights.safetensors")
    assert known.words in words


def test_minutes_are_minutes_and_the_end_comes_by_itself(widget, toy, qtbot, tmp_path):
    type_into(widget.form.minutes, "0.03")
    click(qtbot, widget.start_button)
    ended(qtbot, widget)
    state = read_state(tmp_path / "weights.resume")
    assert 1.8 <= state["seconds"] < 8.0
    assert widget.progress.bar.value() == widget.progress.bar.maximum()
    assert "ran to its end" in widget.progress.status.words
    # It had its time; with more it goes on where it was.
    said = state["steps"]
    click(qtbot, widget.resume_button)
    assert not widget.running
    type_into(widget.form.minutes, "60")
    click(qtbot, widget.resume_button)
    steps(qtbot, widget, said + 3)
    assert indices(widget)[: said + 3] == list(range(1, said + 4))
    assert "of 1:00:00" in widget.progress.status.words
    click(qtbot, widget.stop_button)
    ended(qtbot, widget)


def test_pausing_waits(widget, qtbot):
    click(qtbot, widget.start_button)
    steps(qtbot, widget, 3)
    click(qtbot, widget.pause_button)
    assert widget.pause_button.text() == "Continue"
    qtbot.wait(500)  # the step under way may still arrive
    count = len(widget.progress.plots.steps)
    qtbot.wait(300)
    assert len(widget.progress.plots.steps) == count
    assert "paused" in widget.progress.status.words
    click(qtbot, widget.pause_button)
    assert widget.pause_button.text() == "Pause"
    steps(qtbot, widget, count + 2)
    # A paused training can be stopped.
    click(qtbot, widget.pause_button)
    click(qtbot, widget.stop_button)
    ended(qtbot, widget)
    assert widget.outcome is not None


def test_resuming_continues_where_it_stopped(widget, toy, qtbot, tmp_path):
    click(qtbot, widget.start_button)
    validations(qtbot, widget, 1)
    click(qtbot, widget.stop_button)
    ended(qtbot, widget)
    stopped = read_state(tmp_path / "weights.resume")
    drawn = len(widget.progress.plots.steps)
    assert stopped["steps"] == drawn
    click(qtbot, widget.resume_button)
    steps(qtbot, widget, drawn + 3)
    assert toy.restored == [drawn]
    assert indices(widget)[: drawn + 3] == list(range(1, drawn + 4))
    plots = widget.progress.plots
    assert plots.steps[drawn].seconds >= stopped["seconds"]
    click(qtbot, widget.stop_button)
    ended(qtbot, widget)
    assert read_state(tmp_path / "weights.resume")["steps"] > drawn


def test_another_widget_resumes_from_the_file(widget, bench, viewer, qtbot, tmp_path, monkeypatch):
    low, _ = natives(widget.form.poses, "secondary_deg")
    type_into(low, "-31")
    type_into(widget.form.seed, "7")
    click(qtbot, widget.start_button)
    validations(qtbot, widget, 2)
    click(qtbot, widget.stop_button)
    ended(qtbot, widget)
    done = widget.outcome.trained
    viewer.window.remove_dock_widget(widget)

    other, toy = ToyRecipe("landmarks", "landmark detector"), ToyRecipe()
    again = docked(viewer, tmp_path, other, toy, minutes="0.01")
    assert not again.resume_button.isEnabled()
    chosen = lambda *_: (str(tmp_path / "weights.resume"), "")  # noqa: E731
    monkeypatch.setattr(QFileDialog, "getOpenFileName", chosen)
    click(qtbot, again.file_button)
    # What it was comes from its files: the network, the range, the seed; and time enough to go on.
    assert again.form.recipe is toy
    assert again.form.poses.value().secondary_deg == (-31.0, 22.5)
    assert again.form.seed.number == 7
    assert again.form.minutes.number == 60
    assert again.form.out.text() == str(tmp_path / "weights.safetensors")
    assert f"{done.steps} steps" in again.progress.closing_words.words
    assert len(again.progress.plots.validations) == len(done.validations)
    click(qtbot, again.resume_button)
    steps(qtbot, again, 2)
    assert toy.asked[0][1] == tmp_path / "weights.safetensors"
    assert indices(again)[0] == done.steps + 1
    click(qtbot, again.stop_button)
    ended(qtbot, again)
    assert again.outcome.trained.seconds > done.seconds


def test_what_could_not_be_written_is_named(widget, notified):
    widget.progress.take([Unwritten("disk full", "journal"), Unwritten("disk full")])
    journal, weights = notified[-2:]
    assert "The journal of the steps (weights are written all the same) could not" in journal
    assert "The best weights so far could not be written: disk full" in weights


def test_what_is_no_interrupted_training_is_said(widget, notified, tmp_path, qtbot, toy):
    for name, words in (
        ("absent.resume", "there is no such file"),
        ("x.resume", "not the state of"),
    ):
        if name == "x.resume":
            (tmp_path / name).write_bytes(b"no")
        widget.load_resume(tmp_path / name)
        assert words in notified[-1]
        assert "\n" not in notified[-1]
    assert not widget.resume_button.isEnabled()
    # One of another network, whose weights are gone.
    click(qtbot, widget.start_button)
    steps(qtbot, widget, 2)
    click(qtbot, widget.stop_button)
    ended(qtbot, widget)
    (tmp_path / "weights.safetensors").unlink()
    toy.inputs = 3
    widget.load_resume(tmp_path / "weights.resume")
    assert "not beside it" in widget.progress.closing_words.words
    click(qtbot, widget.resume_button)
    ended(qtbot, widget)
    assert "belongs to another network" in notified[-1]
    assert "Failed" in widget.progress.status.words


def test_weights_are_not_written_over_unasked(widget, qtbot, notified, tmp_path, monkeypatch):
    (tmp_path / "weights.safetensors").write_text("precious")
    click(qtbot, widget.start_button)
    assert not widget.running
    assert "weights.safetensors exists already" in notified[-1]
    # Chosen in the dialog, which asks.
    chosen = lambda *_: (str(tmp_path / "weights.safetensors"), "")  # noqa: E731
    monkeypatch.setattr(QFileDialog, "getSaveFileName", chosen)
    widget.form._choose_out()
    click(qtbot, widget.start_button)
    steps(qtbot, widget, 1)
    click(qtbot, widget.stop_button)
    ended(qtbot, widget)
    assert read_checkpoint(tmp_path / "weights.safetensors").kind == "toy"


def test_what_cannot_be_trained_is_said(widget, qtbot, notified, tmp_path):
    form, patient = widget.form, widget.workbench.session.patient
    volume, out = patient.volume, form.out.text()
    own, scratch = form.who.patients.currentText(), form.start.currentText()
    roll = natives(form.poses, "roll_deg")[0]
    least = roll.text()
    # What is wrong, what is said, and the way back.
    wrong = [
        (form.out.setText, str(tmp_path / "none" / "a.safetensors"), "no folder", out),
        (form.out.setText, "", "where the weights are to be written", out),
        (patient.set_volume, None, "there is no CT", volume),
        (form.who.patients.setCurrentText, FOLDER, "choose a folder", own),
        (form.start.setCurrentText, "a file", "weights to start from", scratch),
        (lambda text: type_into(roll, text), "12", "smallest roll angle", least),
    ]
    for change, bad, words, good in wrong:
        change(bad)
        notified.clear()
        click(qtbot, widget.start_button)
        assert not widget.running, words
        assert words in notified[-1]
        assert "\n" not in notified[-1]
        change(good)
    click(qtbot, widget.start_button)  # nothing is wrong any more
    assert widget.running


def test_a_failure_is_one_sentence_and_what_was_written_stays(
    widget, toy, qtbot, notified, tmp_path
):
    toy.fail_at = 7
    click(qtbot, widget.start_button)
    ended(qtbot, widget)
    assert notified[-1] == "Training failed: out of memory: 3 GB."
    about = read_checkpoint(tmp_path / "weights.safetensors").about
    assert about["steps"] == 5  # the first validation
    assert widget.start_button.isEnabled()


def test_closing_the_widget_stops_and_writes(widget, bench, viewer, qtbot, tmp_path):
    click(qtbot, widget.start_button)
    steps(qtbot, widget, 2)
    viewer.window.remove_dock_widget(widget)
    assert widget.torn_down
    qtbot.waitUntil(lambda: len(bench.session.weights.trained) == 1, timeout=LONG)
    assert bench.jobs.running == ()
    assert read_state(tmp_path / "weights.resume")["steps"] >= 2


def test_closing_the_viewer_in_the_middle_writes_and_leaves_nothing(
    widget, bench, viewer, qtbot, tmp_path
):
    click(qtbot, widget.samples.button)
    click(qtbot, widget.start_button)
    steps(qtbot, widget, 2)
    viewer.close()
    assert bench.closed
    assert QThreadPool.globalInstance().waitForDone(LONG)
    assert read_state(tmp_path / "weights.resume")["steps"] >= 2
    assert read_checkpoint(tmp_path / "weights.safetensors").about["status"] == "CANCELLED"
    gone = lambda: "xreg Samples" not in [t.name for t in threading.enumerate()]  # noqa: E731
    qtbot.waitUntil(gone, timeout=LONG)


def test_another_ct_does_not_reach_a_training_under_way(widget, toy, bench, qtbot, tmp_path):
    volume = bench.session.patient.volume
    click(qtbot, widget.start_button)
    steps(qtbot, widget, 2)
    bench.session.patient.set_volume(volume.downsample(2))
    count = len(widget.progress.plots.steps)
    steps(qtbot, widget, count + 3)
    click(qtbot, widget.stop_button)
    ended(qtbot, widget)
    ((learned, _),) = toy.asked
    assert learned.volume is volume
    assert learned.labels is not None
    assert len(bench.session.weights.trained) == 1


def test_two_viewers_do_not_mix(widget, bench, qtbot, make_napari_viewer, tmp_path):
    other = workbench_of(make_napari_viewer())
    (tmp_path / "other").mkdir()
    second = docked(other.viewer, tmp_path / "other")
    second.form.who.patients.setCurrentText(PHANTOMS)
    click(qtbot, widget.start_button)
    click(qtbot, second.start_button)
    steps(qtbot, widget, 2)
    click(qtbot, second.stop_button)
    ended(qtbot, second)
    assert widget.running
    assert [w.file.parent.name for w in other.session.weights.trained] == ["other"]
    assert bench.session.weights.trained == ()
    click(qtbot, widget.stop_button)
    ended(qtbot, widget)
    other.close()


def test_the_request_is_what_was_set(widget, bench, toy):
    form, session = widget.form, bench.session
    angles = {"primary": ("-11", "12"), "secondary": ("-13", "14"), "roll": ("-15", "16")}
    for name, texts in angles.items():
        for field, text in zip(natives(form.poses, f"{name}_deg"), texts, strict=True):
            type_into(field, text)
    type_into(form.poses["offset_mm"].native, "17")
    type_into(form.minutes, "1.5")
    type_into(form.rate, "0.003")
    type_into(form.seed, "19")
    session.patient.set_structures(session.patient.labels.present()[1:3])
    request = form.request()
    poses = request.poses
    assert poses.primary_deg == (-11.0, 12.0)
    assert poses.secondary_deg == (-13.0, 14.0)
    assert poses.roll_deg == (-15.0, 16.0)
    assert poses.offset_mm == 17.0
    assert request.settings.by_time == 90.0
    assert (request.learning_rate, request.seed, request.device) == (0.003, 19, "cpu")
    assert request.patients.volume is session.patient.volume
    assert request.patients.labels is session.patient.labels
    assert request.patients.label_ids == session.patient.structures
    assert request.carm == session.exposures.active.radiograph.carm
    form.who.points.setCurrentText(ABOVE)
    type_into(form.who.above, "321")
    request = form.request()
    assert request.patients.labels is None
    assert request.patients.bone_above_hu == 321.0
    session.patient.set_labels(None)
    assert not form.who.points.isEnabled()


def test_a_resumed_similarity_is_that_of_its_training_only(bench, qtbot):
    form = TrainForm(bench.session, [PoseRecipe(), ToyRecipe()])
    qtbot.addWidget(form)

    def resumed(kind, settings):
        resume = Resume(Path("x.resume"), None, 10, 5.0)
        form.show_interrupted(
            Interrupted("x", resume, Path("x.safetensors"), (), kind, settings, "", "")
        )
        return form.recipe

    assert resumed("pose", {"similarity": 0.5}).similarity == 0.5
    assert resumed("pose", {}).similarity == 0.0  # an older file
    assert resumed("pose", {"similarity": 0.5}).similarity == 0.5
    assert resumed("rayemb", {}).kind == "rayemb"
    form.what.setCurrentText(PoseRecipe.title)
    assert form.recipe.similarity == 0.5  # still ready to go on
    assert resumed("", {}).similarity == 0.0
    assert resumed("pose", {"similarity": 0.5}).similarity == 0.5
    assert form.as_usual().similarity == form.recipe.similarity == 0.0  # a new training


def test_only_what_belongs_to_the_choice_is_shown(widget, bench):
    who = widget.form.who
    widget.window().show()
    fields = {"points": who.points, "above": who.above, "folder": who.folder, "ph": who.phantoms}

    def shown():
        return {name for name, field in fields.items() if not field.isHidden() and
                field.isVisibleTo(who)}  # fmt: skip

    assert who.patients.currentText() == THIS_CT
    assert who.points.currentText() == STRUCTURES
    assert shown() == {"points"}
    who.points.setCurrentText(ABOVE)
    assert shown() == {"points", "above"}
    who.patients.setCurrentText(FOLDER)
    assert shown() == {"above", "folder", "ph"}
    who.patients.setCurrentText(PHANTOMS)
    assert shown() == set()


def test_a_radiograph_from_elsewhere_is_warned_of(widget, bench):
    assert widget.range_words.words == ""
    low, _ = natives(widget.form.poses, "primary_deg")
    type_into(low, "10")  # the radiograph's nominal pose is AP
    assert "frontal lies outside the training pose range (primary 0° is outside 10° to 45°)" in (
        widget.range_words.words
    )
    type_into(low, "-10")
    assert widget.range_words.words == ""


def test_samples_follow_the_range(widget, bench, qtbot):
    strip = widget.samples.strip
    assert strip.isHidden()

    def renewed():
        qtbot.waitUntil(lambda: not widget.samples.busy and not strip.stale, timeout=LONG)
        return strip.samples

    click(qtbot, widget.samples.button)
    first = renewed()
    assert len(first) == 8
    assert strip.height() == strip.heightForWidth(strip.width())
    assert strip.rect().contains(strip._places()[-1])
    primaries = [sample.pose.primary_deg for sample in first]
    assert -45 <= min(primaries) < -5
    assert 5 < max(primaries) <= 45
    assert max(abs(sample.pose.secondary_deg) for sample in first) <= 22.5
    assert all(sample.grey.std() > 5 for sample in first)
    low, high = natives(widget.form.poses, "primary_deg")
    type_into(high, "80")
    type_into(low, "70")
    second = renewed()
    assert all(70 <= sample.pose.primary_deg <= 80 for sample in second)
    assert any((a.grey != b.grey).any() for a, b in zip(first, second, strict=True))
    # What is wrong is said in their place; what waits is not shown.
    type_into(low, "85")
    qtbot.waitUntil(lambda: not strip.samples, timeout=LONG)
    assert "smallest primary angle" in strip._words
    type_into(low, "75")
    bench.session.patient.set_volume(None)
    qtbot.waitUntil(lambda: "no CT" in strip._words, timeout=LONG)
    click(qtbot, widget.samples.button)
    assert strip.isHidden()


def test_an_empty_ct_is_said(widget, bench, qtbot, notified, patient, toy, monkeypatch):
    widget.form.who.points.setCurrentText(ABOVE)
    type_into(widget.form.who.above, "2999")
    click(qtbot, widget.samples.button)
    strip = widget.samples.strip
    qtbot.waitUntil(lambda: "no voxel above 2999" in strip._words, timeout=LONG)
    tiny = TinyRecipe()
    monkeypatch.setattr(toy, "task", tiny.task)
    monkeypatch.setattr(toy, "network", tiny.network)
    click(qtbot, widget.start_button)
    ended(qtbot, widget)
    assert "no voxel above 2999" in notified[-1]


def test_using_the_weights_tells_the_session_and_opens_the_widget(widget, bench, qtbot, tmp_path):
    click(qtbot, widget.start_button)
    steps(qtbot, widget, 1)
    click(qtbot, widget.stop_button)
    ended(qtbot, widget)
    assert bench.session.weights.wanted("rayemb") is None
    assert found(bench.viewer, RayEmbWidget) is None
    assert widget.use_button.text() == "Use in Points"
    click(qtbot, widget.use_button)
    assert bench.session.weights.wanted("rayemb").file == tmp_path / "weights.safetensors"
    assert found(bench.viewer, RayEmbWidget) is not None


def test_every_widget_that_a_recipe_names_is_one_of_ours():
    named = {make().widget for make in RECIPES.values()} - {""}
    assert named == {"Points", "Landmarks", "Find a pose", "Loss landscape"}
    for name in named:
        entry = entry_titled(name)
        assert entry is not None, name
        assert issubclass(getattr(widgets, entry.widget), QWidget)


def test_picture(bench, viewer, qtbot, tmp_path, screenshot):
    viewer.theme = "light"
    widget = docked(viewer, tmp_path, TinyRecipe())
    widget.window().show()
    click(qtbot, widget.samples.button)
    click(qtbot, widget.start_button)
    validations(qtbot, widget, 2)
    qtbot.waitUntil(lambda: not widget.samples.busy, timeout=LONG)
    widget.resize(320, 900)
    qtbot.wait(100)
    screenshot(widget, "train_running_light")
    click(qtbot, widget.stop_button)
    ended(qtbot, widget)
    inside = widget.findChild(type(widget.how)).parent()
    for theme in ("light", "dark"):
        viewer.theme = theme
        qtbot.wait(100)
        for number, name in enumerate(("error", "loss", "certainty")):
            widget.progress.plots.setCurrentIndex(number)
            screenshot(widget.progress, f"train_{name}_{theme}")
        screenshot(inside, f"train_whole_{theme}")
        assert inside.minimumSizeHint().width() <= 300
