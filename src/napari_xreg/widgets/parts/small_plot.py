"""A plot for a narrow dock."""

import pyqtgraph as pg


def small_plot() -> pg.PlotItem:
    """A plot without buttons, menu and mouse, its axes narrow."""
    plot = pg.PlotItem()
    plot.hideButtons()
    plot.setMenuEnabled(False)
    plot.setMouseEnabled(False, False)
    for side in ("left", "bottom"):
        axis = plot.getAxis(side)
        axis.enableAutoSIPrefix(False)
        axis.setStyle(tickTextOffset=2, tickLength=3)
    plot.getAxis("left").setWidth(34)
    return plot
