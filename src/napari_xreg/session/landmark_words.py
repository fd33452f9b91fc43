"""What became of some landmarks, in the few words that undo says."""

from collections.abc import Mapping

from napari_xreg.images import Landmark


def landmark_words(
    old: Mapping[str, Landmark], new: Mapping[str, Landmark], *, on: str = ""
) -> str:
    """Which landmark came, went or changed; how many, where there are several.

    Parameters
    ----------
    old, new
        By name.
    on
        The radiograph they are picked on; empty: they are of the patient.
    """
    came = [name for name in new if name not in old]
    went = [name for name in old if name not in new]
    changed = [name for name in new if name in old and new[name] != old[name]]
    where = f" on {on}" if on else " in the CT"
    if len(came) == 1 and len(went) == 1 and not changed:
        return f"rename landmark {went[0]} to {came[0]}"
    kinds = (("add", came), ("remove", went), ("change", changed))
    told = [(verb, names) for verb, names in kinds if names]
    if len(told) != 1:
        return f"landmarks{where}"
    verb, names = told[0]
    said = f"landmark {names[0]}" if len(names) == 1 else f"{len(names)} landmarks"
    return f"{verb} {said}{where}"
