"""``python -m benchmarks bodies|refinement|capture|rendering|precision|confidence|pnp|rayemb|landmarks|regression|pose_speed|rayemb_trust|rayemb_speed|heatmap_click|gpu|dragging|streaming|verdict|reg_quality|sequences|starts|similarity|landscapes|wrist|all [options]``."""

import argparse
import sys
import tempfile
from pathlib import Path

from benchmarks import (
    bodies,
    capture_range,
    cases,
    confidence,
    dragging,
    full_report,
    gpu,
    heatmap_click,
    landmark_accuracy,
    landscapes,
    pnp,
    pose_speed,
    precision,
    rayemb_accuracy,
    rayemb_speed,
    rayemb_trust,
    refinement,
    reg_quality,
    regression,
    rendering,
    report,
    sequences,
    similarity,
    starts,
    streaming,
    verdict,
    wrist,
)

COMMANDS = {
    "bodies": bodies,
    "refinement": refinement,
    "capture": capture_range,
    "rendering": rendering,
    "precision": precision,
    "confidence": confidence,
    "pnp": pnp,
    "rayemb": rayemb_accuracy,
    "landmarks": landmark_accuracy,
    "regression": regression,
    "pose_speed": pose_speed,
    "rayemb_trust": rayemb_trust,
    "rayemb_speed": rayemb_speed,
    "heatmap_click": heatmap_click,
    "gpu": gpu,
    "dragging": dragging,
    "streaming": streaming,
    "verdict": verdict,
    "reg_quality": reg_quality,
    "sequences": sequences,
    "starts": starts,
    "similarity": similarity,
    "landscapes": landscapes,
    "wrist": wrist,
}

# What a processor does in some minutes.
ON_THE_CPU = ["--device", "cpu", "--sizes", "200", "256", "--batched", "--batches", "1", "4", "16"]


def main(arguments: list[str] | None = None) -> None:
    """Run one benchmark, all of them, or all in miniature."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--smoke", nargs="*", choices=COMMANDS, help="these (default: all) in miniature, a minute"
    )
    parser.add_argument("--output", type=Path, help="folder of results; default benchmarks/results")
    commands = parser.add_subparsers(dest="command")
    for name, module in COMMANDS.items():
        described = (module.__doc__ or "").splitlines()[0]
        module.add_arguments(commands.add_parser(name, help=described, description=module.__doc__))
    every = commands.add_parser("all", help="all of them with their defaults, then one report")
    every.add_argument("--report", type=Path, help="folder of the tables, plots and REPORT.md")
    every.add_argument("--report-only", action="store_true", help="of what is there already")
    options = parser.parse_args(arguments)
    if options.smoke is not None:
        cases.make_miniature()
        with tempfile.TemporaryDirectory() as folder:
            for name in options.smoke or COMMANDS:
                COMMANDS[name].smoke(Path(folder))
            full_report.write(Path(folder))
        return
    if options.command is None:
        parser.print_help()
        sys.exit(2)
    extra = {} if options.output is None else {"folder": options.output}
    if options.command == "all":
        folder = options.report or options.output or report.RESULTS
        if not options.report_only:
            for name, module in COMMANDS.items():
                module.main(parser.parse_args([name]), folder)
            gpu.main(parser.parse_args(["gpu", *ON_THE_CPU]), folder)
        full_report.write(folder)
        return
    if COMMANDS[options.command].main(options, **extra) is False:
        sys.exit(1)  # a check failed


if __name__ == "__main__":
    main()
