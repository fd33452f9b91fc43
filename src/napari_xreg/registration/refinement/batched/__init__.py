"""What a refinement compares, summed in torch for a batch of poses at once, on the volume's device."""
