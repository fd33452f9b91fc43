"""The first minute: the demo, and its steps."""
