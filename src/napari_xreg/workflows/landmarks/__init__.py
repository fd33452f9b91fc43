"""Landmarks of a session: placed, read, found by a network, solved for a pose."""
