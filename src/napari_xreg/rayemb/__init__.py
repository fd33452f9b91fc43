"""Correspondences of arbitrary 3D points: ray embeddings, subspaces, heatmaps (RayEmb)."""
