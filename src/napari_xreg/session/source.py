"""Where something in a session came from, so that it can be found again."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Source:
    """A file or folder, or something built in.

    Parameters
    ----------
    path
        Absolute path of a file or folder, or a built-in's name ("phantom").
    built_in
        True where `path` names something this package makes itself.
    options
        Keywords that the reader was given beside the path (a series, a frame, geometry by hand);
        plain JSON values.
    sha256
        Of the file's content; empty where it was not computed (folders, built-ins).
    trial
        Absolute path of the trial of Autoscoper (``trial.cfg``) that a CT is a bone of; empty: of none.
    """

    path: str
    built_in: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    sha256: str = ""
    trial: str = ""
