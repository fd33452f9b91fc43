"""What ``napari-xreg doctor`` looks at. Every import stands in its check: a broken one is a finding."""

import contextlib
import importlib
import importlib.metadata
import importlib.util
import platform
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ENOUGH_MEMORY = 2e9
"""Bytes: a CT of 512 x 512 x 300 voxels and the copies a registration makes of it."""
_AGAIN = "install the plugin anew: pip install --force-reinstall napari-xreg"


class Trouble(Exception):
    """What is wrong; `do` says what to do where the check's own words do not fit."""

    def __init__(self, found: str, do: str = "") -> None:
        super().__init__(found)
        self.do = do


@dataclass(frozen=True)
class Check:
    """One line of the answer.

    Parameters
    ----------
    name
        What is looked at.
    look
        Says what there is; raises `Trouble`, or anything, where it does not work.
    do
        What to do then.
    slow
        Why it may take a while; empty where it does not.
    """

    name: str
    look: Callable[[], str]
    do: str
    slow: str = ""


def _python() -> str:
    return (
        f"{platform.python_version()} on {platform.system()} {platform.machine()}, {sys.executable}"
    )


def _plugin() -> str:
    import napari_xreg

    return f"{napari_xreg.__version__} in {Path(napari_xreg.__file__).parent}"


def _napari() -> str:
    version = importlib.metadata.version("napari")
    known = importlib.metadata.entry_points(group="napari.manifest")
    if "napari-xreg" not in known.names:
        raise Trouble(f"{version}, which does not know the plugin: it is not installed")
    return f"{version}, knows the plugin"


def _window() -> str:
    from napari_xreg.cli.commands.demo import without_window

    why = without_window()
    if why is not None and why.startswith("There is no Qt"):
        raise Trouble("there is no Qt binding: napari cannot open (this command line can be used)")
    # Imported, not opened: a library that is missing says so here.
    qtpy: Any = importlib.import_module("qtpy")
    importlib.import_module("qtpy.QtWidgets")
    found = f"{qtpy.API_NAME} {qtpy.PYQT_VERSION or qtpy.PYSIDE_VERSION}"
    return found if why is None else f"{found}; no window from here: {why[0].lower()}{why[1:]}"


def _torch() -> str:
    import torch

    from napari_xreg.rendering import thread_count

    cards = [f"cuda:{i} {torch.cuda.get_device_name(i)}" for i in range(torch.cuda.device_count())]
    mps = ["mps"] if torch.backends.mps.is_available() else []
    devices = ", ".join(["cpu", *cards, *mps])
    return (
        f"{torch.__version__}, devices {devices}; threads {torch.get_num_threads()}, "
        f"rendering {thread_count()}"
    )


def _kernels() -> str:
    import numba

    from napari_xreg.rendering import joseph, trilinear

    for kernel in (joseph, trilinear):
        # None where no folder could be found when the kernel was made.
        folder = getattr(kernel._cache, "cache_path", None)
        if folder is None:
            raise Trouble(
                f"numba {numba.__version__}: the compiled kernels cannot be kept, so that every "
                "start compiles them again (some seconds each)"
            )
        _writable(Path(folder))
    return f"numba {numba.__version__}, kept in {folder}"


def _picture() -> str:
    import torch

    from napari_xreg.geometry import CArm, Detector
    from napari_xreg.images import Volume
    from napari_xreg.rendering import Method, cuda, render_drr

    generator = torch.Generator().manual_seed(7)
    lac = 0.02 * torch.rand(9, 8, 10, generator=generator, dtype=torch.float64)
    grid = torch.diag(torch.tensor([4.1, 3.3, 5.2, 1.0], dtype=torch.float64))
    volume = Volume(lac, grid)
    carm = CArm(1020.0, 700.0, Detector((5, 6), (9.1, 8.3), (1.9, 2.7)))
    pose = carm.world_from_camera(21.0, 13.0, isocenter=volume.center)
    methods: tuple[Method, ...] = ("trilinear", "joseph")
    worst = 0.0
    with _heard() as said:
        for method in methods:
            wanted = render_drr(volume, carm, pose, method=method, step_mm=1.9, backend="torch")
            single = volume.to(dtype=torch.float32)
            drawn = render_drr(single, carm, pose, method=method, step_mm=1.9, backend="numba")
            off = float((drawn - wanted).abs().max() / wanted.max())
            if not off <= cuda.CLOSE:  # NaN is not close either
                raise Trouble(
                    f"a DRR ({method}) differs by {off:.1e} of its largest value from the reference"
                )
            worst = max(worst, off)
    damaged = [words for words in said if "damaged" in words]
    note = f"; {damaged[0]}" if damaged else ""  # mended by now
    return f"DRRs agree with the reference to {worst:.0e} of the largest value{note}"


