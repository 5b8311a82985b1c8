"""`nflow logs` and `nflow events`: what tasks wrote, and what happened."""
