"""Where templates stand, for a network that learned a range of poses."""

from collections.abc import Mapping
from typing import Any

from napari_xreg.training import PoseRange

MORE_PRIMARY_DEG, MORE_SECONDARY_DEG = 5.0, 4.5
OFFSET_SHARE = 0.4


def templates_around(poses: PoseRange) -> PoseRange:
    """A little more than the poses a network learns, so that none of them lies at the edge.

    Templates are not rolled, and nearer to the middle: they show more of the patient than a
    radiograph does.
    """

    def wider(ends: tuple[float, float], by: float) -> tuple[float, float]:
        return ends[0] - by, ends[1] + by

    roll = sum(poses.roll_deg) / 2
    return PoseRange(
        wider(poses.primary_deg, MORE_PRIMARY_DEG),
        wider(poses.secondary_deg, MORE_SECONDARY_DEG),
        (roll, roll),
        OFFSET_SHARE * poses.offset_mm,
        poses.cut,
    )


def learned_template_poses(about: Mapping[str, Any]) -> PoseRange:
    """Templates' poses for weights, by what their file says of the training.

    Parameters
    ----------
    about
        See `load_encoder`. ``request`` holds the range where it was chosen, as ``primary_deg``,
        ``secondary_deg``, ``roll_deg`` and ``offset_mm``; without it the default was learned.
    """
    request = about.get("request", {})
    default = PoseRange()

    def ends(name: str) -> tuple[float, float]:
        low, high = request.get(name, getattr(default, name))
        return float(low), float(high)

    learned = PoseRange(
        ends("primary_deg"), ends("secondary_deg"), ends("roll_deg"),
        float(request.get("offset_mm", default.offset_mm)),
    )  # fmt: skip
    return templates_around(learned)


TEMPLATE_POSES = templates_around(PoseRange())
"""For the range that is learned by default."""
