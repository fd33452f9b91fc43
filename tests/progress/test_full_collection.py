"""The program's own threshold always comes back."""

import gc

import pytest

from napari_xreg.progress import FullCollection


@pytest.fixture(autouse=True)
def threshold():
    before = gc.get_threshold()
    gc.set_threshold(700, 10, 7)
    yield
    gc.set_threshold(*before)


def test_full_collections_wait_while_postponed():
    collection = FullCollection()
    collection.postpone()
    assert gc.get_threshold()[:2] == (700, 10)
    before = gc.get_stats()[2]["collections"]
    kept = [[] for _ in range(200_000)]
    assert gc.get_stats()[2]["collections"] == before
    collection.resume()
    assert gc.get_threshold() == (700, 10, 7)
    assert len(kept) == 200_000


def test_the_last_of_several_brings_the_threshold_back():
    one, other = FullCollection(), FullCollection()
    one.postpone()
    other.postpone()
    one.postpone()
    one.resume()
    one.resume()
    assert gc.get_threshold()[2] > 7
    other.resume()
    assert gc.get_threshold() == (700, 10, 7)
