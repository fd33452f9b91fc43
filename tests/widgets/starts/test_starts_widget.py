"""Find a pose: a file of weights on the viewer, one button, pictures to choose from, Refine."""

from dataclasses import replace

import numpy as np
import pytest
import seeded_xvr as seeded
import torch
from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
from qtpy.QtGui import QDropEvent

from napari_xreg.geometry import CArmPose
from napari_xreg.regression import Place, PoseFrame, PoseNetwork
from napari_xreg.session import Weights
from napari_xreg.training import FixedCamera, save_network
from napari_xreg.widgets import DataWidget, RefineWidget, StartsWidget
from napari_xreg.widgets.docks.opening import found
from napari_xreg.widgets.starts.opening import get_weights_reader
from napari_xreg.widgets.starts.pictures import overlaid
from napari_xreg.workflows import NothingFound, Proposals

WAIT = 60_000


@pytest.fixture(scope="module")
def network(patient, radiograph, tmp_path_factory):
    """Of a network that is 4 degrees and 9 mm off, whatever it sees."""
    center = patient.volume.center.double()
    x, y, z = center.tolist()
    said = radiograph.carm.pose_from(
        CArmPose(11.0, -4.0, 2.0, (6.0, 0.0, 14.0), isocenter=(x, y, z))
    )
    errors = (2.0, 2.0, 2.0, 4.0, 4.0, 8.0)
    made = PoseNetwork(
        framing=FixedCamera(pixels=32), frame=PoseFrame(center=(x, y, z)), errors=errors
    )
    made.begin_at(said, Place(center))
    for head in (made.rot_regression, made.xyz_regression):
        torch.nn.init.zeros_(head.weight)
    file = tmp_path_factory.mktemp("weights") / "pose.safetensors"
    about = {"trained_on": "a phantom", "words": "It guesses.", "request": {"roll_deg": [-9, 12]}}
    save_network(file, made, about)
    return file


@pytest.fixture
def widget(viewer, bench, qtbot):
    made = StartsWidget(viewer)
    viewer.window.add_dock_widget(made, name="Find a pose", area="right")
    bench.session.exposures.activate(bench.session.exposures.all[0].id)
    return made


def wait_for_weights(widget, kind, qtbot):
    qtbot.waitUntil(lambda: widget._session.weights.wanted(kind) is not None, timeout=WAIT)


def proposed(widget, qtbot):
    widget.go.click()
    assert widget.go.text() == "Cancel"
    qtbot.waitUntil(lambda: not widget.running, timeout=WAIT)


def test_a_network_dropped_on_the_viewer_proposes_a_pose(viewer, bench, network, qtbot):
    """From nothing open to a refinement: a drop, a button, a click, a button."""
    viewer.open(str(network), plugin="napari-xreg")
    widget = found(bench.viewer, StartsWidget)
    wait_for_weights(widget, "pose", qtbot)
    row = widget.rows.rows["regression"]
    assert row.asked
    assert row.words.words == (
        "It guesses. Trained on a phantom; sees 32 x 32 pixels of 3.1 mm, 1020 mm from the source; "
        "trained on poses of roll -9 to 12°."
    )
    away = bench.session.exposures.active.radiograph.carm.pose_from(
        CArmPose(
            100.0,
            40.0,
            60.0,
            (90.0, 70.0, 14.0),
            tuple(bench.session.patient.volume.center.tolist()),
        )
    )
    bench.session.poses.set(away, "lost")
    before = bench.session.poses.current.matrix()
    proposed(widget, qtbot)
    assert torch.equal(bench.session.poses.current.matrix(), before)  # nothing is moved yet
    first, second = widget.cards.proposals.ranked
    assert (first.method, second.method) == ("regression", "manual")
    assert "Pose network" in widget.cards.cards[0].text()
    assert f"NCC {first.ncc:.3f}" in widget.cards.cards[0].text()
    assert not widget.refine_button.isEnabled()
    widget.cards.cards[0].click()
    torch.testing.assert_close(
        bench.session.poses.current.matrix().double(),
        first.world_from_camera.matrix().double(), rtol=0, atol=1e-6,
    )  # fmt: skip
    bench.session.undo()
    torch.testing.assert_close(bench.session.poses.current.matrix(), before, rtol=0, atol=1e-6)
    bench.session.redo()
    widget.refine_button.click()
    refining = found(bench.viewer, RefineWidget)
    qtbot.waitUntil(lambda: bool(bench.session.results.all), timeout=WAIT)
    qtbot.waitUntil(lambda: not refining.running, timeout=WAIT)
    began = bench.session.results.all[0].registration.trajectory[0].world_from_camera
    torch.testing.assert_close(
        began.matrix().double(), first.world_from_camera.matrix().double(), rtol=0, atol=1e-5
    )


