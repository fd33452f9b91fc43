"""What napari calls: readers, writers and sample data of the plugin."""
