"""`nflow top`: the monitor as a command."""
