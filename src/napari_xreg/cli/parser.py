"""The arguments of every command."""

import argparse
from typing import NoReturn, TypeAlias

from napari_xreg import __version__

FRAMES = ("world_from_camera", "camera_from_world", "opencv", "ras_from_camera", "camera_from_ras")
LOCKS = ("primary", "secondary", "roll", "x", "y", "depth")


class _Parser(argparse.ArgumentParser):
    """Errors in one sentence, exit code 2."""

    def error(self, message: str) -> NoReturn:
        sentence = " ".join(message.split())
        self.exit(2, f"napari-xreg: error: {sentence} (see {self.prog} --help)\n")


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
    return parser


def _common() -> _Parser:
    common = _Parser(add_help=False)
    group = common.add_argument_group("output")
    group.add_argument("--json", action="store_true", help="one JSON document on stdout")
    group.add_argument("--quiet", action="store_true", help="no progress and no words")
    group.add_argument("--debug", action="store_true", help="show tracebacks and warnings")
    group.add_argument("--threads", type=_positive, metavar="N", help="CPU threads (default: all)")
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
    demo.add_argument("--seed", type=_whole, default=20000, help="default: %(default)s")
    demo.add_argument(
        "--severity",
        choices=("clean", "typical", "hard"),
        default="typical",
        help="how far the radiograph is from a rendering (default: %(default)s)",
    )
    demo.add_argument("--film", choices=("gif", "mp4", "none"), default="gif")


def _add_register(commands: _Commands, common: _Parser) -> None:
    register = commands.add_parser(
        "register",
        parents=[common],
        help="find the pose under which the CT explains a radiograph",
        description="Register a CT to a radiograph. The start comes from --start, from C-arm "
        "angles, or from the radiograph's header.",
    )
    _add_ct(register)
    register.add_argument(
        "xray", metavar="XRAY", help="DICOM (XA, RF, DX, CR), PNG, TIFF, NPY, NPZ"
    )
    register.add_argument(
        "--out", default="xreg-result", metavar="DIR", help="default: %(default)s"
    )
    _add_structures(register)
    _add_start(register, "where the C-arm is thought to stand")
    how = register.add_argument_group("refinement")
    how.add_argument(
        "--method",
        choices=("lm", "adam"),
        default="lm",
        help="lm: Levenberg-Marquardt (default); adam: the recipe of xvr, slow, for comparison",
    )
    how.add_argument(
        "--multi-start", type=_positive, default=1, metavar="N", help="try N starts, best few go on"
    )
    how.add_argument(
        "--spread",
        type=_not_negative,
        nargs=3,
        metavar=("DEG", "MM", "DEPTH"),
        help="standard deviation of the further starts: rotation, in-plane, depth (3 10 15)",
    )
    how.add_argument(
        "--lock",
        nargs="+",
        choices=LOCKS,
        default=[],
        metavar="NAME",
        help=f"C-arm parameters to leave as they are: {', '.join(LOCKS)}",
    )
    how.add_argument("--seed", type=_whole, default=0, help="of the further starts")
    check = register.add_argument_group("checking")
    check.add_argument(
        "--truth", metavar="FILE", help="truth file of `simulate`: report the errors"
    )
    check.add_argument(
        "--landmarks", metavar="FILE", help="points (.fcsv, .mrk.json, .csv): predict their errors"
    )
    check.add_argument(
        "--film",
        choices=("auto", "gif", "mp4", "none"),
        default="auto",
        help="default: %(default)s",
    )
    _add_radiograph_geometry(register)


