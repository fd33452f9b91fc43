"""The solvers there are: one table, which the command line, the window and the benchmarks list."""

from typing import Any

from napari_xreg.registration.refinement.first_order.adam import ADAM
from napari_xreg.registration.refinement.first_order.diffpose import DIFFPOSE
from napari_xreg.registration.refinement.gradient_free.simplex import NELDER_MEAD, POWELL
from napari_xreg.registration.refinement.gradient_free.xreg import XREG
from napari_xreg.registration.refinement.second_order.lm_solver import LEVENBERG_MARQUARDT
from napari_xreg.registration.refinement.solver import Solver

SOLVERS = {
    solver.name: solver
    for solver in (LEVENBERG_MARQUARDT, ADAM, DIFFPOSE, XREG, POWELL, NELDER_MEAD)
}
"""By name; the first is the default."""


def solver_of(settings: Any) -> Solver:
    """Whose settings these are.

    Raises
    ------
    TypeError
        If no solver knows them.
    """
    for solver in SOLVERS.values():
        if isinstance(settings, solver.settings):
            return solver
    known = ", ".join(solver.settings.__name__ for solver in SOLVERS.values())
    raise TypeError(f"settings of a solver are one of {known}: got {type(settings).__name__}")
