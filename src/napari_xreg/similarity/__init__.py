"""How far apart the poses of two images are, learned: a similarity on the sphere.

Chen and Kong, "Spherical similarity learning for 2D/3D registration" (arXiv 2509.06890, WACV 2026), of which no
code is public; Gao et al., "Generalizing spatial transformers to projective geometry" (MICCAI 2020), whose loss
it goes back to.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