def test_the_way_of_each_is_shown_again(widget, network, qtbot):
    widget.open_weights(network)
    wait_for_weights(widget, "pose", qtbot)
    proposed(widget, qtbot)
    cards = widget.cards
    ends = [card.icon().cacheKey() for card in cards.cards]
    widget.replay_button.click()
    assert cards.replaying
    qtbot.waitUntil(lambda: cards.cards[0].icon().cacheKey() != ends[0], timeout=WAIT)
    qtbot.waitUntil(lambda: not cards.replaying, timeout=WAIT)
    widget.replay_button.click()
    widget.replay_button.click()
    assert not cards.replaying


def test_files_that_are_something_else(widget, tmp_path, qtbot):
    torch.save({"state_dict": {"a": torch.zeros(2)}}, tmp_path / "other.ckpt")
    widget.open_weights(tmp_path / "other.ckpt")
    qtbot.waitUntil(lambda: "does not say which network" in widget.words.words, timeout=WAIT)
    (tmp_path / "broken.pth").write_bytes(b"no")
    widget.open_weights(tmp_path / "broken.pth")
    qtbot.waitUntil(lambda: "broken.pth cannot be read" in widget.words.words, timeout=WAIT)
    assert widget._session.weights.trained == ()
    assert get_weights_reader(str(tmp_path / "none.pth")) is None
    (tmp_path / "a.txt").write_text("")
    assert get_weights_reader(str(tmp_path / "a.txt")) is None
    assert get_weights_reader([str(tmp_path / "broken.pth")]) is not None


def test_a_checkpoint_of_xvr_dropped_on_data(viewer, bench, tmp_path, qtbot):
    torch.save(seeded.checkpoint_of("twist"), tmp_path / "0042.pth")
    data = DataWidget(viewer)
    viewer.window.add_dock_widget(data, name="Data", area="right")
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(tmp_path / "0042.pth"))])
    data.dropEvent(
        QDropEvent(
            QPointF(5, 5), Qt.DropAction.CopyAction, mime, Qt.MouseButton.LeftButton,
            Qt.KeyboardModifier.NoModifier,
        )
    )  # fmt: skip
    qtbot.waitUntil(lambda: bench.session.weights.wanted("pose") is not None, timeout=WAIT)
    words = found(bench.viewer, StartsWidget).rows.rows["regression"].words.words
    assert "xvr 0.1.0: resnet18" in words
    assert "64 x 64 pixels of 3.5 mm, 1020 mm from the source; orientation AP" in words


def test_the_template_that_a_network_speaks_of(widget, network, tmp_path, qtbot, monkeypatch):
    asked = []

    def proposing(request, *, control):
        asked.append({each.method: (each.warp, each.template) for each in request.asked})
        yield from ()

    monkeypatch.setattr("napari_xreg.widgets.starts.widget.propose", proposing)
    rows, weights = widget.rows, widget._session.weights
    weights.want(Weights("pose", network, "It guesses."))
    assert rows.template.isHidden()
    checkpoint = seeded.checkpoint_of("twist")
    checkpoint["config"]["warp"] = "/data/someone/warps"
    torch.save(checkpoint, tmp_path / "0043.pth")
    widget.open_weights(tmp_path / "0043.pth")
    qtbot.waitUntil(lambda: not rows.template.isHidden(), timeout=WAIT)
    assert "Without the template's warp" in rows.template.words.words
    assert not rows.template.none_button.isEnabled()
    warp, template = tmp_path / "warp.tfm", tmp_path / "template.nii.gz"
    rows.template.take_warp(warp)
    rows.template.take_template(template)
    assert rows.template.words.words == "warp: warp.tfm; template: template.nii.gz"
    proposed(widget, qtbot)
    weights.want(Weights("pose", network, "It guesses."))  # another network speaks of no template
    proposed(widget, qtbot)
    widget.open_weights(tmp_path / "0043.pth")
    qtbot.waitUntil(lambda: not rows.template.isHidden(), timeout=WAIT)
    assert (rows.template.warp, rows.template.template) == (
        None,
        None,
    )  # they were another network's
    rows.template.take_warp(warp)
    rows.template.none_button.click()
    proposed(widget, qtbot)
    assert [each["regression"] for each in asked] == [(warp, template), (None, None), (None, None)]
    rows.template.take_warp(warp)
    volume = widget._session.patient.volume
    widget._session.patient.set_volume(replace(volume, lac=volume.lac.clone()))
    assert rows.template.warp is None


