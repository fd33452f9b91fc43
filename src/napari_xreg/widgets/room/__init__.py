"""The Room widget."""
