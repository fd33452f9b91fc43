"""What every test shares: where the real CTs are, threads, caches, and reproducible hypotheses."""

import gc
import os
from collections import Counter
from pathlib import Path

# OpenMP's threads sleep when they wait for each other, in every process of the tests. Spinning, as they
# do for want of this, those of one worker keep those of the next from their work. Read by torch's import.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import pytest
import torch
from hypothesis import HealthCheck, settings

# Rendering under a loaded CI is slow now and then; a random example must not fail one run in ten.
settings.register_profile(
    "napari-xreg",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("napari-xreg")

# Without a card the Triton kernels are run by Triton's interpreter, which must be asked for before
# anything imports Triton (parts of torch do).
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")

# No test may write into the user's own data folder, nor offer what it finds there.
os.environ["NAPARI_XREG_AUTOSAVE"] = "off"

# Small tensors: threads cost more than they give, and results stay the same on any machine.
# (`make test-cpus` asks for more.)
THREADS = int(os.environ.get("NAPARI_XREG_TEST_THREADS", "1"))
torch.set_num_threads(THREADS)

REPOSITORY = Path(__file__).resolve().parents[1]

worker = os.environ.get("PYTEST_XDIST_WORKER")

WITH_A_WINDOW = {"qapp", "qtbot", "make_napari_viewer", "make_napari_viewer_proxy"}


def pytest_ignore_collect(collection_path):
    """Examples are looked for in the library, not in what tests share or run as a script."""
    ours = collection_path.suffix == ".py" and not collection_path.name.startswith("test_")
    return True if ours and collection_path.is_relative_to(REPOSITORY / "tests") else None


def pytest_collection_modifyitems(items):
    """Mark what opens a window (it needs a screen, and is left out of `make test-fast`).

    Side by side, files with the most slow tests come first: a long one that began last would be
    waited for by itself. (Of xdist's own order, by the number of tests, `make test` wants none.)
    """
    slow: Counter[Path] = Counter()
    peers = set()
    for item in items:
        if not WITH_A_WINDOW.isdisjoint(getattr(item, "fixturenames", ())):
            item.add_marker("window")
        if any(item.iter_markers("peers")):
            peers.add(item.path)
        slow[item.path] += any(item.iter_markers("slow")) or any(item.iter_markers("window"))
    if worker:
        # What loads a peer before all that opens a window: nanodrr brings Triton along, whose library
        # ends a process in which OpenGL's was first (docs/decisions/0012).
        items.sort(key=lambda item: (item.path not in peers, -slow[item.path]))


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup():
    """No test inherits another's threads of torch.

    The command line sets them for its process, and so does numba (as many as there are processors) once
    napari has shown labels: whatever came after in that worker took up to six times as long.
    """
    torch.set_num_threads(THREADS)


@pytest.fixture
def quick_collections():
    """A window collects all garbage when its layers go, and napari's fixture looks for viewers that live on.

    What was there before the window is no garbage: looking through torch, napari and Qt again took
    an eighth of the time of a test with a window.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def manifests_read_once():
    """Every viewer of napari's fixture reads the manifests of all installed plugins again."""
    from npe2 import PluginManifest

    found = list(PluginManifest.discover())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PluginManifest, "discover", classmethod(lambda cls, paths=(): iter(found)))
        yield


@pytest.fixture
def make_napari_viewer(quick_collections, manifests_read_once, make_napari_viewer):
    """napari's own, with what it repeats for every viewer done once."""
    return make_napari_viewer


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real CTs: NAPARI_XREG_DATA, else shared/data beside the repository."""
    named = os.environ.get("NAPARI_XREG_DATA")
    folder = Path(named) if named else REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real CT: {folder} does not exist (set NAPARI_XREG_DATA to a folder)")
    return folder


@pytest.fixture(scope="session")
def data_path(data_dir):
    """A function of a path inside the data folder; it skips the test when that is absent."""

    def find(name: str) -> Path:
        path = data_dir / name
        if not path.exists():
            pytest.skip(f"no real CT: {path} does not exist")
        return path

    return find
