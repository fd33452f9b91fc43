"""Which torch the set-up script picks, and what it says when something lacks."""

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "setup_env.py"
spec = importlib.util.spec_from_file_location("setup_env", SCRIPT)
assert spec is not None
assert spec.loader is not None
setup_env = importlib.util.module_from_spec(spec)
spec.loader.exec_module(setup_env)

CUDA = ("2.13.0", True)
CPU = ("2.13.0+cpu", False)


def index(**offers):
    """A pip that knows these requirements only; `asked` records what it was asked for."""
    asked = []

    def resolve(arguments):
        asked.append(arguments[-1])
        return offers.get(arguments[-1].replace("==", "_").replace(">=", "_"))

    return resolve, asked


def choose(offers, named="", *, linux=True, card=False):
    resolve, asked = index(**offers)
    return (*setup_env.choose_torch(named, linux=linux, card=card, resolve=resolve), asked)


def test_a_cpu_build_that_pip_prefers_is_taken():
    arguments, larger, asked = choose({"torch_2.13.0": CPU})
    assert (arguments, larger) == (["torch==2.13.0"], False)
    assert asked == ["torch==2.13.0"]


def test_a_cpu_build_beside_the_default_is_asked_for():
    arguments, larger, _ = choose({"torch_2.13.0": CUDA, "torch_2.13.0+cpu": CPU})
    assert (arguments, larger) == (["torch==2.13.0+cpu"], False)


def test_without_a_cpu_build_the_default_is_taken_and_said():
    arguments, larger, _ = choose({"torch_2.13.0": CUDA})
    assert (arguments, larger) == (["torch==2.13.0"], True)


@pytest.mark.parametrize(("linux", "card"), [(True, True), (False, False), (False, True)])
def test_with_a_card_or_elsewhere_the_default_is_taken_in_silence(linux, card):
    arguments, larger, asked = choose(
        {"torch_2.13.0": CUDA, "torch_2.13.0+cpu": CPU}, linux=linux, card=card
    )
    assert (arguments, larger, asked) == (["torch==2.13.0"], False, ["torch==2.13.0"])


def test_where_that_version_has_no_build_another_one_serves():
    # The CPU build asked for is of the version found, not of the one that does not exist.
    arguments, _, asked = choose({"torch_2.5": ("2.9.1", True), "torch_2.9.1+cpu": CPU})
    assert arguments == ["torch==2.9.1+cpu"]
    assert asked == ["torch==2.13.0", "torch>=2.5", "torch==2.9.1+cpu"]


def test_nothing_found_is_said():
    with pytest.raises(setup_env.SetupError, match=r"pip finds no build of torch>=2\.5"):
        choose({})


def test_a_named_version_is_not_second_guessed():
    arguments, larger, asked = choose({"torch_2.7.1": ("2.7.1", True)}, "2.7.1")
    assert (arguments, larger, asked) == (["torch==2.7.1"], False, ["torch==2.7.1"])
    with pytest.raises(setup_env.SetupError, match=r"torch==2\.7\.1"):
        choose({"torch_2.13.0": CPU}, "2.7.1")


def test_named_requirement_folder_and_wheel(tmp_path):
    assert setup_env.torch_arguments("torch==2.13.0+cpu") == ["torch==2.13.0+cpu"]
    assert setup_env.torch_arguments("torch>=2.9") == ["torch>=2.9"]
    folder = ["--find-links", str(tmp_path), "torch==2.13.0"]
    assert setup_env.torch_arguments(str(tmp_path)) == folder
    wheel = tmp_path / "torch-2.13.0+cpu-cp311-none-any.whl"
    with pytest.raises(setup_env.SetupError, match="does not exist"):
        setup_env.torch_arguments(str(wheel))
    wheel.touch()
    assert setup_env.torch_arguments(str(wheel)) == [str(wheel)]


@pytest.mark.parametrize("named", ["torchvision", "cpu", "/no/such/folder"])
def test_a_name_that_means_nothing_is_refused(named):
    with pytest.raises(setup_env.SetupError, match="NAPARI_XREG_TORCH must be"):
        setup_env.torch_arguments(named)


@pytest.mark.parametrize(
    ("packages", "expected"),
    [
        ({"torch": "2.13.0+cpu", "sympy": "1.14"}, ("2.13.0+cpu", False)),
        ({"torch": "2.13.0", "nvidia-cublas": "13.1"}, ("2.13.0", True)),
        ({"torch": "2.13.0", "cuda-bindings": "13.0"}, ("2.13.0", True)),
        ({"Torch": "2.13.0+cu130", "sympy": "1.14"}, ("2.13.0+cu130", True)),
        ({"torch": "2.13.0", "sympy": "1.14"}, ("2.13.0", False)),
    ],
)
def test_pip_report_is_read(packages, expected):
    install = [{"metadata": {"name": n, "version": v}} for n, v in packages.items()]
    assert setup_env.summary({"install": install}) == expected


