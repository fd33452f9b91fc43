"""Whether the radiographs support a pose: evidence and a probability."""
