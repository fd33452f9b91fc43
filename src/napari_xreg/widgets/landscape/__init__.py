"""The Landscape widget."""
