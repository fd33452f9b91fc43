"""Levenberg-Marquardt, coarse to fine: its levels, steps, locks and starts."""
