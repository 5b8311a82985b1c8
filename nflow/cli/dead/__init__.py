"""`nflow dead`: jobs that no worker could handle, looked at, replayed, dropped."""