def test_who_can_be_asked(viewer, empty_bench, fill, network, qtbot):
    widget = StartsWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Find a pose", area="right")
    rows, session = widget.rows.rows, empty_bench.session
    assert widget.words.words == "Load a CT and a radiograph first (Data)."
    assert not widget.go.isEnabled()
    fill(session)
    assert widget.words.words == ""
    assert widget.go.isEnabled()
    assert list(widget.rows.asked) == ["manual"]
    assert not rows["regression"].tick.isEnabled()
    assert rows["regression"].words.words.startswith("Needs weights")
    session.weights.add(Weights("pose", network, "Good."))  # trained here: offered, not ticked
    assert rows["regression"].tick.isEnabled()
    assert rows["regression"].words.words == "Good."
    assert list(widget.rows.asked) == ["manual"]
    session.landmarks.set([])
    session.weights.add(Weights("landmarks", network))
    assert rows["landmarks"].words.words.startswith("Needs landmarks")
    rows["manual"].tick.setChecked(False)
    assert not widget.go.isEnabled()


def test_weights_that_are_wanted_are_taken_over_every_time(widget, tmp_path):
    weights, row = widget._session.weights, widget.rows.rows["regression"]
    one, two, three = (Weights("pose", tmp_path / f"{name}.safetensors") for name in "abc")
    weights.add(one)
    assert not row.asked
    for wanted in (one, two, one):  # known already, new, known again
        row.tick.setChecked(False)
        weights.want(wanted)
        assert (row.weights, row.asked) == (wanted.file, True)
    row.which.setCurrentText("b.safetensors")
    row.tick.setChecked(False)
    weights.add(three)  # trained meanwhile: the choice stays
    assert (row.which.count(), row.weights, row.asked) == (3, two.file, False)
    weights.want(one)  # again, though nothing else was wanted since
    assert (row.weights, row.asked) == (one.file, True)
    weights.add(Weights("landmarks", one.file))  # it was something else
    assert (row.which.count(), row.weights) == (2, two.file)


def test_refine_begins_at_the_card_that_is_chosen(widget, bench, qtbot, monkeypatch):
    proposed(widget, qtbot)
    session = bench.session
    widget.cards.cards[0].click()
    pose = session.poses.current.matrix()
    began = []
    monkeypatch.setattr(
        RefineWidget, "start", lambda self, choices: began.append(session.poses.current.matrix())
    )
    steps = len(session.history.undoes)
    widget.refine_button.click()
    assert len(session.history.undoes) == steps  # it stands there: no step
    session.undo()
    widget.refine_button.click()
    other = session.exposures.add(session.exposures.active.radiograph, name="other")
    widget.refine_button.click()
    assert session.exposures.active.id != other
    assert [torch.equal(each, pose) for each in began] == [True, True, True]


def test_what_was_proposed_goes_with_the_radiograph(widget, bench, patient, qtbot):
    proposed(widget, qtbot)
    assert len(widget.cards.cards) == 1
    bench.session.patient.set_volume(None)
    assert widget.cards.proposals is None
    assert not widget.replay_button.isEnabled()


def test_nobody_proposes(widget, network, tmp_path, qtbot):
    """A network of another CT: why is said, and stays."""
    frame = PoseFrame(center=(5000.0, 0.0, 0.0))
    save_network(
        tmp_path / "far.safetensors", PoseNetwork(frame=frame, framing=FixedCamera(pixels=32)), {}
    )
    widget.open_weights(tmp_path / "far.safetensors")
    wait_for_weights(widget, "pose", qtbot)
    proposed(widget, qtbot)
    assert "Pose network: The network was trained on another CT" in widget.words.words
    assert len(widget.cards.cards) == 1
    widget.rows.rows["manual"].tick.setChecked(False)
    proposed(widget, qtbot)
    assert widget.words.words.startswith("The network was trained on another CT")


def test_closed_while_it_asks(widget, bench, viewer):
    widget.go.click()
    job = widget._job
    widget.tear_down()
    assert not job.running
    assert job.control.cancelled


def test_grey_where_they_agree():
    seen = torch.linspace(0.0, 2.0, 48).reshape(6, 8)
    assert np.ptp(overlaid(seen, 3 * seen).astype(int), axis=-1).max() <= 1
    turned = overlaid(seen, seen.flip(0))
    assert turned[0, 0, 0] > 200 > 50 > turned[0, 0, 2]  # DRR alone: orange
    assert turned[5, 7, 2] > 200 > 50 > turned[5, 7, 0]  # radiograph alone: blue
    small = overlaid(seen, torch.nn.functional.avg_pool2d(seen[None], 2)[0])
    assert small.shape == (6, 8, 3)


def test_none_is_left(qtbot):
    from napari_xreg.widgets.starts.cards import Cards

    cards = Cards()
    qtbot.addWidget(cards)
    nothing = Proposals(
        torch.zeros(3, 4), torch.ones(3, 4, dtype=torch.bool), (), (NothingFound("dicom", "no"),)
    )
    cards.show_proposals(nothing)
    assert (cards.cards, cards.current) == ([], None)
    cards.replay()
    cards._next_frame()
    assert not cards.replaying
