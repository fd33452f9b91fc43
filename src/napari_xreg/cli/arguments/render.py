"""Arguments of `render`."""

from napari_xreg.cli.arguments.base import Commands, Parser
from napari_xreg.cli.arguments.options import (
    add_carm,
    add_ct,
    add_device,
    add_start,
    add_structures,
)


def add_render(commands: Commands, common: Parser) -> None:
    """Add `render`."""
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
