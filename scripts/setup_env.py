#!/usr/bin/env python3
"""Make .venv, with napari-xreg and the extras named, ready to use: ``setup_env.py [EXTRA ...]``.

Standard library only. A second run with nothing changed returns at once.

torch goes in first and is pinned for every later step, because anything that asks for another
version would bring gigabytes of CUDA packages. Environment variables:

NAPARI_XREG_TORCH   which torch: a version (``2.13.0``), a requirement (``torch==2.13.0+cpu``),
                    a wheel file, or a folder of wheels.
PIP_...             pip's own settings (index, wheel folder, proxy) hold throughout.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

OLDEST_PYTHON = (3, 11)
TORCH = "torch==2.13.0"  # the version every number in the docs was measured with
TORCH_RANGE = "torch>=2.5"  # where there is no build of that one (Intel Macs, future Pythons)

REPOSITORY = Path(__file__).resolve().parents[1]
VENV = REPOSITORY / ".venv"
CONSTRAINTS = VENV / "constraints.txt"
STAMP = VENV / "napari-xreg-ready.json"

# Extras that bring a Qt binding, and those whose tests open windows even where there is no screen.
WITH_QT = {"all", "bench", "dev", "pyqt6", "test"}
WITHOUT_SCREEN = {"bench", "dev", "test"}

# Compiled dependencies: importing them is the only sure way to learn which system library lacks.
COMPILED = ("torch", "numba", "cv2", "SimpleITK", "scipy.ndimage")
DEBIAN_PACKAGES = {
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgomp.so.1": "libgomp1",
    "libstdc++.so.6": "libstdc++6",
    "libSM.so.6": "libsm6",
    "libICE.so.6": "libice6",
    "libXext.so.6": "libxext6",
    "libX11.so.6": "libx11-6",
    "libXrender.so.1": "libxrender1",
    "libxcb.so.1": "libxcb1",
    "libz.so.1": "zlib1g",
    # Qt's plug-in for the screen. It names only libxcb-cursor0 when it fails, whichever lacks.
    "libX11-xcb.so.1": "libx11-xcb1",
    "libdbus-1.so.3": "libdbus-1-3",
    "libfontconfig.so.1": "libfontconfig1",
    "libfreetype.so.6": "libfreetype6",
    "libxcb-cursor.so.0": "libxcb-cursor0",
    "libxcb-icccm.so.4": "libxcb-icccm4",
    "libxcb-image.so.0": "libxcb-image0",
    "libxcb-keysyms.so.1": "libxcb-keysyms1",
    "libxcb-randr.so.0": "libxcb-randr0",
    "libxcb-render-util.so.0": "libxcb-render-util0",
    "libxcb-render.so.0": "libxcb-render0",
    "libxcb-shape.so.0": "libxcb-shape0",
    "libxcb-shm.so.0": "libxcb-shm0",
    "libxcb-sync.so.1": "libxcb-sync1",
    "libxcb-util.so.1": "libxcb-util1",
    "libxcb-xfixes.so.0": "libxcb-xfixes0",
    "libxcb-xinerama.so.0": "libxcb-xinerama0",
    "libxcb-xkb.so.1": "libxcb-xkb1",
    "libxkbcommon-x11.so.0": "libxkbcommon-x11-0",
    "libxkbcommon.so.0": "libxkbcommon0",
}
# A screen of one's own, for a machine that has none. xvfb brings software GL; it only recommends
# xauth, which xvfb-run needs.
SCREEN_PROGRAMS = {"xvfb-run": "xvfb", "Xvfb": "xvfb", "xauth": "xauth"}

# What the parity tests import of the peers. Their declared dependencies would also bring
# torchvision, timm, VTK and a Jupyter server, and torchvision's compiled part does not load beside
# a CPU build of torch (docs/decisions/0001).
PEERS_ALONE = ("diffdrr==0.6.1", "nanodrr==0.1.7")
PEERS_NEED = ("fastcore", "torchio>=0.21", "pandas", "einops", "platformdirs", "roma>=1.5")

SMALLER = """\
    This machine has no NVIDIA card, but the torch that pip offers brings CUDA (several GB).
    For the smaller CPU build, remove .venv, then either name PyTorch's CPU index to pip
    (PIP_EXTRA_INDEX_URL, the address is on pytorch.org under "Get Started", platform CPU) or
    set NAPARI_XREG_TORCH to a folder that holds a +cpu wheel, and run this again."""


class SetupError(Exception):
    """Something the user can put right; the message says how."""


# ---------------------------------------------------------------- decisions, without side effects


def torch_arguments(named):
    """What to give pip for torch when NAPARI_XREG_TORCH says `named`."""
    named = named.strip()
    if not named:
        return [TORCH]
    if Path(named).is_dir():
        return ["--find-links", named, TORCH]
    if named.endswith(".whl"):
        if not Path(named).is_file():
            raise SetupError(f"NAPARI_XREG_TORCH names a wheel that does not exist: {named}")
        return [named]
    if re.match(r"\d", named):
        return [f"torch=={named}"]
    if re.match(r"torch\b", named):
        return [named]
    raise SetupError(
        "NAPARI_XREG_TORCH must be a version, a requirement that starts with 'torch', a wheel "
        f"file or an existing folder of wheels: got {named!r}"
    )


def summary(report):
    """The version of torch in a report of pip, and whether it brings CUDA."""
    names = {
        item["metadata"]["name"].lower(): item["metadata"]["version"] for item in report["install"]
    }
    version = names.get("torch")
    if version is None:
        raise SetupError("pip's report names no torch")
    cuda = any(name.startswith(("nvidia-", "cuda-")) for name in names)
    return version, cuda or "+cu" in version.replace("+cpu", "")


def choose_torch(named, *, linux, card, resolve):
    """Arguments for pip, and whether to say how to get the smaller build.

    Parameters
    ----------
    named
        NAPARI_XREG_TORCH, or an empty string.
    linux, card
        Whether this is Linux, and whether it has a working NVIDIA card.
    resolve
        Arguments for pip -> (version, brings CUDA), or None where pip finds nothing.
    """
    wanted = torch_arguments(named)
    found = resolve(wanted)
    if found is None and not named:
        wanted = [TORCH_RANGE]
        found = resolve(wanted)
    if found is None:
        raise SetupError(
            f"pip finds no build of {wanted[-1]} for Python "
            f"{sys.version_info[0]}.{sys.version_info[1]} on this machine. See the lines above; "
            "is there a network or an index? NAPARI_XREG_TORCH may name a version, a wheel or a "
            "folder of wheels."
        )
    version, cuda = found
    if named or not linux or card or not cuda:
        return wanted, False
    # The default build brings CUDA: an index may offer the CPU build beside it.
    smaller = [f"torch=={version.split('+')[0]}+cpu"]
    if resolve(smaller) is not None:
        return smaller, False
    return wanted, True


def missing_library(message):
    """The shared library that an ImportError complains about, or None."""
    found = re.search(r"(lib[\w.+-]+\.so[\w.]*): cannot open shared object file", message)
    return found.group(1) if found else None


def unresolved_libraries(listing):
    """The shared libraries that ``ldd`` did not find, each once, in its order."""
    return list(dict.fromkeys(re.findall(r"^\s*(\S+) => not found", listing, re.MULTILINE)))


def screen_packages(libraries, extras, *, screen, which):
    """Debian packages that windows need and this machine lacks.

    Parameters
    ----------
    libraries
        What Qt's plug-in for the screen does not find.
    extras
        What the environment is for.
    screen
        Whether there is a screen (DISPLAY).
    which
        `shutil.which`: the path of a program, or None.
    """
    wanted = set(extras)
    if not wanted & WITH_QT or not (screen or wanted & WITHOUT_SCREEN):
        return []  # no window will be opened
    unknown = [library for library in libraries if library not in DEBIAN_PACKAGES]
    if unknown:
        raise SetupError(f"Qt needs these system libraries, install them: {', '.join(unknown)}")
    packages = [DEBIAN_PACKAGES[library] for library in libraries]
    if not screen:
        packages += [package for name, package in SCREEN_PROGRAMS.items() if which(name) is None]
    return list(dict.fromkeys(packages))


def is_ready(stamp, key, extras):
    """Whether an environment with this stamp serves, or only lacks the extras returned."""
    if not stamp or stamp.get("key") != key:
        return False
    return set(extras) <= set(stamp.get("extras", []))


# ------------------------------------------------------------------------------- the steps of it


def say(text):
    print(text, flush=True)


def venv_python():
    folder = "Scripts" if os.name == "nt" else "bin"
    return VENV / folder / ("python.exe" if os.name == "nt" else "python")


def has_card():
    """Whether an NVIDIA card works: nvidia-smi is there and lists one."""
    if shutil.which("nvidia-smi") is None:
        return False
    listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    return listing.returncode == 0 and "GPU" in listing.stdout


def settings_key():
    """What an environment depends on; it is made anew or completed when this changes."""
    digest = hashlib.sha256()
    for name in ("pyproject.toml", "scripts/setup_env.py", "src/napari_xreg/__init__.py"):
        digest.update((REPOSITORY / name).read_bytes())
    digest.update(os.environ.get("NAPARI_XREG_TORCH", "").encode())
    return digest.hexdigest()


def read_stamp():
    try:
        return json.loads(STAMP.read_text())
    except (OSError, ValueError):
        return None


def pip(*arguments, check=True, capture=False):
    command = [str(venv_python()), "-m", "pip", "--disable-pip-version-check", *arguments]
    environment = dict(os.environ)
    if CONSTRAINTS.exists():
        theirs = environment.get("PIP_CONSTRAINT", "")
        # A URL, because pip splits this variable at spaces.
        environment["PIP_CONSTRAINT"] = f"{CONSTRAINTS.as_uri()} {theirs}".strip()
    done = subprocess.run(
        command,
        cwd=REPOSITORY,
        env=environment,
        check=False,
        text=True,
        capture_output=capture,
    )
    if check and done.returncode != 0:
        raise SetupError(f"pip failed (see above): pip {' '.join(arguments)}")
    return done


def install(*arguments):
    quiet = () if sys.stdout.isatty() else ("-qq",)  # -q still prints every warning
    pip("install", *quiet, *arguments)


def resolve(arguments):
    """What pip would install for these arguments; None where it finds nothing."""
    done = pip(
        "install", "--dry-run", "-qq", "--ignore-installed", "--report", "-", *arguments,
        check=False, capture=True,
    )  # fmt: skip
    if done.returncode == 0:
        return summary(json.loads(done.stdout))
    if not arguments[-1].endswith("+cpu"):  # that one is only a question
        say(done.stderr.strip())
    return None


def installed_torch():
    code = "import importlib.metadata as m; print(m.version('torch'))"
    done = subprocess.run(
        [str(venv_python()), "-c", code], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() if done.returncode == 0 else None


def apt_install(packages, why):
    """Install Debian packages, or say which command does."""
    line = f"apt-get install -y --no-install-recommends {' '.join(packages)}"
    if shutil.which("apt-get") is None:
        raise SetupError(f"{why}. On Debian and Ubuntu that is: {' '.join(packages)}")
    if os.geteuid() != 0:
        raise SetupError(f"{why}. Install it and run this again:\n    sudo {line}")
    say(f"-- {why}: {line}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update", "-qq"], [*line.split(), "-qq"]):
        if subprocess.run(
            command, env=environment, check=False, stdin=subprocess.DEVNULL
        ).returncode:
            raise SetupError(f"this failed (see above): {' '.join(command)}")


def make_venv():
    """Create .venv, or keep the one that is there if its Python runs."""
    if venv_python().exists():
        stamp = read_stamp()
        moved = stamp is not None and stamp.get("folder") != str(REPOSITORY)
        code = f"import sys, pip; sys.exit(sys.version_info < {OLDEST_PYTHON})"
        works = subprocess.run([str(venv_python()), "-c", code], capture_output=True, check=False)
        if works.returncode == 0 and not moved:
            return
        if not moved and not CONSTRAINTS.exists():
            raise SetupError(f"{VENV} is there, but its Python does not work: remove it first")
    say(f"-- new environment in {VENV.name} with Python {sys.version.split()[0]}")
    command = [sys.executable, "-m", "venv", "--clear", str(VENV)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0 and "ensurepip" in done.stdout + done.stderr:
        package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        apt_install([package], "this Python lacks its venv module")
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SetupError(f"could not make {VENV}:\n{done.stdout}{done.stderr}")


def install_torch():
    """Put torch in, unless it is there, and pin it for all that follows."""
    named = os.environ.get("NAPARI_XREG_TORCH", "")
    stamp = read_stamp() or {}
    if installed_torch() is None or stamp.get("torch", named) != named:
        CONSTRAINTS.unlink(missing_ok=True)
        say("-- asking pip which torch it offers")
        arguments, larger = choose_torch(
            named, linux=sys.platform.startswith("linux"), card=has_card(), resolve=resolve
        )
        if larger:
            say(SMALLER)
        say(f"-- torch first: {arguments[-1]} (the largest download)")
        install(*arguments)
    CONSTRAINTS.write_text(f"torch=={installed_torch()}\n")


def install_system_libraries():
    """Bring the shared libraries that the compiled dependencies lack."""
    tried = set()
    for module in COMPILED:
        while True:
            done = subprocess.run(
                [str(venv_python()), "-c", f"import {module}"],
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode == 0:
                break
            library = missing_library(done.stderr)
            if library is None or library in tried:
                raise SetupError(f"{module} does not import:\n{done.stderr}")
            tried.add(library)
            if library not in DEBIAN_PACKAGES:
                raise SetupError(f"{module} needs the system library {library}: install it")
            apt_install([DEBIAN_PACKAGES[library]], f"{module} needs {library}")


def qt_unresolved():
    """What Qt's plug-in for the screen does not find on this machine."""
    plugins = (*VENV.glob("lib/python*/site-packages/PyQt6/Qt6/plugins/platforms/libqxcb.so"),)
    if not plugins or shutil.which("ldd") is None:
        return []
    done = subprocess.run(["ldd", str(plugins[0])], capture_output=True, text=True, check=False)
    # Its own Qt libraries lie beside it and are found; what is not is the system's to bring.
    return [name for name in unresolved_libraries(done.stdout) if not name.startswith("libQt6")]


