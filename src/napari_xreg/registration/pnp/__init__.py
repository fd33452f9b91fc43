"""A pose from points of the patient and their pixels, weighted by how certain they are."""
