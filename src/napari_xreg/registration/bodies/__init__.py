"""Several bodies in the same radiographs, each moving by itself, refined together."""
