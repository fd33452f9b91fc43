"""The arguments of every command."""

import argparse
import re
from collections.abc import Callable
from typing import Any, NoReturn, TypeAlias

from napari_xreg import __version__
from napari_xreg.cli.console import one_line
from napari_xreg.cli.options import (
    add_carm,
    add_ct,
    add_ct_values,
    add_device,
    add_landmark_frame,
    add_radiograph_geometry,
    add_settings,
    add_start,
    add_structures,
    frame,
    not_negative,
    number,
    positive_number,
    starts_or_auto,
    threads,
    whole,
)
from napari_xreg.workflows import INITIALISERS, RECIPES, SampleSettings

LOCKS = ("primary", "secondary", "roll", "x", "y", "depth")


# What Python reads as a number below zero. argparse knows -1 and -1.5 and takes -1e-05, as every
# program prints small numbers, for an option.
_NEGATIVE = re.compile(
    r"-(?:(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:e[-+]?\d+)?|inf(?:inity)?|nan)$", re.IGNORECASE
)


class _Parser(argparse.ArgumentParser):
    """Errors in one sentence, exit code 2; numbers below zero in any notation."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._negative_number_matcher = _NEGATIVE

    def error(self, message: str) -> NoReturn:
        sentence = one_line(message)
        self.exit(2, f"napari-xreg: error: {sentence} (see {self.prog} --help)\n")

    def format_help(self) -> str:
        for action in self._actions:
            if words := getattr(action, "words", None):  # asked for only where they are shown
                action.help = words()
        return super().format_help()


def build_parser() -> argparse.ArgumentParser:
    """The parser of ``napari-xreg``."""
    parser = _Parser(
        prog="napari-xreg",
        description="Find where an X-ray was taken relative to a CT.",
        epilog="Exit codes: 0 done; 1 the registration is not to be trusted; 2 bad input; "
        "130 interrupted. World: patient LPS, mm. Angles as a C-arm displays them, degrees.",
    )
    parser.add_argument("--version", action="version", version=f"napari-xreg {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    common = _common()
    _add_demo(commands, common)
    _add_register(commands, common)
    _add_simulate(commands, common)
    _add_render(commands, common)
    _add_inspect(commands, common)
    _add_train(commands, common)
    _add_heatmap(commands, common)
    _add_detect(commands, common)
    _add_doctor(commands, common)
    return parser


def _common() -> _Parser:
    common = _Parser(add_help=False)
    group = common.add_argument_group("output")
    group.add_argument("--json", action="store_true", help="one JSON document on stdout")
    group.add_argument("--quiet", action="store_true", help="no progress and no words")
    group.add_argument("--debug", action="store_true", help="show tracebacks and warnings")
    group.add_argument("--threads", type=threads, metavar="N", help="CPU threads (default: all)")
    return common


_Commands: TypeAlias = "argparse._SubParsersAction[_Parser]"


def _add_demo(commands: _Commands, common: _Parser) -> None:
    demo = commands.add_parser(
        "demo",
        parents=[common],
        help="see it work on the built-in phantom: in napari, or headless with pictures and a report",
        description="Make the phantom's CT, simulate a radiograph of it, start from a wrong pose "
        "and register: in napari, or, with --headless and where there is no display, in the "
        "terminal, with pictures and a report. Needs no data and no network.",
    )
    demo.add_argument(
        "--headless",
        action="store_true",
        help="no window; the options below and --json belong to this",
    )
    demo.add_argument("--out", default="xreg-demo", metavar="DIR", help="default: %(default)s")
    add_settings(demo, SampleSettings(), ("seed", "severity", "start_error"))
    demo.add_argument("--film", choices=("gif", "mp4", "none"), default="gif")


def _solvers() -> str:
    # Imported here: whoever asks for other help does not wait for it.
    from napari_xreg.registration import SOLVERS

    said = [f"{name}: {solver.title}. {solver.about}" for name, solver in SOLVERS.items()]
    return f"how the pose is refined (default: {next(iter(SOLVERS))}). {' '.join(said)}"


def _spread() -> str:
    from napari_xreg.registration import Spread

    usual = Spread()
    numbers = f"{usual.rotation_deg:g} {usual.in_plane_mm:g} {usual.depth_mm:g}"
    return (
        "standard deviation of the further starts: rotation, in-plane, depth (default: "
        f"{numbers}, or as --init found)"
    )


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


def _passes() -> str:
    from napari_xreg.landmarks import DetectSettings

    return f"with dropout; 0: one without (default: {DetectSettings().passes})"


def _beta() -> str:
    from napari_xreg.registration import Weighting

    return f"of continuous (default: {Weighting().beta:g})"


def _worded(action: argparse.Action, words: Callable[[], str]) -> None:
    """Numbers of the library, asked for only where help is shown: they take torch to import."""
    action.words = words  # type: ignore[attr-defined]


def _comparisons() -> str:
    from napari_xreg.registration import SOLVERS

    said = [f"with {name}: {', '.join(solver.compares())}" for name, solver in SOLVERS.items()]
    return f"what radiograph and DRR are compared by (default: the first); {'; '.join(said)}"


def _add_register(commands: _Commands, common: _Parser) -> None:
    register = commands.add_parser(
        "register",
        parents=[common],
        help="find the pose under which the CT explains a radiograph",
        description="Register a CT to a radiograph, or to several. The start comes from --start, "
        "from C-arm angles, from the radiograph's header, or is found (--init).",
    )
    add_ct(register)
    add_device(register)
    register.add_argument(
        "xray",
        metavar="XRAY",
        nargs="?",
        help="DICOM (XA, RF, DX, CR), PNG, TIFF, NPY, NPZ; none where CT is a trial of Autoscoper "
        "(trial.cfg), which names its radiographs",
    )
    register.add_argument(
        "--volume",
        metavar="NAME",
        help="which bone of a trial (the beginning of its name is enough)",
    )
    register.add_argument(
        "--out", default="xreg-result", metavar="DIR", help="default: %(default)s"
    )
    register.add_argument(
        "--radiograph",
        action="append",
        default=[],
        metavar="FILE",
        help="a further radiograph of the same patient, whose header says where the C-arm stood "
        "relative to the first; may be repeated",
    )
    register.add_argument(
        "--mask",
        action="append",
        default=[],
        metavar="FILE",
        help="image or .npy of the radiograph's size, 0 where it must not be compared; once for "
        "each radiograph, in their order",
    )
    add_structures(register)
    find = register.add_argument_group("initial pose estimation")
    methods = "; ".join(f"{row.name}: {row.line}" for row in INITIALISERS.values())
    find.add_argument(
        "--init",
        choices=("given", *INITIALISERS),
        default="given",
        help=f"given: from the options below or the header (default); {methods}",
    )
    find.add_argument(
        "--weights", metavar="FILE", help="for --init (default: those of the package)"
    )
    add_start(register, "where the C-arm is thought to stand", several=True)
    how = register.add_argument_group("refinement")
    method = how.add_argument("--method", default="lm", metavar="SOLVER")
    _worded(method, _solvers)
    compare = how.add_argument("--compare", metavar="NAME")
    _worded(compare, _comparisons)
    how.add_argument(
        "--multi-start",
        type=starts_or_auto,
        metavar="N",
        help="refine from N starting poses, keep the best few (default: 1, or what --init needs); "
        "auto: one, and where its result is not trusted 16, then 128 spread wider",
    )
    spread = how.add_argument(
        "--spread", type=not_negative, nargs=3, metavar=("DEG", "MM", "DEPTH")
    )
    _worded(spread, _spread)
    how.add_argument(
        "--near-bone",
        type=not_negative,
        default=5.0,
        metavar="MM",
        help="compare only pixels this near the rendered bone, where bones alone are rendered "
        "(default: %(default)g; 0: the whole image)",
    )
    how.add_argument(
        "--lock",
        nargs="+",
        choices=LOCKS,
        default=[],
        metavar="NAME",
        help=f"C-arm parameters to leave as they are: {', '.join(LOCKS)}",
    )
    how.add_argument("--seed", type=whole, default=0, help="of the further starts")
    check = register.add_argument_group("checking")
    check.add_argument(
        "--truth", metavar="FILE", help="truth file of `simulate`: report the errors"
    )
    check.add_argument(
        "--landmarks", metavar="FILE", help="points (.fcsv, .mrk.json, .csv): predict their errors"
    )
    add_landmark_frame(check)
    check.add_argument(
        "--film",
        choices=("auto", "gif", "mp4", "none"),
        default="auto",
        help="default: %(default)s",
    )
    add_radiograph_geometry(register)


def _add_simulate(commands: _Commands, common: _Parser) -> None:
    simulate = commands.add_parser(
        "simulate",
        parents=[common],
        help="make a radiograph of a CT as a C-arm might have acquired it, with its truth",
        description="Simulate a radiograph: beam hardening, scatter, noise, collimator, "
        "instruments. Writes the image with its geometry and FILE.truth.json beside it.",
    )
    add_ct(simulate)
    simulate.add_argument(
        "--out", required=True, metavar="FILE", help=".npz, .png, .tif or .dcm chooses the format"
    )
    simulate.add_argument("--dicom", action="store_true", help="write DICOM XA whatever the ending")
    simulate.add_argument("--labels", metavar="FILE", help="label map: bones can move (hard)")
    add_settings(simulate, SampleSettings(), ("severity", "seed", "start_error"))
    add_carm(simulate)
    add_start(simulate, "where the C-arm stands", files=True)


def _add_render(commands: _Commands, common: _Parser) -> None:
    render = commands.add_parser(
        "render",
        parents=[common],
        help="render a CT as a radiograph (DRR)",
        description="Render line integrals of a CT. .npy and .npz keep the values, .png is 16-bit "
        "grey with a sidecar that holds scale and geometry.",
    )
    add_ct(render)
    add_device(render)
    render.add_argument("--out", required=True, metavar="FILE", help=".png, .tif, .npy or .npz")
    render.add_argument(
        "--integrator", choices=("trilinear", "joseph", "siddon"), default="trilinear"
    )
    add_structures(render)
    render.add_argument(
        "--separate",
        action="store_true",
        help="also one image for each structure: its share of every line integral (trilinear)",
    )
    add_carm(render)
    add_start(render, "where the C-arm stands", files=True)


def _add_inspect(commands: _Commands, common: _Parser) -> None:
    inspect = commands.add_parser(
        "inspect",
        parents=[common],
        help="say what a file is and what is known of its geometry",
        description="Describe a CT, a label map, a radiograph or a result of this program.",
    )
    inspect.add_argument("file", metavar="FILE", help="file or folder")
    inspect.add_argument(
        "--as",
        dest="kind",
        choices=("ct", "labels", "radiograph"),
        help="read it as this (default: look at it)",
    )
    inspect.add_argument("--series", metavar="UID", help="which series of a DICOM folder")
    add_ct_values(inspect)
    inspect.add_argument("--frame", type=frame, help="frame of a multi-frame radiograph, from 1")


def _add_train(commands: _Commands, common: _Parser) -> None:
    train = commands.add_parser(
        "train",
        parents=[common],
        help="train a network for a patient on your own machine",
        description="Train RayEmb or a landmark detector on simulated views of a CT (the default), of "
        "every CT of a folder (--population), or of simulated pelves (`phantoms` in place of a CT).",
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
    for name in ("primary", "secondary", "roll"):
        angles = train.add_argument(f"--{name}", type=number, nargs=2, metavar=("FROM", "TO"))
        _worded(angles, _range(f"{name}_deg"))
    _worded(train.add_argument("--offset", type=not_negative, metavar="MM"), _range("offset_mm"))
    train.add_argument("--minutes", type=positive_number, default=5.0, help="default: %(default)s")
    train.add_argument(
        "--learning-rate", type=positive_number, metavar="R", help="default: that of the network"
    )
    train.add_argument("--seed", type=whole, default=0, help="default: %(default)s")
    train.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, mps (default: cpu)")
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


def _add_heatmap(commands: _Commands, common: _Parser) -> None:
    heatmap = commands.add_parser(
        "heatmap",
        parents=[common],
        help="where a radiograph agrees with 3D points of a CT (RayEmb)",
        description="Find 3D points of the CT on a radiograph, without a pose. For each point a "
        "picture, its position with a covariance, and the probability that it is in the image; all "
        "heatmaps in heatmaps.npz.",
    )
    add_ct(heatmap)
    heatmap.add_argument("xray", metavar="XRAY", help="DICOM (XA, RF, DX, CR), PNG, TIFF, NPY, NPZ")
    heatmap.add_argument(
        "--point",
        type=number,
        nargs=3,
        action="append",
        default=[],
        metavar=("X", "Y", "Z"),
        help="world LPS mm; may be repeated",
    )
    heatmap.add_argument(
        "--landmark",
        action="append",
        default=[],
        metavar="NAME",
        help="of --landmarks, or of the phantom; may be repeated",
    )
    heatmap.add_argument("--landmarks", metavar="FILE", help="points (.fcsv, .mrk.json, .csv)")
    add_landmark_frame(heatmap)
    heatmap.add_argument("--weights", metavar="FILE", help="default: those of the package")
    heatmap.add_argument(
        "--out", default="xreg-heatmap", metavar="DIR", help="default: %(default)s"
    )
    heatmap.add_argument("--labels", metavar="FILE", help="label map: the middle of its structures")
    heatmap.add_argument("--mask", action="append", default=[], metavar="FILE", help="0: not used")
    heatmap.add_argument(
        "--isocenter",
        nargs="+",
        default=["center"],
        metavar="X Y Z",
        help="middle of the reference views, world LPS mm (default: the middle of the bone)",
    )
    heatmap.add_argument(
        "--seed", type=whole, default=0, help="of the reference views that are drawn"
    )
    add_radiograph_geometry(heatmap)


def _add_detect(commands: _Commands, common: _Parser) -> None:
    detect = commands.add_parser(
        "detect",
        parents=[common],
        help="find named landmarks on a radiograph with a trained detector",
        description="Write landmarks with their uncertainty (landmarks.csv, detections.json) and a "
        "picture of them; with --landmarks of the CT also the pose that follows (pose.json).",
    )
    detect.add_argument("xray", metavar="XRAY", help="DICOM (XA, RF, DX, CR), PNG, TIFF, NPY, NPZ")
    detect.add_argument("--weights", required=True, metavar="FILE", help="of `train landmarks`")
    detect.add_argument(
        "--landmarks", metavar="FILE", help="of the CT, with positions, to solve for the pose"
    )
    add_landmark_frame(detect)
    detect.add_argument("--out", default="xreg-detect", metavar="DIR", help="default: %(default)s")
    detect.add_argument("--mask", action="append", default=[], metavar="FILE", help="0: not used")
    _worded(detect.add_argument("--passes", type=whole), _passes)
    detect.add_argument("--seed", type=whole, default=0, help="of the dropout")
    detect.add_argument(
        "--weighting",
        choices=("none", "covariance", "continuous", "inverse", "rank"),
        default="covariance",
        help="how uncertainty becomes weight (default: %(default)s)",
    )
    _worded(detect.add_argument("--beta", type=not_negative), _beta)
    detect.add_argument(
        "--discard", type=whole, default=0, metavar="K", help="leave the K most uncertain out"
    )
    add_radiograph_geometry(detect)


def _add_doctor(commands: _Commands, common: _Parser) -> None:
    commands.add_parser(
        "doctor",
        parents=[common],
        help="say what this machine offers, and what to do where something is missing",
        description="Look at the installation: versions, devices, folders, and a DRR compared with "
        "the reference. Exit code 0: all is well; 1: there is a problem.",
    )
