"""Qt: each widget shows a session and asks it to change. No science, no state."""
