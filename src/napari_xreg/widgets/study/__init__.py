"""Study: many registrations as a table, while they are computed and later."""
