"""Which file in a trial's folder of poses is a bone's: the one called after it, and after no other bone.

In a study such a pose is the truth, so a name that could mean two bones means neither of them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_xreg.images import TrialFile


@dataclass(frozen=True)
class OwnPoses:
    """Where the poses of a bone are.

    Parameters
    ----------
    path
        A ``.tra`` file.
    together
        It is called after no single bone, so that it has to hold all of them side by side.
    """

    path: Path
    together: bool = False


def kept_poses(trial: TrialFile) -> tuple[Path, ...]:
    """All files of poses in the trial's folder."""
    try:
        return tuple(sorted(p for p in trial.tracking.iterdir() if p.suffix.lower() == ".tra"))
    except OSError:
        return ()


def own_poses(found: Sequence[Path], bones: Sequence[str], bone: str) -> OwnPoses | None:
    """The file of one of the bones; None: there is none, or several could be meant."""
    names, name = [each.lower() for each in bones], bone.lower()
    meant = {path: _meant(path.stem.lower(), names) for path in found}
    ranks = {path: each[0] for path, each in meant.items() if each and each[1] == name}
    own = [path for path, rank in ranks.items() if rank == min(ranks.values())]
    if own:
        return OwnPoses(own[0]) if len(own) == 1 else None
    of_all = [path for path, each in meant.items() if each is None]
    return OwnPoses(of_all[0], len(names) > 1) if len(of_all) == 1 else None


def _meant(stem: str, names: Sequence[str]) -> tuple[int, str] | None:
    """How far a file is from being called as a bone (0: it is), and which bone; None: no single one."""
    if stem in names:
        return (0, stem) if names.count(stem) == 1 else None
    # Longest first, where a word begins: "trial_femur_component" is not after "femur" if that is a bone too.
    # A digit behind it makes it another's: "mc31" is not after "mc3", nor "mc3" after "mc".
    longest = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    called = set(re.findall(rf"(?<![^\W_])(?:{longest})(?!\d)", stem))
    if not called:
        called = {name for name in names if name.startswith(stem)}
        return (2, called.pop()) if len(called) == 1 else None
    return (1, called.pop()) if len(called) == 1 else None
