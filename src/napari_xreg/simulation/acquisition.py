"""From path lengths to the numbers a detector writes: beam, scatter, blur, noise, response."""

from dataclasses import dataclass

import numpy as np
import scipy  # its parts are imported when they are used
from numpy.typing import NDArray

from napari_xreg.geometry import Detector
from napari_xreg.simulation.beyond import as_written, circular_field, white_level
from napari_xreg.simulation.severity import Severity

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Exposure:
    """What the detector wrote, and what a user could not know about it.

    Parameters
    ----------
    intensity
        Raw detector values, bone dark, in arbitrary units.
    primary, scatter
        Expected signal as a share of the open beam.
    field
        True inside the collimator blades.
    quanta
        Quanta per pixel in the open beam.
    i0
        Value that the open beam would have been written as, before field inhomogeneity.
    saturation
        Value that the file clips at; None: it does not.
    """

    intensity: Array
    primary: Array
    scatter: Array
    field: NDArray[np.bool_]
    quanta: float
    i0: float
    saturation: float | None = None


# A pixel is behind the patient if less than this share of the open beam arrives.
BEHIND_PATIENT = np.exp(-1.0)
# What the blades let through.
BLADE_TRANSMISSION = 1e-3
# ln(I0 / I) at which a nonlinear response and a linear one agree.
RESPONSE_REFERENCE = 5.0


def expose(
    transmission: Array,
    detector: Detector,
    severity: Severity,
    rng: np.random.Generator,
    rng_beyond: np.random.Generator | None = None,
    rng_noise: np.random.Generator | None = None,
) -> Exposure:
    """Turn the transmitted share of the beam into raw detector values.

    In order: inhomogeneous field, collimator, scatter, quantum noise (Poisson, its level set by the
    automatic exposure control), detector blur, read-out noise, response, unknown gain.

    Parameters
    ----------
    transmission
        Primary signal over that of the open beam, per pixel.
    detector
        Pixel sizes for everything that has a width in mm.
    severity
        How much of each.
    rng
        Source of every random number.
    rng_beyond
        Of those that `Severity.beyond` needs; None: 0 is its seed.
    rng_noise
        Of quantum and read-out noise; None: `rng`.
    """
    field = collimator_field(detector, severity, rng)
    beyond, drawn = severity.beyond, rng_beyond or np.random.default_rng(0)
    if beyond is not None:
        field &= circular_field(beyond, detector, drawn)
    inhomogeneity = np.exp(-beam_falloff(detector, severity, rng))
    primary = transmission * inhomogeneity * np.where(field, 1.0, BLADE_TRANSMISSION)
    scatter = scatter_signal(transmission, primary, field, detector, severity)
    expected = primary + scatter
    patient = behind_patient(transmission, field)
    quanta = 1.0 / (severity.noise**2 * float(np.median(expected[patient])))
    noise = rng if rng_noise is None else rng_noise
    counts = noise.poisson(expected * quanta).astype(np.float64)
    sigma = severity.blur_mm / np.asarray(detector.spacing)
    if severity.blur_mm > 0:
        counts = scipy.ndimage.gaussian_filter(counts, sigma, mode="nearest")
    counts += noise.normal(0.0, 1.0, counts.shape) * severity.electronic_noise
    share = np.maximum(counts, 0.5) / quanta
    gain = float(np.exp(rng.uniform(np.log(2e3), np.log(4e4))))
    if beyond is not None:
        response = respond(share, severity.response_gamma)
        white = white_level(response, transmission, field, beyond)
        largest = 2.0**beyond.bits - 1.0
        written = as_written(response, white, beyond, drawn)
        return Exposure(written, primary, scatter, field, quanta, largest / white, largest)
    return Exposure(
        gain * respond(share, severity.response_gamma), primary, scatter, field, quanta, gain
    )


