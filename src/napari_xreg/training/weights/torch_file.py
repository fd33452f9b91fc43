"""Files of `torch.save`: tensors and plain values, as large as they say, and nothing that runs."""

import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor

from napari_xreg.files import ReadError, check_file

Named: TypeAlias = Callable[..., Any] | tuple[Callable[..., Any], str]

_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def read_torch(file: Path, *, named: Sequence[Named] = ()) -> Any:
    """What a file of `torch.save` holds, on the CPU, without running anything in it.

    Parameters
    ----------
    named
        Harmless classes that it may name beside tensors and plain values: a class, or one with the
        name that it stands in for.

    Raises
    ------
    ReadError
        If it is no such file, is damaged, or holds program objects.
    """
    check_file(file)
    try:
        _check_packing(file)
        with torch.serialization.safe_globals(list(named)):
            return torch.load(file, map_location="cpu", weights_only=True)
    except ReadError:
        raise
    except Exception as error:  # of pickle, zip and torch, of any kind
        first = (str(error).splitlines() or [""])[0]
        raise ReadError(
            f"{file} cannot be read as plain weights; files that hold program objects are refused, "
            f"since loading them would run code: {first or type(error).__name__}"
        ) from error


def stands_alone(value: Any) -> bool:
    """Whether a value is a dense tensor that has all of its numbers in the file.

    A tensor may also be declared as a view that repeats a few numbers ever so often: a file of
    1 kB that takes any amount of memory.
    """
    return (
        isinstance(value, Tensor)
        and value.layout is torch.strided
        and value.device.type == "cpu"
        and not value.is_quantized
        and value.numel() * value.element_size() <= value.untyped_storage().nbytes()
    )


def finite_weights(value: Any) -> bool:
    """Whether a value maps names to tensors that stand alone and hold finite numbers."""
    return isinstance(value, Mapping) and all(
        isinstance(name, str)
        and stands_alone(tensor)
        and ((tensor.dtype in _FLOATS and bool(torch.isfinite(tensor).all())) or _whole(tensor))
        for name, tensor in value.items()
    )


def _whole(tensor: Tensor) -> bool:
    return not tensor.is_floating_point() and not tensor.is_complex()


def _check_packing(file: Path) -> None:
    """torch stores its members as they are: packed ones may unpack to any size."""
    if not zipfile.is_zipfile(file):
        return
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            if member.file_size > member.compress_size:
                raise ReadError(
                    f"{file} is packed in a way that torch does not: unpacked, {member.filename} "
                    f"takes {member.file_size} bytes"
                )
