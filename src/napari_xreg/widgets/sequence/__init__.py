"""Sequence: a bone tracked through the frames of a cine, frame by frame to be looked at."""
