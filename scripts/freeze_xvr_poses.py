"""What xvreg 0.1.0 itself says of the seeded checkpoints and images of tests/regression/seeded_xvr.py.

Needs an environment of its own with xvreg 0.1.0, timm, kornia and torchvision beside ours (they do not
go with a torch for the CPU alone, so operators of torchvision are declared, and what draws is left out).

``python scripts/freeze_xvr_poses.py`` writes tests/regression/xvreg_0_1_0.json.
"""

import importlib.machinery
import json
import sys
import tempfile
import types
from pathlib import Path
from unittest.mock import MagicMock

import torch

TESTS = Path(__file__).resolve().parents[1] / "tests" / "regression"


class Absent(types.ModuleType):
    """Stands in for a package that nothing here calls."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return MagicMock()


def main() -> None:
    """Ask the real package."""
    library = torch.library.Library("torchvision", "DEF")
    boxes = "Tensor input, Tensor rois, float spatial_scale, int pooled_height, int pooled_width"
    for signature in (
        "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
        "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
        f"roi_align({boxes}, int sampling_ratio, bool aligned) -> Tensor",
    ):
        library.define(signature)
    for name in ("wandb", "pyvista", "vtk"):
        sys.modules[name] = Absent(name)
        sys.modules[name].__spec__ = importlib.machinery.ModuleSpec(name, None)
    # Its inference moves everything to a card.
    torch.nn.Module.cuda = lambda self, *args, **words: self
    torch.Tensor.cuda = lambda self, *args, **words: self
    from xvr.model.inference import predict_pose
    from xvr.model.network import PoseRegressor, load_model

    sys.path.insert(0, str(TESTS))
    import seeded_xvr as seeded

    answers = {}
    for kind, (*_, images) in seeded.KINDS.items():
        config = seeded.config_of(kind)
        names = ("model_name", "parameterization", "convention", "height", "unit_conversion_factor")
        own = PoseRegressor(**{n: config[n] for n in names}, norm_layer=config["norm_layer"])
        seeded.seed_weights(kind, weights := own.state_dict())
        own.load_state_dict(weights)
        saved = {**seeded.checkpoint_of(kind), "model_state_dict": own.state_dict()}
        with tempfile.TemporaryDirectory() as folder:
            torch.save(saved, f"{folder}/0001.pth")
            model, config = load_model(f"{folder}/0001.pth")
        answers[kind] = []
        for index in range(images):
            image, odd = seeded.image_of(kind, index)
            pixel = odd["pixel"]
            pose = predict_pose(
                model, config, image[None, None], odd["sdd"], pixel, pixel, odd["x0"], odd["y0"]
            )
            answers[kind].append([float(f"{v:.8g}") for v in pose.matrix[0, :3].flatten().tolist()])
    (TESTS / "xvreg_0_1_0.json").write_text(json.dumps(answers, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
