"""The Confidence widget."""
