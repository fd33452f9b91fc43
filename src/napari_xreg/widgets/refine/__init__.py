"""The Refine widget."""
