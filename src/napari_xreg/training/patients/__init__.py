"""Whose radiographs are learned from, and from where they are seen."""
