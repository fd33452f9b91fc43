"""The pixels of an X-ray file with what they mean, and how they become a radiograph."""

from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from napari_xreg.geometry import CArm
from napari_xreg.images.errors import ReadError
from napari_xreg.images.intensity.collimator import collimator_mask
from napari_xreg.images.intensity.line_integrals import estimate_i0, line_integrals_from_intensity
from napari_xreg.images.intensity.value_range import ValueRange, floating_range
from napari_xreg.images.known_geometry.record import GeometryRecord
from napari_xreg.images.radiograph import Radiograph

Meaning = Literal["intensity", "log_intensity", "line_integral"]

BYTES_PER_PIXEL = 48
"""What a pixel takes at most while it becomes a line integral: some six copies in float64."""


@dataclass(frozen=True, eq=False)
class StoredImage:
    """One X-ray image as a file holds it.

    Parameters
    ----------
    pixels
        As stored, after a rescale or lookup table that gives them their meaning.
    file
        Name used in messages.
    geometry
        What the file says about it.
    meaning
        What the values are proportional to. None: the file does not say.
    bone
        Whether bone has the lower values ("dark") or the higher ones ("bright"). None: as the
        meaning implies.
    value_range
        What the detector can write, in the units of `pixels`. None: floating point.
    scale
        Line integrals of the values as stored: ``slope * value + intercept``. None: unknown.
    i0
        Unattenuated intensity, in stored values, if the file says it.
    subtracted
        As of `Radiograph`.
    mask_frames
        Frames, counted from 1, that the file says to subtract (DSA).
    """

    pixels: Float[Tensor, "rows columns"]
    file: str
    geometry: GeometryRecord
    meaning: Meaning | None = None
    bone: Literal["dark", "bright"] | None = None
    value_range: ValueRange | None = None
    scale: tuple[float, float] | None = None
    i0: float | None = None
    photometric: str | None = None
    mask: Bool[Tensor, "rows columns"] | None = None
    simulated: bool = False
    subtracted: bool = False
    mask_frames: tuple[int, ...] = ()
    why_no_meaning: str = "the file does not say what its values are"
    notes: tuple[str, ...] = ()


