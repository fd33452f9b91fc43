"""Track: where a body was in every frame of a sequence."""