def test_the_library_behind_an_import_error_is_found():
    message = "ImportError: libGL.so.1: cannot open shared object file: No such file or directory"
    assert setup_env.missing_library(message) == "libGL.so.1"
    gthread = message.replace("libGL.so.1", "libgthread-2.0.so.0")
    assert setup_env.DEBIAN_PACKAGES[setup_env.missing_library(gthread)] == "libglib2.0-0"
    assert setup_env.missing_library("ModuleNotFoundError: No module named 'cv2'") is None


def test_an_environment_is_ready_for_what_it_was_made_for():
    stamp = {"key": "k", "extras": ["peers", "test"]}
    assert setup_env.is_ready(stamp, "k", ["test"])
    assert setup_env.is_ready(stamp, "k", [])
    assert not setup_env.is_ready(stamp, "k", ["dev"])
    assert not setup_env.is_ready(stamp, "changed", ["test"])
    assert not setup_env.is_ready(None, "k", [])


# What `ldd` says of PyQt6's libqxcb.so on a bare machine (shortened).
LISTING = """
\tlinux-vdso.so.1 (0x00007ffd8a7f2000)
\tlibQt6Gui.so.6 => /v/PyQt6/Qt6/plugins/platforms/../../lib/libQt6Gui.so.6 (0x00007f1)
\tlibxcb-icccm.so.4 => not found
\tlibxcb-keysyms.so.1 => not found
\tlibEGL.so.1 => not found
\tlibxcb-icccm.so.4 => not found
\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f1)
"""


def test_libraries_that_qt_does_not_find():
    # Qt itself would say that libxcb-cursor0 is needed, which is there.
    found = setup_env.unresolved_libraries(LISTING)
    assert found == ["libxcb-icccm.so.4", "libxcb-keysyms.so.1", "libEGL.so.1"]


def packages(libraries=(), extras=("test",), *, screen=False, there=()):
    return setup_env.screen_packages(
        libraries, extras, screen=screen, which=lambda name: name if name in there else None
    )


def test_tests_without_a_screen_bring_one():
    assert packages() == ["xvfb", "xauth"]
    assert packages(there=["xvfb-run", "Xvfb"]) == ["xauth"]
    assert packages(there=["xvfb-run", "Xvfb", "xauth"]) == []
    libraries = ["libxcb-icccm.so.4", "libEGL.so.1"]
    assert packages(libraries) == ["libxcb-icccm4", "libegl1", "xvfb", "xauth"]


def test_with_a_screen_only_the_libraries_are_brought():
    assert packages(screen=True) == []
    assert packages(["libxcb-cursor.so.0"], ["pyqt6"], screen=True) == ["libxcb-cursor0"]


def test_a_demo_without_a_screen_opens_no_window():
    assert packages(["libxcb-cursor.so.0"], ["pyqt6"]) == []
    assert packages(["libxcb-cursor.so.0"], []) == []


def test_a_library_nobody_knows_is_named():
    with pytest.raises(setup_env.SetupError, match=r"libnew\.so\.1"):
        packages(["libnew.so.1"])


def test_make_test_brings_its_own_screen():
    """The one command of the README must not need a display, and must check napari's threads."""
    makefile = (SCRIPT.parents[1] / "Makefile").read_text()
    (line,) = [line for line in makefile.splitlines() if line.endswith("$(PYTEST)")]
    assert line.split() == ["NAPARI_ENSURE_PLUGIN_MAIN_THREAD=1", "$(SCREEN)", "$(PYTEST)"]
    (pytest_line,) = [line for line in makefile.splitlines() if line.startswith("PYTEST =")]
    assert " -m pytest " in pytest_line
    assert pytest_line.split()[2] == "env", "what xvfb-run runs is a program, not an assignment"
    assert not {"-m", "-k", "--ignore", "--deselect"} & set(
        pytest_line.split("pytest", 1)[1].split()
    )
    assert "xvfb-run -a" in makefile
    assert (SCRIPT.parents[1] / ".ci" / "run").read_text().splitlines()[-1] == "make test"


def test_every_extra_with_qt_is_known():
    """The extras of pyproject.toml that bring a Qt binding are those that get its libraries."""
    project = tomllib.loads((SCRIPT.parents[1] / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]

    def brings_qt(name):
        own = [re.fullmatch(r"napari-xreg\[([\w,]+)\]", line) for line in extras[name]]
        return any(line.startswith("napari[") for line in extras[name]) or any(
            brings_qt(each) for match in own if match for each in match.group(1).split(",")
        )

    assert {name for name in extras if brings_qt(name)} == setup_env.WITH_QT
