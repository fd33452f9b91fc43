"""The Geometry widget."""
