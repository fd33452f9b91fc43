"""Work off the main thread, and what the widgets of one viewer share."""