def install_screen(extras):
    """Bring what windows need, on Linux: Qt's system libraries and, without a screen, a virtual one."""
    if not sys.platform.startswith("linux"):
        return
    packages = screen_packages(
        qt_unresolved(), extras, screen=bool(os.environ.get("DISPLAY")), which=shutil.which
    )
    if packages:
        apt_install(packages, "napari's windows need system packages")
        left = qt_unresolved()
        if left:
            raise SetupError(f"Qt still does not find {', '.join(left)}: install what holds them")


def main(extras):
    make_environment(extras)
    # Every time: a screen comes and goes without any change to the environment.
    install_screen(extras)


def make_environment(extras):
    key = settings_key()
    stamp = read_stamp()
    if is_ready(stamp, key, extras) and stamp["folder"] == str(REPOSITORY):
        return
    if stamp and stamp.get("key") == key:
        extras = sorted({*extras, *stamp["extras"]})
    make_venv()
    install_torch()
    pinned = CONSTRAINTS.read_text().strip()
    others = [extra for extra in extras if extra != "peers"]
    target = f".[{','.join(others)}]" if others else "."
    say(f"-- napari-xreg and its dependencies: {target}, with {pinned}")
    install("--editable", target)
    if "peers" in extras:
        say(f"-- for comparison: {', '.join(PEERS_ALONE)}")
        install(*PEERS_NEED)
        install("--no-deps", *PEERS_ALONE)
    install_system_libraries()
    if f"torch=={installed_torch()}" != pinned:
        raise SetupError(f"a later step replaced {pinned} by torch=={installed_torch()}")
    STAMP.write_text(
        json.dumps(
            {
                "key": key,
                "extras": sorted(extras),
                "folder": str(REPOSITORY),
                "torch": os.environ.get("NAPARI_XREG_TORCH", ""),
            }
        )
    )


def newer_python():
    """The path of a Python that is new enough, newest first, or None."""
    for minor in range(20, OLDEST_PYTHON[1] - 1, -1):
        path = shutil.which(f"python3.{minor}")
        if path:
            return path
    return None


if __name__ == "__main__":
    if sys.version_info < OLDEST_PYTHON:
        other = newer_python()
        if other is None:
            sys.exit(
                f"napari-xreg needs Python 3.11 or newer: {sys.executable} is "
                f"{sys.version.split()[0]}, and PATH has no newer one. Install one and name it: "
                "make PYTHON=/path/to/python3.12 ..."
            )
        os.execv(other, [other, *sys.argv])
    try:
        main(sys.argv[1:])
    except SetupError as error:
        sys.exit(f"setup stopped: {error}")
    except KeyboardInterrupt:
        sys.exit("setup interrupted: run it again to go on where it stopped")
