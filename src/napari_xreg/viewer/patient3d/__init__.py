"""The patient in three dimensions: the C-arm around the CT, and the CT cut in slices."""
