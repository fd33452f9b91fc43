"""The similarity around a pose: sections, and what converges from where."""
