"""Bones: several bones of one CT registered together, each seen in its own colour."""
