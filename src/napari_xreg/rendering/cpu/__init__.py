"""Kernels of the CPU: fused marches that give the image and its Jacobian."""
