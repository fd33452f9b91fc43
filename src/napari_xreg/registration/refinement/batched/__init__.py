"""The refinement in batches: many starts or many cases at once, on the device of the volume."""
