"""How far a simulated radiograph is from a DRR: settings, fixed before anything was tuned on them.

The reasons for every number are in docs/decisions/0002-simulated-severities.md and, of `real`,
0023-severity-real.md.
"""

from dataclasses import dataclass

# Seeds of simulated images. Whatever is tuned (an optimiser, a calibration, a network) sees only
# the first range; whatever is reported comes only from the second.
TUNING_SEEDS = range(1000)
EVALUATION_SEEDS = range(10_000, 1_000_000)


@dataclass(frozen=True)
class Beyond:
    """What a radiograph has and the CT has not: how much of it.

    Parameters
    ----------
    tissue_mm
        Soft tissue around bones cut from their CT: how far the skin is from their box.
    other_bones
        Long bones beside the ones of the CT.
    bone_distance_mm
        Range of the gap between the CT's bone, or the middle of a whole CT, and another bone's axis.
    beads, rings
        Steel balls of 1 mm radius (of a calibration cube, or implanted) and wire rings (electrodes).
    circle
        Range of the diameter of an intensifier's field, as a share of the detector's shorter side.
    saturation
        The file's largest value is written at this many times the median signal behind the patient:
        air is brighter.
    letters
        Words burnt into the image at nine tenths of the largest value.
    bits
        Of the file.
    """

    tissue_mm: float = 32.0
    other_bones: int = 2
    bone_distance_mm: tuple[float, float] = (8.0, 20.0)
    beads: int = 8
    rings: int = 2
    circle: tuple[float, float] = (0.9, 1.0)
    saturation: float = 1.6
    letters: int = 2
    bits: int = 8


@dataclass(frozen=True)
class Severity:
    """What happens between the patient and the file.

    Parameters
    ----------
    name
        How tables call it.
    kvp
        Range of tube voltage, kV. None: one energy, that of the CT.
    bone_scale, soft_scale
        Factors on the thickness of bone and of soft tissue: the CT's calibration is not the
        C-arm's.
    scatter_to_primary
        Scatter over primary behind the patient, averaged.
    scatter_sigma_mm
        Width of the scatter kernel on the detector.
    scatter_uniform
        Share of the scatter that is spread evenly over the field (veiling glare).
    noise
        Relative quantum noise of one pixel at the median signal behind the patient (automatic
        exposure control holds this); 0.05 is 400 quanta.
    electronic_noise
        Read-out noise, quanta (standard deviation).
    blur_mm
        Sigma of the detector's Gaussian point spread.
    heel
        Anode heel effect: fall of ln(intensity) from one edge of the field to the other.
    vignetting
        Fall of ln(intensity) from the middle to the corners.
    response_gamma
        Exponent on the line integrals by a detector whose response is not linear.
    open_field
        Range of the collimated width and height, as a share of the detector. None: no blades.
    blade_deg
        Largest rotation of the blades.
    rods, wires, screws
        Number of steel rods, steel K-wires (1 mm radius) and titanium screws (3.2 mm, with a head).
    rod_radius_mm
        3 is a surgical instrument, 5 a femoral nail.
    bone_motion_deg, bone_motion_mm
        Standard deviation, per axis, of the motion of each bone that can move about its joint.
    beyond
        What the picture has and the CT has not; None: nothing.
    """

    name: str
    kvp: tuple[float, float] | None
    bone_scale: float = 1.0
    soft_scale: float = 1.0
    scatter_to_primary: float = 0.0
    scatter_sigma_mm: float = 30.0
    scatter_uniform: float = 0.25
    noise: float = 0.01
    electronic_noise: float = 0.0
    blur_mm: float = 0.0
    heel: float = 0.0
    vignetting: float = 0.0
    response_gamma: float = 1.0
    open_field: tuple[float, float] | None = None
    blade_deg: float = 0.0
    rods: int = 0
    rod_radius_mm: float = 3.0
    wires: int = 0
    screws: int = 0
    bone_motion_deg: float = 0.0
    bone_motion_mm: float = 0.0
    beyond: Beyond | None = None


CLEAN = Severity(name="clean", kvp=None, noise=0.01)

TYPICAL = Severity(
    name="typical",
    kvp=(80.0, 100.0),
    bone_scale=1.25,
    soft_scale=0.97,
    scatter_to_primary=0.5,
    noise=0.05,
    electronic_noise=3.0,
    blur_mm=0.25,
    heel=0.4,
    vignetting=0.1,
    response_gamma=0.9,
    open_field=(0.85, 0.98),
    blade_deg=4.0,
    rods=1,
)

HARD = Severity(
    name="hard",
    kvp=(70.0, 110.0),
    bone_scale=1.25,
    soft_scale=0.94,
    scatter_to_primary=1.2,
    scatter_sigma_mm=40.0,
    noise=0.08,
    electronic_noise=6.0,
    blur_mm=0.5,
    heel=0.6,
    vignetting=0.25,
    response_gamma=0.85,
    open_field=(0.6, 0.8),
    blade_deg=8.0,
    rods=1,
    rod_radius_mm=5.0,
    wires=2,
    screws=2,
    bone_motion_deg=5.0,
    bone_motion_mm=1.5,
)

REAL = Severity(
    name="real",
    kvp=(55.0, 90.0),
    bone_scale=1.15,
    soft_scale=0.97,
    scatter_to_primary=0.3,
    noise=0.03,
    electronic_noise=3.0,
    blur_mm=0.3,
    heel=0.2,
    vignetting=0.15,
    response_gamma=0.9,
    open_field=(0.7, 1.0),
    blade_deg=6.0,
    wires=1,
    beyond=Beyond(),
)

SEVERITIES: dict[str, Severity] = {s.name: s for s in (CLEAN, TYPICAL, HARD, REAL)}


def severity_named(severity: "str | Severity") -> Severity:
    """The severity of a name, or the value itself.

    Raises
    ------
    ValueError
        If no severity has this name.
    """
    if isinstance(severity, Severity):
        return severity
    if severity not in SEVERITIES:
        raise ValueError(f"a severity is one of {', '.join(SEVERITIES)}: got {severity!r}")
    return SEVERITIES[severity]
