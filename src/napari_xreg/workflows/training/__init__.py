"""Train: what can be trained, on what, and how it is taken up again."""
