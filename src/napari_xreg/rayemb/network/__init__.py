"""The networks of RayEmb, and the files of their weights."""
