"""`nflow worker` and `nflow workers`: who takes work, and what ends it."""
