"""What pixel and voxel values mean: attenuation, line integrals, collimated borders."""