def collimator_field(
    detector: Detector, severity: Severity, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Pixels between the blades of a slightly rotated and decentred rectangular collimator."""
    u, v = _millimetres(detector)
    opening = severity.open_field
    if opening is None:
        return np.ones(u.shape, dtype=np.bool_)
    height, width = rng.uniform(*opening, size=2) * np.asarray(detector.size_mm)
    angle = np.deg2rad(rng.uniform(-severity.blade_deg, severity.blade_deg))
    slack = (np.asarray(detector.size_mm) - [height, width]) / 2
    v0, u0 = rng.uniform(-0.5, 0.5, size=2) * slack
    across = np.cos(angle) * (u - u0) + np.sin(angle) * (v - v0)
    along = -np.sin(angle) * (u - u0) + np.cos(angle) * (v - v0)
    return np.asarray((np.abs(across) <= width / 2) & (np.abs(along) <= height / 2))


def beam_falloff(detector: Detector, severity: Severity, rng: np.random.Generator) -> Array:
    """How much ln(intensity) falls over the field: a ramp (heel) and a bowl (vignetting)."""
    u, v = _millimetres(detector)
    height, width = detector.size_mm
    angle = rng.uniform(0, 2 * np.pi)
    ramp = np.cos(angle) * u / width + np.sin(angle) * v / height
    radius = (u / width) ** 2 + (v / height) ** 2
    return np.asarray(severity.heel * ramp + 2 * severity.vignetting * radius, dtype=np.float64)


def scatter_signal(
    transmission: Array,
    primary: Array,
    field: NDArray[np.bool_],
    detector: Detector,
    severity: Severity,
) -> Array:
    """Scatter as a broad convolution of what the patient took out of the beam, plus a constant.

    The source of scatter is the primary times ``sqrt(-ln transmission)``: zero where nothing was
    hit, as in the kernels of Sun and Star-Lack (Phys. Med. Biol. 55, 2010). Its level is set so
    that scatter over primary, summed behind the patient, is ``severity.scatter_to_primary``.
    """
    attenuation = np.maximum(-np.log(transmission), 0.0)
    removed = np.where(field, primary * np.sqrt(attenuation), 0.0)
    if severity.scatter_to_primary == 0 or not removed.any():
        return np.zeros_like(primary)
    sigma = severity.scatter_sigma_mm / np.asarray(detector.spacing)
    # The patient goes on beyond the detector, so the border is mirrored; behind blades it is dark.
    wide = scipy.ndimage.gaussian_filter(removed, sigma, mode="reflect", truncate=3.0)
    wide = (1 - severity.scatter_uniform) * wide + severity.scatter_uniform * wide[field].mean()
    patient = behind_patient(transmission, field)
    level = severity.scatter_to_primary * primary[patient].sum() / wide[patient].sum()
    return np.asarray(level * wide, dtype=np.float64)


def behind_patient(transmission: Array, field: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels in the field whose beam went through the patient; the whole field if there is none."""
    inside = field & (transmission < BEHIND_PATIENT)
    return inside if inside.any() else field


def respond(share: Array, gamma: float) -> Array:
    """A detector whose logarithm is bent: p -> R (p / R)^gamma with p = -ln(share), odd in p.

    R is `RESPONSE_REFERENCE`. gamma 0.9 is the mismatch of the prototype, where it bent the line
    integrals themselves.
    """
    if gamma == 1.0:
        return share
    p = -np.log(share) / RESPONSE_REFERENCE
    return np.asarray(np.exp(-RESPONSE_REFERENCE * np.sign(p) * np.abs(p) ** gamma))


def _millimetres(detector: Detector) -> tuple[Array, Array]:
    """Position of pixel centres from the middle of the image: along rows (u), along columns (v)."""
    rows, columns = detector.shape
    v = (np.arange(rows) - (rows - 1) / 2) * detector.spacing[0]
    u = (np.arange(columns) - (columns - 1) / 2) * detector.spacing[1]
    return np.broadcast_to(u, (rows, columns)), np.broadcast_to(v[:, None], (rows, columns))
