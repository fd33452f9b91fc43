"""The tables of papers: which rows and columns they have.

The form alone is theirs. What every figure means here stands below each table, and errors that a
paper's code computes by a measure of its own have columns of their own, under its name.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from napari_xreg.metrics import OfDraws, mean_of_draws, percentile_of_draws
from napari_xreg.study.errors import METRICS
from napari_xreg.study.forms.titles import FORM_TITLES
from napari_xreg.study.tables import BELOW_1_MM

TITLES = {metric.name: metric.title for metric in METRICS}
UNITS = {metric.name: metric.unit for metric in METRICS}


@dataclass(frozen=True)
class Figure:
    """What a column holds of the errors of all cases.

    Parameters
    ----------
    name, title
        In a CSV and in a table.
    of
        Computes it.
    share
        Whether it is a share, which tables give in percent.
    """

    name: str
    title: str
    of: OfDraws
    share: bool = False


@dataclass(frozen=True)
class Part:
    """Columns that belong together.

    Parameters
    ----------
    metric
        Of `METRICS`.
    figures
        Of it.
    """

    metric: str
    figures: tuple[Figure, ...]


@dataclass(frozen=True)
class Form:
    """A table of a paper.

    Parameters
    ----------
    title
        Which.
    tables
        Headings, each with the columns below it.
    words
        What is to be known before its figures are compared with published ones.
    by_subject
        A line for each subject, and one for all.
    with_times
        Mean, deviation and run times, as Chen et al. have them.
    """

    title: str
    tables: tuple[tuple[str, tuple[Part, ...]], ...]
    words: tuple[tuple[str, str], ...]
    by_subject: bool = False
    with_times: bool = False

    @property
    def parts(self) -> tuple[Part, ...]:
        """All columns."""
        return tuple(part for _, parts in self.tables for part in parts)


def percentile(number: int) -> Figure:
    """The error that so many percent of the cases do not exceed."""
    title = {25: "25th", 50: "50th", 75: "75th", 95: "95th"}[number]
    return Figure(f"p{number}", title, percentile_of_draws(float(number)))


MEDIAN = replace(percentile(50), title="median")
SMSR = Figure("below_1mm", "SMSR", BELOW_1_MM, share=True)
_GFR = tuple(
    Figure(f"gfr_{mm}mm", f"GFR@{mm}", mean_of_draws(partial(np.less, mm)), share=True)
    for mm in (10, 5)
)
_RAYEMB = (percentile(25), percentile(50), percentile(95), *_GFR)
_CHEN = (SMSR, MEDIAN, percentile(75), percentile(95))

_PERCENTILES = "smallest error that so many percent of the cases do not exceed: an observed one, where others mostly interpolate between two"
_GROSS = "gross failures: share of the cases beyond 10 and beyond 5 mm in the error that the heading names"
_BELOW = "share of the cases below 1 mm in the error that the column or heading names"
_RUN_TIME = "median seconds by the clock of start and refinement, one thread, whatever else ran; in brackets those of the processor"
_OF_RAYEMB = "their mTRE is the one that stands here, at 14 landmarks; their mPD of real radiographs is that of the last table"
_OF_XVR = (
    "their mPE, mRPE, dGeo and mTRE are the first four errors, where those count from the middle of the CT; the last is the "
    "mTRE of all other tables of this program, and compares with none of theirs"
)
_OF_CHEN = "made with DiffPose's measure, which is no target registration error: compare them with the second table alone"

FORMS: Mapping[str, Form] = {
    "rayemb": Form(
        FORM_TITLES["rayemb"],
        tuple(
            (f"{TITLES[name]} by subject", (Part(name, _RAYEMB),))
            for name in ("mtre_mm", "mpd_mm", "rayemb_mpd_mm")
        ),
        (
            ("25th, 50th, 95th", _PERCENTILES),
            ("GFR@10, GFR@5", _GROSS),
            ("published figures", _OF_RAYEMB),
        ),
        by_subject=True,
    ),
    "xvr": Form(
        FORM_TITLES["xvr"],
        (
            (
                "Median error and SMSR",
                tuple(
                    Part(name, (MEDIAN, SMSR))
                    for name in (
                        "xvr_mpe_mm", "xvr_mrpe_mm", "double_geodesic_mm", "xvr_mtre_mm", "mtre_mm",
                    )
                ),
            ),
        ),
        (("median", _PERCENTILES), ("SMSR", _BELOW), ("published figures", _OF_XVR)),
    ),
    "chen": Form(
        FORM_TITLES["chen"],
        tuple((TITLES[name], (Part(name, _CHEN),)) for name in ("mtre_mm", "diffpose_mtre")),
        (
            ("median, 75th, 95th", _PERCENTILES),
            ("SMSR", _BELOW),
            ("mean ± SD", "of the results that there are, without the failures; SD over n - 1"),
            ("run time", _RUN_TIME),
            ("published figures", _OF_CHEN),
        ),
        with_times=True,
    ),
}  # fmt: skip
