"""The CT cut in slices, in a dock of its own."""
