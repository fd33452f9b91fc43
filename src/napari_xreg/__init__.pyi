from .geometry import CArm as CArm, Pose as Pose
from .images import (
    Radiograph as Radiograph,
    Volume as Volume,
    read_radiograph as read_radiograph,
    read_volume as read_volume,
)
from .records import write_result as write_result
from .registration import View as View, refine as refine, solve_pnp as solve_pnp
from .rendering import render_drr as render_drr
from .session import Session as Session

__version__: str
