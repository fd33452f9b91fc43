"""Arguments of `register`."""

import argparse

from napari_xreg.cli.arguments.base import Commands, Parser, worded
from napari_xreg.cli.arguments.options import (
    add_ct,
    add_device,
    add_further,
    add_landmark_frame,
    add_out,
    add_radiograph_geometry,
    add_start,
    add_structures,
    add_volume,
)
from napari_xreg.cli.arguments.values import not_negative, starts_or_auto, whole
from napari_xreg.workflows import INITIALISERS

LOCKS = ("primary", "secondary", "roll", "x", "y", "depth")


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


def _comparisons() -> str:
    from napari_xreg.registration import SOLVERS

    said = [f"with {name}: {', '.join(solver.compares())}" for name, solver in SOLVERS.items()]
    return f"what radiograph and DRR are compared by (default: the first); {'; '.join(said)}"


def add_register(commands: Commands, common: Parser) -> None:
    """Add `register`."""
    register = commands.add_parser(
        "register",
        parents=[common],
        help="find the pose under which the CT explains a radiograph",
        description="Register a CT to a radiograph, or to several. The start comes from --start, "
        "from C-arm angles, from the radiograph's header, or is found (--init).",
    )
    add_ct(register)
    add_device(register)
    _add_data(register)
    add_structures(register)
    _add_initial_pose(register)
    add_start(
        register,
        "where the C-arm is thought to stand",
        several=True,
        center="the middle of the CT, or of --structures",
    )
    _add_refinement(register)
    _add_checking(register)
    add_radiograph_geometry(register)


def _add_data(register: Parser) -> None:
    register.add_argument(
        "xray",
        metavar="XRAY",
        nargs="?",
        help="DICOM (XA, RF, DX, CR), PNG, TIFF, NPY, NPZ, AVI, MP4; none where CT is a trial of Autoscoper "
        "(trial.cfg) or a data set, which have radiographs of their own",
    )
    register.add_argument("--case", metavar="NAME", help="which case of a data set in place of CT")
    register.add_argument("--view", metavar="NAME", help="which radiograph of the case")
    add_volume(register)
    add_out(register, "xreg-result")
    add_further(
        register,
        "a further radiograph of the same patient, whose header says where the C-arm stood relative to "
        "the first",
    )


def _initialisers(text: str) -> list[str]:
    """Names with commas between them: as several words they would take CT and XRAY behind them along."""
    names = text.split(",")
    known = ("given", *INITIALISERS)
    wrong = next((name for name in names if name not in known), None)
    if wrong is not None:
        raise argparse.ArgumentTypeError(
            f"invalid choice: {wrong!r} (choose from {', '.join(known)})"
        )
    return names


def _add_initial_pose(register: Parser) -> None:
    register.add_argument(
        "--xvr",
        action="store_true",
        help="also write result.pth, from which `xvr register restart` goes on",
    )
    find = register.add_argument_group("initial pose estimation")
    methods = "; ".join(f"{row.name}: {row.line}" for row in INITIALISERS.values())
    find.add_argument(
        "--init",
        type=_initialisers,
        default=["given"],
        metavar="METHOD[,METHOD]",
        help="who finds the pose to start from; of several, with commas between them, the poses are refined "
        f"together and the best goes on. given: the options below, else the header (default); {methods}",
    )
    find.add_argument(
        "--weights",
        action="append",
        metavar="FILE",
        help="for --init (default: those of the package); may be repeated, once for each network",
    )
    find.add_argument(
        "--warp",
        metavar="FILE",
        help="of a pose network that was trained in the frame of a template: the linear ITK transform from the "
        "template's points to the CT's",
    )
    find.add_argument(
        "--template",
        metavar="CT",
        help="the template itself; without --warp it is registered to the CT",
    )


def _add_refinement(register: Parser) -> None:
    how = register.add_argument_group("refinement")
    method = how.add_argument("--method", default="lm", metavar="SOLVER")
    worded(method, _solvers)
    compare = how.add_argument("--compare", metavar="NAME")
    worded(compare, _comparisons)
    how.add_argument(
        "--multi-start",
        type=starts_or_auto,
        metavar="N",
        help="refine from N starting poses, keep the best few; auto: from one, and where its result is not "
        "trusted from 16, then 128 and 256 spread wider (default: auto, or what --init needs)",
    )
    spread = how.add_argument(
        "--spread", type=not_negative, nargs=3, metavar=("DEG", "MM", "DEPTH")
    )
    worded(spread, _spread)
    how.add_argument(
        "--near-bone",
        type=not_negative,
        default=5.0,
        metavar="MM",
        help="compare only pixels this near the rendered bone, where bones alone are rendered "
        "(default: %(default)g; 0: the whole image). Structures of a CT that holds the rest too are registered after the whole CT, "
        "in whole images: then the reach counts only where they are registered alone as well",
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


def _add_checking(register: Parser) -> None:
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