class IncompleteRadiograph(ReadError):
    """Not enough is known to use an image, or it contradicts itself: the user has to say the rest.

    Parameters
    ----------
    message
        As of any `ReadError`; names everything that is missing.
    stored
        What was read: its geometry says what is known and what is not.
    needed
        Names of the keywords of `read_radiograph` that would settle it.
    """

    def __init__(self, message: str, stored: StoredImage, needed: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.stored = stored
        self.needed = needed


def radiograph_from_stored(
    stored: StoredImage,
    *,
    i0: float | None,
    find_collimator: bool,
    source: str,
    before: StoredImage | None = None,
) -> Radiograph:
    """Line integrals, mask and geometry of a stored image.

    Parameters
    ----------
    before
        The same view without contrast agent, with the same meaning: its line integrals are taken away, so
        that the attenuation of the contrast agent is left. I0 and any other common offset cancel.

    Raises
    ------
    ReadError
        Naming all geometry that is missing, and the meaning of the pixels if that is; or if the
        image is constant, not finite or without a usable pixel.
    """
    missing, needed = list(stored.geometry.missing()), stored.geometry.needed
    if stored.meaning is None:
        missing.append(
            f"read_as ('intensity' where bone is dark, 'line_integral' where bone is bright): "
            f"{stored.why_no_meaning}"
        )
        needed = (*needed, "read_as")
    if missing:
        raise IncompleteRadiograph(
            f"{stored.file}: not enough is known to use it: " + "; ".join(missing), stored, needed
        )
    _check_pixels(stored)
    carm = _carm(stored)
    stored = _with_assumptions(stored)
    frames = 1
    if before is not None:
        _check_pixels(before)
        # As one image, so that both get the same unit and the same I0.
        stored, frames = _one_above_the_other(stored, before), 2
    try:
        nominal = stored.geometry.nominal()
        stored = replace(stored, i0=stored.i0 if i0 is None else i0)
        if stored.meaning == "intensity":
            image, mask, used_i0, notes = _from_intensity(stored, find_collimator, frames)
        elif stored.meaning == "log_intensity":
            image, mask, used_i0, notes = _from_log(stored)
        else:
            image, mask, used_i0, notes = _from_line_integrals(stored)
    except ReadError:
        raise
    except ValueError as error:
        raise ReadError(f"{stored.file}: {error}") from error
    if before is not None:
        contrast, without = image.chunk(2)
        usable = None if mask is None else mask[: len(contrast)] & mask[len(contrast) :]
        image = (
            contrast - without if usable is None else torch.where(usable, contrast - without, 0.0)
        )
        mask, used_i0 = usable, None
        notes = tuple(note for note in notes if not note.startswith("i0 was not known"))
    return Radiograph(
        image.float(),
        carm,
        mask=None if mask is None or bool(mask.all()) else mask,
        read_as="line_integral" if stored.meaning == "line_integral" else "intensity",
        photometric=stored.photometric,
        i0=used_i0,
        nominal=nominal,
        simulated=stored.simulated,
        subtracted=stored.subtracted or before is not None,
        source=source,
        geometry=stored.geometry,
        notes=(*stored.geometry.notes, *stored.notes, *notes),
    )


def _one_above_the_other(stored: StoredImage, before: StoredImage) -> StoredImage:
    masks = [
        torch.ones_like(x.pixels, dtype=torch.bool) if x.mask is None else x.mask
        for x in (stored, before)
    ]
    return replace(stored, pixels=torch.cat([stored.pixels, before.pixels]), mask=torch.cat(masks))


def _carm(stored: StoredImage) -> CArm:
    rows, columns = stored.pixels.shape
    record = stored.geometry
    try:
        return record.carm((rows, columns))
    except ValueError as error:
        distances = ("source_to_detector", "source_to_isocenter")
        origins = "; ".join(
            f"{key} from {record.provenance[key]}" for key in distances if key in record.provenance
        )
        raise IncompleteRadiograph(
            f"{stored.file}: {error} ({origins})", stored, distances
        ) from error


def _with_assumptions(stored: StoredImage) -> StoredImage:
    """Say which of the values with a usual answer were not stated."""
    record = stored.geometry.complete()
    assumed, provenance = [], dict(record.provenance)
    assumed += [
        f"{name}: {value:g} mm {provenance[name]}"
        for name, value in record.known().items()
        if provenance.get(name, "").startswith("assumed with") and isinstance(value, float)
    ]
    if record.mirrored is None:
        record = replace(record, mirrored=True)
        provenance["mirrored"] = "assumed: the reader faces the patient"
        assumed.append("mirrored was not given: the patient's left is taken to be on the right")
    if record.principal_point is None:
        provenance.setdefault("principal_point", "assumed: the middle of the image")
        assumed.append("the principal point was not given: taken as the middle of the image")
    notes = (*assumed, *record.doubts(), *stored.notes)
    return replace(stored, geometry=replace(record, provenance=provenance), notes=notes)


_Result = tuple[Tensor, Tensor | None, float | None, tuple[str, ...]]


def _usable(stored: StoredImage) -> Tensor:
    return stored.pixels if stored.mask is None else stored.pixels[stored.mask]


def _check_pixels(stored: StoredImage) -> None:
    pixels = _usable(stored)
    bad = int((~torch.isfinite(pixels)).sum())
    if bad:
        raise ReadError(
            f"{stored.file}: {bad} of {stored.pixels.numel()} pixels are NaN or infinite: "
            "replace them, or save an .npz with a mask beside the image"
        )
    if pixels.numel() == 0:
        raise ReadError(f"{stored.file}: the collimator, shutter or mask it states leaves no pixel")
    first = pixels.flatten()[0]
    if bool((pixels == first).all()):
        raise ReadError(
            f"{stored.file}: all pixels are the same ({float(first):g}): there is no image in it"
        )


def _from_intensity(stored: StoredImage, find_collimator: bool, frames: int) -> _Result:
    """Of one image, or of `frames` of them one above the other."""
    intensity, ends = stored.pixels, stored.value_range
    saturation = None if ends is None else ends.width
    notes: list[str] = []
    if stored.bone == "bright":
        ends = floating_range(_usable(stored)) if ends is None else ends
        intensity = ends.high - intensity
        notes.append(
            f"values fall where intensity rises: intensity taken as {ends.high:g} - value; the "
            f"range is taken as {ends.low:g} to {ends.high:g} ({ends.origin})"
        )
    elif ends is not None and _shifted(stored, ends):
        intensity = intensity - ends.low
        notes.append(
            f"an intensity is not negative, yet the file's offset makes its range {ends.low:g} to "
            f"{ends.high:g}: intensity taken as value + {-ends.low:g}"
        )
    elif ends is not None:
        saturation = ends.high
    mask = stored.mask
    if find_collimator:
        fields = [collimator_mask(each) for each in intensity.chunk(frames)]
        inside = torch.cat([field.mask for field in fields])
        if any(field.shape != "none" for field in fields):
            mask = inside if mask is None else mask & inside
        for field in fields:
            if field.shape != "none":
                share = 100 * (1 - float(field.mask.double().mean()))
                notes.append(f"collimator found in the image ({field.shape}): {share:.0f} % masked")
    found = line_integrals_from_intensity(intensity, i0=stored.i0, mask=mask, saturation=saturation)
    return found.values, found.mask, found.i0, (*notes, *found.notes)


def _shifted(stored: StoredImage, ends: ValueRange) -> bool:
    """Whether an offset in the file makes intensities negative, which a detector does not measure."""
    if ends.signed and ends.high > 0:
        return False
    return ends.low < 0 and bool(_usable(stored).min() < 0)


def _from_log(stored: StoredImage) -> _Result:
    """Values linear in the logarithm of intensity: line integrals up to a factor nobody wrote down."""
    ends = stored.value_range
    unit = float(_usable(stored).abs().max()) if ends is None else ends.width
    log_intensity = -stored.pixels if stored.bone == "bright" else stored.pixels
    if stored.i0 is not None:
        background = -stored.i0 if stored.bone == "bright" else stored.i0
        origin = "given"
    else:
        background = estimate_i0(log_intensity, mask=stored.mask)
        origin = "estimated as the 99.5th percentile"
    note = (
        f"values are the logarithm of intensity with an unknown factor: line integrals in units of "
        f"{unit:g} stored values, background {abs(background):g} {origin}"
    )
    values = (background - log_intensity) / unit
    if stored.mask is not None:
        values = torch.where(stored.mask, values, 0.0)
    return values, stored.mask, abs(background), (note,)


def _from_line_integrals(stored: StoredImage) -> _Result:
    pixels, notes = stored.pixels, []
    if stored.scale is not None:
        slope, intercept = stored.scale
        pixels = slope * pixels + intercept
    elif stored.value_range is not None:
        ends = stored.value_range
        pixels = (pixels - ends.low) / ends.width
        notes.append(
            f"integers read as line integrals have an unknown factor: 0 and 1 are {ends.low:g} and "
            f"{ends.high:g} ({ends.origin})"
        )
    if stored.bone == "dark":
        usable = pixels if stored.mask is None else pixels[stored.mask]
        pixels = usable.max() - pixels
        notes.append("bone is dark in the file: values inverted")
    if stored.mask is not None:
        pixels = torch.where(stored.mask, pixels, 0.0)
    return pixels, stored.mask, stored.i0, tuple(notes)
