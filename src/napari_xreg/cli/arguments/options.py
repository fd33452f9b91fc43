"""Options that several commands share."""

import argparse
import dataclasses
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from napari_xreg.cli.arguments.values import (
    frame,
    mask_frame,
    number,
    positive,
    positive_number,
    whole,
)
from napari_xreg.options import Setting, settings_of

Settings = TypeVar("Settings")

# As `registration.pose_frames.POSE_FRAMES`, which takes torch to import.
FRAMES = (
    "world_from_camera",
    "camera_from_world",
    "opencv",
    "ras_from_camera",
    "camera_from_ras",
    "slicer",
)


def add_settings(
    group: argparse._ActionsContainer, settings: object, names: Iterable[str] | None = None
) -> None:
    """An option for every described field of a settings dataclass.

    Parameters
    ----------
    group
        Of a parser.
    settings
        An instance: its values are the defaults.
    names
        Which fields, in which order; None: all that are described.
    """
    described = settings_of(type(settings))
    for name in names or described:
        setting, default = described[name], getattr(settings, name)
        words: dict[str, Any] = {"dest": name, "default": default}
        unit = f", {setting.option.unit}" if setting.option.unit else ""
        shown = default
        if setting.kind == "flag":
            words["action"] = argparse.BooleanOptionalAction
            shown = "yes" if default else "no"
        elif setting.kind == "choice":
            words["choices"] = list(setting.choices)
        else:
            words["type"] = _reader(setting)
            words["metavar"] = setting.option.metavar or ("TEXT" if setting.kind == "text" else "N")
            if setting.count > 1:
                words |= {"nargs": setting.count, "metavar": (words["metavar"],) * setting.count}
                shown = " ".join(f"{part:g}" for part in default)
        explained = " ".join(setting.option.explained.split("\n")).rstrip(".")
        words["help"] = f"{explained[:1].lower()}{explained[1:]}{unit} (default: {shown})".replace(
            "%", "%%"
        )
        group.add_argument(setting.flag, **words)


def given(
    arguments: argparse.Namespace, settings: Settings, names: Iterable[str] | None = None
) -> Settings:
    """The settings as they were given; `settings` and `names` as of `add_settings`."""
    chosen = {}
    for name in names or settings_of(type(settings)):
        value = getattr(arguments, name)
        chosen[name] = tuple(value) if isinstance(value, list) else value
    return dataclasses.replace(settings, **chosen)  # type: ignore[type-var]


def _reader(setting: Setting) -> Callable[[str], Any]:
    """Of one number within the range of a setting."""
    read: Callable[[str], Any] = {"whole": whole, "number": number}.get(setting.kind, str)
    low, high = setting.option.low, setting.option.high

    def reader(text: str) -> Any:
        value = read(text)
        if (low is not None and value < low) or (high is not None and value > high):
            span = f"{low:g} or more" if high is None else f"a number from {low:g} to {high:.0f}"
            raise argparse.ArgumentTypeError(f"expected {span}: got {text}")
        return value

    return reader


def add_ct(parser: argparse.ArgumentParser) -> None:
    """The CT, by position."""
    parser.add_argument(
        "ct",
        metavar="CT",
        help="a file (NIfTI, NRRD, MetaImage ...), a DICOM folder, or `phantom` (`phantom:7` for patient 7)",
    )
    parser.add_argument("--series", metavar="UID", help="which series of a DICOM folder")
    add_ct_values(parser)
    parser.add_argument(
        "--energy-kev",
        type=positive_number,
        default=70.0,
        metavar="KEV",
        help="effective energy of the beam, for attenuation (default: %(default)s)",
    )
    parser.add_argument(
        "--ct-energy-kev",
        type=positive_number,
        default=70.0,
        metavar="KEV",
        help="effective energy of the CT, which says what its Hounsfield units mean for bone: 70 of "
        "a tube of 120 kV (default: %(default)s)",
    )


