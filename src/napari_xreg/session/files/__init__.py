"""What a session keeps on disk: its file, the data beside it, copies kept by themselves."""
