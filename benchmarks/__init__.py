"""Measurements: `python -m benchmarks --help`. Nothing here is part of the installed package."""
