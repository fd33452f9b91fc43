"""Blocks of a study as curves: how many end below a threshold, and by how far off they began."""

from collections.abc import Sequence
from typing import Any

from napari_xreg.metrics import success_curve
from napari_xreg.study.curves import Curve, chart, plot
from napari_xreg.study.tables import CURVE_MM, Block

_LAST_BIN_MM = 70.0
_BESIDE_MM = 8.0
"""Of a bin: over so much of it the dots of its curves stand side by side."""
_SURVIVAL: dict[str, Any] = {"across": "mTRE (mm)", "last": CURVE_MM}


def survival(blocks: Sequence[Block]) -> str:
    """Share of cases below every threshold, a curve a block."""
    return chart(_survival(blocks), up="cases below", **_SURVIVAL)


def survival_plot(blocks: Sequence[Block]) -> tuple[str, int]:
    """The same as a part of a drawing, and how high it is."""
    return plot(_survival(blocks), **_SURVIVAL)


def _survival(blocks: Sequence[Block]) -> list[Curve]:
    curves: list[Curve] = []
    for block in blocks:
        curve = success_curve(block.errors, CURVE_MM, points=201)
        curves.append((block_name(block), curve.thresholds_mm.tolist(), curve.shares.tolist()))
    return curves


def by_start(blocks: Sequence[Block]) -> str:
    """Share of successes over the middle of each bin of the start's error."""
    curves = []
    for number, block in enumerate(blocks):
        aside = _BESIDE_MM * ((number + 0.5) / len(blocks) - 0.5)
        bins = [each for each in block.bins() if each.rate is not None]
        middles = [each.low + 5.0 + aside for each in bins]
        shares = [each.rate.share for each in bins if each.rate is not None]
        curves.append((block_name(block), middles, shares))
    return chart(
        curves, across="mTRE of the start (mm), bins of 10, the last without end", up="cases below 2 mm",
        last=_LAST_BIN_MM, ticks=7, dots=True,
    )  # fmt: skip


def block_name(block: Block) -> str:
    """What a legend calls it."""
    return ", ".join(part for part in (block.group, block.start, block.method) if part)
