"""Which device computes: chosen by name, with a sentence where it cannot be had."""

import torch

from napari_xreg.images import Volume
from napari_xreg.rendering import cuda
from napari_xreg.rendering.derived import derived
from napari_xreg.rendering.memory import out_of_memory


def choose_device(name: str = "auto") -> torch.device:
    """The device of a name, if it is there.

    Parameters
    ----------
    name
        ``auto``: the first CUDA device where torch and Triton can use it, else the CPU, whose
        compiled kernels are the fastest way without CUDA; ``cpu``; ``cuda`` or ``cuda:0``,
        ``cuda:1`` ...; ``mps`` (Apple; renders with the plain torch reference, which is slow).

    Raises
    ------
    ValueError
        If the name is unknown or the device cannot be used. It says what is missing.
    """
    kind, _, number = name.strip().lower().partition(":")
    if kind == "auto" and not number:
        usable = torch.cuda.is_available() and cuda.available()
        return torch.device("cuda", 0) if usable else torch.device("cpu")
    if kind == "cpu" and not number:
        return torch.device("cpu")
    if kind == "mps" and not number:
        if not torch.backends.mps.is_available():
            raise ValueError("the device mps is not there: it needs a Mac with Apple silicon")
        return torch.device("mps")
    if kind != "cuda" or (number and not number.isdecimal()):
        raise ValueError(
            f"the device is one of auto, cpu, cuda, cuda:0, cuda:1 ..., mps: got {name!r}"
        )
    if not torch.backends.cuda.is_built():
        raise ValueError(
            f"the device {name} cannot be used: this torch ({torch.__version__}) was built for the "
            "CPU alone; install one built for CUDA (https://pytorch.org/get-started/locally)"
        )
    if not torch.cuda.is_available():
        raise ValueError(
            f"the device {name} cannot be used: torch finds no CUDA card, or no driver new enough "
            f"for its CUDA {torch.version.cuda}"
        )
    found = torch.cuda.device_count()
    if int(number or 0) >= found:
        raise ValueError(
            f"the device {name} is not there: torch finds {found} CUDA device(s), cuda:0 to "
            f"cuda:{found - 1}"
        )
    return torch.device("cuda", int(number or 0))


def volume_on(volume: Volume, device: torch.device) -> Volume:
    """The volume on a device: one copy a device, made once and kept as long as the volume lives.

    On a CUDA device where the kernels are installed and do not work, the volume stays where it is:
    plain torch is slower there than the CPU. A warning says so, once.

    Raises
    ------
    OutOfMemory
        If it does not fit there. It says what to do.
    """
    if volume.lac.device == device:
        return volume

    def make() -> Volume:
        # Float32 is what the kernels take; Hounsfield units are not needed to render.
        bare = Volume(volume.lac.detach(), volume.world_from_index)
        return bare.to(dtype=torch.float32, device=device)

    try:
        if device.type == "cuda" and cuda.available() and not cuda.usable(device):
            return volume
        return derived(volume, ("device", device), make)
    except torch.OutOfMemoryError as error:
        raise out_of_memory(f"a CT of {volume.shape} voxels on {device}", error) from error
