"""Open: what a file, a folder, a trial or a sample is, and what becomes of it."""
