"""Which pose explains the radiographs: second order, coarse to fine, from one start or many."""
