"""What images of a training look like, and on which pixels a network sees them."""
