"""Makes diffdrr importable beside a CPU torch.

diffdrr's metrics import torchvision, whose compiled part does not load beside a CPU-only torch;
its import then fails on the first of its operators that a fake kernel is registered for. Declaring
those operators is enough, and touches nothing that is computed or timed. Where torchvision is not
installed at all, a module with the one function that diffdrr's metrics import stands in; calling it
raises.
"""

import importlib.util
import sys
import types
from importlib.machinery import ModuleSpec
from typing import Any

import torch

_keep: list[Any] = []


def make_diffdrr_importable() -> None:
    """Call before the first ``import diffdrr``; calling it again does nothing."""
    if _keep:
        return
    if importlib.util.find_spec("torchvision") is None:
        _keep.append(_stand_in())
        return
    library = torch.library.Library("torchvision", "DEF")
    boxes = "Tensor input, Tensor rois, float spatial_scale, int pooled_height, int pooled_width"
    for signature in (
        "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
        f"roi_align({boxes}, int sampling_ratio, bool aligned) -> Tensor",
    ):
        try:
            library.define(signature)
        except RuntimeError:  # the compiled part did load and has defined it
            break
    _keep.append(library)


def _stand_in() -> types.ModuleType:
    def gaussian_blur(*args: Any, **kwargs: Any) -> None:
        raise ImportError("torchvision is not installed: diffdrr's blurred metrics need it")

    names = ["torchvision", "torchvision.transforms", "torchvision.transforms.functional"]
    modules = [types.ModuleType(name) for name in names]
    for module in modules:  # find_spec() refuses a loaded module that has none
        module.__spec__ = ModuleSpec(module.__name__, None)
    modules[2].gaussian_blur = gaussian_blur  # type: ignore[attr-defined]
    modules[1].functional = modules[2]  # type: ignore[attr-defined]
    modules[0].transforms = modules[1]  # type: ignore[attr-defined]
    sys.modules.update(zip(names, modules, strict=True))
    return modules[0]
