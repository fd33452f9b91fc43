"""The arguments of every command: a file each, and what several share."""
