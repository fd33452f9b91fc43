"""Start: where a registration begins, by whichever initialiser."""
