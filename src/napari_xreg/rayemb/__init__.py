"""Correspondences of arbitrary 3D points: ray embeddings, subspaces, heatmaps (RayEmb).

Shrestha, Xie, Yoshii and Kitahara, "RayEmb: Arbitrary Landmark Detection in X-Ray Images Using Ray
Embedding Subspace", ACCV 2024.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
