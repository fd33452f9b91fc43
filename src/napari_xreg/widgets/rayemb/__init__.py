"""The RayEmb widget."""
