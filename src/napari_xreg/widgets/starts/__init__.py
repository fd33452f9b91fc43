"""Find a pose: who may propose one, and what was proposed."""
