"""Saturated pixels of a radiograph: where the detector, or the file, had no more to say."""

from napari_xreg.images.operations import Mask
from napari_xreg.images.radiograph import Radiograph

PLATEAU = 0.01
"""Of the usable pixels: more than this share at one end of the range ..."""
PILED_UP = 2.0
"""... and more than so many times those at the next value are a plateau. An image of few grey values may
end in a step as wide, but not in one so much wider than the next."""
FEWEST = 0.02
"""Of the usable pixels; where a plateau leaves fewer, it is the picture."""

SATURATED = "without what is saturated"


def without_saturated(radiograph: Radiograph) -> Radiograph:
    """The radiograph without its saturated pixels; itself where there are none.

    A detector that clips, or a file that was stretched too far, leaves a plateau of exactly equal
    values at an end of the range: the attenuation was that or beyond, nobody knows how far. Zero in
    simulated line integrals is no such end: they are zero where nothing is. Nor is the end at which
    most of a subtracted image lies (zero, or the highest value where bright and dark were exchanged).
    """
    if Mask(SATURATED) in radiograph.operations:
        return radiograph
    values, usable = radiograph.line_integrals, radiograph.usable
    used, kept = values[usable], usable
    drr = radiograph.simulated and radiograph.read_as == "line_integral"
    for end in used.aminmax() if used.numel() else ():
        at_end = int((used == end).sum())
        most = radiograph.subtracted and 2 * at_end > used.numel()
        nothing = most or ((drr or radiograph.subtracted) and float(end) == 0.0)
        if nothing or at_end <= PLATEAU * used.numel():
            continue
        others = used[used != end]
        next_to_it = others[(others - end).abs().argmin()] if others.numel() else end
        if at_end > PILED_UP * int((used == next_to_it).sum()):
            kept = kept & (values != end)
    left = int(kept.sum())
    if left == used.numel() or left < FEWEST * used.numel():
        return radiograph
    return radiograph.with_mask(kept, SATURATED)
