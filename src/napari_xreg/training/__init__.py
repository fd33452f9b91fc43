"""CT to synthetic radiographs to weights: poses, patients, appearance, the loop, checkpoints."""
