"""Solvers that ask for the loss alone: simplex and directions of scipy, the preset of xReg."""
