"""The Landmarks widget."""