def add_ct_values(parser: argparse.ArgumentParser) -> None:
    """What the numbers of the CT mean."""
    parser.add_argument(
        "--ct-values",
        nargs="+",
        metavar="WORD",
        help="what the numbers of the CT mean, where the file does not say it or says it wrongly: "
        "`hu`, `hu SLOPE INTERCEPT` (`hu 1 -1024` where 1024 is water), or `linear AIR BONE` with its "
        "values of nothing and of cortical bone (`linear AIR WATER water` with that of water)",
    )
    parser.add_argument(
        "--ct-spacing",
        type=positive_number,
        nargs=3,
        metavar=("X", "Y", "Z"),
        help="mm between the voxels of a TIFF stack: along rows, down columns, from page to page",
    )


def add_out(parser: argparse.ArgumentParser, folder: str) -> None:
    """Where results go."""
    parser.add_argument("--out", default=folder, metavar="DIR", help="default: %(default)s")


def add_volume(parser: argparse.ArgumentParser) -> None:
    """The bone of a trial."""
    parser.add_argument(
        "--volume",
        metavar="NAME",
        help="which bone of a trial (the beginning of its name is enough)",
    )


def add_further(
    parser: argparse.ArgumentParser, what: str, *, metavar: str = "FILE", each: str = "radiograph"
) -> None:
    """Further radiographs, `what` they are of, and the masks of all: of `each`."""
    parser.add_argument(
        "--radiograph",
        action="append",
        default=[],
        metavar=metavar,
        help=f"{what}; may be repeated",
    )
    parser.add_argument(
        "--mask",
        action="append",
        default=[],
        metavar="FILE",
        help="image or .npy of the radiograph's size, 0 where it must not be compared; once for each "
        f"{each}, in their order",
    )


def add_device(parser: argparse.ArgumentParser) -> None:
    """What computes."""
    parser.add_argument(
        "--device",
        default="auto",
        metavar="NAME",
        help="auto (the first CUDA card that torch and Triton can use, else the CPU), cpu, cuda:0, "
        "cuda:1 ... or mps (default: %(default)s)",
    )


def add_labels(group: argparse._ActionsContainer) -> None:
    """A label map and what its labels are called."""
    group.add_argument("--labels", metavar="FILE", help="label map on the CT's grid")
    add_label_names(group)


def add_label_names(group: argparse._ActionsContainer) -> None:
    """What the labels of a label map are called."""
    group.add_argument(
        "--label-names",
        metavar="FILE",
        help="what its labels are called: a label description of ITK-SNAP, a colour table of 3D Slicer, a "
        "table, JSON or lines such as '1 radius'; or the word totalsegmentator (default: as the label "
        "map says, or a file beside it of the same name)",
    )


def add_structures(parser: argparse.ArgumentParser) -> None:
    """Which structures to render."""
    group = parser.add_argument_group("structures")
    add_labels(group)
    group.add_argument(
        "--structures",
        nargs="+",
        metavar="NAME",
        help="ids or names to render alone, such as 25 hip_left (default: all labelled)",
    )
    group.add_argument(
        "--attenuation",
        choices=("auto", "above-water", "as-read"),
        default="auto",
        help="what of the CT is rendered: above water, as bones appear among soft tissue, or as read "
        "(default: above water where the CT or the chosen structures hold bones alone)",
    )


def add_landmark_frame(group: argparse._ActionsContainer) -> None:
    """The axes of landmarks whose file does not say them."""
    group.add_argument(
        "--landmark-frame",
        choices=("LPS", "RAS"),
        help="axes of x, y, z in a CSV of --landmarks that does not say them",
    )


