"""How a body moves from frame to frame: what is expected next, and a whole sequence made smooth."""
