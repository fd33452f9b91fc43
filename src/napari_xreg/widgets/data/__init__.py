"""The Data widget."""