def add_start(
    parser: argparse.ArgumentParser,
    title: str,
    *,
    files: bool = True,
    several: bool = False,
    center: str = "the middle of the CT",
) -> None:
    """A pose by its C-arm angles or, with `files`, from a file; of `several` radiographs, of each.

    `center` says where the isocenter lies by default.
    """
    group = parser.add_argument_group(title)
    if files:
        group.add_argument(
            "--start",
            action="append",
            metavar="FILE",
            help="pose: JSON or .tfm of this program, any ITK transform, 4 x 4 text"
            + (
                "; once for the first radiograph, or once for each in their order"
                if several
                else ""
            ),
        )
        group.add_argument(
            "--pose-frame",
            choices=FRAMES,
            help="what the matrix of --start maps, if it is not said; slicer: a .tfm saved by 3D "
            "Slicer of a transform node that shows ras_from_camera",
        )
    group.add_argument("--primary", type=number, metavar="DEG", help="+ LAO, - RAO")
    group.add_argument("--secondary", type=number, metavar="DEG", help="+ cranial, - caudal")
    group.add_argument("--roll", type=number, metavar="DEG", help="about the central ray")
    group.add_argument(
        "--offset",
        type=number,
        nargs=3,
        metavar=("X", "Y", "Z"),
        help="mm along the camera's axes; z is depth",
    )
    group.add_argument(
        "--isocenter",
        nargs="+",
        default=["center"],
        metavar="X Y Z",
        help=f"world LPS mm, or `center`: {center} (default)",
    )


def add_carm(parser: argparse.ArgumentParser) -> None:
    """The C-arm of an image that is made."""
    group = parser.add_argument_group("C-arm")
    group.add_argument("--sdd", type=positive_number, default=1020.0, metavar="MM")
    group.add_argument("--source-to-isocenter", type=positive_number, default=750.0, metavar="MM")
    group.add_argument("--pixels", type=positive, nargs=2, default=[256, 256], metavar=("R", "C"))
    group.add_argument(
        "--pixel-spacing",
        type=positive_number,
        nargs=2,
        default=[300 / 256, 300 / 256],
        metavar=("ROW", "COLUMN"),
        help="mm at the detector (default: 300 mm / 256)",
    )
    group.add_argument(
        "--principal-point", type=number, nargs=2, metavar=("ROW", "COLUMN"), help="pixels"
    )
    _add_mirrored(group)


def add_radiograph_geometry(parser: argparse.ArgumentParser) -> None:
    """What a radiograph's file does not say."""
    group = parser.add_argument_group(
        "geometry of the radiograph",
        "what the file does not say, or to overrule it; of several radiographs each option is given "
        "once for all, or once for each in their order",
    )
    length: dict[str, Any] = {"action": "append", "type": positive_number, "metavar": "MM"}
    pixel: dict[str, Any] = {"action": "append", "nargs": 2, "metavar": ("ROW", "COLUMN")}
    group.add_argument(
        "--geometry",
        action="append",
        metavar="FILE",
        help="JSON sidecar, or a calibration of XMALab (MayaCam 1.0 or 2.0), Autoscoper (VTKCam 1.0) or JointTrack (JT_INTCALIB)",
    )
    group.add_argument("--sdd", **length, help="source to detector")
    group.add_argument("--source-to-isocenter", **length)
    group.add_argument("--pixel-spacing", **pixel, type=positive_number, help="mm at the detector")
    group.add_argument("--principal-point", **pixel, type=number, help="pixels")
    group.add_argument("--field-diameter", **length, help="round field")
    _add_mirrored(group)
    pixels = parser.add_argument_group("pixels of the radiograph")
    pixels.add_argument(
        "--frame",
        action="append",
        type=frame,
        help="of a multi-frame file: 1, 2, ... or mean; of a folder or a trial the number in the name",
    )
    pixels.add_argument(
        "--mask-frame",
        action="append",
        type=mask_frame,
        metavar="N",
        help="of a DSA run: the frame before the contrast agent, which is subtracted so that vessels are left; "
        "2-4: the mean of these; auto: those that the file names, else the first",
    )
    pixels.add_argument("--read-as", choices=("intensity", "line_integral"))
    pixels.add_argument("--bone", choices=("dark", "bright"))
    pixels.add_argument(
        "--i0", action="append", type=positive_number, help="value of an unattenuated pixel"
    )
    pixels.add_argument(
        "--crop",
        action="append",
        type=whole,
        nargs=4,
        metavar=("ROW", "COLUMN", "ROWS", "COLUMNS"),
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
