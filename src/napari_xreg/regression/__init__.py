"""The pose of a C-arm regressed by a network from one radiograph: a start for a refinement.

Gopalakrishnan et al., "Rapid patient-specific neural networks for intraoperative X-ray to volume
registration" (xvr), and Gopalakrishnan, Dey and Golland, "Intraoperative 2D/3D image registration via
differentiable X-ray rendering" (DiffPose), CVPR 2024.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