def _add_simulate(commands: _Commands, common: _Parser) -> None:
    simulate = commands.add_parser(
        "simulate",
        parents=[common],
        help="make a radiograph of a CT as a C-arm might have acquired it, with its truth",
        description="Simulate a radiograph: beam hardening, scatter, noise, collimator, "
        "instruments. Writes the image with its geometry and FILE.truth.json beside it.",
    )
    _add_ct(simulate)
    simulate.add_argument(
        "--out", required=True, metavar="FILE", help=".npz, .png, .tif or .dcm chooses the format"
    )
    simulate.add_argument("--dicom", action="store_true", help="write DICOM XA whatever the ending")
    simulate.add_argument(
        "--severity", choices=("clean", "typical", "hard"), default="typical", help="%(default)s"
    )
    simulate.add_argument("--seed", type=_whole, default=10000, help="default: %(default)s")
    simulate.add_argument("--labels", metavar="FILE", help="label map: bones can move (hard)")
    simulate.add_argument(
        "--start-error",
        type=_not_negative,
        default=1.0,
        metavar="F",
        help="the header's nominal pose is off by F x (3 deg, 10 mm, 15 mm depth), drawn by the "
        "seed, as a real header is; 0 writes the truth (default: %(default)s)",
    )
    _add_carm(simulate)
    _add_start(simulate, "where the C-arm stands", files=True)


def _add_render(commands: _Commands, common: _Parser) -> None:
    render = commands.add_parser(
        "render",
        parents=[common],
        help="render a CT as a radiograph (DRR)",
        description="Render line integrals of a CT. .npy and .npz keep the values, .png is 16-bit "
        "grey with a sidecar that holds scale and geometry.",
    )
    _add_ct(render)
    render.add_argument("--out", required=True, metavar="FILE", help=".png, .tif, .npy or .npz")
    render.add_argument(
        "--integrator", choices=("trilinear", "joseph", "siddon"), default="trilinear"
    )
    _add_structures(render)
    _add_carm(render)
    _add_start(render, "where the C-arm stands", files=True)


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
    inspect.add_argument("--frame", type=_frame, help="frame of a multi-frame radiograph, from 1")


def _add_train(commands: _Commands, common: _Parser) -> None:
    train = commands.add_parser(
        "train",
        parents=[common],
        help="train a network for a patient on your own machine",
        description="Train RayEmb on simulated views of a CT (the default), of every CT of a folder "
        "(--population), or of simulated pelves (`phantoms` in place of a CT).",
    )
    train.add_argument("method", choices=("rayemb",), help="what to train")
    _add_ct(train)
    train.add_argument("--out", required=True, metavar="FILE", help="weights, .safetensors")
    train.add_argument("--labels", metavar="FILE", help="label map: points lie in its structures")
    train.add_argument(
        "--above-hu",
        type=_number,
        default=250.0,
        metavar="HU",
        help="without labels, points lie above this (default: %(default)s)",
    )
    train.add_argument("--minutes", type=_positive_number, default=5.0, help="default: %(default)s")
    train.add_argument("--learning-rate", type=_positive_number, default=2e-3, metavar="R")
    train.add_argument("--seed", type=_whole, default=0, help="default: %(default)s")
    train.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, mps (default: cpu)")
    train.add_argument("--resume", metavar="FILE", help="go on with an earlier run (.resume)")
    train.add_argument("--finetune", metavar="FILE", help="begin with these weights")
    train.add_argument(
        "--population", action="store_true", help="CT is a folder of CTs: learn all of them"
    )
    train.add_argument(
        "--phantoms",
        type=_not_negative,
        default=0.5,
        metavar="F",
        help="with --population: simulated pelves, so many for each CT (default: %(default)s)",
    )


def _add_ct(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "ct",
        metavar="CT",
        help="NIfTI, NRRD, MetaImage, a DICOM folder, or `phantom` (`phantom:7` for patient 7)",
    )
    parser.add_argument("--series", metavar="UID", help="which series of a DICOM folder")
    parser.add_argument(
        "--energy-kev",
        type=_positive_number,
        default=70.0,
        metavar="KEV",
        help="effective energy of the beam, for attenuation (default: %(default)s)",
    )


