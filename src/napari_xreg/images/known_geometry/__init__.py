"""What is known of a radiograph's geometry: from its header, a sidecar, another radiograph or the user."""
