"""A world with a known answer: a phantom, a projector of its own, and what an acquisition adds."""

from napari_xreg.simulation.ellipsoids import (
    AttenuatingEllipsoid,
    ellipsoid_line_integrals,
    ellipsoid_volume,
)
from napari_xreg.simulation.patient import PelvisShape
from napari_xreg.simulation.phantom import Phantom, phantom
from napari_xreg.simulation.radiograph import SimulatedRadiograph, simulate_radiograph
from napari_xreg.simulation.severity import (
    CLEAN,
    EVALUATION_SEEDS,
    HARD,
    SEVERITIES,
    TUNING_SEEDS,
    TYPICAL,
    Severity,
)
from napari_xreg.simulation.solids import Ellipsoid, sphere

__all__ = [
    "AttenuatingEllipsoid",
    "Ellipsoid",
    "ellipsoid_line_integrals",
    "ellipsoid_volume",
    "sphere",
    "CLEAN",
    "EVALUATION_SEEDS",
    "HARD",
    "SEVERITIES",
    "TUNING_SEEDS",
    "TYPICAL",
    "PelvisShape",
    "Phantom",
    "Severity",
    "SimulatedRadiograph",
    "phantom",
    "simulate_radiograph",
]
