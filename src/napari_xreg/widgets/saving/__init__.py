"""A session is kept: copied by itself, asked for before its window closes."""
