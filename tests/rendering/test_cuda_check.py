"""The kernels are tried before they are trusted, and left out with a sentence."""

import importlib.util
import warnings
from types import SimpleNamespace

import pytest
import torch

from napari_xreg.images import Volume
from napari_xreg.rendering import backends, cuda, volume_on

if importlib.util.find_spec("triton") is None:
    pytest.skip("Triton is not installed (pip install triton)", allow_module_level=True)

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
CARD = torch.device("cuda", 7)


@pytest.fixture
def check(monkeypatch):
    from napari_xreg.rendering.cuda import check

    monkeypatch.setattr(check, "_verdicts", {})
    return check


@pytest.mark.slow
def test_nothing_is_wrong_with_them_here(check):
    assert check.trouble(DEVICE) is None
    # Far within what is asked: a card's own rounding does not fail it.
    assert max(check._difference(DEVICE, m) for m in ("trilinear", "joseph")) < 0.1 * check.CLOSE
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert check.works(DEVICE)


@pytest.fixture(scope="module")
def marched():
    """What the kernels make of the check's picture, once a method (the interpreter takes its time)."""
    return {}


@pytest.mark.parametrize("method", ["trilinear", "joseph"])
@pytest.mark.parametrize("channel", range(7))
def test_a_wrong_channel_is_seen(check, marched, monkeypatch, method, channel):
    whole = check.on_cuda.render_with_jacobian

    def spoiled(*args, **kwargs):
        if kwargs["method"] not in marched:
            marched[kwargs["method"]] = whole(*args, **kwargs)
        image, jacobian = (channels.clone() for channels in marched[kwargs["method"]])
        if kwargs["method"] == method:
            (image if channel == 0 else jacobian[:, channel - 1])[1] *= 1.001
        return image, jacobian

    monkeypatch.setattr(check.on_cuda, "render_with_jacobian", spoiled)
    assert "differ by" in check.trouble(DEVICE)


@pytest.mark.slow
def test_not_a_number_is_seen(check, monkeypatch):
    whole = check.on_cuda.render_with_jacobian

    def spoiled(*args, **kwargs):
        image, jacobian = whole(*args, **kwargs)
        image[0, 3] = float("nan")
        return image, jacobian

    monkeypatch.setattr(check.on_cuda, "render_with_jacobian", spoiled)
    assert "inf of the largest" in check.trouble(DEVICE)


def test_said_once_and_left_out(check, monkeypatch):
    """A machine without a C compiler, which Triton builds its launcher with."""
    tried = []

    def fails(*_):
        tried.append(1)
        raise RuntimeError("Failed to find C compiler. Please specify via CC.\nmore")

    monkeypatch.setattr(check, "_difference", fails)
    monkeypatch.setattr(cuda, "available", lambda: True)
    with pytest.warns(
        RuntimeWarning, match=r"do not work on cuda:7.*C compiler.*install one \(gcc"
    ):
        assert not cuda.usable(CARD)
    assert not cuda.usable(CARD)
    assert len(tried) == 1
    # The volume stays on the CPU, whose kernels are faster than plain torch on a card.
    volume = Volume(torch.full((4, 5, 6), 0.02), torch.eye(4, dtype=torch.float64))
    assert volume_on(volume, CARD) is volume


@pytest.mark.parametrize(("works", "backend"), [(False, "torch"), (True, "triton")])
def test_a_volume_on_a_card(monkeypatch, works, backend):
    asked = []
    monkeypatch.setattr(backends.cuda, "usable", lambda device: asked.append(device) or works)
    volume = Volume(torch.full((4, 5, 6), 0.02), torch.eye(4, dtype=torch.float64))
    # As far as the choice sees it, on a card.
    object.__setattr__(volume, "lac", SimpleNamespace(device=CARD, dtype=torch.float32))
    assert backends.choose_backend(volume, "joseph") == backend
    assert backends.choose_backend(volume, "siddon") == "torch"
    assert asked == [CARD]


def test_a_full_card_is_no_verdict(check, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(check, "_difference", full)
    with pytest.raises(torch.OutOfMemoryError):
        check.works(CARD)
    monkeypatch.setattr(check, "_difference", lambda *_: 0.0)
    assert check.works(CARD)
