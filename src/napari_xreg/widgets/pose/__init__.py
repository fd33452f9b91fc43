"""The Pose widget."""
