"""What some worker does from time to time for all of them: remove what is over, and find what was forgotten."""
