"""Named landmarks found by a network, and how sure it is of each.

Suh, Schott, Mo, Martin and Moyer, "Landmark Detection Uncertainty as a Reliability Weight for
Robust Landmark-based 2D/3D Pelvic Pose Estimation", MIDL 2026.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
