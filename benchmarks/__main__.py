"""``python -m benchmarks refinement|capture|rendering|confidence|pnp|rayemb|landmarks|rayemb_trust|rayemb_speed|dragging|streaming|all [options]``."""

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks import (
    capture_range,
    confidence,
    dragging,
    landmark_accuracy,
    pnp,
    rayemb_accuracy,
    rayemb_speed,
    rayemb_trust,
    refinement,
    rendering,
    streaming,
)

COMMANDS = {
    "refinement": refinement,
    "capture": capture_range,
    "rendering": rendering,
    "confidence": confidence,
    "pnp": pnp,
    "rayemb": rayemb_accuracy,
    "landmarks": landmark_accuracy,
    "rayemb_trust": rayemb_trust,
    "rayemb_speed": rayemb_speed,
    "dragging": dragging,
    "streaming": streaming,
}


def main(arguments: list[str] | None = None) -> None:
    """Run one benchmark, all of them, or all in miniature."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--smoke", action="store_true", help="everything in miniature, under a minute"
    )
    parser.add_argument("--output", type=Path, help="folder of results; default benchmarks/results")
    commands = parser.add_subparsers(dest="command")
    for name, module in COMMANDS.items():
        described = (module.__doc__ or "").splitlines()[0]
        module.add_arguments(commands.add_parser(name, help=described, description=module.__doc__))
    commands.add_parser("all", help="all of them with their defaults, one after the other")
    options = parser.parse_args(arguments)
    if options.smoke:
        with tempfile.TemporaryDirectory() as folder:
            for module in COMMANDS.values():
                module.smoke(Path(folder))
        return
    if options.command is None:
        parser.print_help()
        sys.exit(2)
    extra = {} if options.output is None else {"folder": options.output}
    if options.command == "all":
        for name, module in COMMANDS.items():
            module.main(parser.parse_args([name]), **extra)
        return
    COMMANDS[options.command].main(options, **extra)


if __name__ == "__main__":
    main()
