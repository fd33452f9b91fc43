"""What a file declares is compared with the memory there is, before any of it is taken."""

import contextlib
import math
import os
from pathlib import Path

import psutil  # type: ignore[import-untyped]  # napari depends on it; no stubs

from napari_xreg.files.errors import TooLarge

# GB that one file may take: more, or less, than what is free now.
MEMORY_VARIABLE = "NAPARI_XREG_MEMORY_GB"
# What a container may use, uses, and how that is made up (control groups 2 and 1).
_CONTAINER = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory.stat"),
    (
        "/sys/fs/cgroup/memory/memory.limit_in_bytes",
        "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        "/sys/fs/cgroup/memory/memory.stat",
    ),
)


def claim(needed: int, what: str) -> None:
    """Refuse what does not fit into memory; call it before anything of that size is allocated.

    Parameters
    ----------
    needed
        Bytes that will be held at once: what the file declares, and the copies made of it.
    what
        The file, and the thing in it, for the message: ``"ct.nrrd: a volume of 9 x 9 x 9 voxels"``.

    Raises
    ------
    TooLarge
        If `needed` is more than the free memory, or than the environment variable
        ``NAPARI_XREG_MEMORY_GB`` allows where that is set.

    Examples
    --------
    >>> claim(10**15, "ct.nrrd: a volume of 90000 x 90000 x 90000 voxels")
    Traceback (most recent call last):
    napari_xreg.files.errors.TooLarge: ct.nrrd: a volume of 90000 x 90000 x 90000 voxels takes
    1,000,000 GB, and ...
    """
    allowed = _allowed()
    if allowed is None:
        free = free_memory()
        if needed > free:
            raise TooLarge(
                f"{what} takes {_gb(needed)}, and {_gb(free)} of memory are free: if the file is "
                f"right, close other programs, or let it take more than is free by setting the "
                f"environment variable {MEMORY_VARIABLE}"
            )
    elif needed > allowed:
        raise TooLarge(
            f"{what} takes {_gb(needed)}, and the environment variable {MEMORY_VARIABLE} allows "
            f"{_gb(allowed)}: if the file is right, raise it"
        )


def free_memory() -> int:
    """Bytes that can be taken without swapping, within the limits of a container."""
    free = int(psutil.virtual_memory().available)
    for limit, used, parts in _CONTAINER:
        with contextlib.suppress(OSError, ValueError, KeyError):
            # No such container, or one without a limit ("max"), raises one of these.
            free = min(free, int(Path(limit).read_text()) - _held(Path(used), Path(parts)))
    return max(free, 0)


def _held(used: Path, parts: Path) -> int:
    """Bytes a container holds for good: what the system keeps of read files it gives back."""
    named = dict(line.split() for line in parts.read_text().splitlines())
    kept = int(named["active_file"]) + int(named["inactive_file"])
    return int(used.read_text()) - kept


def _allowed() -> float | None:
    """Bytes by the environment variable; None where it is not set or no positive number."""
    try:
        gb = float(os.environ[MEMORY_VARIABLE])
    except (KeyError, ValueError):
        return None
    return gb * 1e9 if gb > 0 and math.isfinite(gb) else None


def _gb(size: float) -> str:
    """Three digits: 0.0123 GB, 8.3 GB, 1,000,000 GB."""
    gb = size / 1e9
    return f"{gb:,.0f} GB" if gb >= 1000 else f"{gb:.3g} GB"
