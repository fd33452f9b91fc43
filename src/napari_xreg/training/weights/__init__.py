"""What a training reads and leaves on disk: weights, the state to go on from, its journal."""
