"""Arguments of `train`."""

from collections.abc import Callable

from napari_xreg.cli.arguments.base import Commands, Parser, worded
from napari_xreg.cli.arguments.options import add_ct, add_landmark_frame
from napari_xreg.cli.arguments.values import not_negative, number, positive_number, whole
from napari_xreg.workflows import RECIPES

RANGES = ("xvr-pelvis", "xvr-neurovasculature", "xvr-skull")
"""As `training.NAMED_RANGES`, which takes torch to import."""


def _range(name: str) -> Callable[[], str]:
    """The words of a range of `training.PoseRange`."""

    def words() -> str:
        from napari_xreg.options import settings_of
        from napari_xreg.training import PoseRange

        setting = settings_of(PoseRange)[name]
        usual = setting.default if setting.count > 1 else (setting.default,)
        said, numbers = setting.option.help.rstrip("."), " ".join(f"{part:g}" for part in usual)
        return f"of the C-arm poses to learn: {said[:1].lower()}{said[1:]} (default: {numbers})"

    return words


def add_train(commands: Commands, common: Parser) -> None:
    """Add `train`."""
    train = commands.add_parser(
        "train",
        parents=[common],
        help="train a network for a patient on your own machine",
        description="Train RayEmb, a landmark detector, a pose network or a learned similarity on simulated views of a CT (the "
        "default), of every CT of a folder (--population), or of simulated pelves (`phantoms` in place of "
        "a CT).",
    )
    train.add_argument("method", choices=tuple(RECIPES), help="what to train")
    add_ct(train)
    train.add_argument("--out", required=True, metavar="FILE", help="weights, .safetensors")
    train.add_argument("--labels", metavar="FILE", help="label map: points lie in its structures")
    train.add_argument(
        "--landmarks",
        metavar="FILE",
        help="landmarks of the CT (.mrk.json, .fcsv, .csv); with --population each CT has its own "
        "landmarks.mrk.json beside it",
    )
    add_landmark_frame(train)
    train.add_argument(
        "--above-hu",
        type=number,
        default=250.0,
        metavar="HU",
        help="without labels, points lie above this (default: %(default)s)",
    )
    train.add_argument(
        "--range",
        choices=RANGES,
        help="of the C-arm poses to learn, as in the xvr paper; the options below overrule it",
    )
    for name in ("primary", "secondary", "roll"):
        angles = train.add_argument(f"--{name}", type=number, nargs=2, metavar=("FROM", "TO"))
        worded(angles, _range(f"{name}_deg"))
    worded(train.add_argument("--offset", type=not_negative, metavar="MM"), _range("offset_mm"))
    train.add_argument("--minutes", type=positive_number, default=5.0, help="default: %(default)s")
    train.add_argument(
        "--learning-rate", type=positive_number, metavar="R", help="default: that of the network"
    )
    train.add_argument(
        "--similarity",
        type=not_negative,
        metavar="W",
        help="of `train pose`: weight of 1 - mNCC between the image at the pose it says and the one it "
        "was shown (default: 0, the distance of the poses alone, which is quicker; with --resume what "
        "it was)",
    )
    train.add_argument(
        "--overlap",
        type=not_negative,
        metavar="W",
        help="of `train pose`: weight of 1 - the overlap (soft Dice) of the bone in these two images "
        "(default: 0; with --resume what it was)",
    )
    train.add_argument("--seed", type=whole, default=0, help="default: %(default)s")
    train.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, mps (default: cpu)")
    train.add_argument(
        "--tensorboard",
        metavar="DIR",
        help="also write the losses and scores as an event file of TensorBoard into this folder (beside "
        "the weights a .train.jsonl always holds them)",
    )
    train.add_argument("--resume", metavar="FILE", help="go on with an earlier run (.resume)")
    train.add_argument("--finetune", metavar="FILE", help="start from these weights")
    train.add_argument(
        "--population", action="store_true", help="CT is a folder of CTs: learn all of them"
    )
    train.add_argument(
        "--phantoms",
        type=not_negative,
        default=0.5,
        metavar="F",
        help="with --population: simulated pelves, so many for each CT (default: %(default)s)",
    )
