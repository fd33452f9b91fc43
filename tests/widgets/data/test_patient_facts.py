"""What takes a pass over a large CT or label map is done once, and never in the window's thread."""

import threading
from weakref import WeakSet

import numpy as np
import pytest
import torch

from napari_xreg.images import LabelMap, Volume, lac_from_hu
from napari_xreg.rendering import OutOfMemory
from napari_xreg.session import PreviewRequest, Session, rendering
from napari_xreg.widgets.data.widget import DataWidget
from napari_xreg.widgets.jobs import memory_words
from napari_xreg.widgets.jobs.memory_words import say_too_large
from napari_xreg.widgets.refine import run as refine_run
from napari_xreg.workflows import refine_request, refining

WORLD = torch.tensor(
    [[1.1, 0.2, 0, -60], [-0.15, 1.7, 0.3, -70], [0, -0.25, 2.3, -80], [0, 0, 0, 1.0]],
    dtype=torch.float64,
)
"""Oblique and anisotropic."""


def a_patient():
    """A CT of 60 x 70 x 80 voxels with 40 unnamed labels, of which every third occurs."""
    generator = torch.Generator().manual_seed(7)
    hu = torch.randint(-1000, 1500, (80, 70, 60), generator=generator).float()
    ids = 3 * torch.randint(0, 14, hu.shape, generator=generator)
    return Volume(lac_from_hu(hu), WORLD, hu), LabelMap(ids.short(), WORLD)


@pytest.fixture
def passes(monkeypatch):
    """(what, whether in the main thread) of each pass over a CT or a map."""
    found = []

    def noted(owner, name):
        do = getattr(owner, name)

        def wrapped(*given, **more):
            if any(isinstance(one, torch.Tensor) and one.numel() > 100_000 for one in given):
                found.append((name, threading.current_thread() is threading.main_thread()))
            return do(*given, **more)

        monkeypatch.setattr(owner, name, wrapped)

    for name in ("unique", "isin", "where", "aminmax", "nonzero", "min", "max"):
        noted(torch, name)
    for name in ("min", "max", "unique"):
        noted(torch.Tensor, name)
    return found


def test_a_large_map_without_names_is_looked_at_once_and_elsewhere(
    empty_bench, radiograph, qtbot, passes
):
    session = empty_bench.session
    volume, labels = a_patient()
    widget = DataWidget(empty_bench.viewer)
    empty_bench.viewer.window.add_dock_widget(widget, name="Data")
    passes.clear()
    session.patient.set_volume(volume)
    session.patient.set_labels(labels)
    qtbot.waitUntil(lambda: widget.structures.list.count() == 13, timeout=10_000)
    low, high = int(volume.hu.numpy().min()), int(volume.hu.numpy().max())
    # (The list is filled later than the words: what is found in between is shown by the next answer.)
    words = f"{low} to {high} HU"
    qtbot.waitUntil(lambda: words in widget.patient.ct_words.words, timeout=10_000)
    assert "13 structures" in widget.patient.label_words.words
    session.exposures.add(radiograph, name="frontal")
    for _ in range(3):
        session.exposures.set_used(session.exposures.named("frontal").id, False)
        session.exposures.set_used(session.exposures.named("frontal").id, True)
    session.patient.set_structures([3, 9])
    qtbot.waitUntil(lambda: empty_bench.preview.latest is not None, timeout=20_000)
    qtbot.waitUntil(lambda: not empty_bench.preview.busy, timeout=20_000)
    session.undo()
    session.redo()
    qtbot.waitUntil(lambda: not empty_bench.preview.busy, timeout=20_000)
    assert [name for name, in_main in passes if in_main] == []
    names = [name for name, _ in passes]
    assert names.count("isin") >= 1  # the restriction, elsewhere
    assert names.count("unique") == 0  # ids in a small range need no sorting


def test_presence_is_right_and_remembered():
    _, labels = a_patient()
    assert not labels.present_known
    assert labels.present() == [3 * n for n in range(1, 14)]
    assert labels.present_known
    labels.present().append(99)
    assert 99 not in labels.present()
    far = LabelMap(torch.tensor([[[0, -5, 2_000_000_000, 7]]]), WORLD)
    assert far.present() == [-5, 7, 2_000_000_000]


def test_a_restriction_is_a_value_that_is_computed_once_where_it_is_used():
    volume, labels = a_patient()
    session = Session()
    session.patient.set_volume(volume)
    assert session.patient.rendering.volume() is volume
    session.patient.set_labels(labels)
    session.patient.set_structures([3, 6])
    asked = session.patient.rendering
    assert session.patient.rendering is asked
    shown = asked.volume()
    assert asked.volume() is shown is session.patient.rendered_volume
    inside = np.isin(labels.ids.numpy(), (3, 6))
    alone = asked.restricted().lac.numpy()
    np.testing.assert_array_equal(alone, np.where(inside, volume.lac.numpy(), 0.0))
    session.patient.set_structures([3])
    assert session.patient.rendering is not asked
    with pytest.raises(ValueError, match=r"none of the labels \[4\] occurs; present are \[3, 6"):
        session.patient.set_structures([4])


# ------------------------------------------------------------------ a card that is too small


@pytest.fixture
def small_card(monkeypatch):
    """A card on which nothing fits; what the user is told."""

    def full(volume, device):
        raise OutOfMemory("no room")

    said = []
    monkeypatch.setattr(rendering, "volume_on", full)
    monkeypatch.setattr(refining, "volume_on", full)
    monkeypatch.setattr(memory_words, "show_warning", said.append)
    monkeypatch.setattr(memory_words, "_told", WeakSet())  # the phantom is every test's
    return said


def test_a_drr_made_by_the_cpu_because_the_card_is_full_says_so(small_card, bench, painted):
    volume, carm = bench.session.patient.rendering, bench.canvas.preview_carm(16)
    asked = PreviewRequest(volume, carm, bench.session.poses.current, device=torch.device("cuda:1"))
    answer = asked.answer()
    assert answer.too_large
    assert answer.image.max() > 0
    assert not PreviewRequest(volume, carm, bench.session.poses.current).answer().too_large
    painted(bench)
    bench.preview._paint(answer)
    bench.preview._paint(answer)
    assert len(small_card) == 1
    assert "does not fit into the free memory of cuda:1" in small_card[0]


def test_it_is_said_once_a_ct(small_card):
    volume, labels = a_patient()
    session = Session()
    session.patient.set_volume(volume)
    session.patient.set_labels(labels)
    say_too_large(session.patient.rendering, "cuda:0")
    session.patient.set_structures([3])
    say_too_large(session.patient.rendering, "cuda:0")
    assert len(small_card) == 1
    other, _ = a_patient()
    say_too_large(other, "cuda:0")
    assert len(small_card) == 2


def test_a_refinement_on_the_cpu_because_the_card_is_full_says_so(small_card, bench, qtbot):
    request = refine_request(bench.session, device=torch.device("cuda:1"))
    run = refine_run.RefineRun(bench.session, bench.jobs, request, one_step=True)
    qtbot.waitUntil(lambda: bool(small_card), timeout=20_000)
    run.job.cancel()
    qtbot.waitUntil(lambda: not run.running, timeout=20_000)
    assert len(small_card) == 1
