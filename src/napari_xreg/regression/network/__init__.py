"""Networks: trunks that see an image, heads that say a pose, and their files."""