def _add_structures(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("structures")
    group.add_argument("--labels", metavar="FILE", help="label map on the CT's grid")
    group.add_argument(
        "--structures",
        nargs="+",
        metavar="NAME",
        help="ids or names to render alone, such as 25 hip_left (default: all labelled)",
    )


def _add_start(parser: argparse.ArgumentParser, title: str, *, files: bool = True) -> None:
    group = parser.add_argument_group(title)
    if files:
        group.add_argument(
            "--start",
            metavar="FILE",
            help="pose: JSON or .tfm of this program, any ITK transform, 4 x 4 text",
        )
        group.add_argument(
            "--pose-frame",
            choices=FRAMES,
            help="what the matrix of --start maps, if it is not said",
        )
    group.add_argument("--primary", type=_number, metavar="DEG", help="+ LAO, - RAO")
    group.add_argument("--secondary", type=_number, metavar="DEG", help="+ cranial, - caudal")
    group.add_argument("--roll", type=_number, metavar="DEG", help="about the central ray")
    group.add_argument(
        "--offset",
        type=_number,
        nargs=3,
        metavar=("X", "Y", "Z"),
        help="mm along the camera's axes; z is depth",
    )
    group.add_argument(
        "--isocenter",
        nargs="+",
        default=["center"],
        metavar="X Y Z",
        help="world LPS mm, or `center`: the middle of the CT (default)",
    )


def _add_carm(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("C-arm")
    group.add_argument("--sdd", type=_positive_number, default=1020.0, metavar="MM")
    group.add_argument("--source-to-isocenter", type=_positive_number, default=750.0, metavar="MM")
    group.add_argument("--pixels", type=_positive, nargs=2, default=[256, 256], metavar=("R", "C"))
    group.add_argument(
        "--pixel-spacing",
        type=_positive_number,
        nargs=2,
        default=[300 / 256, 300 / 256],
        metavar=("ROW", "COLUMN"),
        help="mm at the detector (default: 300 mm / 256)",
    )
    group.add_argument(
        "--principal-point", type=_number, nargs=2, metavar=("ROW", "COLUMN"), help="pixels"
    )
    _add_mirrored(group)


def _add_radiograph_geometry(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "geometry of the radiograph", "what the file does not say, or to overrule it"
    )
    group.add_argument("--geometry", metavar="FILE", help="JSON sidecar")
    group.add_argument("--sdd", type=_positive_number, metavar="MM", help="source to detector")
    group.add_argument("--source-to-isocenter", type=_positive_number, metavar="MM")
    group.add_argument(
        "--pixel-spacing",
        type=_positive_number,
        nargs=2,
        metavar=("ROW", "COLUMN"),
        help="mm at the detector",
    )
    group.add_argument(
        "--principal-point", type=_number, nargs=2, metavar=("ROW", "COLUMN"), help="pixels"
    )
    group.add_argument("--field-diameter", type=_positive_number, metavar="MM", help="round field")
    _add_mirrored(group)
    pixels = parser.add_argument_group("pixels of the radiograph")
    pixels.add_argument("--frame", type=_frame, help="of a multi-frame file: 1, 2, ... or mean")
    pixels.add_argument("--read-as", choices=("intensity", "line_integral"))
    pixels.add_argument("--bone", choices=("dark", "bright"))
    pixels.add_argument("--i0", type=_positive_number, help="value of an unattenuated pixel")
    pixels.add_argument(
        "--crop", type=_whole, nargs=4, metavar=("ROW", "COLUMN", "ROWS", "COLUMNS")
    )
    pixels.add_argument("--rotate-180", action="store_true", help="after the crop")
    pixels.add_argument(
        "--no-collimator", action="store_true", help="do not look for blades to mask"
    )


def _add_mirrored(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--mirrored",
        action=argparse.BooleanOptionalAction,
        help="whether the patient's left is on the right of a frontal view (yes unless said)",
    )


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not abs(value) < float("inf"):
        raise argparse.ArgumentTypeError(f"expected a finite number: got {text}")
    return value


def _positive_number(text: str) -> float:
    value = _number(text)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"expected a number above 0: got {text}")
    return value


def _not_negative(text: str) -> float:
    value = _number(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"expected 0 or more: got {text}")
    return value


def _whole(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"expected a whole number, 0 or more: got {text}")
    return int(text)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number above 0: got {text}")
    return int(text)


def _frame(text: str) -> int | str:
    return "mean" if text == "mean" else _positive(text)
