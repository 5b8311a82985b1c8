"""A run as it is seen while it moves and when it has ended: its events and lines in, a screen out."""
