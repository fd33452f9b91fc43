"""Where a bone is rendered in a radiograph, what lies near it, and a refinement that looks there alone."""
