"""A trial of Autoscoper (``trial.cfg``): which calibrations, radiographs and volumes belong together.

Lines of a key and its value, divided at the first blank; keys are repeated, in the order of cameras and
volumes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from napari_xreg.files import ReadError, check_file, number, read_text
from napari_xreg.images.formats.numbered import numbered_files

_KEYS = {
    "mayaCam_csv", "CameraRootDir", "VolumeFile", "VolumeFlip", "VoxelSize", "RenderResolution",
    "OptimizationOffsets", "MeshFile", "TrackingFolder", "FilterFolder", "Version",
}  # fmt: skip
_PICTURES = (".tif", ".png", ".tiff")
_LARGEST = 1 << 20


@dataclass(frozen=True)
class TrialCamera:
    """One camera of a rig.

    Parameters
    ----------
    calibration
        Its MayaCam file.
    folder
        Of its undistorted radiographs, one file for each frame.
    """

    calibration: Path
    folder: Path

    def frames(self) -> Mapping[int, Path]:
        """The radiograph of each frame, in order, by its number (`numbered_files`).

        Raises
        ------
        ReadError
            If the folder is absent or holds no picture.
        """
        return numbered_files(self.folder, _PICTURES, "a camera's radiographs")


@dataclass(frozen=True)
class TrialVolume:
    """One bone.

    Parameters
    ----------
    path
        A TIFF stack.
    voxel_size
        x, y, z, in the unit of the calibration.
    flip
        Axes that are turned around.
    """

    path: Path
    voxel_size: tuple[float, float, float]
    flip: tuple[int, int, int] = (0, 0, 0)

    @property
    def name(self) -> str:
        """What it is called: its file without the ending."""
        return self.path.stem


@dataclass(frozen=True)
class TrialFile:
    """What a ``trial.cfg`` says.

    Parameters
    ----------
    path
        The file.
    cameras, volumes
        In the order of the file.
    tracking
        Folder where Autoscoper keeps poses.
    notes
        What was passed over.
    """

    path: Path
    cameras: tuple[TrialCamera, ...]
    volumes: tuple[TrialVolume, ...]
    tracking: Path
    notes: tuple[str, ...] = field(default=())


def is_trial(path: Path) -> bool:
    """Whether a file is one, by its first keys."""
    try:
        head = (
            path.read_bytes()[:4096] if path.is_file() and path.stat().st_size < _LARGEST else b""
        )
    except OSError:
        return False
    words = {line.split(" ", 1)[0] for line in head.decode("utf-8", "replace").splitlines()}
    return "mayaCam_csv" in words or {"CameraRootDir", "VolumeFile"} <= words


def read_trial(path: Path) -> TrialFile:
    """Read which files belong to a trial; the files themselves are not opened.

    Raises
    ------
    ReadError
        If it is none, numbers of cameras or volumes do not fit, or a file that it names is absent.
    """
    lines = [
        line.strip()
        for line in read_text(path, limit=_LARGEST, legacy=True).splitlines()
        if line.strip() and not line.startswith("#")
    ]
    values: dict[str, list[str]] = {key: [] for key in _KEYS}
    unknown = []
    for line in lines:
        key, _, value = line.partition(" ")
        if key in values:
            values[key].append(value.strip())
        else:
            unknown.append(key[:40])
    cameras, folders = values["mayaCam_csv"], values["CameraRootDir"]
    stacks, sizes, flips = values["VolumeFile"], values["VoxelSize"], values["VolumeFlip"]
    if not cameras or not stacks:
        raise ReadError(
            f"{path.name}: is no trial of Autoscoper: it names {len(cameras)} calibrations (mayaCam_csv) "
            f"and {len(stacks)} volumes (VolumeFile)"
        )
    if len(cameras) != len(folders):
        raise ReadError(
            f"{path.name}: {len(cameras)} calibrations (mayaCam_csv) and {len(folders)} folders of "
            "radiographs (CameraRootDir) do not fit together"
        )
    if len(stacks) != len(sizes) or len(flips) not in (0, len(stacks)):
        raise ReadError(
            f"{path.name}: {len(stacks)} volumes (VolumeFile) need a VoxelSize each, and a VolumeFlip "
            f"each or none: got {len(sizes)} and {len(flips)}"
        )
    version = values["Version"][-1] if values["Version"] else "1.0"
    # Of version 1.0 paths begin where Autoscoper runs, which nobody knows: beside the file as well.
    notes = [f"it is of version {version}: its paths are taken from its folder"] * (
        version == "1.0"
    )
    if unknown:
        notes.append(
            f"keys that are not known were passed over: {', '.join(dict.fromkeys(unknown))}"
        )
    if values["MeshFile"]:
        notes.append("its meshes (MeshFile) are not used")
    here = path.absolute().parent
    tracking = values["TrackingFolder"][-1] if values["TrackingFolder"] else "Tracking"
    return TrialFile(
        path,
        tuple(
            TrialCamera(_file(path, here, a, "mayaCam_csv"), _beside(here, b))
            for a, b in zip(cameras, folders, strict=True)
        ),
        tuple(
            TrialVolume(
                _file(path, here, stack, "VolumeFile"),
                _three(path, "VoxelSize", size, positive=True),
                _flip(path, flip),
            )
            for stack, size, flip in zip(
                stacks, sizes, flips or ["0 0 0"] * len(stacks), strict=True
            )
        ),
        _beside(here, tracking),
        tuple(notes),
    )


def _beside(here: Path, name: str) -> Path:
    return here / name.replace("\\", "/")


def _file(trial: Path, here: Path, name: str, key: str) -> Path:
    found = _beside(here, name)
    try:
        check_file(found)
    except ReadError as error:
        raise ReadError(f"{trial.name}: its {key} cannot be used: {error}") from error
    return found


def _three(
    trial: Path, key: str, text: str, *, positive: bool = False
) -> tuple[float, float, float]:
    try:
        values = [number(word) for word in text.split()]
    except ValueError:
        values = []
    if len(values) != 3 or (positive and min(values) <= 0):
        above = " above 0" if positive else ""
        raise ReadError(f"{trial.name}: {key} should be three numbers{above}: got {text[:60]!r}")
    x, y, z = values
    return x, y, z


def _flip(trial: Path, text: str) -> tuple[int, int, int]:
    x, y, z = _three(trial, "VolumeFlip", text)
    return int(x != 0), int(y != 0), int(z != 0)
