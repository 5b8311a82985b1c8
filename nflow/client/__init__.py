"""Runs for other software."""
