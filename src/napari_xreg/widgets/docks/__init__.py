"""The docks of our widgets: which there are, their tabs, the Tools menu, and where they were left."""
