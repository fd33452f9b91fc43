"""Tables and a figure of papers, in their form, over one's own cases."""
