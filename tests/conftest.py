"""What every test shares: where the real CTs are, one thread, and reproducible hypotheses."""

import os
from pathlib import Path

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
torch.set_num_threads(1)

REPOSITORY = Path(__file__).resolve().parents[1]


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
