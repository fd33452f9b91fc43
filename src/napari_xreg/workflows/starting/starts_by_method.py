"""From how many starts a refinement begins about a pose that was found, and how widely they spread.

One place for the initialisers, the widgets and the benchmarks. Where nobody found a pose, the number
is left to the refinement (`registration.RefineSettings.rounds`).
"""

from napari_xreg.registration import Spread

RAYEMB_STARTS = 128
RAYEMB_SPREAD = Spread(6.0, 15.0, 30.0)
"""How far a pose from points of the CT may be off."""

LANDMARK_STARTS = 16
LANDMARK_SPREAD = Spread(4.0, 6.0, 20.0)
"""Around the pose of a PnP, depth is what is known least."""

REGRESSION_STARTS = 16
REGRESSION_SPREAD = Spread(5.0, 12.0, 30.0)
"""Where nobody measured the network's errors: twice what the xvr paper shows."""
