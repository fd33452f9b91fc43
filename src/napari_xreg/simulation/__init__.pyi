from .marching import march as march
from .patient import PelvisShape as PelvisShape
from .phantoms import Phantom as Phantom, phantom as phantom
from .radiograph import (
    SimulatedRadiograph as SimulatedRadiograph,
    simulate_radiograph as simulate_radiograph,
)
from .severity import (
    CLEAN as CLEAN,
    EVALUATION_SEEDS as EVALUATION_SEEDS,
    HARD as HARD,
    REAL as REAL,
    SEVERITIES as SEVERITIES,
    TUNING_SEEDS as TUNING_SEEDS,
    TYPICAL as TYPICAL,
    Beyond as Beyond,
    Severity as Severity,
)
from .solids import Ellipsoid as Ellipsoid, sphere as sphere
