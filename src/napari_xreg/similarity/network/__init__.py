"""The network of a learned similarity, and its file."""
