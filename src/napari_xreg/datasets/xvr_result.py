"""Results of xvr (``xvr register``, a ``.pth`` for each radiograph), read and written.

Poses are DiffDRR's, in RAS mm from the middle of the CT. The file does not say which axes of DiffDRR's they
follow (its own restart takes "AP"), where the principal point lies, or what was cropped.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from napari_xreg.files import ReadError, written
from napari_xreg.geometry import (
    DiffDRRCamera,
    Pose,
    carm_from_diffdrr,
    diffdrr_from_carm,
)
from napari_xreg.images import Radiograph
from napari_xreg.registration import Registration
from napari_xreg.training import read_torch, stands_alone

_DETECTOR = ("sdd", "height", "width", "delx", "dely")


@dataclass(frozen=True, eq=False)
class XvrResult:
    """What a result of xvr says.

    Parameters
    ----------
    initial, final
        DiffDRR's matrices, RAS mm from the middle of the CT: where it began (None: it does not say), and ended.
    sdd, delx, dely
        mm.
    height, width
        Pixels of the radiograph as it was registered: cropped.
    reversed_columns
        Its ``reverse_x_axis``.
    seconds
        That it took; None: it does not say.
    similarities
        Before each step, more is better, None if not finite; none where nothing was optimised.
    """

    initial: Float[Tensor, "4 4"] | None
    final: Float[Tensor, "4 4"]
    sdd: float
    height: int
    width: int
    delx: float
    dely: float
    reversed_columns: bool
    seconds: float | None
    similarities: tuple[float | None, ...] = ()

    def pose(
        self,
        volume_center: Float[Tensor, "3"],
        *,
        orientation: str | None = "AP",
        began: bool = False,
    ) -> Pose:
        """``world_from_camera`` of the result.

        Parameters
        ----------
        volume_center
            `Volume.center` of the CT, LPS mm.
        orientation
            Which axes of DiffDRR's the pose follows: "AP", "PA" or None.
        began
            The pose that it began with instead.

        Raises
        ------
        ReadError
            If that is asked for and the file does not say it.
        """
        matrix = self.initial if began else self.final
        if matrix is None:
            raise ReadError("the result of xvr does not say where it began: it holds no init_pose")
        camera = DiffDRRCamera(
            matrix, self.sdd, self.height, self.width, self.delx, self.dely, 0.0, 0.0,
            orientation, self.reversed_columns,
        )  # fmt: skip
        x, y, z = volume_center.double().tolist()
        # The pose does not depend on where the isocenter lies.
        _, pose = carm_from_diffdrr(
            camera, volume_center=(x, y, z), source_to_isocenter=0.7 * self.sdd
        )
        return pose


def is_xvr_result(file: Path) -> bool:
    """Whether a file of torch is one; False too where it cannot be read."""
    try:
        return _is_one(read_torch(file))
    except ReadError:
        return False


def read_xvr_result(file: Path | str) -> XvrResult:
    """Read a result of xvr 0.1; nothing in it is run.

    Raises
    ------
    ReadError
        If it is none, is damaged, would run code (the ``parameters.pt`` of older versions), or a number is
        absent.
    """
    file = Path(file)
    content = read_torch(file)
    if not _is_one(content):
        raise ReadError(
            f"{file.name}: is no result of xvr: expected `detector` and `final_pose`, as xvr register of 0.1 "
            "writes them"
        )
    said = content["detector"]
    sdd, height, width, delx, dely = (
        _number(file, f"detector: {name}", said.get(name)) for name in _DETECTOR
    )
    if min(sdd, delx, dely) <= 0 or min(height, width) < 1:
        raise ReadError(f"{file.name}: sdd, height, width, delx and dely must be positive")
    reversed_columns = said.get("reverse_x_axis", False)
    if not isinstance(reversed_columns, bool):
        raise ReadError(f"{file.name}: detector: reverse_x_axis: expected true or false")
    initial, seconds = content.get("init_pose"), content.get("runtime")
    return XvrResult(
        None if initial is None else _matrix(file, "init_pose", initial),
        _matrix(file, "final_pose", content.get("final_pose")),
        sdd, round(height), round(width), delx, dely, reversed_columns,
        None if seconds is None else _number(file, "runtime", seconds),
        _similarities(file, content.get("log")),
    )  # fmt: skip


def write_xvr_result(
    path: Path | str,
    registration: Registration,
    radiograph: Radiograph,
    initial: Pose,
    *,
    volume_center: Float[Tensor, "3"],
    orientation: str | None = "AP",
) -> None:
    """Write a result as xvr does, so that ``xvr register restart`` goes on from it.

    Its log is left empty: our steps are none of its optimiser's. The principal point, which xvr's own
    files lack, stands beside the rest of the detector (``x0``, ``y0`` of DiffDRR's arguments).

    Parameters
    ----------
    registration, radiograph, initial
        The result, its first radiograph as it was registered, and the pose that it began with.
    volume_center
        `Volume.center`.
    orientation
        As of ``xvr register restart --orientation``.

    Raises
    ------
    WriteError
        If it cannot be written.
    """
    x, y, z = volume_center.double().tolist()
    cameras = [
        diffdrr_from_carm(
            radiograph.carm,
            pose.to(dtype=torch.float64),
            volume_center=(x, y, z),
            orientation=orientation,
        )
        for pose in (initial, registration.world_from_camera)
    ]
    first, final = cameras
    detector = {
        "sdd": final.sdd, "height": final.height, "width": final.width, "delx": final.delx,
        "dely": final.dely, "reverse_x_axis": final.reverse_x_axis, "x0": final.x0, "y0": final.y0,
    }  # fmt: skip
    seconds = max((each.seconds for each in registration.trajectory), default=0.0)
    with written(path, failures=(RuntimeError,)) as beside:
        torch.save(
            {
                "detector": detector,
                "runtime": float(seconds),
                "init_pose": first.matrix[None].float(),
                "final_pose": final.matrix[None].float(),
                "gt": radiograph.line_integrals.detach().cpu().float()[None, None].clone(),
                "log": None,
            },
            beside,
        )


def _is_one(content: Any) -> bool:
    return (
        isinstance(content, Mapping)
        and isinstance(content.get("detector"), Mapping)
        and "final_pose" in content
    )


def _similarities(file: Path, log: Any) -> tuple[float | None, ...]:
    if not isinstance(log, Mapping):
        return ()
    losses = log.get("losses")
    if not isinstance(losses, list) or not all(isinstance(v, int | float) for v in losses):
        raise ReadError(f"{file.name}: log: losses: expected a list of numbers")
    return tuple(map(_finite, losses))


def _matrix(file: Path, name: str, value: Any) -> Float[Tensor, "4 4"]:
    fits = stands_alone(value) and value.numel() == 16 and value.is_floating_point()
    if not fits or not bool(value.isfinite().all()):
        raise ReadError(f"{file.name}: {name}: expected a matrix of 4 x 4 finite numbers")
    matrix: Tensor = value.double().reshape(4, 4)
    try:
        # Stored in single precision: as near to a rotation as that is.
        return Pose.from_matrix(matrix).matrix()
    except ValueError as error:
        raise ReadError(f"{file.name}: {name}: {error}") from error


def _number(file: Path, name: str, value: Any) -> float:
    number = _finite(value)
    if number is None:
        raise ReadError(f"{file.name}: {name}: expected a finite number")
    return number


def _finite(value: Any) -> float | None:
    """A number, or a tensor of one; None: it is neither, or is not finite."""
    if isinstance(value, Tensor) and stands_alone(value) and value.numel() == 1:
        value = value.item()
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:  # a whole number may have any length
        return None
    return number if math.isfinite(number) else None
