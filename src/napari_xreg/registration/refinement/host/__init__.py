"""What a refinement compares, summed in NumPy on the processor: one pose after the other."""
