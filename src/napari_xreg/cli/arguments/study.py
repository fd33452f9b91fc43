"""Arguments of `study`."""

import argparse

from napari_xreg.cli.arguments.base import Commands, Parser
from napari_xreg.cli.arguments.values import positive, whole
from napari_xreg.study import FORM_TITLES

ACTIONS = ("init", "evaluate", "report")


def add_study(commands: Commands, common: Parser) -> None:
    """Add `study`."""
    study = commands.add_parser(
        "study",
        parents=[common],
        help="register many cases, and tabulate how good that was",
        description="Do the study of a manifest, or of a data set: every case, from every start, by every "
        "method, each result written as soon as it is known. A study that was ended goes on where it was. "
        "study init [DATASET ...]: write a manifest to change. study evaluate DIR: the tables of a study. "
        "study report DIR: one page with curves and the worst cases.",
        epilog="Exit codes: 0 every case has a result, 1 some failed or are not done yet, 2 bad input, 130 interrupted.",
    )
    study.add_argument(
        "words",
        nargs="+",
        metavar="MANIFEST",
        help="manifest (.toml) or data set; or init, evaluate DIR, report DIR",
    )
    study.add_argument(
        "--out", metavar="DIR", help="folder of the study (of init: the manifest; study.toml)"
    )
    who = study.add_argument_group("who computes")
    who.add_argument(
        "--workers", type=positive, metavar="N", help="processes of this machine (default: 1)"
    )
    who.add_argument(
        "--dask", action="store_true", help="--workers of a dask cluster on this machine"
    )
    who.add_argument(
        "--scheduler", metavar="ADDRESS", help="workers of this dask scheduler (tcp://...)"
    )
    who.add_argument(
        "--slurm",
        metavar="FILE",
        help="hand it to SLURM as the settings in FILE (.toml) say; with --dry-run the job script is shown",
    )
    which = study.add_argument_group("which cases")
    which.add_argument(
        "--resume",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="take results that are there already (default); --no-resume: do all anew",
    )
    which.add_argument("--retry-failed", action="store_true", help="do failures again")
    which.add_argument("--limit", type=positive, metavar="N", help="the first N cases alone")
    which.add_argument(
        "--dry-run", action="store_true", help="say what would be done, and do nothing"
    )
    tables = study.add_argument_group("evaluate")
    tables.add_argument(
        "--form",
        nargs="+",
        choices=FORM_TITLES,
        metavar="FORM",
        help="also write these results in the form of papers, with every definition: "
        + "; ".join(f"{name}: {title}" for name, title in FORM_TITLES.items()),
    )
    page = study.add_argument_group("report")
    page.add_argument(
        "--worst",
        type=whole,
        default=8,
        metavar="N",
        help="cases in its gallery (default: %(default)s)",
    )
