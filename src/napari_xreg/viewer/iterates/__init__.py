"""Every iteration of a refinement as layers to scrub through."""