def _card() -> str:
    import torch

    if not torch.cuda.is_available():
        built = torch.version.cuda
        return "none is used" + (
            f" (torch is made for CUDA {built} and finds no card)" if built else ""
        )
    # Triton is only loaded where a card is: beside OpenGL it must not be without need.
    from napari_xreg.rendering import cuda

    if not cuda.available():
        raise Trouble(
            f"there is a card, but no Triton {'.'.join(map(str, cuda.OLDEST))} or newer: its kernels "
            "are left out, and the CPU computes",
            "pip install triton (Linux), or choose the device cpu",
        )
    wrong = cuda.trouble(torch.device("cuda", 0))
    if wrong is not None:
        raise Trouble(f"the kernels do not work on {torch.cuda.get_device_name(0)}: {wrong}")
    return f"kernels work on {torch.cuda.get_device_name(0)}, Triton {_version('triton')}"


def _reader(package: str, module: str) -> Callable[[], str]:
    def look() -> str:
        importlib.import_module(module)
        return _version(package)

    return look


def _films() -> str:
    if importlib.util.find_spec("imageio_ffmpeg") is None:
        return "GIF (for MP4: pip install imageio-ffmpeg)"
    return f"GIF, and MP4 by imageio-ffmpeg {_version('imageio-ffmpeg')}"


def _memory() -> str:
    from napari_xreg.files import free_memory

    free = free_memory()
    if free < ENOUGH_MEMORY:
        raise Trouble(f"{free / 1e9:.1f} GB are free: too little for a whole CT")
    return f"{free / 1e9:.1f} GB free"


def _autosave() -> str:
    from napari_xreg.session import AUTOSAVE_VARIABLE, autosave_folder

    folder = autosave_folder()
    if folder is None:
        return f"switched off by the environment variable {AUTOSAVE_VARIABLE}"
    _writable(folder)
    return f"sessions are kept in {folder}"


def _settings() -> str:
    from napari.settings import get_settings

    file = get_settings().config_path
    if file is None:
        return "napari keeps none"
    _writable(Path(file).parent)
    return f"kept in {file}"


def _writable(folder: Path) -> None:
    from napari_xreg.files import WriteError, check_folder

    try:
        check_folder(folder)
    except WriteError as error:
        raise Trouble(f"{error.filename} cannot be written to: {error.strerror}") from error


@contextlib.contextmanager
def _heard() -> Iterator[list[str]]:
    """What is warned of meanwhile, as sentences."""
    sentences: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield sentences
        sentences += [str(each.message) for each in caught]


def _version(package: str) -> str:
    return importlib.metadata.version(package)


CHECKS = (
    Check("Python", _python, _AGAIN),
    Check("napari-xreg", _plugin, _AGAIN),
    Check("napari", _napari, "install both into one environment: pip install napari-xreg"),
    Check("Qt", _window, "pip install 'napari[all]'; on a server also the libraries it names"),
    Check("torch", _torch, "install torch anew: https://pytorch.org/get-started/locally"),
    Check("graphics card", _card, "choose the device cpu until this is mended"),
    Check(
        "compiled kernels",
        _kernels,
        "set the environment variable NUMBA_CACHE_DIR to a folder that can be written",
    ),
    Check(
        "rendering",
        _picture,
        "do not use this machine's results: install numba, numpy and torch anew, and report it",
        slow="the first time on a machine this compiles the renderer, about 15 s",
    ),
    *(
        Check(f"reader {name}", _reader(name, module), f"pip install --force-reinstall {name}")
        for name, module in (
            ("nibabel", "nibabel"),
            ("pydicom", "pydicom"),
            ("SimpleITK", "SimpleITK"),
            ("opencv-python", "cv2"),
            ("pillow", "PIL.Image"),
        )
    ),
    Check("films", _films, "pip install --force-reinstall imageio-ffmpeg"),
    Check("memory", _memory, "close other programs, or use a CT that is cropped or coarser"),
    Check(
        "autosave",
        _autosave,
        "set the environment variable NAPARI_XREG_AUTOSAVE to a folder that can be written; until "
        "then save sessions by hand",
    ),
    Check(
        "settings",
        _settings,
        "set the environment variable NAPARI_CONFIG to a file in a folder that can be written",
    ),
)
