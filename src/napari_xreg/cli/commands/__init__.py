"""One file a command: arguments to a workflow to words."""
